"""StyleGAN2 as rosinality/stylegan2-pytorch writes it, in which the checkpoints of CDC, AdAM, DCL, RICK and EWC come as
well.

Only names and shapes change, never a value, but for AdAM's modulations, which are folded in. A file without the fixed
noise gets one of a fixed seed. The centre of truncation is measured.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from fewshotgan.gans.network import StateDict
from fewshotgan.gans.official.layout import Converted, Layout, Part, measure, naming, paired

_STYLED = {
    "conv.weight": "conv.weight",
    "conv.modulation.weight": "conv.affine.weight",
    "conv.modulation.bias": "conv.affine.bias",
    "noise.weight": "noise_strength",
    "activate.bias": "bias",
}
_TO_IMAGE = {**{k: v for k, v in _STYLED.items() if k.startswith("conv.")}, "bias": "bias"}
_RESIDUAL = {
    "conv1.0.weight": "conv0.weight",
    "conv1.1.bias": "conv0.bias",
    "conv2.1.weight": "conv1.weight",
    "conv2.2.bias": "conv1.bias",
    "skip.1.weight": "skip.weight",
}
_HEAD = {
    "convs.0.0.weight": "from_image.weight",
    "convs.0.1.bias": "from_image.bias",
    "final_conv.0.weight": "conv.weight",
    "final_conv.1.bias": "conv.bias",
    "final_linear.0.weight": "hidden.weight",
    "final_linear.0.bias": "hidden.bias",
    "final_linear.1.weight": "out.weight",
    "final_linear.1.bias": "out.bias",
}


def fold_kernel_modulation(state: Mapping[str, Tensor]) -> StateDict:
    """Return the plain state dict of a generator or discriminator that AdAM's released code adapted.

    Beside its weight W a layer has u, v (and b): W (1 + R) and bias + b take their places. In a convolution R is the
    memory of u v^T read as (out, in, k, k); in a linear layer R = v u^T, whose product that code scales by the outputs
    instead of the inputs.
    """
    folded = {key: value for key, value in state.items() if not key.endswith("_vector")}
    for key, v in state.items():
        if key.endswith("v_vector"):
            u, name = state[key.replace("v_vector", "u_vector")], _modulated(key).removesuffix("bias") + "weight"
            weight = folded[name]
            if weight.dim() == 2:
                folded[name] = weight * (1 + v.outer(u)) * math.sqrt(len(u) / len(v))
            else:
                folded[name] = weight * (1 + u.outer(v).reshape(weight.shape))
        elif key.endswith("b_vector"):
            name = _modulated(key)
            folded[name] = folded[name] + v.reshape(folded[name].shape)
    return folded


def _modulated(key: str) -> str:
    """Return the bias, or noise strength, that belongs to a vector of AdAM's."""
    path = key.rpartition(".")[0]
    if path.endswith(".noise"):
        return f"{path}.weight"
    path = re.sub(r"^kml_fc\.", "style.", path).replace(".kml_fc", ".modulation")
    return f"{path}.bias"


def generator(state: Mapping[str, Tensor]) -> StateDict:
    """Convert a generator (`g` or `g_ema`) for `stylegan2.Generator`; the fixed FIR kernels are left out.

    Raises:
        KeyError: if a key belongs to no layer of StyleGAN2.
    """
    converted: StateDict = {}
    for key, value in state.items():
        with naming(key):
            name = generator_name(key)
        if name:
            converted[name] = _reshape(name, value)
    converted["w_mean"] = torch.zeros(len(converted["mapping.layers.0.weight"]))
    return _draw_noise(converted)


def _draw_noise(state: StateDict) -> StateDict:
    """Add the fixed noise (side, side) where a generator that takes noise came without."""
    rng = torch.Generator().manual_seed(0)
    for name in [key.removesuffix("noise_strength") for key in state if key.endswith("noise_strength")]:
        side = int(name.split(".")[1])
        drawn = torch.randn(side, side, generator=rng)
        state.setdefault(f"{name}noise_const", drawn)
    return state


