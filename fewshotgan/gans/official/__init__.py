"""Public checkpoints in our names: one layout per file, and the list of them.

A file is read as data (`archives.py`), the networks are found in it (`parts.py`), and the layout is the first whose
pattern names a tensor of the generator. A new layout is one file with a `LAYOUT`, and its line in `LAYOUTS`.
"""

from typing import Any

from fewshotgan.gans.official import (
    biggan,
    dcgan,
    gan_stability,
    mimicry,
    nvidia,
    progan,
    rosinality,
    sngan_projection,
)
from fewshotgan.gans.official.layout import Converted, Layout, Misfit, Part
from fewshotgan.gans.official.parts import find, first_tensor

__all__ = ["LAYOUTS", "Layout", "Misfit", "convert"]

LAYOUTS: tuple[Layout, ...] = (
    rosinality.LAYOUT,
    nvidia.LAYOUT,
    progan.PRO_GAN_PYTORCH,
    progan.ZOO,
    mimicry.LAYOUT,
    sngan_projection.LAYOUT,
    gan_stability.LAYOUT,
    biggan.LAYOUT,
    biggan.HUGGING_FACE,
    dcgan.LAYOUT,
)
LONGEST = 34  # letters of a tensor's name in a message
SHARED = ("resolution", "channels", "classes")  # what two networks of a pair agree in


def convert(content: Any, judge: Any = None) -> Converted:
    """Return a release in our names.

    Args:
        content: of the file that has the generator, as `archives.read` returns it.
        judge: of the discriminator's own file, where a release has two.

    Raises:
        Misfit: if the layout is none of the known ones, a tensor is missing or belongs to no layer, or sizes don't fit.
    """
    generator, discriminator = find(content)
    if judge is not None:
        alone, discriminator = find(judge)
        discriminator = discriminator or alone
    layout = _layout(generator, discriminator, content)
    assert generator is not None  # there is a layout, by its tensors
    if discriminator is not None and not layout.is_discriminator(discriminator):
        name = first_tensor(discriminator.tensors)
        raise Misfit(f"its generator has the layout of {layout.name}, its discriminator another: {_short(name)}")
    try:
        converted = layout.convert(generator, discriminator)
    except KeyError as error:
        raise Misfit(
            f"it has the layout of {layout.name}, but the tensor {_short(error.args[0])} is missing or belongs to no "
            "layer"
        ) from error
    except (IndexError, ValueError, RuntimeError, AttributeError, TypeError) as error:
        raise Misfit(f"it has the layout of {layout.name}, but its tensors have impossible shapes") from error
    _check_pair(converted.config)
    return converted


def _layout(generator: Part | None, discriminator: Part | None, content: Any) -> Layout:
    """Return the layout of a generator.

    Raises:
        Misfit: if it has none, or if there is a discriminator alone.
    """
    for layout in LAYOUTS:
        if generator is not None and layout.is_generator(generator):
            return layout
    alone = discriminator or generator
    for layout in LAYOUTS:
        if alone is not None and layout.is_discriminator(alone):
            raise Misfit(
                f"it has a discriminator of {layout.name} and no generator; load the generator's file, or the folder "
                "of both"
            )
    known, name = ", ".join(layout.name for layout in LAYOUTS), first_tensor(content)
    raise Misfit(f"it has no tensors; known are {known}" if name is None else f"{_short(name)} fits none of {known}")


def _check_pair(config: dict[str, Any]) -> None:
    """Raise one sentence if generator and discriminator disagree."""
    generator, discriminator = config["generator"], config["discriminator"]
    for name in SHARED if discriminator else ():
        ours, theirs = generator.get(name, 0), discriminator.get(name, 0)
        if ours != theirs:
            raise Misfit(f"its generator has {name} {ours}, its discriminator {theirs}; they are not of one GAN")


def _short(name: object) -> str:
    """Return a name, its end if it is long, that leaves room for a sentence around it."""
    text = str(name)
    return repr(text if len(text) <= LONGEST else f"...{text[3 - LONGEST :]}")
