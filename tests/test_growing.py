"""A grown GAN first draws what the smaller one drew, at twice the size."""

import pytest
import torch
from helpers import tiny_gan, tiny_progan

from fewshotgan.bench.recipes import smaller
from fewshotgan.files import UserError
from fewshotgan.gans import GAN
from fewshotgan.gans.growing import grow
from fewshotgan.gans.layers import fir_up


def test_it_first_draws_the_images_of_the_smaller_one():
    large = tiny_gan(noise=False).config
    small = GAN.create(smaller(large, 8), "small", seed=3)
    grown = grow(small, large, seed=1)
    z = small.latents(5, seed=0)
    with torch.no_grad():
        assert torch.allclose(grown.generator(z), fir_up(small.generator(z)), atol=1e-6)
        assert torch.equal(grown.discriminator.blocks["8"].conv0.weight, small.discriminator.blocks["8"].conv0.weight)
        assert not torch.equal(grown.discriminator.from_image.weight[:4], small.discriminator.from_image.weight[:4])


def test_other_widths_and_families_are_refused():
    large = tiny_gan(noise=False).config
    thin = smaller(large, 8)
    for sizes in (thin["generator"], thin["discriminator"]):
        sizes["channel_max"] = 4
    small = GAN.create(thin, "small")
    with pytest.raises(UserError, match=r"small can.t grow: .* keep the widths"):
        grow(small, large)
    with pytest.raises(UserError, match="only a StyleGAN2 adds up"):
        grow(tiny_progan(), large)
