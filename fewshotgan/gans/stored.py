"""Load GANs: the shipped ones by name, ours by path, and public releases. No code in a file is ever run."""

import difflib
import hashlib
import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from fewshotgan.files import UserError, clip, data_dir, first_line, shown, whole_name
from fewshotgan.gans import official
from fewshotgan.gans.gan import GAN, STORED
from fewshotgan.gans.official.folders import find_pair, read_described
from fewshotgan.gans.official.pickles import Unreadable
from fewshotgan.gans.sizes import shapes


def list_gans() -> dict[str, str]:
    """Return the shipped GANs: {name: one line about it}."""
    return {
        path.stem: _read_metadata(path)["card"].get("summary", "") for path in sorted(_shipped().glob("*.safetensors"))
    }


@cache
def version(name: str) -> str:
    """Return twelve digits that identify a shipped GAN: the SHA-256 of its configuration and weights, not its card."""
    path = _shipped() / f"{name}.safetensors"
    with open(path, "rb") as file:
        tensors = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        del tensors["__metadata__"]
        head = json.dumps([_read_metadata(path)["config"], tensors], sort_keys=True)
        return hashlib.sha256(head.encode() + file.read()).hexdigest()[:12]


def load_gan(name_or_path: str | Path, discriminator: str | Path | None = None) -> GAN:
    """Load a shipped GAN by name, a file of ours, or an official release.

    Args:
        name_or_path: "avatars-stylegan2", a `.safetensors` file written by `GAN.save`, or a checkpoint in one of the
            layouts of `list_layouts`: a file (`.pt`, `.pth`, `.pkl`, `.npz`), or a folder with a file for each network,
            of which the latest pair is taken.
        discriminator: the discriminator's own file, where a release has one for each network and no folder for both.

    Raises:
        UserError: if there is no such GAN, the file is damaged, or its tensors fit no network.
    """
    if not isinstance(name_or_path, str | Path):
        raise UserError(f"load_gan takes a shipped GAN's name or a path, not {shown(name_or_path)}.")
    path = whole_name(name_or_path)
    shipped = _shipped() / f"{name_or_path}.safetensors"
    if os.path.isfile(shipped):  # for which no name is too long
        return _load_ours(shipped)
    if not os.path.exists(path):
        close = difflib.get_close_matches(str(name_or_path)[:200], list_gans(), n=1) or ["avatars-stylegan2"]
        raise UserError(
            f"There is no GAN {clip(name_or_path)!r}, shipped or as a file; did you mean {' or '.join(close)}?"
        )
    if path.suffix == ".safetensors":
        return _load_ours(path)
    return _load_official(path, None if discriminator is None else Path(discriminator))


def list_layouts() -> dict[str, str]:
    """Return the layouts of public checkpoints that `load_gan` reads: {name: networks and files}."""
    return {layout.name: layout.about for layout in official.LAYOUTS}


def _shipped() -> Path:
    return data_dir() / "gans"


def _read_metadata(path: Path) -> dict[str, Any]:
    """Return {"name", "config", "card"} of a file of ours."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata: dict[str, Any] = json.loads((file.metadata() or {})["fewshotgan"])
        if not all(isinstance(metadata[key], kind) for key, kind in (("name", str), ("config", dict), ("card", dict))):
            raise KeyError
        if not isinstance(metadata["config"]["generator"], dict):
            raise TypeError
        return metadata
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{_short(path)} is a safetensors file, but not one that fewshotgan wrote: it has no configuration."
        ) from error
    except (safetensors.SafetensorError, ValueError, RecursionError, OSError) as error:
        raise UserError(
            f"{_short(path)} is damaged or not a safetensors file ({first_line(error)}); download or copy it again."
        ) from error


def _load_ours(path: Path) -> GAN:
    metadata = _read_metadata(path)
    name, config = metadata["name"], metadata["config"]
    found = _sizes(path)
    _check_sizes(shapes(config, name, len(found)), found, path)
    gan = GAN.create(config, name)
    gan.card = metadata["card"]
    _fill(gan, safetensors.torch.load_file(path), path)
    return gan


def _sizes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor in a file of ours, from its header alone.

    Raises:
        UserError: if a tensor holds anything but floating-point numbers of a usual size.
    """
    found = {}
    with safetensors.safe_open(path, framework="pt") as file:
        for key in file.keys():  # noqa: SIM118
            part = file.get_slice(key)
            if part.get_dtype() not in STORED:
                raise UserError(
                    f"{_short(path)} holds {clip(key, 60)} as {part.get_dtype()}; weights are {' or '.join(STORED)}."
                )
            found[key] = tuple(part.get_shape())
    return found


def _load_official(path: Path, discriminator: Path | None) -> GAN:
    """Load a public checkpoint without running any code in it."""
    name, generator = path.stem, path
    if path.is_dir():
        generator, discriminator = find_pair(path)
        name = path.name
    contents = [_read(file) for file in (generator, discriminator) if file is not None]
    try:
        converted = official.convert(*contents)
    except official.Misfit as error:
        raise UserError(f"{_short(generator)} can't be loaded: {error}.") from error
    gan = GAN.create(converted.config, name)
    tensors = {f"generator.{key}": value for key, value in converted.generator.items()}
    tensors |= {f"discriminator.{key}": value for key, value in converted.discriminator.items()}
    _fill(gan, tensors, generator)
    return gan if converted.centred else gan.refresh()


def _read(path: Path) -> Any:
    try:
        return read_described(path)
    except Unreadable as error:
        raise UserError(f"{_short(path)} can't be read: {error}; download or copy it again.") from error


def _short(path: Path) -> str:
    """Return the file's name, its end if it is long, to leave room for a sentence."""
    return path.name if len(path.name) <= 26 else f"...{path.name[-23:]}"


def _check_sizes(wanted: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]], path: Path) -> None:
    """Raise one sentence if a file's tensors are not those of a GAN, by name and shape."""
    unmatched = sorted(wanted.keys() ^ found.keys())
    if unmatched:
        problem = "is missing" if unmatched[0] in wanted else "belongs to no layer"
        raise UserError(
            f"{_short(path)} does not fit its own configuration: the tensor {clip(unmatched[0], 60)} {problem}."
        )
    for key, shape in wanted.items():
        if shape != found[key]:
            raise UserError(
                f"{_short(path)} does not fit its own configuration: {clip(key, 60)} is {clip(found[key], 40)}, not "
                f"{clip(shape, 40)}."
            )


def _fill(gan: GAN, tensors: dict[str, Tensor], path: Path) -> None:
    """Load tensors into both networks, or say in one sentence why they don't fit."""
    networks = nn.ModuleDict({"generator": gan.generator, "discriminator": gan.discriminator})
    wanted = {key: tuple(value.shape) for key, value in networks.state_dict().items()}
    _check_sizes(wanted, {key: tuple(value.shape) for key, value in tensors.items()}, path)
    for key, value in tensors.items():
        if not torch.isfinite(value.float()).all():
            raise UserError(
                f"{_short(path)} has values that are not finite, in {clip(key, 60)}; download or copy it again."
            )
    networks.load_state_dict(tensors)
