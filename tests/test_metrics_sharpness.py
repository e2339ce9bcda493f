"""Sharpness: known on a checkerboard, one on real images, below one on blurred ones."""

import pytest
import torch
import torch.nn.functional as F

from fewshotgan import load_images
from fewshotgan.metrics import sharpness
from fewshotgan.metrics.laplacian import laplacian_variance


def test_a_checkerboard_has_eight_at_each_pixel_and_a_slope_none():
    i, j = torch.meshgrid(torch.arange(10), torch.arange(10), indexing="ij")
    board = (((i + j) % 2) * 2.0 - 1).expand(1, 3, 10, 10)
    assert laplacian_variance(board).item() == pytest.approx(64 * 64 / 63)
    assert laplacian_variance((i / 10).expand(2, 1, 10, 10)).tolist() == pytest.approx([0, 0], abs=1e-12)


def test_blurred_images_are_found_out_and_contrast_counts():
    real = load_images("fashion/sandal", n=25).tensor()
    assert sharpness(real, real) == 1.0
    blurred = F.avg_pool2d(real, 3, stride=1, padding=1)
    assert sharpness(blurred, real) < 0.3
    assert sharpness(real / 2, real) == pytest.approx(0.25)
