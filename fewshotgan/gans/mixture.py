"""Several generators as one: each sample comes from one of them, by learned probabilities (MineGAN, arXiv 1912.05270,
section on mining multiple GANs).

The latents have one number more than the largest generator needs: its rank among normal numbers picks the generator, so
that a latent always gives the same image, and the knowledge of two generators is never blended within one.
"""

from typing import Any

import torch
from torch import Tensor, nn


class Generator(nn.Module):
    """A mixture of generators.

    Args:
        parts: generators of one resolution and number of channels.
        resolution: theirs.
        channels: theirs.
        z_dim: the largest of their latents' sizes, and one.
    """

    def __init__(self, parts: list[nn.Module], resolution: int, channels: int, z_dim: int) -> None:
        super().__init__()
        self.resolution, self.channels, self.z_dim = resolution, channels, z_dim
        self.parts = nn.ModuleList(parts)
        self.selector = nn.Parameter(torch.zeros(len(parts)))

    def probabilities(self) -> Tensor:
        """Return the probability of each generator, (parts,)."""
        return self.selector.softmax(dim=0)

    def choose(self, z: Tensor) -> Tensor:
        """Return which generator each latent (N, z_dim) falls to, (N,)."""
        limits = self.probabilities().detach().cumsum(dim=0)[:-1]
        return (torch.special.ndtr(z[:, -1:]) > limits).sum(dim=1)

    def part(self, index: int, z: Tensor, **options: Any) -> Tensor:
        """Return the images (N, C, H, W) that one of the generators makes of latents (N, z_dim)."""
        return self.parts[index](z[:, : self.parts[index].z_dim], **options)

    def forward(
        self, z: Tensor, *, truncation: float = 1.0, noise: str | None = None, rng: torch.Generator | None = None
    ) -> Tensor:
        """Generate images (N, channels, resolution, resolution), each by the generator that its latent chooses.

        Args: as those of the generators.
        """
        chosen = self.choose(z)
        images = z.new_empty(len(z), self.channels, self.resolution, self.resolution)
        for index in range(len(self.parts)):
            rows = chosen == index
            if rows.any():
                images[rows] = self.part(index, z[rows], truncation=truncation, noise=noise, rng=rng)
        return images

    def groups(self) -> dict[str, list[nn.Module]]:
        """Return the modules of all generators by name."""
        groups: dict[str, list[nn.Module]] = {}
        for part in self.parts:
            for side, modules in part.groups().items():
                groups.setdefault(side, []).extend(modules)
        return groups

    def refresh(self) -> None:
        """Recompute what follows from the weights of each generator."""
        for part in self.parts:
            part.refresh()
