"""BigGAN-deep computes what BigGAN-PyTorch and Hugging Face compute."""

import json

import pytest
import torch
from golden import fill
from helpers import assert_met, tensors, tiny
from test_biggan import built, discriminator_outputs, generator_outputs

from fewshotgan import load_gan
from fewshotgan.files import UserError
from fewshotgan.gans import biggan_deep
from fewshotgan.gans.biggan_layers import StandingNorm
from fewshotgan.gans.official import biggan as official_biggan
from fewshotgan.gans.official.layout import Part


@torch.no_grad()
def test_the_generator_is_met():
    golden = fill.load("biggan_deep_g64")
    assert_met(golden, generator_outputs(built(golden, biggan_deep), golden))


@torch.no_grad()
def test_the_discriminator_is_met():
    golden = fill.load("biggan_deep_d64")
    assert_met(golden, discriminator_outputs(built(golden, biggan_deep), golden))


@torch.no_grad()
def test_the_generator_of_hugging_face_is_met(tmp_path):
    golden = fill.load("biggan_deep_hf_g32")
    torch.save(tensors(golden.params), tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text(json.dumps(golden.spec["constructor"]))
    gan = load_gan(tmp_path)
    assert not gan.complete
    net = gan.generator
    x, call = tensors(golden.inputs), golden.spec["call"]
    got = {}
    for name, truncation in (("image", call["t_exact"]), ("image_between", call["t_between"])):
        got[name] = net(x["z"] / truncation, labels=x["c"].argmax(dim=1), truncation=truncation)
    assert_met(golden, got)


@torch.no_grad()
def test_running_statistics_of_a_truncation_follow_those_of_all_latents():
    norm, x = StandingNorm(2, 1e-5, affine=False, statistics=3).eval(), torch.randn(4, 2, 3, 3)
    norm.mean_offset.copy_(torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 0.0]]))
    norm.running_mean.copy_(torch.tensor([5.0, 5.0]))  # as training leaves them
    for truncation, mean in ((0.0, 7.0), (0.5, 6.0), (1.0, 5.0), (0.25, 6.5)):
        assert torch.allclose(norm(x, truncation)[:, 0], (x[:, 0] - mean) / (1 + 1e-5) ** 0.5, atol=1e-5)
    gan = tiny("biggan_deep", statistics=3)
    assert torch.equal(gan.sample(2, truncation=0.5), gan.render(gan.latents(2), truncation=0.5))
    with pytest.raises(UserError, match=r"truncations from 0 to 1, not for 1\.5"):
        gan.sample(2, truncation=1.5)


def test_sizes_that_do_not_fit_are_one_sentence():
    for changes, text in (
        ({"embed": 0}, "needs a shared embedding"),
        ({"attention": [4]}, r"maps of 8, 16 pixels, not of \[4\]"),
        ({"plan": [["up", 8, 8]]}, "blocks end at 8 pixels, not at 16"),
    ):
        with pytest.raises(UserError, match=text):
            tiny("biggan_deep", **changes)


def test_without_its_configuration_every_second_block_of_hugging_face_doubles():
    state = tensors(fill.load("biggan_deep_hf_g32").params)
    config = official_biggan.huggingface(Part(state), None).config
    assert config["generator"]["resolution"] == 64 and config["discriminator"] is None
    kinds = [kind for kind, _, _ in config["generator"]["plan"]]
    assert kinds == ["keep", "up"] * 2 + ["keep", "attention", "up", "keep", "up"]
