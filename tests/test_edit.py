"""Projection: what a GAN made is found again, a copy shows the same, and what can't be is refused."""

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import heeding, noise_images, tiny, tiny_gan, tiny_sngan
from PIL import Image
from safetensors.torch import load_file

from fewshotgan import project
from fewshotgan.cli import main
from fewshotgan.edit import search
from fewshotgan.edit.latents import Latents
from fewshotgan.edit.search import autocorrelation, schedule
from fewshotgan.files import UserError
from fewshotgan.images import Images
from fewshotgan.pictures import save_picture
from fewshotgan.pixels import to_bytes, to_picture

WAIT = 3600  # seconds, for a process that ends by itself


def shaken(gan, seed=0):
    """A GAN whose samples differ, with noise that counts."""
    rng = torch.Generator().manual_seed(seed)
    for name, parameter in gan.generator.named_parameters():
        if name.endswith("noise_strength"):
            parameter.data.fill_(0.1)
        elif parameter.dim() < 2:
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=rng)
    return gan.refresh()


def own(gan, n=1, seed=5):
    """Samples of a GAN as images to be found."""
    return Images(to_bytes(gan.sample(n, seed)), "own")


@pytest.fixture(scope="module")
def found():
    gan = shaken(tiny_gan())
    return gan, project(gan, own(gan, 2), space="w", iterations=80, progress=False)


def test_what_the_gan_made_is_found_again(found):
    _, projection = found
    first, last = projection.history[0], projection.history[-1]
    assert last["distance"] < first["distance"] / 2 and last["pixels"] < first["pixels"] / 2, (first, last)
    assert [row["iteration"] for row in projection.history[:2]] == [1, 11] and last["iteration"] == 80
    off = (projection.images - projection.target).square().mean().sqrt() * 127.5
    assert float(off) == pytest.approx(last["pixels"], rel=0.1)


def test_the_same_latent_through_a_copy_gives_the_same_image(found):
    gan, projection = found
    assert projection.latent.shape == (2, 8) and projection.images.shape == (2, 3, 16, 16)
    torch.testing.assert_close(projection.through(gan.copy()), projection.images, atol=1e-5, rtol=0)
    other = shaken(gan.copy(), seed=3)
    assert (projection.through(other) - projection.images).abs().max() > 0.05


def test_truncation_draws_a_latent_to_the_mean_of_the_gan_it_goes_through(found):
    gan, projection = found
    other = shaken(gan.copy(), seed=3)
    whole, half, none = (projection.through(other, truncation) for truncation in (1.0, 0.5, 0.0))
    torch.testing.assert_close(whole, projection.through(other))
    centre, _ = Latents(other, "w").statistics()
    mean = replace(projection, latent=centre.expand_as(projection.latent)).through(other)
    torch.testing.assert_close(none, mean, atol=1e-5, rtol=0)
    assert 0 < (half - mean).square().mean() < (whole - mean).square().mean()
    for odd in (float("nan"), 1e308, "0.5"):
        with pytest.raises(UserError, match="is no number from"):
            projection.through(other, odd)


def test_noise_maps_are_found_too_and_stay_noise(found):
    gan, projection = found
    assert projection.noise.keys() == Latents(gan).noise_maps().keys() and projection.noise
    for noise in projection.noise.values():
        assert noise.mean().abs() < 1e-3 and noise.square().mean() == pytest.approx(1, abs=1e-3)
    changed = projection.latent, {}, None
    assert (Latents(gan, "w").images(*changed).clamp(-1, 1) - projection.images).abs().max() > 1e-3


def test_a_gradient_in_noise_is_signal():
    noise = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    ramp = torch.linspace(-1.7, 1.7, 32).expand(1, 1, 32, 32)
    assert autocorrelation(ramp) > 50 * autocorrelation(noise)


def test_the_rate_rises_and_falls():
    rates = [schedule(share) for share in (0, 0.025, 0.05, 0.5, 0.75, 0.875, 1)]
    assert rates == pytest.approx([0, 0.5, 1, 1, 1, 0.5, 0])


@pytest.mark.parametrize("gan", [tiny("dcgan"), tiny_sngan(classes=3)], ids=["dcgan", "sngan with classes"])
def test_without_a_mapping_network_z_is_searched_among_samples_first(gan, monkeypatch):
    monkeypatch.setattr(search, "CANDIDATES", 32)
    projection = project(gan, own(gan), iterations=12, progress=False)
    assert projection.space == "z" and projection.latent.shape == (1, 8)
    assert projection.history[-1]["distance"] <= projection.history[0]["distance"]
    assert (projection.labels is not None) == bool(gan.classes)
    torch.testing.assert_close(projection.through(gan.copy()), projection.images, atol=1e-5, rtol=0)


