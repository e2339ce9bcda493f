"""A generator as a function of its latents, in whichever space they lie, and of its noise maps."""

from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from fewshotgan.files import UserError
from fewshotgan.gans.gan import GAN
from fewshotgan.gans.network import StyleGenerator

Space = Literal["z", "w", "w+"]
Noise = dict[str, Tensor]
"""Noise maps (N, 1, H, W), by the name of the generator's buffer."""
SAMPLES = 4096  # latents, for the statistics of w


class _Images(nn.Module):
    """Latents to images, about -1..1, from stored noise."""

    def __init__(self, gan: GAN, space: Space) -> None:
        super().__init__()
        self.generator, self.space = gan.generator, space

    def forward(self, latent: Tensor, labels: Tensor | None) -> Tensor:
        """Return images (N, C, H, W)."""
        generator = self.generator
        if self.space == "z" or not isinstance(generator, StyleGenerator):
            return generator(latent, labels=labels, noise="const")
        rows = latent[:, None].expand(-1, generator.num_ws, -1) if latent.dim() == 2 else latent
        return generator.synthesise(rows, "const")


class Latents:
    """What one may ask of a space of latents.

    Args:
        gan: whose latents they are.
        space: "z", "w" (one for all layers) or "w+" (one for each); by default "w+" where there is a mapping network,
            else "z".

    Raises:
        UserError: for another space, or w without a mapping network.
    """

    def __init__(self, gan: GAN, space: str | None = None) -> None:
        styled = isinstance(gan.generator, StyleGenerator)
        if space not in (None, "z", "w", "w+"):
            raise UserError(f"space={space!r} can't be; latents are projected to 'z', 'w' or 'w+'.")
        if space in ("w", "w+") and not styled:
            raise UserError(f"{gan.name} has no mapping network and so no {space}; leave out the space, or give 'z'.")
        found = space or ("w+" if styled else "z")
        self.gan, self.space = gan, cast(Space, found)
        self._images = _Images(gan, self.space)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one latent."""
        if self.space == "z":
            return (self.gan.z_dim,)
        rows, width = self._drawn(1).shape[1:]
        return (width,) if self.space == "w" else (rows, width)

    def check(self, shape: tuple[int, ...], labelled: bool, source: str) -> None:
        """Raise one sentence if latents of this shape, with or without labels, are not this GAN's.

        Raises:
            UserError: if so.
        """
        needs_labels = self.space == "z" and bool(self.gan.classes)
        if self.shape != shape or needs_labels != labelled:
            raise UserError(
                f"{self.gan.name} takes other latents than {source}, whose {self.space} is looked for; give a GAN that "
                f"was adapted from {source}."
            )

    def noise_maps(self) -> Noise:
        """Return the stored noise maps (H, W) by name; empty where there are none."""
        return {name: value for name, value in self.gan.generator.named_buffers() if name.endswith("noise_const")}

    def images(self, latent: Tensor, noise: Noise, labels: Tensor | None = None) -> Tensor:
        """Return the images (N, C, H, W), about -1..1, of latents (N, *shape), with noise maps in place of those stored
        ones that are named, and labels (N,) where z needs them.
        """
        maps = {f"generator.{name}": value for name, value in noise.items()}
        images: Tensor = functional_call(self._images, maps, (latent, labels))
        return images

    @torch.no_grad()
    def of(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Return the latents (N, *shape) of z (N, z_dim), and of labels (N,) where there are classes."""
        generator = self.gan.generator
        if self.space == "z" or not isinstance(generator, StyleGenerator):
            return z
        w = generator.map_to_w(z, labels=labels)
        return w[:, 0] if self.space == "w" else w

    @torch.no_grad()
    def statistics(self) -> tuple[Tensor, float]:
        """Return the mean of many w, (w_dim,), and their standard deviation, the root of the mean variance of a number;
        of z, zero and one.
        """
        if self.space == "z":
            return torch.zeros(self.gan.z_dim, device=self.gan.device), 1.0
        w = self._drawn(SAMPLES)[:, 0]
        return w.mean(dim=0), float(w.var(dim=0).mean().sqrt())

    @torch.no_grad()
    def _drawn(self, n: int) -> Tensor:
        """Return w (n, num_ws, w_dim) of random latents and classes."""
        gan = self.gan
        assert isinstance(gan.generator, StyleGenerator)  # asked of w alone
        labels = gan.labels(n).to(gan.device) if gan.classes else None
        return gan.generator.map_to_w(gan.latents(n).to(gan.device), labels=labels)
