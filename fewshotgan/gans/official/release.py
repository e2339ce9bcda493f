"""A StyleGAN2 of ours as rosinality/stylegan2-pytorch writes it: the inverse of `rosinality.py`, value for value.

The tensors stand in that code's order. What it stores and we compute, the fixed FIR kernels, is added; a network
without noise gets strengths of zero.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from fewshotgan.files import UserError
from fewshotgan.gans import stylegan2
from fewshotgan.gans.gan import GAN
from fewshotgan.gans.layers import fir_kernel
from fewshotgan.gans.network import StateDict
from fewshotgan.gans.official import rosinality

STYLED = ("conv.weight", "conv.modulation.weight", "conv.modulation.bias", "noise.weight", "activate.bias")
TO_RGB = ("bias", "conv.weight", "conv.modulation.weight", "conv.modulation.bias")
RESIDUAL = (
    "conv1.0.weight",
    "conv1.1.bias",
    "conv2.0.kernel",
    "conv2.1.weight",
    "conv2.2.bias",
    "skip.0.kernel",
    "skip.1.weight",
)


def release(gan: GAN) -> dict[str, StateDict]:
    """Return what a checkpoint of that code holds: {"g", "d", "g_ema"}, g and g_ema alike; without a D, "g_ema" alone.

    Raises:
        UserError: if the GAN is no StyleGAN2, or one that the layout has no place for.
    """
    generator = gan.generator
    if not isinstance(generator, stylegan2.Generator):
        raise UserError(f"{gan.name} is no StyleGAN2, the only family of the layout rosinality; export it to onnx.")
    if not _has_place(gan, generator):
        raise UserError(
            f"{gan.name} has latents, classes or layers that the layout rosinality has no place for; export it to onnx."
        )
    g_ema = _generator(generator)
    if not isinstance(gan.discriminator, stylegan2.Discriminator):
        return {"g_ema": g_ema}
    return {"g": g_ema, "d": _discriminator(gan.discriminator), "g_ema": g_ema}


def _has_place(gan: GAN, generator: stylegan2.Generator) -> bool:
    """Return whether that code's networks can be this GAN's."""
    config, ours = gan.config["generator"], generator.state_dict().keys() | _silence(generator).keys()
    plain = config["z_dim"] == config["w_dim"] and config.get("normalise", True)
    return plain and ours - {"w_mean"} == set(_names(generator).values())


def _generator(generator: stylegan2.Generator) -> StateDict:
    ours, names = generator.state_dict() | _silence(generator), _names(generator)
    filters = fir_kernel(torch.zeros(()), gain=4.0)
    return {key: _shaped(key, ours[names[key]]) if key in names else filters for key in _generator_keys(generator)}


def _discriminator(network: stylegan2.Discriminator) -> StateDict:
    ours, filters = network.state_dict(), fir_kernel(torch.zeros(()))
    names = {key: rosinality.discriminator_name(key, network.resolution) for key in _keys(network.resolution)}
    return {key: ours[name] if name else filters for key, name in names.items()}


def _names(generator: stylegan2.Generator) -> dict[str, str]:
    """Return our name of each of the layout's tensors that isn't computed."""
    found = {key: rosinality.generator_name(key) for key in _generator_keys(generator)}
    return {key: name for key, name in found.items() if name}


def _generator_keys(generator: stylegan2.Generator) -> Iterator[str]:
    """Yield the names of a generator's tensors, in the layout's order."""
    layers, ups = len(generator.mapping.layers), len(generator.blocks) - 1
    for i in range(1, layers + 1):  # style.0 is the normalisation
        yield from (f"style.{i}.weight", f"style.{i}.bias")
    yield "input.input"
    yield from (f"conv1.{part}" for part in STYLED)
    yield from (f"to_rgb1.{part}" for part in TO_RGB)
    for i in range(2 * ups):
        for part in STYLED:
            yield f"convs.{i}.{part}"
            if part == "conv.weight" and i % 2 == 0:
                yield f"convs.{i}.conv.blur.kernel"
    for i in range(ups):
        for part in TO_RGB:
            yield f"to_rgbs.{i}.{part}"
            if part == "bias":
                yield f"to_rgbs.{i}.upsample.kernel"
    yield from (f"noises.noise_{i}" for i in range(2 * ups + 1))


def _keys(resolution: int) -> Iterator[str]:
    """Yield the names of a discriminator's tensors, in the layout's order."""
    yield from ("convs.0.0.weight", "convs.0.1.bias")
    for i in range(1, resolution.bit_length() - 2):
        yield from (f"convs.{i}.{part}" for part in RESIDUAL)
    yield from (f"final_conv.{part}" for part in ("0.weight", "1.bias"))
    yield from (f"final_linear.{i}.{part}" for i in range(2) for part in ("weight", "bias"))


def _silence(generator: stylegan2.Generator) -> StateDict:
    """Return what noise the layout wants of a generator that has none, at a strength of zero."""
    found: StateDict = {}
    for side, block in generator.blocks.items():
        for name, conv in (("conv0", block.conv0), ("conv1", block.conv1)):
            if conv is not None and not conv.noisy:
                found[f"blocks.{side}.{name}.noise_strength"] = torch.zeros(())
                found[f"blocks.{side}.{name}.noise_const"] = torch.zeros(int(side), int(side))
    return found


def _shaped(key: str, value: Tensor) -> Tensor:
    """Add the singleton axes that the layout has before or after the meaningful ones."""
    if key.endswith("noise.weight"):
        return value.reshape(1)
    if key.startswith("noises."):
        return value[None, None]
    if key.startswith("to_rgb") and key.endswith("bias") and "modulation" not in key:
        return value.reshape(1, -1, 1, 1)
    return value[None] if key == "input.input" or key.endswith("conv.weight") else value
