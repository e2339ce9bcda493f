"""The encoder that ships: its recipe, and what a linear probe says of it.

A small network that tells images of clothes apart without labels (`fewshotgan.simclr`), for `dip` and its kind. It is
trained on fashion/base, so that it has seen no sandal, coat, bag or dress, which serve as targets.
"""

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fewshotgan.bench.pools import SUFFIX, load_pool
from fewshotgan.images import load_images
from fewshotgan.metrics import features
from fewshotgan.simclr import Encoder, load_encoder, save_encoder, train_encoder

NAME, IMAGES = "fashion-simclr", "fashion/base"
ITERATIONS, BATCH, SEED, WIDTH = 2000, 128, 0, 16
CLASSES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot")
UNSEEN = ("sandal", "coat", "bag", "dress")
SHOWN, TESTED = 100, 200  # images of each class that a probe learns from, and others that it is tested on
DECAY, STEPS = 1e-3, 200  # of the probe: weight decay, and steps of L-BFGS


Describe = Callable[[Tensor], Tensor]
"""What maps images (N, 1, 32, 32), -1..1, to features (N, d)."""


def make_encoder(pools: Path, folder: Path) -> None:
    """Train the encoder on its pool, and write it and its card.

    Args:
        pools: folder that `python data/build.py pool fashion` wrote.
        folder: where both files go.

    Raises:
        UserError: if the pool is missing, or a file can't be written.
    """
    images = load_pool(pools / f"{IMAGES.replace('/', '-')}{SUFFIX}", IMAGES)
    encoder = train_encoder(images, iterations=ITERATIONS, batch=BATCH, seed=SEED, width=WIDTH, device="cpu")
    path = folder / f"{NAME}.safetensors"
    folder.mkdir(exist_ok=True)
    save_encoder(encoder, path, torch.float16)
    path.with_suffix(".md").write_text(card(load_encoder(path), len(images)), encoding="utf-8")


def untrained(encoder: Encoder) -> Encoder:
    """Return the encoder as it was before training, a control."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return Encoder(encoder.channels, encoder.width).eval().requires_grad_(False)


def card(encoder: Encoder, images: int) -> str:
    """Return what is to be known of an encoder that has seen so many images, in Markdown."""
    rows: dict[str, Describe] = {
        "this encoder": encoder,
        "the same network untrained": untrained(encoder),
        "EfficientNet-Lite0, supervised on photographs": lambda x: torch.from_numpy(features(x)).float(),
    }
    found = {label: probe(describe) for label, describe in rows.items()}
    numbers = sum(parameter.numel() for parameter in encoder.parameters())
    head = f"| features | all {len(CLASSES)} classes | the {len(UNSEEN)} that this encoder has not seen |"
    return "\n".join([
        f"# {NAME}", "",
        f"SimCLR at small size: trained without labels on {images:,} images of {IMAGES}, which has no "
        f"{', '.join(UNSEEN[:-1])} or {UNSEEN[-1]}. Grey images of 32 pixels, {4 * encoder.width} features, "
        f"{numbers:,} parameters.", "",
        f"Recipe: {ITERATIONS:,} steps of batch {BATCH}, width {WIDTH}, seed {SEED}, on one core. "
        "`python data/build.py encoder build/pools` trains it again, after `python data/build.py pool fashion`.", "",
        f"Accuracy of a linear probe that learns from {SHOWN} images of each class, on {TESTED} held-out ones:", "",
        head, "| --- | --- | --- |",
        *(f"| {label} | {every:.1%} | {unseen:.1%} |" for label, (every, unseen) in found.items()), "",
    ])  # fmt: skip


def probe(describe: Describe) -> tuple[float, float]:
    """Return how many held-out images a linear probe of features names right, of all classes and of `UNSEEN`, 0..1."""
    shown, tested = (_described(describe, split, count) for split, count in (("train", SHOWN), ("held_out", TESTED)))
    mean, deviation = shown.mean(dim=(0, 1)), shown.std(dim=(0, 1)).clamp(min=1e-6)
    x, y = (shown - mean) / deviation, torch.arange(len(CLASSES))[:, None].expand(-1, SHOWN)
    layer = fitted(x.flatten(0, 1), y.flatten())
    named = layer((tested - mean) / deviation).argmax(dim=2)
    right = (named == torch.arange(len(CLASSES))[:, None]).float().mean(dim=1)
    return right.mean().item(), right[[CLASSES.index(name) for name in UNSEEN]].mean().item()


def fitted(x: Tensor, y: Tensor) -> nn.Linear:
    """Return a linear layer that tells classes y (N,) from features x (N, d): logistic regression by L-BFGS."""
    layer = nn.Linear(x.shape[1], len(CLASSES))
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    optimiser = torch.optim.LBFGS(layer.parameters(), max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = F.cross_entropy(layer(x), y) + DECAY * layer.weight.square().sum()
        torch.autograd.backward(value)
        return value

    optimiser.step(loss)
    return layer.requires_grad_(False)


def _described(describe: Describe, split: str, count: int) -> Tensor:
    """Return features (classes, count, d) of the first images of each class."""
    parts = (load_images(f"fashion/{name}", n=count, split=split).tensor() for name in CLASSES)
    return torch.stack([describe(x) for x in parts])
