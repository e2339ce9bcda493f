"""SNGAN (arXiv 1802.05957) and cGAN-PD (arXiv 1802.05637) as kwotsin/mimicry writes them, each network to a file of its
own. Only names change.
"""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from fewshotgan.gans.network import StateDict
from fewshotgan.gans.official.layout import Converted, Layout, Part, measure, naming, paired

_SNGAN_BLOCK = {
    "c1": "conv0",
    "c2": "conv1",
    "c_sc": "skip",
    "b1": "norm0",
    "b2": "norm1",
    "b1.bn": "norm0.norm",
    "b2.bn": "norm1.norm",
}
_SNGAN_ENDS = {"l": "dense", "b": "norm", "c": "to_image"}
_SPECTRAL = {"weight_orig": "weight", "weight_u": "u", "weight_v": "v", "sn_u": "u"}


def generator(state: Mapping[str, Tensor]) -> StateDict:
    """Convert a generator for `sngan.Generator`; a class-conditional norm's embedding is cut into scale and shift.

    Raises:
        KeyError: if a key belongs to no layer of SNGAN.
    """
    converted: StateDict = {}
    for key, value in state.items():
        path, _, kind = key.rpartition(".")
        if match := re.fullmatch(r"block(\d+)\.(b[12])\.embed", path):
            name = f"blocks.{4 << (int(match[1]) - 1)}.{_SNGAN_BLOCK[match[2]]}"
            converted[f"{name}.weight"], converted[f"{name}.bias"] = value.chunk(2, dim=1)
        elif match := re.fullmatch(r"block(\d+)\.(.+)", path):
            with naming(key):
                converted[f"blocks.{4 << (int(match[1]) - 1)}.{_SNGAN_BLOCK[match[2]]}.{kind}"] = value
        elif match := re.fullmatch(r"([lbc])\d+", path):
            converted[f"{_SNGAN_ENDS[match[1]]}.{kind}"] = value
        else:
            raise KeyError(key)
    return converted


def discriminator(state: Mapping[str, Tensor]) -> StateDict:
    """Convert a discriminator for `sngan.Discriminator`.

    Raises:
        KeyError: if a key belongs to no layer of SNGAN.
    """
    resolution = 2 << len({key.split(".")[0] for key in state if key.startswith("block")})
    converted: StateDict = {}
    for key, value in state.items():
        path, _, kind = key.rpartition(".")
        if kind == "sn_sigma":  # the last estimate, which is only ever read for plots
            continue
        kind = _SPECTRAL.get(kind, kind)
        value = value.flatten() if kind == "u" else value
        if match := re.fullmatch(r"block(\d+)\.(c\w+)", path):
            with naming(key):
                converted[f"blocks.{resolution >> (int(match[1]) - 1)}.{_SNGAN_BLOCK[match[2]]}.{kind}"] = value
        elif re.fullmatch(r"l(\d+|_y)", path):
            converted[f"{'embedding' if path == 'l_y' else 'out'}.{kind}"] = value
        else:
            raise KeyError(key)
    return converted


def convert(g: Part, d: Part | None) -> Converted:
    """Convert a generator and its discriminator."""
    judge = discriminator(d.tensors) if d else {}
    return paired("sngan", generator(g.tensors), judge, generator_sizes, discriminator_sizes)


def generator_sizes(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the arguments of `sngan.Generator` by its state dict."""
    width = {int(key.split(".")[1]): len(value) for key, value in state.items() if key.endswith("conv1.bias")}
    norm, dense = state["blocks.8.norm0.weight"], state["dense.weight"]
    return {
        **measure({4: len(dense) // 16, **width}, len(state["to_image.bias"])),
        "z_dim": dense.shape[1],
        "classes": len(norm) if norm.dim() == 2 else 0,
    }


def discriminator_sizes(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the arguments of `sngan.Discriminator` by its state dict."""
    width = {int(key.split(".")[1]): len(value) for key, value in state.items() if key.endswith("conv1.bias")}
    return {
        **measure(width, state[f"blocks.{max(width)}.conv0.weight"].shape[1]),
        "classes": len(state["embedding.weight"]) if "embedding.weight" in state else 0,
        "halvings": sum(key.endswith("skip.bias") for key in state),
    }


LAYOUT = Layout(
    "mimicry",
    "SNGAN and cGAN-PD of kwotsin/mimicry: a file for each network (netG_*.pth, netD_*.pth), or their folder",
    r"block2\.b1\.(bn\.)?running_mean",
    r"block1\.c1\.weight(_orig)?",
    convert,
)
