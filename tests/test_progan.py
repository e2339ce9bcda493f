"""ProGAN computes what two public networks compute, loaded through our converter, at any size and depth."""

import pytest
import torch
from golden import fill
from helpers import assert_met, tensors

from fewshotgan import load_gan
from fewshotgan.files import UserError
from fewshotgan.gans import GAN
from fewshotgan.gans.layers import minibatch_std
from fewshotgan.gans.official import progan
from fewshotgan.gans.official.layout import Part
from fewshotgan.gans.progan import Discriminator, Generator, pixel_norm


@pytest.fixture
def loaded(request):
    goldens = [fill.load(f"{request.param}_{network}32") for network in "gd"]
    convert = progan.convert_zoo if request.param == "progan_zoo" else progan.convert_pro_gan_pytorch
    return *goldens, created(convert(*(Part(tensors(golden.params)) for golden in goldens)))


def created(found):
    """The GAN of what a converter returned."""
    gan = GAN.create(found.config, "converted")
    gan.generator.load_state_dict(found.generator)
    gan.discriminator.load_state_dict(found.discriminator)
    return gan


@pytest.mark.parametrize("loaded", ["progan"], indirect=True)
@torch.no_grad()
def test_pro_gan_pytorch_is_met_at_every_depth(loaded):
    g, d, gan = loaded
    z, x = torch.from_numpy(g.inputs["z"]), tensors(d.inputs)
    got = {
        f"image_d{depth}_a{a}": gan.generator(z, side=2**depth, alpha=a) for depth, a in g.spec["call"]["depth_alpha"]
    }
    assert_met(g, got)
    got = {
        f"logits_d{depth}_a{a}": gan.discriminator(x[f"x{2**depth}"], alpha=a)[:, 0]
        for depth, a in d.spec["call"]["depth_alpha"]
    }
    assert_met(d, got)


@pytest.mark.parametrize("loaded", ["progan_zoo"], indirect=True)
@torch.no_grad()
def test_pytorch_gan_zoo_is_met(loaded):
    g, d, gan = loaded
    assert gan.config["generator"] == {
        "resolution": 32,
        "channels": 3,
        "channel_base": 256,
        "channel_max": 32,
        "z_dim": 64,
        "first_norm": True,
    }
    got = {f"image_a{a}": gan.generator(torch.from_numpy(g.inputs["z"]), alpha=1 - a) for a in g.spec["call"]["alphas"]}
    assert_met(g, got)
    got = {
        f"logits_a{a}": gan.discriminator(torch.from_numpy(d.inputs["x"]), alpha=1 - a)
        for a in d.spec["call"]["alphas"]
    }
    assert_met(d, got)


def test_both_kinds_of_checkpoint_load_and_the_averaged_generator_is_taken(tmp_path):
    zoo = [tensors(fill.load(f"progan_zoo_{network}32").params) for network in "gd"]
    other = {key: value + 1 for key, value in zoo[0].items()}
    torch.save(
        {"netG": other, "avgG": {f"module.{key}": value for key, value in zoo[0].items()}, "netD": zoo[1]},
        tmp_path / "zoo.pt",
    )
    golden = fill.load("progan_zoo_g32")
    with torch.no_grad():
        image = load_gan(tmp_path / "zoo.pt").generator(torch.from_numpy(golden.inputs["z"]))
    error, limit = golden.compare({"image_a0": image.numpy()})["image_a0"]
    assert error <= limit
    small = small_pro_gan_pytorch()
    wrapped = [{"conf": {}, "state_dict": state} for state in small]
    torch.save({"generator": wrapped[0], "discriminator": wrapped[1]}, tmp_path / "pro.pt")
    gan = load_gan(tmp_path / "pro.pt")
    assert gan.resolution == 8 and gan.config["generator"]["first_norm"] is False
    assert gan.discriminator(gan.sample(4)).shape == (4, 1)
    wrapped[0]["state_dict"]["attention.weight"] = torch.zeros(1)
    torch.save({"generator": wrapped[0], "discriminator": wrapped[1]}, tmp_path / "other.pt")
    with pytest.raises(UserError, match="layout of pro_gan_pytorch, but the tensor 'attention"):
        load_gan(tmp_path / "other.pt")


