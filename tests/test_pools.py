"""Pools of pretraining images: written small, read back to the bit, refused when they are none."""

import numpy as np
import pytest
import torch

from fewshotgan.bench.pools import load_pool, save_pool
from fewshotgan.files import UserError


def test_it_comes_back_to_the_bit_and_small(tmp_path):
    rng = np.random.default_rng(0)
    parts = rng.integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
    pixels, labels = parts[rng.integers(0, 4, 500)], rng.integers(0, 4, 500)
    save_pool(pixels, tmp_path / "a.npy.xz", labels)
    images = load_pool(tmp_path / "a.npy.xz", "avatars/thumbs")
    assert torch.equal(images.pixels, torch.from_numpy(pixels).permute(0, 3, 1, 2)) and images.name == "avatars/thumbs"
    assert images.labels.tolist() == labels.tolist()
    assert (tmp_path / "a.npy.xz").stat().st_size < pixels.nbytes / 50
    save_pool(pixels[..., 0], tmp_path / "grey.npy.xz")
    assert load_pool(tmp_path / "grey.npy.xz", "x").pixels.shape == (500, 1, 16, 16)


@pytest.mark.parametrize("content", [b"", b"no pool", None])
def test_what_is_no_pool_is_refused(tmp_path, content):
    path = tmp_path / "a.npy.xz"
    save_pool(np.zeros((9, 8, 8), np.uint8), path)
    path.write_bytes(path.read_bytes()[:-20] if content is None else content)
    with pytest.raises(UserError, match="is no pool of images"):
        load_pool(path, "x")
