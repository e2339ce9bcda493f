"""DCGAN as PyTorch's own tutorial and its example write it: `nn.Sequential` networks, so that layers have numbers.

Weights of transposed convolutions are turned to (out, in, ...); the first, of one pixel, is fully connected.
"""

import re
from typing import Any

import torch
from torch import Tensor

from fewshotgan.gans.dcgan import inner_widths
from fewshotgan.gans.network import StateDict
from fewshotgan.gans.official.layout import Converted, Layout, Part, misfit

Layers = dict[int, Tensor]
"""Weights of convolutions by their number in the row."""


def convert(g: Part, d: Part | None) -> Converted:
    """Convert a generator and its discriminator."""
    convs = _convolutions(g.tensors)
    sizes = _sizes([weight.shape[1] for weight in convs.values()][:-1], convs[max(convs)].shape[1])
    ours = _renamed(g.tensors, ["dense", *(f"blocks.{8 << i}.conv" for i in range(len(convs) - 2)), "to_image"])
    ours = {key: value.transpose(0, 1) if value.dim() == 4 else value for key, value in ours.items()}
    ours["dense.weight"] = ours["dense.weight"].permute(0, 2, 3, 1).flatten(0, 2)
    ours["dense.bias"] = torch.zeros(len(ours["dense.weight"]))
    sizes["z_dim"] = ours["dense.weight"].shape[1]
    judge, judged = (StateDict(), None) if d is None else _discriminator(d.tensors)
    return Converted({"family": "dcgan", "generator": sizes, "discriminator": judged}, ours, judge)


def _discriminator(state: StateDict) -> tuple[StateDict, dict[str, Any]]:
    """Convert a discriminator."""
    convs = _convolutions(state)
    sizes = _sizes([len(weight) for weight in convs.values()][-2::-1], convs[0].shape[1])
    sides = [sizes["resolution"] >> i for i in range(1, len(convs) - 1)]
    return _renamed(state, ["from_image", *(f"blocks.{side}.conv" for side in sides), "out"]), sizes


def _convolutions(state: StateDict) -> Layers:
    """Return the weights of four axes, in order."""
    numbered = {int(key.split(".")[1]): value for key, value in state.items() if value.dim() == 4}
    return {number: numbered[number] for number in sorted(numbered)}


def _sizes(inner: list[int], channels: int) -> dict[str, Any]:
    """Return the arguments that both networks have, by the feature channels from 4 pixels on."""
    width = {4 << i: n for i, n in enumerate(inner)}
    side = max(width)
    base, most = inner[-1] * side, max(inner)
    sizes = {"resolution": 2 * side, "channels": channels, "channel_base": base, "channel_max": most}
    ruled = inner_widths(2 * side, base, most)
    if ruled != width:
        raise misfit(width, ruled)
    return sizes


def _renamed(state: StateDict, names: list[str]) -> StateDict:
    """Rename the tensors; `names` are those of the convolutions, whose norms follow behind them.

    Raises:
        KeyError: for a tensor of another layer.
    """
    numbers = list(_convolutions(state))
    converted: StateDict = {}
    for key, value in state.items():
        match = re.fullmatch(r"main\.(\d+)\.(\w+)", key)
        before = [number for number in numbers if match and number < int(match[1])]
        if match and int(match[1]) in numbers and match[2] == "weight":
            converted[f"{names[len(before)]}.weight"] = value
        elif match and value.dim() < 2 and int(match[1]) == before[-1] + 1:
            name = names[len(before) - 1]
            converted[f"{name.removesuffix('dense').removesuffix('conv')}norm.{match[2]}"] = value
        else:
            raise KeyError(key)
    return converted


LAYOUT = Layout(
    "dcgan",
    "DCGAN of PyTorch's tutorial and example: {netG_state_dict, netD_state_dict}, or a file for each network",
    r"main\.1\.running_mean",
    r"main\.2\.weight",
    convert,
)
