"""What a layout of public checkpoints is, and what all of them share."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from fewshotgan.files import UserError
from fewshotgan.gans.layers import widths
from fewshotgan.gans.network import StateDict


class Misfit(UserError):
    """A file fits no network; the text says why, without the file's name."""


@dataclass(frozen=True)
class Part:
    """One network of a release.

    Attributes:
        tensors: its state dict, with the release's names.
        settings: numbers, texts and truth values that came with it, by the path of the module that has them.
    """

    tensors: StateDict
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Converted:
    """A release in our names.

    Attributes:
        config: as `GAN.config` has it; the discriminator's part is None where there is none.
        generator: state dict.
        discriminator: state dict, empty where there is none.
        centred: whether the release has the centre of truncation, so that it needs no measuring.
    """

    config: dict[str, Any]
    generator: StateDict
    discriminator: StateDict
    centred: bool = False


@dataclass(frozen=True)
class Layout:
    """How one public trainer names its tensors.

    Attributes:
        name: the repository, as messages name it.
        about: the networks, and the files that it writes.
        generator: a pattern that the name of a tensor of each generator matches, and of nothing else.
        discriminator: likewise.
        convert: the generator, and the discriminator or None, in our names. It raises `KeyError` for a tensor that is
            missing or belongs to no layer, and `Misfit` for sizes that no network has.
    """

    name: str
    about: str
    generator: str
    discriminator: str
    convert: Callable[[Part, Part | None], Converted]

    def is_generator(self, part: Part) -> bool:
        """Whether it is a generator in this layout."""
        return any(re.fullmatch(self.generator, key) for key in part.tensors)

    def is_discriminator(self, part: Part) -> bool:
        """Whether it is a discriminator in this layout."""
        return any(re.fullmatch(self.discriminator, key) for key in part.tensors)


def paired(
    family: str,
    generator: StateDict,
    discriminator: StateDict,
    sizes: Callable[[StateDict], dict[str, Any]],
    judged: Callable[[StateDict], dict[str, Any]],
    centred: bool = False,
) -> Converted:
    """Return a release of converted networks, whose constructors' arguments `sizes` and `judged` read off the state
    dicts; that of the discriminator is empty where there is none.
    """
    config = {
        "family": family,
        "generator": sizes(generator),
        "discriminator": judged(discriminator) if discriminator else None,
    }
    return Converted(config, generator, discriminator, centred)


def measure(width: Mapping[int, int], channels: int, levels: bool = False) -> dict[str, Any]:
    """Return the sizes of {resolution: feature channels} as constructors take them, with `level_channels` where the
    widths follow no rule and the family has them (`levels`).

    Raises:
        Misfit: where they follow no rule and the family has no such networks.
    """
    resolution = max(width)
    base, most = width[resolution] * resolution, max(width.values())
    found = {"resolution": resolution, "channels": channels, "channel_base": base, "channel_max": most}
    ruled = widths(resolution, base, most, start=min(width))
    if ruled == dict(width):
        return found
    if levels and ruled.keys() == width.keys():
        return {**found, "level_channels": [width[side] for side in sorted(width)]}
    raise misfit(width, ruled)


def misfit(width: Mapping[int, int], ruled: Mapping[int, int]) -> Misfit:
    """Return the error for widths {resolution: feature channels} that are not those of the rule."""
    side = next((side for side in ruled if width.get(side) != ruled[side]), 0)
    return Misfit(
        f"it has {width.get(side, 0)} feature channels at {side} pixels, where a network with {ruled[max(ruled)]} at "
        f"{max(ruled)} has {ruled[side]}; there is no network of such widths"
    )


@contextmanager
def naming(key: str) -> Iterator[None]:
    """Turn the KeyError of a part of a tensor's name into one of its whole name."""
    try:
        yield
    except KeyError as error:
        raise KeyError(key) from error


def renamed(state: Mapping[str, Tensor], names: Mapping[str, str]) -> StateDict:
    """Rename tensors by patterns of their paths, the last part of a name left as it is; a group's text takes the place
    of {0}, {1}, ...

    Raises:
        KeyError: for a path that matches none.
    """
    converted: StateDict = {}
    for key, value in state.items():
        path, _, kind = key.rpartition(".")
        matches = ((re.fullmatch(pattern, path), name) for pattern, name in names.items())
        match, name = next(((match, name) for match, name in matches if match), (None, ""))
        if match is None:
            raise KeyError(key)
        converted[f"{name.format(*match.groups())}.{kind}"] = value
    return converted
