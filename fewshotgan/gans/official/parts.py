"""Find the networks in what was read from a file: every trainer wraps its state dicts in a way of its own."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from fewshotgan.gans.network import StateDict
from fewshotgan.gans.official.layout import Part
from fewshotgan.gans.official.pickles import Record

GENERATORS = (  # averages come before what they are averages of
    "G_ema", "g_ema", "avgG", "generator_test", "shadow_generator",
    "netG_state_dict", "netG", "g", "G", "generator",
)  # fmt: skip
DISCRIMINATORS = ("d", "D", "netD_state_dict", "netD", "discriminator")
LONGEST = 100  # letters of a name that a message shows
WRAPPERS = ("state_dict", "model_state_dict")


def find(content: Any) -> tuple[Part | None, Part | None]:
    """Return (generator, discriminator) of what a file holds, None for one that it lacks. A file of one bare network
    gives that in the generator's place. A dictionary "config" beside them adds to the generator's settings.
    """
    if not isinstance(content, Mapping):
        return part(content), None
    generator = _first(content, GENERATORS)
    discriminator = _first(content, DISCRIMINATORS)
    if generator is None and discriminator is None:
        return part(content), None
    described = content.get("config")
    if generator is not None and isinstance(described, Mapping):
        generator = Part(generator.tensors, {**generator.settings, **described})
    return generator, discriminator


def _first(content: Mapping[Any, Any], names: tuple[str, ...]) -> Part | None:
    parts = (part(content[name]) for name in names if name in content)
    return next((found for found in parts if found is not None), None)


def part(content: Any) -> Part | None:
    """Return the network that is a state dict, a wrapper of one, or a whole module; None if it is none of them."""
    if isinstance(content, Record):
        return _unfold(content)
    if not isinstance(content, Mapping):
        return None
    for name in WRAPPERS:
        inner = content.get(name)
        if isinstance(inner, Record):
            return _unfold(inner)
        content = inner if isinstance(inner, Mapping) else content
    tensors = {
        str(key).removeprefix("module."): value for key, value in content.items() if isinstance(value, Tensor)
    }  # DataParallel leaves the prefix
    return Part(tensors) if tensors else None


def _unfold(content: Record) -> Part | None:
    """Collect parameters, buffers and settings of a module and those within it, from its state alone."""
    tensors: StateDict = {}
    settings: dict[str, Any] = {}
    pending, seen = [("", content)], set[int]()
    while pending:
        path, module = pending.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        state = _state(module)
        for kind in ("_parameters", "_buffers"):
            tensors |= {f"{path}{name}": value for name, value in _items(state.get(kind)) if isinstance(value, Tensor)}
        plain = {f"{path}{name}": value for name, value in state.items() if isinstance(value, int | float | str)}
        settings |= plain
        inner = [(f"{path}{name}.", one) for name, one in _items(state.get("_modules")) if isinstance(one, Record)]
        pending += reversed(inner)
    return Part(tensors, settings) if tensors else None


def _state(module: Record) -> Mapping[Any, Any]:
    """Return the state of a module; NVIDIA's persistent classes hand theirs, beside their code, to a function."""
    if isinstance(module.state, Mapping):
        return module.state
    given = dict(_items(module.args[0])) if module.args else {}
    return dict(_items(given.get("state")))


def _items(container: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the items of a dictionary, or of the record of a class that derives from it."""
    items = container.items if isinstance(container, Record) else container
    if isinstance(items, Mapping):
        yield from items.items()


def first_tensor(content: Any) -> str | None:
    """Return the name of the first tensor in what a file holds, None if there is none."""
    pending, seen = [("", content)], set[int]()
    while pending:
        name, value = pending.pop()
        if isinstance(value, Tensor):
            return name or "without a name"
        if id(value) in seen or not isinstance(value, Mapping | Record | list | tuple):
            continue
        seen.add(id(value))
        inner = list(enumerate(value)) if isinstance(value, list | tuple) else list(_items(value))
        if isinstance(value, Record):
            inner = [("state", value.state), ("args", value.args), *inner]
        stem = name[:LONGEST]
        pending += reversed([(f"{stem}.{key}".lstrip("."), one) for key, one in inner])
    return None
