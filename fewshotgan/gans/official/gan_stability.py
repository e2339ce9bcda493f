"""GP-GAN (arXiv 1801.04406) as LMescheder/GAN_stability writes it, in any of its published variants; AdaFM starts from
the ImageNet network. Only names change.

The variants are called resnet (one block at each resolution, in a row), resnet2 (two blocks; ImageNet), resnet3 (one,
with an upsampling behind the last; LSUN) and resnet4 (one; CelebA and CelebA-HQ). The first two divide the label's
embedding by its norm.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from fewshotgan.gans.network import StateDict
from fewshotgan.gans.official.layout import Converted, Layout, Part, measure, naming

Ends = list[tuple[int, int]]
"""(Feature channels towards the latents, towards the image) of the blocks of each resolution, from the latents on."""

_BLOCK = {"conv_0": "conv0", "conv_1": "conv1", "conv_s": "skip"}


def convert(g: Part, d: Part | None) -> Converted:
    """Convert a generator and its discriminator."""
    sizes = _sizes(g.tensors, _ends(g.tensors), len(g.tensors["fc.bias"]), len(g.tensors["conv_img.bias"]))
    classes, embed = g.tensors["embedding.weight"].shape
    latent = {"z_dim": g.tensors["fc.weight"].shape[1] - embed, "embed": embed, "normalise": sizes["kernel"] == 3}
    ours = _renamed(g.tensors, _sides(sizes), "to_image", "dense")
    judge, judged = (StateDict(), None) if d is None else _discriminator(d.tensors)
    config = {
        "family": "gp_resnet",
        "generator": {**sizes, **latent, "classes": classes},
        "discriminator": judged,
    }
    return Converted(config, ours, judge)


def _discriminator(state: StateDict) -> tuple[StateDict, dict[str, Any]]:
    """Convert a discriminator, whose numbers start at the image."""
    ends = [(inner, outer) for outer, inner in reversed(_ends(state))]
    sizes = _sizes(state, ends, state["fc.weight"].shape[1], state["conv_img.weight"].shape[1])
    ours = _renamed(state, _sides(sizes)[::-1], "from_image", "out")
    return ours, {**sizes, "classes": len(state["fc.bias"])}


def _ends(state: StateDict) -> Ends:
    """Return the feature channels (before, after) the blocks of each resolution, in the order of their numbers."""
    before: dict[int, int] = {}
    after: dict[int, int] = {}
    for key, value in state.items():
        number, index, tensor = _block(key) if "resnet" in key else (0, 0, "")
        if tensor == "conv_0.weight" and index == 0:
            before[number] = value.shape[1]
        if tensor == "conv_1.weight":
            after[number] = len(value)  # the last block's, as they come in order
    return [(before[number], after[number]) for number in sorted(after)]


def _sizes(state: StateDict, ends: Ends, units: int, channels: int) -> dict[str, Any]:
    """Return the arguments that both networks have; `units` are those of the fully connected layer's features."""
    blocks = 1 + max(_block(key)[1] for key in state if "resnet" in key)
    late = blocks == 1 and ends[-1][0] != ends[-1][1]  # the image's own blocks keep their width
    start = math.isqrt(units // ends[0][0])
    width = {start << i: inner if blocks == 1 else outer for i, (inner, outer) in enumerate(ends)}
    if late:
        width[2 * max(width)] = ends[-1][1]
    kernel = state["conv_img.weight"].shape[-1]
    return {**measure(width, channels, levels=True), "start": start, "late": late, "blocks": blocks, "kernel": kernel}


def _sides(sizes: Mapping[str, Any]) -> list[int]:
    """Return the resolutions that have blocks, from the latents on."""
    last = sizes["resolution"] // (2 if sizes["late"] else 1)
    return [sizes["start"] << i for i in range((last // sizes["start"]).bit_length())]


def _block(key: str) -> tuple[int, int, str]:
    """Return (number of the resolution, number of the block there, name of the tensor) of a residual block's tensor."""
    if match := re.fullmatch(r"resnet_(\d+)_(\d+)\.(.+)", key):
        return int(match[1]), int(match[2]), match[3]
    if match := re.fullmatch(r"resnet\.(\d+)\.(.+)", key):
        return int(match[1]) // 2, 0, match[2]  # a resampling stands between two blocks
    raise KeyError(key)


def _renamed(state: StateDict, sides: list[int], at_image: str, dense: str) -> StateDict:
    """Rename the tensors; `sides` are the resolutions in the order of the network's numbers."""
    ends, converted = {"conv_img": at_image, "fc": dense, "embedding": "embedding"}, StateDict()
    for key, value in state.items():
        path, _, kind = key.rpartition(".")
        if "resnet" in key:
            number, index, tensor = _block(key)
            layer = tensor.rpartition(".")[0]
            with naming(key):
                converted[f"blocks.{sides[number]}.{index}.{_BLOCK[layer]}.{kind}"] = value
        elif path in ends:
            converted[f"{ends[path]}.{kind}"] = value
        else:
            raise KeyError(key)
    return converted


LAYOUT = Layout(
    "GAN_stability",
    "GP-GAN of LMescheder/GAN_stability (ImageNet, LSUN, CelebA): {generator, discriminator, generator_test}",
    r"embedding\.weight",
    r"conv_img\.weight",
    convert,
)