def test_a_zoo_whose_widths_follow_no_rule_loads():
    zoo, width = [tensors(fill.load(f"progan_zoo_{network}32").params) for network in "gd"], 12
    for state in zoo:  # 12 instead of 16 channels at 16 pixels
        for key, value in state.items():
            for axis in range(min(2, value.dim())):
                value = value.narrow(axis, 0, width) if value.shape[axis] == 16 else value
            state[key] = value
    found = progan.convert_zoo(*map(Part, zoo))
    for network in ("generator", "discriminator"):
        assert found.config[network]["level_channels"] == [32, 32, width, 8]
    gan = created(found)
    assert gan.discriminator(gan.sample(4)).isfinite().all()


def small_pro_gan_pytorch():
    """State dicts of 8 pixels in the layout of pro_gan_pytorch, 4 channels wide."""
    shapes = {
        "layers.0.conv_1": (4, 4, 4, 4),
        "layers.0.conv_2": (4, 4, 3, 3),
        "layers.1.conv_1": (4, 4, 3, 3),
        "layers.1.conv_2": (4, 4, 3, 3),
    }
    generator = {**shapes, "rgb_converters.0": (3, 4, 1, 1), "rgb_converters.1": (3, 4, 1, 1)}
    shapes = {
        "layers.0.conv_1": (4, 4, 3, 3),
        "layers.0.conv_2": (4, 4, 3, 3),
        "layers.1.conv_1": (4, 5, 3, 3),
        "layers.1.conv_2": (4, 4, 4, 4),
    }
    discriminator = {
        **shapes,
        "layers.1.conv_3": (1, 4, 1, 1),
        "from_rgb.0.0": (4, 3, 1, 1),
        "from_rgb.1.0": (4, 3, 1, 1),
    }
    rng = torch.Generator().manual_seed(0)
    found = []
    for network in (generator, discriminator):
        weights = {f"{name}.weight": torch.randn(shape, generator=rng) for name, shape in network.items()}
        found.append(
            {**weights, **{f"{name}.bias": torch.randn(shape[0], generator=rng) for name, shape in network.items()}}
        )
    return found


def test_fading_is_a_mixture_of_the_two_resolutions():
    generator, discriminator = Generator(16, 3, 4, 64, 8), Discriminator(16, 3, 64, 8)
    z = torch.randn(2, 4)
    with torch.no_grad():
        small, large, between = (generator(z, side=s, alpha=a) for s, a in ((8, 1.0), (16, 1.0), (16, 0.25)))
        up = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
        assert torch.allclose(between, 0.25 * large + 0.75 * up, atol=1e-6)
        halved = torch.nn.functional.avg_pool2d(large, 2)
        assert torch.allclose(discriminator(large, alpha=0.0), discriminator(halved), atol=1e-5)


def test_pixel_norm_and_the_consecutive_std():
    x = torch.randn(2, 5, 3, 3)
    assert torch.allclose(pixel_norm(x).square().mean(dim=1), torch.ones(2, 3, 3), atol=1e-4)
    images = torch.tensor([0.0, 0.0, 1.0, 3.0]).view(4, 1, 1, 1)
    std = minibatch_std(images, 2, consecutive=True)[:, -1, 0, 0]
    assert torch.allclose(std, torch.tensor([0.0, 0.0, 2**0.5, 2**0.5]), atol=1e-3)
    whole = minibatch_std(images, 3, consecutive=True)[:, -1, 0, 0]  # 3 does not divide 4: one group, as in the zoo
    assert torch.allclose(whole, images.flatten().std().expand(4), atol=1e-3)
