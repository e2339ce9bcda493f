"""What MineGAN's StyleGAN versions mine beside the latents (arXiv 1912.05270): the generator's other inputs.

In place of an input that the source learned, or of random numbers, stands a small network that is mined with the miner
of the latents. The released code calls both "semantic" miners:

- "constant" (its StyleGAN2 version): the features at 4 pixels that the synthesis begins with.
- "noise" (its StyleGAN version): the noise maps from 4 to 32 pixels.

Both are fresh, so that mining begins with worse images than the source's.
"""

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from fewshotgan.gans.layers import EqualConv2d, Layer, Stack

Semantic = Literal["none", "constant", "noise"]


class ConstantMiner(Layer):
    """Features (1, width, 4, 4) in place of the source's constant, the same for all images: three 1x1 convolutions of a
    learned constant of `code` channels.
    """

    def __init__(self, width: int, code: int = 8) -> None:
        super().__init__()
        self.const = nn.Parameter(torch.randn(1, code, 4, 4))
        self.layers = nn.Sequential(
            EqualConv2d(code, 4 * code, 1),
            EqualConv2d(4 * code, 16 * code, 1),
            EqualConv2d(16 * code, width, 1, activate=False),
        )

    def forward(self) -> Tensor:
        """Return the features (1, width, 4, 4)."""
        features: Tensor = self.layers(self.const)
        return features


class NoiseMiner(nn.Module):
    """Noise maps (N, 1, side, side) of the four resolutions from `side` pixels on, each made of the one before, the
    first of standard normal codes (N, side * side).

    A map drives both convolutions of its resolution. Resolutions above the fourth keep random noise.
    """

    def __init__(self, side: int = 4) -> None:
        super().__init__()
        self.sides = [side * 2**level for level in range(4)]
        sizes = [value**2 for value in (side, *self.sides)]
        self.first = nn.Linear(sizes[0], sizes[0])
        self.maps: Stack[nn.Linear] = Stack(
            {str(at): nn.Linear(*pair) for at, pair in zip(self.sides, pairwise(sizes), strict=True)}
        )
        self.stored: Tensor
        self.register_buffer("stored", torch.randn(1, sizes[0]))  # the code of evaluation, where noise stays the same

    def forward(self, code: Tensor) -> dict[int, Tensor]:
        """Return the maps by their side."""
        found = {}
        value = self.first(code)
        for side in self.sides:
            value = self.maps[str(side)](value.relu())
            found[side] = value.view(-1, 1, side, side)
        return found

    def draw(self, n: int, noise: str, rng: torch.Generator | None) -> dict[int, Tensor]:
        """Return maps for n images: of random codes, or for "const" of the stored one; none for "none"."""
        if noise == "none":
            return {}
        if noise == "const":
            return self.forward(self.stored.expand(n, -1))
        return self.forward(torch.randn(n, self.stored.shape[1], generator=rng, device=self.stored.device))


def make_semantic(kind: Semantic, width: int, noise: bool) -> ConstantMiner | NoiseMiner | None:
    """Return the miner of a StyleGAN2's constant of `width` channels or of its noise maps, or None for neither.

    Raises:
        ValueError: for the noise of a network that has none, or another kind.
    """
    if kind == "none":
        return None
    if kind == "constant":
        return ConstantMiner(width)
    if kind == "noise" and noise:
        return NoiseMiner()
    raise ValueError(f"this generator has no {kind} to be mined")
