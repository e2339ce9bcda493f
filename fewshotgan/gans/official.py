"""State dicts of public releases, renamed to ours.

- StyleGAN2 as in rosinality/stylegan2-pytorch, in which the checkpoints of CDC, AdAM, DCL, RICK and EWC come as well
  (`{"g": ..., "g_ema": ..., "d": ...}`). Only names and shapes change, never a value, but for AdAM's modulations, which
  are folded in.
- ProGAN as in pro_gan_pytorch (`{"generator": {"state_dict": ...}, "discriminator": ..., "shadow_generator": ...}`) and
  as in pytorch_GAN_zoo (`{"netG": ..., "netD": ..., "avgG": ...}`). Gains move from the activations' other side (see
  `_progan`).
- SNGAN and cGAN-PD as in mimicry, which writes each network to a file of its own (`{"model_state_dict": ...}`). Only
  names change.
- GP-GAN as in LMescheder/GAN_stability (`{"generator": ..., "discriminator": ..., "generator_test": ...}`, the last one
  averaged), from whose ImageNet network AdaFM starts. Only names change.

Where a release has the generator alone, the configuration of the discriminator is None.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from fewshotgan.gans.layers import GAIN, widths
from fewshotgan.gans.network import StateDict
from fewshotgan.gans.official_resnets import gp_resnet, sngan_config, sngan_generator

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


def convert(checkpoint: Mapping[str, Any]) -> tuple[dict[str, Any], StateDict, StateDict]:
    """Return (configuration, generator, discriminator) of a release; of two generators, the averaged one.

    Raises:
        KeyError: if the layout is none of the known ones, or a tensor belongs to no layer.
    """
    if "netG" in checkpoint:
        networks = checkpoint.get("avgG") or checkpoint["netG"], checkpoint["netD"]
        return progan(*(strip_module(network) for network in networks))
    if "generator" in checkpoint:
        networks = checkpoint.get("shadow_generator") or checkpoint["generator"], checkpoint["discriminator"]
        if "state_dict" not in networks[0]:
            networks = checkpoint.get("generator_test") or checkpoint["generator"], checkpoint["discriminator"]
            return gp_resnet(*(strip_module(network) for network in networks))
        return progan(*(strip_module(network["state_dict"]) for network in networks))
    if "model_state_dict" in checkpoint:
        generator = sngan_generator(strip_module(checkpoint["model_state_dict"]))
        return sngan_config(generator, {}), generator, {}
    generator = stylegan2_generator(fold_kernel_modulation(checkpoint["g_ema"]))
    discriminator = stylegan2_discriminator(fold_kernel_modulation(checkpoint["d"])) if "d" in checkpoint else {}
    return stylegan2_config(generator, discriminator), generator, discriminator


def strip_module(state: Mapping[str, Tensor]) -> StateDict:
    """Drop the prefix `module.` that DataParallel leaves before every key."""
    return {key.removeprefix("module."): value for key, value in state.items()}


def fold_kernel_modulation(state: Mapping[str, Tensor]) -> StateDict:
    """Return the plain state dict of a generator or discriminator that AdAM's released code adapted.

    Beside its weight W a layer has u, v (and b): W (1 + R) and bias + b take their places. In a convolution R is the
    memory of u v^T read as (out, in, k, k); in a linear layer R = v u^T, whose product that code scales by the outputs
    instead of the inputs.
    """
    state = strip_module(state)
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


def stylegan2_generator(state: Mapping[str, Tensor]) -> StateDict:
    """Convert a generator (`g` or `g_ema`) for `stylegan2.Generator`; the fixed FIR kernels are left out.

    Raises:
        KeyError: if a key belongs to no layer of StyleGAN2.
    """
    converted: StateDict = {}
    for key, value in strip_module(state).items():
        name = _generator_key(key)
        if name:
            converted[name] = _reshape(name, value)
    converted["w_mean"] = converted["mapping.layers.0.weight"].new_zeros(len(converted["mapping.layers.0.weight"]))
    return converted


def _generator_key(key: str) -> str | None:
    """Return our name of a generator tensor, None for a constant of the network."""
    if key.endswith(".kernel"):
        return None
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


def stylegan2_discriminator(state: Mapping[str, Tensor]) -> StateDict:
    """Convert a discriminator (`d`) for `stylegan2.Discriminator`.

    Raises:
        KeyError: if a key belongs to no layer of StyleGAN2.
    """
    state = strip_module(state)
    resolution = 2 ** (2 + len({key.split(".")[1] for key in state if key.startswith("convs.")}) - 1)
    converted: StateDict = {}
    for key, value in state.items():
        if key.endswith(".kernel"):
            continue
        if key in _HEAD:
            converted[_HEAD[key]] = value
        elif match := re.fullmatch(r"convs\.(\d+)\.(.+)", key):
            converted[f"blocks.{resolution >> (int(match[1]) - 1)}.{_RESIDUAL[match[2]]}"] = value
        else:
            raise KeyError(key)
    return converted


def _reshape(name: str, value: Tensor) -> Tensor:
    """Drop the singleton axes that the public layout has before or after the meaningful ones."""
    if name == "const" or name.endswith("conv.weight"):
        return value[0]
    if name.endswith("noise_strength"):
        return value.reshape(())
    if name.endswith("noise_const"):
        return value[0, 0]
    return value.reshape(-1) if name.endswith("to_image.bias") else value


def stylegan2_config(generator: Mapping[str, Any], discriminator: Mapping[str, Any]) -> dict[str, Any]:
    """Read the sizes of converted StyleGAN2 state dicts, as `GAN.config` has them."""
    sides = sorted({int(key.split(".")[1]) for key in generator if key.startswith("blocks.")})
    resolution = sides[-1]
    layers = sum(key.startswith("mapping.") and key.endswith("weight") for key in generator)
    width = {side: generator[f"blocks.{side}.conv1.bias"].shape[0] for side in sides}
    common = {
        "resolution": resolution,
        "channels": generator["blocks.4.to_image.bias"].shape[0],
        "top": width[resolution],
        "maximum": max(width.values()),
    }
    w_dim, z_dim = generator["mapping.layers.0.weight"].shape
    latent = {
        "z_dim": z_dim,
        "w_dim": w_dim,
        "mapping_layers": layers,
        "noise": any("noise" in key for key in generator),
    }
    return {
        "family": "stylegan2",
        "generator": {**common, **latent},
        "discriminator": common if discriminator else None,
    }


_ZOO_GENERATOR = {
    r"formatLayer": "dense",
    r"groupScale0\.0": "blocks.4.conv1",
    r"scaleLayers\.(\d+)\.0": "blocks.{upper}.conv0",
    r"scaleLayers\.(\d+)\.1": "blocks.{upper}.conv1",
    r"toRGBLayers\.(\d+)": "blocks.{side}.to_image",
}
_ZOO_DISCRIMINATOR = {
    r"fromRGBLayers\.(\d+)": "from_images.{side}",
    r"scaleLayers\.(\d+)\.0": "blocks.{upper}.conv0",
    r"scaleLayers\.(\d+)\.1": "blocks.{upper}.conv1",
    r"groupScaleZero\.0": "conv",
    r"groupScaleZero\.1": "hidden",
    r"decisionLayer": "out",
}
_PROGAN_GENERATOR = {
    r"layers\.0\.conv_1": "dense",
    r"layers\.(\d+)\.conv_1": "blocks.{side}.conv0",
    r"layers\.(\d+)\.conv_2": "blocks.{side}.conv1",
    r"rgb_converters\.(\d+)": "blocks.{side}.to_image",
}
_PROGAN_DISCRIMINATOR = {  # counted from the image
    r"from_rgb\.(\d+)\.0": "from_images.{down}",
    r"layers\.{last}\.conv_1": "conv",
    r"layers\.{last}\.conv_2": "hidden",
    r"layers\.{last}\.conv_3": "out",
    r"layers\.(\d+)\.conv_1": "blocks.{down}.conv0",
    r"layers\.(\d+)\.conv_2": "blocks.{down}.conv1",
}


def progan(
    generator: Mapping[str, Tensor], discriminator: Mapping[str, Tensor]
) -> tuple[dict[str, Any], StateDict, StateDict]:
    """Convert a pair for `progan.Generator` and `progan.Discriminator`, from either layout, with their configuration.

    Raises:
        KeyError: if a key belongs to no layer of ProGAN.
    """
    zoo = any(key.startswith("scaleLayers") for key in generator)
    names = (_ZOO_GENERATOR, _ZOO_DISCRIMINATOR) if zoo else (_PROGAN_GENERATOR, _PROGAN_DISCRIMINATOR)
    converted = [_progan(state, table, zoo) for state, table in zip((generator, discriminator), names, strict=True)]
    sides = sorted(int(key.split(".")[1]) for key in converted[0] if key.endswith("to_image.bias"))
    width = {side: len(converted[0][f"blocks.{side}.conv1.bias"]) for side in sides}
    sizes: dict[str, Any] = {
        "resolution": sides[-1],
        "channels": len(converted[0]["blocks.4.to_image.bias"]),
        "top": width[sides[-1]],
        "maximum": max(width.values()),
    }
    if width != widths(sizes["resolution"], sizes["top"], sizes["maximum"]):
        sizes["level_channels"] = list(width.values())
    config = {
        "family": "progan",
        "generator": {**sizes, "z_dim": converted[0]["dense.weight"].shape[1], "first_norm": zoo},
        "discriminator": {**sizes, "consecutive": zoo},
    }
    return config, converted[0], converted[1]


def _progan(state: Mapping[str, Tensor], table: Mapping[str, str], zoo: bool) -> StateDict:
    """Rename one network of ProGAN and move its gains.

    There a layer is f(s g W x + b), or f(s g (W x + b)) in the zoo, with s = 1 / sqrt(fan in), g = sqrt(2) and f the
    leaky ReLU or, to the image and to the logit, nothing. Ours is g f(s W x + b), which equals f(g s W x + g b), or s W
    x + b without activation.
    """
    blocks = {key.split(".")[1] for key in state if key.startswith("layers.")}
    converted: StateDict = {}
    for key, value in state.items():
        path, _, kind = key.rpartition(".")
        name = _progan_name(path.removesuffix(".module"), table, len(blocks))
        weight = state[f"{path}.weight"]
        transposed = name == "dense" and weight.dim() == 4
        scale = 1 / math.sqrt(len(weight) if transposed else weight[0].numel())
        plain = name == "out" or name.endswith("to_image")
        if kind == "bias":
            value = value * (scale if zoo else 1 / GAIN)
            value = value.repeat_interleave(16) if transposed else value
            converted[f"{name}.bias"] = value * GAIN if plain else value
            continue
        if transposed:
            value = value.flatten(1).T  # a transposed convolution of one pixel is fully connected
        elif name in ("hidden", "out"):
            value = value.flatten(1)
        converted[f"{name}.conv.weight" if name.endswith("to_image") else f"{name}.weight"] = (
            value * GAIN if plain else value
        )
    return converted


def _progan_name(path: str, table: Mapping[str, str], blocks: int) -> str:
    """Return our name of a layer of ProGAN; `blocks` are the resolutions, of which the layers may be counted from
    either end.
    """
    for pattern, name in table.items():
        if match := re.fullmatch(pattern.replace("{last}", str(blocks - 1)), path):
            i = int(match[1]) if match.groups() else 0
            return name.format(side=4 << i, upper=8 << i, down=2 << max(blocks - i, 0))
    raise KeyError(path)
