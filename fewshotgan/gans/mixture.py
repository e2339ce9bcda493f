"""Several generators as one: each sample comes from one of them, by learned probabilities (MineGAN, arXiv 1912.05270,
section on mining multiple GANs).

The latents have one number more than the largest generator needs: its rank among normal numbers picks the generator, so
that a latent always gives the same image, and the knowledge of two generators is never blended within one.
"""

import torch
from torch import Tensor, nn

from fewshotgan.files import UserError
from fewshotgan.gans import network
from fewshotgan.gans.layers import Row


class Generator(network.Generator):
    """A mixture of generators.

    Args:
        parts: generators of one resolution and number of channels.
        resolution: theirs.
        channels: theirs.
        z_dim: the largest of their latents' sizes, and one.
    """

    def __init__(self, parts: list[network.Generator], resolution: int, channels: int, z_dim: int) -> None:
        super().__init__(resolution, channels, z_dim)
        self.parts: Row[network.Generator] = Row(parts)
        self.selector = nn.Parameter(torch.zeros(len(parts)))

    @property
    def truncates(self) -> bool:
        """Whether all of them do."""
        return all(part.truncates for part in self.parts)

    def probabilities(self) -> Tensor:
        """Return the probability of each generator, (parts,)."""
        return self.selector.softmax(dim=0)

    def choose(self, z: Tensor) -> Tensor:
        """Return which generator each latent (N, z_dim) falls to, (N,)."""
        limits = self.probabilities().detach().cumsum(dim=0)[:-1]
        above: Tensor = torch.special.ndtr(z[:, -1:]) > limits
        return above.sum(dim=1)

    def part(
        self,
        index: int,
        z: Tensor,
        *,
        truncation: float | Tensor = 1.0,
        noise: str | None = None,
        rng: torch.Generator | None = None,
    ) -> Tensor:
        """Return the images (N, C, H, W) that one of the generators makes of latents (N, z_dim)."""
        generator = self.parts[index]
        return generator(z[:, : generator.z_dim], truncation=truncation, noise=noise, rng=rng)

    def forward(
        self,
        z: Tensor,
        *,
        labels: Tensor | None = None,
        mix: Tensor | None = None,
        mix_from: int = 0,
        truncation: float | Tensor = 1.0,
        noise: str | None = None,
        rng: torch.Generator | None = None,
        features: list[Tensor] | None = None,
    ) -> Tensor:
        """Generate images (N, channels, resolution, resolution), each by the generator that its latent chooses.

        Args:
            z: latents (N, z_dim), standard normal.
            labels: refused.
            mix: refused.
            mix_from: without effect.
            truncation: of each generator.
            noise: of each generator.
            rng: of each generator.
            features: refused.

        Raises:
            UserError: for what is refused.
        """
        self.check_labels(labels)
        self.check_options(mix, truncation)
        if features is not None:
            raise UserError("A mixture of generators has no features of its own: ask one of its parts.")
        chosen = self.choose(z)
        images = z.new_empty(len(z), self.channels, self.resolution, self.resolution)
        for index in range(len(self.parts)):
            rows = chosen == index
            if rows.any():
                images[rows] = self.part(index, z[rows], truncation=truncation, noise=noise, rng=rng)
        return images

    def groups(self) -> network.Groups:
        """Return the modules of all generators by name."""
        groups: network.Groups = {}
        for part in self.parts:
            for side, modules in part.groups().items():
                groups.setdefault(side, []).extend(modules)
        return groups

    def refresh(self) -> None:
        """Recompute what follows from the weights of each generator."""
        for part in self.parts:
            part.refresh()
