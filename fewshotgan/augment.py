"""Augmentations of everything the discriminator sees, real and generated: DiffAugment and ADA.

DiffAugment: Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training" (NeurIPS 2020, arXiv
2006.10738). ADA: Karras et al., "Training Generative Adversarial Networks with Limited Data" (NeurIPS 2020, arXiv
2006.06676).

All functions map images (N, C, H, W), about -1..1, to the same shape and are differentiable.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fewshotgan.files import UserError


def brightness(x: Tensor, u: Tensor) -> Tensor:
    """Add u - 0.5 to each image; u (N,) is in 0..1."""
    return x + (u - 0.5).view(-1, 1, 1, 1)


def saturation(x: Tensor, u: Tensor) -> Tensor:
    """Scale each pixel's deviation from its mean over channels by 2 u; u (N,) is in 0..1."""
    mean = x.mean(dim=1, keepdim=True)
    return (x - mean) * (u * 2).view(-1, 1, 1, 1) + mean


def contrast(x: Tensor, u: Tensor) -> Tensor:
    """Scale each pixel's deviation from the image's mean by u + 0.5; u (N,) is in 0..1."""
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    return (x - mean) * (u + 0.5).view(-1, 1, 1, 1) + mean


def translation(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Shift by whole pixels, zero-padded: output[r, c] = x[r + rows, c + columns], for integer rows, columns (N,)."""
    n, _, height, width = x.shape
    r = torch.arange(height, device=x.device) + rows.view(n, 1)
    c = torch.arange(width, device=x.device) + columns.view(n, 1)
    inside = ((r >= 0) & (r < height)).view(n, 1, height, 1) & ((c >= 0) & (c < width)).view(n, 1, 1, width)
    batch = torch.arange(n, device=x.device).view(n, 1, 1)
    moved = x.permute(0, 2, 3, 1)[batch, r.clamp(0, height - 1).unsqueeze(2), c.clamp(0, width - 1).unsqueeze(1)]
    return moved.permute(0, 3, 1, 2) * inside


def cutout(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Zero a square of half the side centred at (rows, columns), (N,) each, clipped to the image."""
    n, _, height, width = x.shape
    keep = ~(_band(rows, height).view(n, 1, height, 1) & _band(columns, width).view(n, 1, 1, width))
    return x * keep


def _band(centre: Tensor, size: int) -> Tensor:
    """Return a mask (N, size) of the rows that a cut at `centre` (N,) covers, clamped to the edges."""
    cut = int(size / 2 + 0.5)
    start = centre.view(-1, 1) - cut // 2
    row = torch.arange(size, device=centre.device)
    return (row >= start.clamp(0, size - 1)) & (row <= (start + cut - 1).clamp(0, size - 1))


class NoAugment:
    """The identity."""

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return x."""
        return x

    def update(self, real_logits: Tensor) -> None:
        """Ignore the logits."""

    def figures(self) -> dict[str, float]:
        """Return nothing: nothing is adapted."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Return an empty state."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Ignore the state."""


class DiffAugment(NoAugment):
    """Colour jitter, translation by up to an eighth of the side and cutout of a quarter of the area, drawn per image.

    Source: arXiv 2006.10738, section 3.

    Args:
        policy: any of "color", "translation" and "cutout", separated by commas; always applied in that order.
    """

    def __init__(self, policy: str = "color,translation,cutout") -> None:
        self.policy = policy.split(",")
        unknown = set(self.policy) - {"color", "translation", "cutout"}
        if unknown:
            raise UserError(
                f"DiffAugment has no policy {', '.join(sorted(unknown))}; choose from color, translation, cutout."
            )

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Augment (N, C, H, W)."""
        n, _, height, width = x.shape

        def uniform() -> Tensor:
            return torch.rand(n, generator=generator, device=x.device)

        def integers(low: int, high: int) -> Tensor:
            return torch.randint(low, high, (n,), generator=generator, device=x.device)

        if "color" in self.policy:
            x = contrast(saturation(brightness(x, uniform()), uniform()), uniform())
        if "translation" in self.policy:
            v, h = int(height / 8 + 0.5), int(width / 8 + 0.5)
            x = translation(x, integers(-v, v + 1), integers(-h, h + 1))
        if "cutout" in self.policy:
            cut_v, cut_h = int(height / 2 + 0.5), int(width / 2 + 0.5)
            x = cutout(x, integers(0, height + 1 - cut_v % 2), integers(0, width + 1 - cut_h % 2))
        return x


class ADA(NoAugment):
    """Adaptive discriminator augmentation: geometry and colour, each with a probability p that tracks D's overfitting.

    p is adjusted to keep E[sign D(real)], the paper's overfitting heuristic r_t, at `target` (section 3).

    Differs: one affine resampling (bilinear, reflected edges) and one colour matrix; the paper's image-space
    filters and corruptions, which it found less helpful, are omitted.

    Args:
        target: of E[sign D(real)], -1..1.
        thousands: thousands of images over which p can move from 0 to 1 (500 in the paper; few-shot runs are shorter).
        p: initial probability, 0..1.
        interval: steps between adjustments of p; the signs of one small batch are too coarse.
    """

    def __init__(self, target: float = 0.6, thousands: float = 20.0, p: float = 0.0, interval: int = 4) -> None:
        self.target, self.thousands, self.p, self.interval = target, thousands, p, interval
        self.steps, self.seen, self.signs = 0, 0, 0.0

    def update(self, real_logits: Tensor) -> None:
        """Adjust p by the logits of augmented real images: (N, 1), or (N, 1, H, W) for patches, averaged per image."""
        self.steps += 1
        self.seen += len(real_logits)
        self.signs += float(real_logits.detach().sign().flatten(1).mean(dim=1).sum())
        if self.steps < self.interval:
            return
        direction = 1.0 if self.signs / self.seen > self.target else -1.0
        self.p = min(1.0, max(0.0, self.p + direction * self.seen / (self.thousands * 1000)))
        self.steps, self.seen, self.signs = 0, 0, 0.0

    def figures(self) -> dict[str, float]:
        """Return p."""
        return {"augment/p": self.p}

    def state_dict(self) -> dict[str, Any]:
        """Return p and the signs accumulated since it last changed."""
        return {"p": self.p, "steps": self.steps, "seen": self.seen, "signs": self.signs}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore p and the accumulated signs."""
        self.p = state["p"]
        self.steps, self.seen, self.signs = state.get("steps", 0), state.get("seen", 0), state.get("signs", 0.0)

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Augment (N, C, H, W); exactly the identity if p = 0."""
        if self.p == 0:
            return x
        draw = _Draws(x, self.p, generator)
        grid = F.affine_grid(self.geometry(draw)[:, :2], list(x.shape), align_corners=False)
        x = F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)
        matrix = self.colour(draw)
        if x.shape[1] == 1:  # a grey image gets the mean over output channels
            return x * matrix[:, :3, :3].sum(dim=2).mean(dim=1).view(-1, 1, 1, 1) + matrix[:, :3, 3].mean(dim=1).view(
                -1, 1, 1, 1
            )
        return torch.einsum("nij,njhw->nihw", matrix[:, :3, :3], x) + matrix[:, :3, 3, None, None]

    def geometry(self, draw: "_Draws") -> Tensor:
        """Return affine matrices (N, 3, 3): flip, 90-degree turns, integer shift, scale, stretch, rotation, shift."""
        one = torch.ones(draw.n, device=draw.device)
        matrix = _affine(
            torch.where(draw.coin() & draw.half(), -one, one), one, draw.quarter() * (math.pi / 2) * draw.coin()
        )
        matrix = _shift(draw.pixels(0.125) * draw.coin(), draw.pixels(0.125) * draw.coin()) @ matrix
        scale = torch.where(draw.coin(), torch.exp2(draw.normal(0.2)), one)
        stretch = torch.where(draw.coin(), torch.exp2(draw.normal(0.2)), one)
        turn = draw.uniform(math.pi) * draw.coin()
        matrix = _affine(scale * stretch, scale / stretch, turn) @ matrix
        return _shift(draw.normal(0.125) * draw.coin(), draw.normal(0.125) * draw.coin()) @ matrix

    def colour(self, draw: "_Draws") -> Tensor:
        """Return colour matrices (N, 4, 4): brightness, contrast, luma flip, hue, saturation."""
        n, device = draw.n, draw.device
        eye = torch.eye(4, device=device).repeat(n, 1, 1)
        luma = torch.tensor([1.0, 1.0, 1.0, 0.0], device=device) / math.sqrt(3)
        along = torch.outer(luma, luma)
        across = torch.diag(torch.tensor([1.0, 1.0, 1.0, 0.0], device=device)) - along
        bright = eye.clone()
        bright[:, :3, 3] = (draw.normal(0.2) * draw.coin()).view(n, 1)
        gain = torch.where(draw.coin(), torch.exp2(draw.normal(0.5)), torch.ones(n, device=device)).view(n, 1, 1)
        strong = eye * torch.cat([gain.expand(n, 3, 1), torch.ones(n, 1, 1, device=device)], dim=1)
        flip = eye - 2 * along * (draw.coin() & draw.half()).view(n, 1, 1)
        angle = (draw.uniform(math.pi) * draw.coin()).view(n, 1, 1)
        a = 1 / math.sqrt(3)
        cross = torch.tensor([[0, -a, a, 0], [a, 0, -a, 0], [-a, a, 0, 0], [0, 0, 0, 0]], device=device)
        hue = eye + torch.sin(angle) * cross + (torch.cos(angle) - 1) * across  # Rodrigues about the grey axis
        vivid = torch.where(draw.coin(), torch.exp2(draw.normal(1.0)), torch.ones(n, device=device)).view(n, 1, 1)
        return (eye + (vivid - 1) * across) @ hue @ flip @ strong @ bright


