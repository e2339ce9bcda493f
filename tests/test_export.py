"""What is exported gives the same images elsewhere, for any number of latents."""

import io

import numpy as np
import onnxruntime
import pytest
import torch
from family_kit import conditional, shaken
from golden import fill
from helpers import TINY, tensors, tiny

from fewshotgan import load_gan
from fewshotgan.cli import main
from fewshotgan.export import to_onnx, to_rosinality, to_torchscript
from fewshotgan.files import UserError
from fewshotgan.gans import combine

LIMIT = 1e-4


def inputs(gan, n):
    """Latents, and what else a generator of this family takes, by name."""
    given = {"z": gan.latents(n, seed=n)}
    given |= {"truncation": torch.tensor(0.6)} if gan.generator.truncates else {}
    return given | ({"labels": torch.arange(n) % gan.classes} if gan.classes else {})


def expected(gan, given):
    """What PyTorch makes of them."""
    return gan.render(given["z"], truncation=float(given.get("truncation", 1)), labels=given.get("labels"))


def made(family):
    """A tiny GAN, class-conditional where the family can be."""
    return shaken(tiny(family, **({"classes": 3} if conditional(family) else {})))


@pytest.mark.parametrize("family", TINY)
def test_torchscript_agrees_with_pytorch(family, tmp_path):
    gan = made(family)
    to_torchscript(gan, tmp_path / "gan.pt")
    loaded = torch.jit.load(io.BytesIO((tmp_path / "gan.pt").read_bytes()))
    for n in (1, 2, 5):
        given = inputs(gan, n)
        torch.testing.assert_close(loaded(**given), expected(gan, given), atol=LIMIT, rtol=0)


@pytest.mark.parametrize("family", TINY)
def test_onnx_agrees_with_pytorch(family, tmp_path):
    gan = made(family)
    to_onnx(gan, tmp_path / "gan.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "gan.onnx", providers=["CPUExecutionProvider"])
    for n in (1, 2, 5):
        given = inputs(gan, n)
        (images,) = session.run(None, {name: value.numpy() for name, value in given.items()})
        np.testing.assert_allclose(images, expected(gan, given), atol=LIMIT)
    assert [entry.name for entry in tmp_path.iterdir()] == ["gan.onnx"]  # weights lie in the file itself


def test_a_truncation_that_has_statistics_of_its_own_is_exported(tmp_path):
    gan = tiny("biggan_deep", statistics=5)
    for name, buffer in gan.generator.named_buffers():
        if name.endswith(("mean_offset", "var_ratio")):
            buffer[:-1] += torch.rand(buffer[:-1].shape, generator=torch.Generator().manual_seed(0))
    to_torchscript(gan, tmp_path / "gan.pt")
    loaded = torch.jit.load(tmp_path / "gan.pt")
    for truncation in (0.0, 0.25, 0.6, 1.0):  # at a statistic, and between two
        images = loaded(z=gan.latents(3), truncation=torch.tensor(truncation))
        torch.testing.assert_close(images, gan.render(gan.latents(3), truncation=truncation), atol=LIMIT, rtol=0)


def test_the_command_writes_what_is_asked_for(tmp_path, capsys):
    gan = tiny("stylegan2")
    gan.save(tmp_path / "tiny.safetensors")
    source, out = str(tmp_path / "tiny.safetensors"), str(tmp_path / "g.pt")
    assert main(["export", source, "--to", "torchscript", "--out", out]) == 0
    assert capsys.readouterr().out.strip() == out
    assert torch.jit.load(out)(z=gan.latents(1), truncation=torch.tensor(1.0)).shape == (1, 3, 16, 16)


def test_a_file_of_another_kind_is_not_written_over(tmp_path, capsys):
    for name in ("tiny", "other"):
        tiny("stylegan2").save(tmp_path / f"{name}.safetensors")
    source, other = tmp_path / "tiny.safetensors", tmp_path / "other.safetensors"
    before = other.read_bytes()
    assert main(["export", str(source), "--to", "torchscript", "--out", str(other)]) == 2
    assert "must end in .pt or .pth or .ts for torchscript" in capsys.readouterr().err
    assert other.read_bytes() == before


def test_a_mixture_is_refused(tmp_path):
    with pytest.raises(UserError, match="export them one by one"):
        to_torchscript(combine([tiny("stylegan2"), tiny("stylegan2", seed=1)]), tmp_path / "gan.pt")
    assert not list(tmp_path.iterdir())


def test_a_golden_s_checkpoint_is_written_again_as_it_was(tmp_path):
    g, d = (tensors(fill.load(name).params) for name in ("stylegan2_g64", "stylegan2_d64"))
    torch.save({"g": g, "d": d, "g_ema": g}, tmp_path / "theirs.pt")
    to_rosinality(load_gan(tmp_path / "theirs.pt"), tmp_path / "ours.pt")
    written = torch.load(tmp_path / "ours.pt", weights_only=True)
    for name, expected in {"g": g, "d": d, "g_ema": g}.items():
        assert list(written[name]) == list(expected)
        assert all(torch.equal(written[name][key], value) for key, value in expected.items())


@pytest.mark.parametrize("noise", [True, False])
def test_a_stylegan2_of_any_size_comes_back_from_the_public_layout(noise, tmp_path):
    gan = shaken(tiny("stylegan2", noise=noise))
    to_rosinality(gan, tmp_path / "gan.pt")
    again = load_gan(tmp_path / "gan.pt")
    assert torch.equal(again.sample(4), gan.sample(4))
    assert torch.equal(again.discriminator(gan.sample(4)), gan.discriminator(gan.sample(4)))


@pytest.mark.parametrize(
    ("family", "changes", "why"),
    [
        ("progan", {}, "is no StyleGAN2"),
        ("stylegan2", {"z_dim": 4}, "has latents, classes or layers"),
        ("stylegan2", {"prior": {"kind": "miner"}}, "has latents, classes or layers"),
    ],
)
def test_what_the_public_layout_has_no_place_for_is_refused(family, changes, why, tmp_path):
    with pytest.raises(UserError, match=f"tiny {why}"):
        to_rosinality(tiny(family, **changes), tmp_path / "gan.pt")
    assert not list(tmp_path.iterdir())
