"""SimCLR at small size: a network that tells images apart without labels, trained in minutes on a folder or a pool.

Paper: Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations" (ICML 2020, arXiv
2002.05709): two random views of an image shall be nearer to one another than to the views of all other images of the
batch, by the loss NT-Xent of a projection head that is thrown away afterwards (section 2 and equation 1).

Differs: four convolutions with group norm in the place of a ResNet-50; batches of 128 and Adam in the place of 4,096
and LARS; no blur, which images of 32 to 64 pixels do not bear.
"""

import hashlib
import json
from functools import cache
from itertools import pairwise
from pathlib import Path

import safetensors
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fewshotgan.augment import brightness, contrast, saturation
from fewshotgan.device import choose_device
from fewshotgan.files import UserError, atomic_write, check_seed, clip, data_dir, first_line, whole
from fewshotgan.images import Images
from fewshotgan.progress import watched

RATE, TEMPERATURE = 1e-3, 0.5
LEAST_AREA = 0.3  # of an image that a view shows (0.08 in the paper, of larger images)


class Encoder(nn.Module):
    """Four convolutions, each of which halves the size, and the mean over pixels: (N, channels, H, W), -1..1 -> (N, 4
    width).

    Args:
        channels: 1 (grey) or 3 (colour).
        width: channels of the first convolution.
    """

    def __init__(self, channels: int, width: int = 32) -> None:
        super().__init__()
        self.channels, self.width = channels, width
        sizes, layers = [channels, width, 2 * width, 4 * width, 4 * width], list[nn.Module]()
        for before, after in pairwise(sizes):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(8, after), nn.ReLU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Describe images."""
        described: Tensor = self.layers(x).mean(dim=(2, 3))
        return described


def views(x: Tensor, rng: torch.Generator) -> Tensor:
    """Return a random view of each image (N, C, H, W): a part of it, resized, perhaps flipped, in other colours."""
    n = len(x)

    def uniform(low: float = 0.0, high: float = 1.0) -> Tensor:
        return low + (high - low) * torch.rand(n, generator=rng, device=x.device)

    side = uniform(LEAST_AREA, 1.0).sqrt()
    flip = (uniform() < 0.5).to(x) * 2 - 1
    zero = torch.zeros_like(side)
    rows = [side * flip, zero, (1 - side) * uniform(-1, 1), zero, side, (1 - side) * uniform(-1, 1)]
    grid = F.affine_grid(torch.stack(rows, dim=1).view(n, 2, 3), list(x.shape), align_corners=False)
    part = F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)
    return contrast(saturation(brightness(part, uniform()), uniform()), uniform())


def contrastive_loss(a: Tensor, b: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Return NT-Xent, a scalar, of two views' projections (N, D) (arXiv 2002.05709, equation 1): the cross-entropy of
    finding each view's twin among the 2 N - 1 others by cosine similarity.
    """
    both = F.normalize(torch.cat([a, b]), dim=1)
    n, alike = len(a), both @ both.T / temperature
    alike = alike.masked_fill(torch.eye(2 * n, dtype=torch.bool, device=alike.device), -torch.inf)
    twins = torch.arange(2 * n, device=alike.device).roll(n)
    return F.cross_entropy(alike, twins)


def train_encoder(
    images: Images,
    *,
    iterations: int = 2000,
    batch: int = 128,
    seed: int = 0,
    width: int = 32,
    device: str | None = None,
) -> Encoder:
    """Train an encoder on images without labels; return it in evaluation mode, on the CPU.

    Args:
        images: to tell apart; thousands, if possible, and none of those that the GAN is adapted to.
        iterations: steps of Adam.
        batch: images of a step, at least 2.
        seed: of weights and views.
        width: of the encoder, a multiple of 8.
        device: a GPU where there is one by default.

    Raises:
        UserError: for fewer than two images, or numbers that can't be.
    """
    iterations, batch = whole("iterations", iterations), min(whole("batch", batch), len(images))
    if batch < 2 or iterations < 1 or width < 8 or width % 8:
        raise UserError(
            f"{batch} images a step, {iterations} iterations and width {width} train no encoder: give at least 2 "
            "images, 1 iteration and a multiple of 8."
        )
    chosen = choose_device(device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(check_seed(seed))
        encoder = Encoder(images.channels, width)
        head = nn.Sequential(nn.Linear(4 * width, 4 * width), nn.ReLU(), nn.Linear(4 * width, 2 * width))
    both = nn.ModuleList([encoder, head]).to(chosen)
    rng, optimiser = torch.Generator(chosen).manual_seed(seed), torch.optim.Adam(both.parameters(), RATE)
    for _ in watched(range(iterations), "steps of SimCLR"):
        numbers = torch.randint(len(images), (batch,), generator=rng, device=chosen).cpu()
        x = images.pixels[numbers].to(chosen).float() / 127.5 - 1
        loss = contrastive_loss(head(encoder(views(x, rng))), head(encoder(views(x, rng))))
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimiser.step()
    return encoder.cpu().eval().requires_grad_(False)


def save_encoder(encoder: Encoder, path: str | Path, dtype: torch.dtype = torch.float32) -> None:
    """Write an encoder as a safetensors file.

    Args:
        encoder: to be written.
        path: of the file.
        dtype: of its weights there; float16 halves the file.

    Raises:
        UserError: if the file can't be written.
    """
    about = {"fewshotgan": json.dumps({"encoder": {"channels": encoder.channels, "width": encoder.width}})}
    weights = {key: value.to(dtype).contiguous() for key, value in encoder.state_dict().items()}
    content = safetensors.torch.save(weights, about)
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def load_encoder(path: str | Path) -> Encoder:
    """Return the encoder that `save_encoder` wrote; nothing in the file is run.

    Raises:
        UserError: if there is no such file, or it is another one.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            sizes = json.loads(file.metadata()["fewshotgan"])["encoder"]
        if not all(isinstance(sizes[key], int) and 0 < sizes[key] <= 1024 for key in ("channels", "width")):
            raise ValueError("sizes that can't be")
        encoder = Encoder(sizes["channels"], sizes["width"])
        encoder.load_state_dict(safetensors.torch.load_file(path))
    except (
        safetensors.SafetensorError,
        OSError,
        TypeError,
        KeyError,
        ValueError,
        RuntimeError,
        RecursionError,
    ) as error:
        raise UserError(
            f"{clip(path, 60)} holds no encoder of features ({first_line(error)}); give a file that "
            "fewshotgan.simclr.save_encoder wrote."
        ) from error
    return encoder.eval().requires_grad_(False)


@cache
def shipped_encoder() -> Encoder:
    """Return the encoder that ships: trained without labels on the six classes of fashion/base, so that it has seen no
    sandal, coat, bag or dress (`data/encoders/fashion-simclr.md`).
    """
    return load_encoder(data_dir() / "encoders" / "fashion-simclr.safetensors")


def digest(encoder: Encoder) -> str:
    """Return twelve digits that tell an encoder from others."""
    values = b"".join(value.numpy().tobytes() for value in encoder.state_dict().values())
    return hashlib.sha256(values).hexdigest()[:12]