class _Draws:
    """Random draws (N,), one per image of a batch."""

    def __init__(self, x: Tensor, p: float, generator: torch.Generator | None) -> None:
        self.n, self.side, self.device, self.p, self.generator = len(x), x.shape[-1], x.device, p, generator

    def _rand(self) -> Tensor:
        return torch.rand(self.n, generator=self.generator, device=self.device)

    def coin(self) -> Tensor:
        """True with probability p."""
        return self._rand() < self.p

    def half(self) -> Tensor:
        """True with probability 1/2."""
        return self._rand() < 0.5

    def quarter(self) -> Tensor:
        """One of 0, 1, 2, 3."""
        return (self._rand() * 4).floor()

    def uniform(self, limit: float) -> Tensor:
        """Uniform in -limit..limit."""
        return (self._rand() * 2 - 1) * limit

    def pixels(self, limit: float) -> Tensor:
        """Uniform in -limit..limit, as fractions of the side, rounded to whole pixels."""
        return (self.uniform(limit) * self.side).round() / self.side

    def normal(self, std: float) -> Tensor:
        """Normal with this standard deviation."""
        return torch.randn(self.n, generator=self.generator, device=self.device) * std


def _affine(scale_x: Tensor, scale_y: Tensor, angle: Tensor) -> Tensor:
    """Return matrices (N, 3, 3) that scale, then rotate."""
    cos, sin, zero, one = torch.cos(angle), torch.sin(angle), torch.zeros_like(angle), torch.ones_like(angle)
    rows = [cos * scale_x, -sin * scale_y, zero, sin * scale_x, cos * scale_y, zero, zero, zero, one]
    return torch.stack(rows, dim=1).view(-1, 3, 3)


def _shift(x: Tensor, y: Tensor) -> Tensor:
    """Return matrices (N, 3, 3) that shift by fractions of the side, which is 2 in grid units."""
    matrix = torch.eye(3, device=x.device).repeat(len(x), 1, 1)
    matrix[:, 0, 2], matrix[:, 1, 2] = 2 * x, 2 * y
    return matrix


def augmentation(name: str | None) -> NoAugment:
    """Return the augmentation called None, "diffaugment" or "ada".

    Raises:
        UserError: if there is no such augmentation.
    """
    known = {None: NoAugment, "diffaugment": DiffAugment, "ada": ADA}
    if name not in known:
        raise UserError(f"There is no augmentation {name!r}; choose 'diffaugment', 'ada' or None.")
    return known[name]()
