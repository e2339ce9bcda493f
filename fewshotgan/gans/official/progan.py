"""ProGAN as pro_gan_pytorch and as pytorch_GAN_zoo write it: two namings of one network.

There a layer is f(s g W x + b), or f(s g (W x + b)) in the zoo, with s = 1 / sqrt(fan in), g = sqrt(2) and f the leaky
ReLU or, to the image and to the logit, nothing. Ours is g f(s W x + b), which equals f(g s W x + g b), or s W x + b
without activation: gains move to the other side of the activations.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from fewshotgan.gans.layers import GAIN
from fewshotgan.gans.network import StateDict
from fewshotgan.gans.official.layout import Converted, Layout, Part, measure

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
_PRO_GAN_GENERATOR = {
    r"layers\.0\.conv_1": "dense",
    r"layers\.(\d+)\.conv_1": "blocks.{side}.conv0",
    r"layers\.(\d+)\.conv_2": "blocks.{side}.conv1",
    r"rgb_converters\.(\d+)": "blocks.{side}.to_image",
}
_PRO_GAN_DISCRIMINATOR = {  # counted from the image
    r"from_rgb\.(\d+)\.0": "from_images.{down}",
    r"layers\.{last}\.conv_1": "conv",
    r"layers\.{last}\.conv_2": "hidden",
    r"layers\.{last}\.conv_3": "out",
    r"layers\.(\d+)\.conv_1": "blocks.{down}.conv0",
    r"layers\.(\d+)\.conv_2": "blocks.{down}.conv1",
}


def convert_zoo(g: Part, d: Part | None) -> Converted:
    """Convert the networks of pytorch_GAN_zoo."""
    ours = _progan(g.tensors, _ZOO_GENERATOR, zoo=True)
    return _converted(ours, _progan(d.tensors, _ZOO_DISCRIMINATOR, zoo=True) if d else {}, zoo=True)


def convert_pro_gan_pytorch(g: Part, d: Part | None) -> Converted:
    """Convert the networks of pro_gan_pytorch."""
    ours = _progan(g.tensors, _PRO_GAN_GENERATOR, zoo=False)
    return _converted(ours, _progan(d.tensors, _PRO_GAN_DISCRIMINATOR, zoo=False) if d else {}, zoo=False)


def _converted(generator: StateDict, discriminator: StateDict, zoo: bool) -> Converted:
    """Read the sizes of both networks."""
    width = {int(key.split(".")[1]): len(value) for key, value in generator.items() if key.endswith("conv1.bias")}
    sizes = measure(width, len(generator["blocks.4.to_image.bias"]), levels=True)
    sizes |= {"z_dim": generator["dense.weight"].shape[1], "first_norm": zoo}
    judge: dict[str, Any] | None = None
    if discriminator:
        entries = {int(key.split(".")[1]): value for key, value in discriminator.items() if "from_images" in key}
        width = {side: len(value) for side, value in entries.items()}
        judge = measure(width, discriminator["from_images.4.weight"].shape[1], levels=True) | {"consecutive": zoo}
    return Converted({"family": "progan", "generator": sizes, "discriminator": judge}, generator, discriminator)


def _progan(state: Mapping[str, Tensor], table: Mapping[str, str], zoo: bool) -> StateDict:
    """Rename one network and move its gains."""
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


PRO_GAN_PYTORCH = Layout(
    "pro_gan_pytorch",
    "ProGAN of akanimax/pro_gan_pytorch: {generator, discriminator, shadow_generator}, each with its state_dict",
    r"rgb_converters\.0\.weight",
    r"from_rgb\.0\.0\.weight",
    convert_pro_gan_pytorch,
)
ZOO = Layout(
    "pytorch_GAN_zoo",
    "ProGAN of facebookresearch/pytorch_GAN_zoo: {netG, netD, avgG, config}",
    r"formatLayer\.(module\.)?weight",
    r"decisionLayer\.(module\.)?weight",
    convert_zoo,
)