def test_the_gan_is_left_untouched_and_the_same_seed_finds_the_same():
    gan = shaken(tiny_gan())
    before = [tensor.clone() for tensor in gan.weights()]
    first, again = (project(gan, own(gan), iterations=3, seed=1, progress=False) for _ in range(2))
    assert torch.equal(first.latent, again.latent) and first.latent.shape == (1, 6, 8)
    assert all(torch.equal(a, b) for a, b in zip(before, gan.weights(), strict=True))
    assert all(parameter.requires_grad for parameter in gan.discriminator.parameters())


REFUSED = [
    ({"space": "w"}, tiny("dcgan"), "has no mapping network and so no w"),
    ({"space": "x"}, tiny_gan(), "space='x' can't be"),
    ({"iterations": 0}, tiny_gan(), "iterations=0 must be at least 1"),
    ({"seed": -1}, tiny_gan(), "seed=-1 can't be"),
    ({"backbone": "resnet"}, tiny_gan(), "backbone='resnet' can't be"),
    ({}, tiny_gan(channels=1), "use load_images"),
    ({}, "tiny", "project takes a GAN and Images"),
]


@pytest.mark.parametrize(("options", "gan", "text"), REFUSED, ids=[text for *_, text in REFUSED])
def test_refusals(options, gan, text):
    with pytest.raises(UserError, match=re.escape(text)) as refused:
        project(gan, noise_images(1), progress=False, **options)
    assert len(str(refused.value)) <= 240


def test_another_kind_of_gan_is_refused(found):
    _, projection = found
    for other in (tiny("dcgan"), tiny_gan(w_dim=4)):
        with pytest.raises(UserError, match=r"tiny (takes other latents than|has no mapping network)"):
            projection.through(other)


@pytest.fixture
def ground(tmp_path):
    gan = shaken(tiny_gan())
    gan.save(tmp_path / "gan.safetensors")
    other = shaken(gan.copy(), seed=3)
    other.name = "adapted"
    other.save(tmp_path / "adapted.safetensors")
    tiny("dcgan").save(tmp_path / "dcgan.safetensors")
    save_picture(to_picture(own(gan).pixels[0]), tmp_path / "me.png")
    return tmp_path


def line(ground, *more):
    gan, image, out = (str(ground / name) for name in ("gan.safetensors", "me.png", "o"))
    return ["project", gan, "--image", image, "--out", out, *more]


def test_the_command_writes_pictures_and_latent(ground, capsys):
    assert main(line(ground, "--adapted", str(ground / "adapted.safetensors"), "--iterations", "3")) == 0
    assert {path.name for path in (ground / "o").iterdir()} == {
        "target.png", "reconstruction.png", "adapted.png", "side-by-side.png", "latent.safetensors", "history.json",
    }  # fmt: skip
    target = np.asarray(Image.open(ground / "o" / "target.png"))
    assert np.array_equal(target, np.asarray(Image.open(ground / "me.png")))
    assert Image.open(ground / "o" / "adapted.png").size == (16, 16)
    assert Image.open(ground / "o" / "side-by-side.png").size == (3 * 264 - 8, 28 + 256)
    assert load_file(ground / "o" / "latent.safetensors")["latent"].shape == (1, 6, 8)
    assert json.loads((ground / "o" / "history.json").read_text())["finished"] is True
    assert "perceptual distance" in capsys.readouterr().out


def test_an_adapted_gan_of_another_kind_is_refused_before_the_search(ground, capsys):
    assert main(line(ground, "--adapted", str(ground / "dcgan.safetensors"))) == 2
    assert "has no mapping network" in capsys.readouterr().err and not (ground / "o").exists()


def test_ctrl_c_keeps_the_nearest_so_far(ground):
    command = [sys.executable, "-m", "fewshotgan", *line(ground, "--iterations", "100000")]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=heeding,
    )
    read = ""
    while "distance" not in read and process.poll() is None:
        read += process.stderr.read(1)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=WAIT)
    assert process.returncode == 130 and "the nearest so far is kept" in said
    assert Image.open(ground / "o" / "reconstruction.png").size == (16, 16)