def generator_name(key: str) -> str:
    """Return our name of a generator's tensor, "" for a constant of the network.

    Raises:
        KeyError: if it belongs to no layer.
    """
    if key.endswith(".kernel"):
        return ""
    if match := re.fullmatch(r"style\.(\d+)\.(weight|bias)", key):
        return f"mapping.layers.{int(match[1]) - 1}.{match[2]}"  # style.0 is the normalisation
    if key == "input.input":
        return "const"
    if match := re.fullmatch(r"noises\.noise_(\d+)", key):
        return f"{_styled_name(int(match[1]))}.noise_const"
    if match := re.fullmatch(r"(?:conv1|convs\.(\d+))\.(.+)", key):
        return f"{_styled_name(0 if match[1] is None else int(match[1]) + 1)}.{_STYLED[match[2]]}"
    if match := re.fullmatch(r"(?:to_rgb1|to_rgbs\.(\d+))\.(.+)", key):
        side = 4 if match[1] is None else 8 << int(match[1])
        return f"blocks.{side}.to_image.{_TO_IMAGE[match[2]]}"
    raise KeyError(key)


def _styled_name(index: int) -> str:
    """Return the name of the index-th styled convolution: 0 at 4x4, then two for each resolution."""
    side = 4 << ((index + 1) // 2)
    return f"blocks.{side}.conv{0 if index % 2 else 1}"


def discriminator(state: Mapping[str, Tensor]) -> StateDict:
    """Convert a discriminator (`d`) for `stylegan2.Discriminator`.

    Raises:
        KeyError: if a key belongs to no layer of StyleGAN2.
    """
    resolution = 2 ** (2 + len({key.split(".")[1] for key in state if key.startswith("convs.")}) - 1)
    converted: StateDict = {}
    for key, value in state.items():
        with naming(key):
            name = discriminator_name(key, resolution)
        if name:
            converted[name] = value
    return converted


def discriminator_name(key: str, resolution: int) -> str:
    """Return our name of a discriminator's tensor, "" for a constant of the network.

    Raises:
        KeyError: if it belongs to no layer.
    """
    if key.endswith(".kernel"):
        return ""
    if match := re.fullmatch(r"convs\.([1-9]\d*)\.(.+)", key):
        return f"blocks.{resolution >> (int(match[1]) - 1)}.{_RESIDUAL[match[2]]}"
    return _HEAD[key]


def _reshape(name: str, value: Tensor) -> Tensor:
    """Drop the singleton axes that the public layout has before or after the meaningful ones."""
    if name == "const" or name.endswith("conv.weight"):
        return value[0]
    if name.endswith("noise_strength"):
        return value.reshape(())
    if name.endswith("noise_const"):
        return value[0, 0]
    return value.reshape(-1) if name.endswith("to_image.bias") else value


def convert(g: Part, d: Part | None) -> Converted:
    """Convert a generator and its discriminator."""
    ours = generator(fold_kernel_modulation(g.tensors))
    judge = discriminator(fold_kernel_modulation(d.tensors)) if d else {}
    return paired("stylegan2", ours, judge, generator_sizes, discriminator_sizes)


def generator_sizes(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the arguments of `stylegan2.Generator` by its state dict."""
    width = {int(key.split(".")[1]): len(value) for key, value in state.items() if key.endswith("conv1.bias")}
    w_dim, z_dim = state["mapping.layers.0.weight"].shape
    return {
        **measure(width, len(state["blocks.4.to_image.bias"])),
        "z_dim": z_dim,
        "w_dim": w_dim,
        "mapping_layers": sum(key.startswith("mapping.layers.") and key.endswith("weight") for key in state),
        "noise": any("noise" in key for key in state),
    }


def discriminator_sizes(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the arguments of `stylegan2.Discriminator` by its state dict."""
    width = {4: len(state["conv.bias"])}
    width |= {int(key.split(".")[1]): len(value) for key, value in state.items() if key.endswith("conv0.bias")}
    return measure(width, state["from_image.weight"].shape[1])


LAYOUT = Layout(
    "rosinality",
    "StyleGAN2 of rosinality/stylegan2-pytorch: {g, d, g_ema}, some of them, or the generator's state dict (.pt)",
    r"conv1\.conv\.weight",
    r"final_linear\.0\.weight",
    convert,
)
