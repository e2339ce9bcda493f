"""Small things that many tests need."""

import signal
import subprocess
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from fewshotgan.gans import GAN
from fewshotgan.gans.class_norm import ConditionalNorm
from fewshotgan.images import Images
from fewshotgan.methods import METHODS

SIZES = {"resolution": 16, "channels": 3, "channel_base": 64, "channel_max": 8}
TINY: dict[str, dict] = {  # of each family what its generator's configuration has beyond SIZES and z_dim
    "stylegan2": {"w_dim": 8, "mapping_layers": 2, "noise": True},
    "progan": {},
    "sngan": {},
    "wgan_resnet": {},
    "gp_resnet": {"embed": 3},
    "dcgan": {},
    "biggan": {"embed": 4, "attention": [8]},
    "biggan_deep": {"embed": 4, "attention": [8]},
}


def tiny(family: str, seed: int = 0, **changes) -> GAN:
    """A GAN of a few thousand parameters, 16 pixels unless said otherwise.

    Args:
        changes: of the generator's configuration; sizes and classes are the discriminator's too.
    """
    shared = {key: value for key, value in changes.items() if key in SIZES or key == "classes"}
    generator = {**SIZES, "z_dim": 8, **TINY[family], **changes}
    config = {"family": family, "generator": generator, "discriminator": {**SIZES, **shared}}
    return GAN.create(config, "tiny", seed=seed)


tiny_gan = partial(tiny, "stylegan2")
tiny_progan = partial(tiny, "progan")
tiny_wgan_resnet = partial(tiny, "wgan_resnet")
tiny_gp_resnet = partial(tiny, "gp_resnet")
tiny_biggan = partial(tiny, "biggan")


def tiny_sngan(seed: int = 0, **changes) -> GAN:
    """A tiny SNGAN whose classes differ, which fresh ones do not."""
    gan = tiny("sngan", seed, **changes)
    rng = torch.Generator().manual_seed(seed)
    for module in gan.generator.modules():
        if isinstance(module, ConditionalNorm):
            module.weight.data += 0.3 * torch.randn(module.weight.shape, generator=rng)
    return gan


FAMILIES = {family: partial(tiny, family) for family in TINY} | {"sngan": tiny_sngan}


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


def images_for(method: str) -> Images:
    """Images of random pixels, in two classes for a method that learns classes."""
    images = noise_images()
    return replace(images, labels=torch.arange(len(images)) % 2) if METHODS[method].labelled else images


def photographs(folder, count, height, width):
    """Fill a new folder of this place, `photos`, with noise, beside a file of a tiny GAN; return the place."""
    tiny_gan().refresh().save(folder / "tiny.safetensors")
    (folder / "photos").mkdir()
    for i in range(count):
        pixels = np.random.default_rng(i).integers(0, 255, (height, width, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "photos" / f"{i:02d}.png")
    return folder


def adapt_photographs(folder, *more):
    """The command's arguments that adapt the tiny GAN of `photographs` for four iterations."""
    places = {"--gan": "tiny.safetensors", "--images": "photos", "--out": "out"}
    named = [part for option, name in places.items() for part in (option, str(folder / name))]
    return ["adapt", *named, "--iterations", "4", "--batch", "2", "--keep", "last", *more]


@contextmanager
def small_disk(folder, size):
    """A real disk of so many bytes, mounted in a folder; without the right to mount one, the test is left out."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip(f"a full disk needs the right to mount one: {done.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def heeding():
    """In a child before it starts: heed signals that whoever started the tests ignores, as `nohup` and `&` do."""
    for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_DFL)
