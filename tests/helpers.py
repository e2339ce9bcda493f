"""Small things that many tests need."""

import torch

from fewshotgan.gans import GAN
from fewshotgan.gans.sngan import ConditionalNorm
from fewshotgan.images import Images

SIZES = {"resolution": 16, "channels": 3, "top": 4, "maximum": 8}
CONFIG = {
    "family": "stylegan2",
    "generator": {**SIZES, "z_dim": 8, "w_dim": 8, "mapping_layers": 2, "noise": True},
    "discriminator": SIZES,
}


def tiny_gan(seed: int = 0, **changes) -> GAN:
    """A 16-pixel StyleGAN2 of a few thousand parameters."""
    config = {
        **CONFIG,
        "generator": {**CONFIG["generator"], **changes},
        "discriminator": {**SIZES, **{k: v for k, v in changes.items() if k in SIZES}},
    }
    return GAN.create(config, "tiny", seed=seed)


def tiny_progan(seed: int = 0) -> GAN:
    """A 16-pixel ProGAN of a few thousand parameters."""
    return GAN.create(
        {"family": "progan", "generator": {**SIZES, "z_dim": 8}, "discriminator": SIZES}, "tiny", seed=seed
    )


def tiny_sngan(seed: int = 0, classes: int = 0) -> GAN:
    """A 16-pixel SNGAN of a few thousand parameters."""
    sizes = {**SIZES, "classes": classes}
    gan = GAN.create({"family": "sngan", "generator": {**sizes, "z_dim": 8}, "discriminator": sizes}, "tiny", seed=seed)
    rng = torch.Generator().manual_seed(seed)
    for module in gan.generator.modules():  # fresh classes are all the same
        if isinstance(module, ConditionalNorm):
            module.weight.data += 0.3 * torch.randn(module.weight.shape, generator=rng)
    return gan


def tiny_wgan_resnet(seed: int = 0) -> GAN:
    """A 16-pixel residual WGAN of a few thousand parameters."""
    return GAN.create(
        {"family": "wgan_resnet", "generator": {**SIZES, "z_dim": 8}, "discriminator": SIZES}, "tiny", seed=seed
    )


def tiny_gp_resnet(seed: int = 0, classes: int = 0, resolution: int = 16, **generator) -> GAN:
    """A GP-GAN of a few thousand parameters, 16 pixels unless said otherwise."""
    sizes = {**SIZES, "resolution": resolution, "classes": classes}
    config = {
        "family": "gp_resnet",
        "generator": {**sizes, "z_dim": 8, "embed": 3, **generator},
        "discriminator": sizes,
    }
    return GAN.create(config, "tiny", seed=seed)


FAMILIES = {
    "stylegan2": tiny_gan,
    "progan": tiny_progan,
    "sngan": tiny_sngan,
    "wgan_resnet": tiny_wgan_resnet,
    "gp_resnet": tiny_gp_resnet,
}


def tensors(arrays: dict) -> dict[str, torch.Tensor]:
    """Arrays of a golden as tensors."""
    return {name: torch.from_numpy(value) for name, value in arrays.items()}


def assert_met(golden, got: dict, every: bool = True) -> None:
    """Each output is within its limit of a golden's, and every output of the golden is among them."""
    arrays = {key: value.detach().numpy() if isinstance(value, torch.Tensor) else value for key, value in got.items()}
    compared = golden.compare(arrays)
    assert not every or compared.keys() == golden.spec["outputs"].keys()
    for name, (error, limit) in compared.items():
        assert error <= limit, (name, error)


def noise_images(n: int = 10, resolution: int = 16, channels: int = 3) -> Images:
    """Images of random pixels."""
    pixels = torch.randint(
        0, 256, (n, channels, resolution, resolution), generator=torch.Generator().manual_seed(n), dtype=torch.uint8
    )
    return Images(pixels, "noise")


def check_groups(generator: torch.nn.Module, discriminator: torch.nn.Module) -> None:
    """Assert that groups are named by each resolution, in the order of the pass, and that every parameter is in one
    of them.
    """
    sides = [str(2**k) for k in range(2, generator.resolution.bit_length())]
    assert list(generator.groups()) == sides and list(discriminator.groups()) == sides[::-1]
    for network in (generator, discriminator):
        owned = [id(p) for modules in network.groups().values() for module in modules for p in module.parameters()]
        assert sorted(owned) == sorted(id(p) for p in network.parameters())
