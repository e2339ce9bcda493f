"""DCGAN computes what PyTorch's tutorial computes, from its files.

No golden: the tutorial's networks are a few lines of `nn.Sequential`, which stand here beside ours.
"""

import pytest
import torch
from helpers import noise_images, tiny
from torch import nn

from fewshotgan import load_gan
from fewshotgan.files import UserError
from fewshotgan.gans import GAN
from fewshotgan.session import adapt


def tutorial(resolution=64, z_dim=10, width=4, channels=3):
    """The tutorial's networks, with weights and statistics that differ from their start."""
    widths = [width << i for i in range(resolution.bit_length() - 3)][::-1]
    up, down = (
        [nn.ConvTranspose2d(z_dim, widths[0], 4, 1, 0, bias=False)],
        [nn.Conv2d(channels, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)],
    )
    for inner, outer in zip(widths, [*widths[1:], channels], strict=True):
        up += [nn.BatchNorm2d(inner), nn.ReLU(True), nn.ConvTranspose2d(inner, outer, 4, 2, 1, bias=False)]
    for outer, inner in list(zip(widths, widths[1:], strict=False))[::-1]:
        down += [nn.Conv2d(inner, outer, 4, 2, 1, bias=False), nn.BatchNorm2d(outer), nn.LeakyReLU(0.2)]
    down += [nn.Conv2d(widths[0], 1, 4, 1, 0, bias=False)]
    networks = (
        nn.ModuleDict({"main": nn.Sequential(*up, nn.Tanh())}),
        nn.ModuleDict({"main": nn.Sequential(*down, nn.Sigmoid())}),
    )
    rng = torch.Generator().manual_seed(0)
    for network in networks:
        for key, value in network.state_dict().items():
            if value.is_floating_point():
                value.copy_(
                    torch.rand(value.shape, generator=rng) + 0.5
                    if "var" in key
                    else 0.2 * torch.randn(value.shape, generator=rng)
                )
        network.eval()
    return networks


@pytest.mark.parametrize("resolution", [8, 64])
@torch.no_grad()
def test_the_tutorials_networks_are_met(tmp_path, resolution):
    g, d = tutorial(resolution)
    torch.save(
        {
            "netG_state_dict": g.state_dict(),
            "netD_state_dict": d.state_dict(),
            "img_list": [torch.zeros(3, 8, 8)],
            "iters": 7,
        },
        tmp_path / "model.pth",
    )
    gan = load_gan(tmp_path / "model.pth")
    z = gan.latents(5)
    images = g["main"](z[:, :, None, None])
    assert images.std() > 0.05 and torch.allclose(gan.generator(z), images, atol=1e-5)
    assert torch.allclose(gan.discriminator(images).sigmoid(), d["main"](images).flatten(1), atol=1e-5)
    assert gan.complete and gan.resolution == resolution


@torch.no_grad()
def test_the_example_writes_a_file_for_each_network_and_the_latest_pair_is_taken(tmp_path):
    g, d = tutorial()
    for epoch in (9, 10):
        torch.save(
            {f"module.{key}": value * (epoch == 10) for key, value in g.state_dict().items()},
            tmp_path / f"netG_epoch_{epoch}.pth",
        )
        torch.save(d.state_dict(), tmp_path / f"netD_epoch_{epoch}.pth")
    z = torch.randn(2, 10)
    for gan in (load_gan(tmp_path), load_gan(tmp_path / "netG_epoch_10.pth", tmp_path / "netD_epoch_9.pth")):
        assert gan.complete and torch.allclose(gan.generator(z), g["main"](z[:, :, None, None]), atol=1e-5)
    with pytest.raises(UserError, match="a discriminator of dcgan and no generator"):
        load_gan(tmp_path / "netD_epoch_9.pth")


def test_bsa_adapts_a_generator_alone_and_others_ask_for_a_discriminator():
    gan = GAN.create({**tiny("dcgan").config, "discriminator": None}, "alone")
    run = adapt(gan, noise_images(), "bsa", iterations=4, batch=2, progress=False)
    assert run.finished and "discriminator" not in run.spec
    with pytest.raises(UserError, match=r"bsa.*discriminator=.fresh"):
        adapt(gan, noise_images(), "freezed", iterations=2, progress=False)
    fresh = adapt(gan, noise_images(), "freezed", iterations=2, batch=2, progress=False, discriminator="fresh")
    assert fresh.spec["discriminator"] == "fresh" and fresh.gan.complete
