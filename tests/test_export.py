"""What is exported gives the same images elsewhere, for any number of latents."""

import io

import numpy as np
import onnxruntime
import pytest
import torch
from family_kit import conditional, shaken
from helpers import TINY, tiny
from PIL import Image

from fewshotgan.cli import main
from fewshotgan.export import to_onnx, to_pngs, to_torchscript
from fewshotgan.files import UserError
from fewshotgan.gans import combine

LIMIT = 1e-4


def inputs(gan, n):
    """Latents, and what else a generator of this family takes, by name."""
    given = {"z": gan.latents(n, seed=n)}
    given |= {"truncation": torch.tensor(0.6)} if gan.config["family"] == "stylegan2" else {}
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


def test_pngs_are_the_images_of_a_seed(tmp_path):
    gan = tiny("stylegan2")
    to_pngs(gan, tmp_path / "images", n=3, seed=4)
    found = [np.asarray(Image.open(tmp_path / "images" / f"{i:05d}.png").convert("RGB")) for i in range(3)]
    wanted = ((gan.sample(3, seed=4) + 1) * 127.5).permute(0, 2, 3, 1)
    assert np.abs(np.stack(found) - wanted.numpy()).max() <= 1
    assert len(list((tmp_path / "images").iterdir())) == 3


def test_the_command_writes_what_is_asked_for(tmp_path, capsys):
    gan = tiny("stylegan2")
    gan.save(tmp_path / "tiny.safetensors")
    source, out = str(tmp_path / "tiny.safetensors"), str(tmp_path / "g.pt")
    assert main(["export", source, "--to", "torchscript", "--out", out]) == 0
    assert capsys.readouterr().out.strip() == out
    assert torch.jit.load(out)(z=gan.latents(1), truncation=torch.tensor(1.0)).shape == (1, 3, 16, 16)


def test_a_mixture_is_refused(tmp_path):
    with pytest.raises(UserError, match="export them one by one"):
        to_torchscript(combine([tiny("stylegan2"), tiny("stylegan2", seed=1)]), tmp_path / "gan.pt")
    assert not list(tmp_path.iterdir())
