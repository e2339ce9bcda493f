"""State dicts of public residual networks, renamed to ours; which one it is, `gans/official.py` finds out. Only names
change.

- SNGAN (arXiv 1802.05957) and cGAN-PD (arXiv 1802.05637) as in mimicry, which writes each network to a file of its own.
- GP-GAN (arXiv 1801.04406) as in LMescheder/GAN_stability, in any of its published variants.
"""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from fewshotgan.gans.network import StateDict

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


def sngan_generator(state: Mapping[str, Tensor]) -> StateDict:
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
            converted[f"blocks.{4 << (int(match[1]) - 1)}.{_SNGAN_BLOCK[match[2]]}.{kind}"] = value
        elif match := re.fullmatch(r"([lbc])\d+", path):
            converted[f"{_SNGAN_ENDS[match[1]]}.{kind}"] = value
        else:
            raise KeyError(key)
    return converted


def sngan_discriminator(state: Mapping[str, Tensor]) -> StateDict:
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
            converted[f"blocks.{resolution >> (int(match[1]) - 1)}.{_SNGAN_BLOCK[match[2]]}.{kind}"] = value
        elif re.fullmatch(r"l(\d+|_y)", path):
            converted[f"{'embedding' if path == 'l_y' else 'out'}.{kind}"] = value
        else:
            raise KeyError(key)
    return converted


def sngan_config(generator: Mapping[str, Tensor], discriminator: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read the sizes of converted SNGAN state dicts, as `GAN.config` has them; without a discriminator's, its sizes
    are None.
    """
    sides = sorted({int(key.split(".")[1]) for key in generator if key.startswith("blocks.")})
    width = [generator[f"blocks.{side}.conv1.bias"].shape[0] for side in sides]
    norm, dense = generator[f"blocks.{sides[0]}.norm0.weight"], generator["dense.weight"]
    common = {
        "resolution": sides[-1],
        "channels": generator["to_image.bias"].shape[0],
        "classes": len(norm) if norm.dim() == 2 else 0,
    }
    sizes = {**common, "z_dim": dense.shape[1], "top": width[-1], "maximum": max(len(dense) // 16, *width)}
    if not discriminator:
        return {"family": "sngan", "generator": sizes, "discriminator": None}
    out = {int(key.split(".")[1]): len(value) for key, value in discriminator.items() if key.endswith("conv1.bias")}
    halvings = sum(key.endswith("skip.bias") for key in discriminator)
    judge = {**common, "top": out[sides[-1]], "maximum": max(out.values()), "halvings": halvings}
    return {"family": "sngan", "generator": sizes, "discriminator": judge}


_GP_RESNET = {"conv_0": "conv0", "conv_1": "conv1", "conv_s": "skip"}


def gp_resnet(
    generator: Mapping[str, Tensor], discriminator: Mapping[str, Tensor]
) -> tuple[dict[str, Any], StateDict, StateDict]:
    """Convert a pair for `gp_resnet.Generator` and `gp_resnet.Discriminator`, from any of the published variants, with
    their configuration.

    Raises:
        KeyError: if a key belongs to no layer of a GP-GAN.
    """
    numbers = [_gp_resnet_block(key) for key in generator if key.startswith("resnet")]
    last = max(number for number, _, _ in numbers)
    resolution, blocks = 4 << last, 1 + max(index for _, index, _ in numbers)
    converted = [
        {_gp_resnet_name(key, sides, at_image, dense): value for key, value in state.items()}
        for state, sides, at_image, dense in (
            (generator, [4 << i for i in range(last + 1)], "to_image", "dense"),
            (discriminator, [resolution >> i for i in range(last + 1)], "from_image", "out"),
        )
    ]
    channels, top, kernel, _ = generator["conv_img.weight"].shape
    classes, embed = generator["embedding.weight"].shape
    maximum = max(len(value) for key, value in generator.items() if key.endswith("conv_1.bias"))
    sizes = {"resolution": resolution, "channels": channels, "top": top, "maximum": maximum}
    sizes |= {"blocks": blocks, "kernel": kernel, "classes": classes}
    # resnet and resnet2 do
    label = {"z_dim": generator["fc.weight"].shape[1] - embed, "embed": embed, "normalise": kernel == 3}
    return {"family": "gp_resnet", "generator": {**sizes, **label}, "discriminator": sizes}, converted[0], converted[1]


def _gp_resnet_block(key: str) -> tuple[int, int, str]:
    """Return (number of the resolution, number of the block there, name of the tensor) of a residual block's tensor."""
    if match := re.fullmatch(r"resnet_(\d+)_(\d+)\.(.+)", key):
        return int(match[1]), int(match[2]), match[3]
    if match := re.fullmatch(r"resnet\.(\d+)\.(.+)", key):
        return int(match[1]) // 2, 0, match[2]  # a resampling stands between two blocks
    raise KeyError(key)


def _gp_resnet_name(key: str, sides: list[int], at_image: str, dense: str) -> str:
    """Return our name of a tensor; `sides` are the resolutions in the order of the network's numbers."""
    if not key.startswith("resnet"):
        layer, _, kind = key.rpartition(".")
        ours = {"conv_img": at_image, "fc": dense, "embedding": "embedding"}
        return f"{ours[layer]}.{kind}"
    number, index, tensor = _gp_resnet_block(key)
    layer, _, kind = tensor.rpartition(".")
    return f"blocks.{sides[number]}.{index}.{_GP_RESNET[layer]}.{kind}"
