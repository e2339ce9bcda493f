"""Projection: the latent whose image is nearest to a given one, and what another GAN makes of it."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from fewshotgan.device import choose_device
from fewshotgan.edit.latents import Latents, Noise
from fewshotgan.edit.search import Search
from fewshotgan.files import UserError, atomic_write, check_seed, check_truncation
from fewshotgan.gans.gan import GAN
from fewshotgan.images import Images
from fewshotgan.interrupt import deferred_interrupt
from fewshotgan.logs import progress_bar
from fewshotgan.metrics.perceptual import BACKBONES

ITERATIONS = 300


@dataclass(frozen=True)
class Projection:
    """Latents whose images are nearest to given ones.

    Attributes:
        latent: (N, z_dim) of space "z", (N, w_dim) of "w", (N, num_ws, w_dim) of "w+".
        images: what the GAN makes of them, (N, C, H, W), -1..1.
        target: the given images, likewise.
        history: a row {"iteration", "seconds", "distance", "pixels"} every ten iterations: the perceptual distance and
            the root of the pixels' mean square, in levels of 255, of the nearest so far, means over the images.
        space: "z", "w" or "w+".
        gan: name of the GAN.
        noise: the noise maps (N, 1, H, W) by the generator's buffer; empty where it has none.
        labels: classes (N,) of a class-conditional GAN that is searched in z.
        finished: False if Ctrl-C stopped the search.
    """

    latent: Tensor
    images: Tensor
    target: Tensor
    history: list[dict[str, float]]
    space: str
    gan: str
    noise: Noise = field(default_factory=dict)
    labels: Tensor | None = None
    finished: bool = True

    @torch.no_grad()
    def through(self, gan: GAN, truncation: float = 1.0) -> Tensor:
        """Return what another GAN makes of the same latents, (N, C, H, W), -1..1: an adapted one shows the given images
        in its style.

        Args:
            gan: the other one.
            truncation: 1 for the latents as they are; towards 0 nearer to the mean of the other GAN's latents, and so
                more in its style and less like the images. A latent that was searched, above all in w+, lies beside
                those that few-shot adaptation has trained; what is drawn of it is pale and keeps the source's colours.

        Raises:
            UserError: if its latents are of another kind, or for a truncation that can't be.
        """
        check_truncation(truncation)
        latents = Latents(gan, self.space)
        latents.check(tuple(self.latent.shape[1:]), self.labels is not None, self.gan)
        stored = latents.noise_maps()
        noise = {name: value.to(gan.device) for name, value in self.noise.items() if name in stored}
        labels = None if self.labels is None else self.labels.to(gan.device)
        centre, _ = latents.statistics()
        latent = centre + truncation * (self.latent.to(gan.device) - centre)
        return latents.images(latent, noise, labels).clamp(-1, 1).float().cpu()

    def save(self, path: str | Path) -> None:
        """Write latents, noise maps and labels as a safetensors file: "latent", "noise.<buffer>", "labels".

        Raises:
            UserError: if the file can't be written.
        """
        tensors = {"latent": self.latent, **{f"noise.{name}": value for name, value in self.noise.items()}}
        tensors |= {} if self.labels is None else {"labels": self.labels}
        about = json.dumps({"gan": self.gan, "space": self.space})
        content = safetensors.torch.save({key: x.contiguous() for key, x in tensors.items()}, {"fewshotgan": about})
        with atomic_write(path) as temporary:
            temporary.write_bytes(content)


def project(
    gan: GAN,
    images: Images,
    *,
    space: str | None = None,
    iterations: int = ITERATIONS,
    seed: int = 0,
    backbone: str = "efficientnet",
    device: str | torch.device | None = None,
    progress: bool = True,
) -> Projection:
    """Find the latents whose images are nearest to given ones; Ctrl-C ends the search and keeps the nearest so far.

    Args:
        gan: any GAN; it is left untouched.
        images: to find, of the GAN's resolution and channels; all at once, so a few.
        space: "z", "w" or "w+"; by default "w+" where there is a mapping network, else "z".
        iterations: steps of the search.
        seed: of the noise on the way, and of the samples among which the search begins.
        backbone: of the perceptual distance, "efficientnet" or "vgg" (LPIPS's, fetched once).
        device: a GPU where there is one by default.
        progress: show a progress bar with the distances.

    Raises:
        UserError: for images that don't fit, or options that can't be.
    """
    _check(gan, images, iterations, seed, backbone)
    gan = gan.copy().to(choose_device(device))
    gan.generator.requires_grad_(False)
    search = Search(Latents(gan, space), images.tensor().to(gan.device), backbone, seed, iterations)
    finished = True
    bar = progress_bar(total=iterations, desc="project", disable=not progress, unit="it")
    with deferred_interrupt() as interrupted, bar:
        for row in search.steps():
            bar.update()
            bar.set_postfix({"distance": f"{row['distance']:.4f}", "pixels": f"{row['pixels']:.1f}/255"}, refresh=False)
            if interrupted.is_set():
                finished = False
                break
    return Projection(
        search.best_latent.cpu(),
        search.images().cpu(),
        search.target.cpu(),
        search.history,
        search.latents.space,
        gan.name,
        {name: noise.cpu() for name, noise in search.best_noise.items()},
        None if search.labels is None else search.labels.cpu(),
        finished,
    )


def _check(gan: GAN, images: Images, iterations: int, seed: int, backbone: str) -> None:
    """Raise one sentence for what can't be projected."""
    if not isinstance(gan, GAN) or not isinstance(images, Images):
        raise UserError("project takes a GAN and Images; load them first with load_gan and load_images.")
    images.check_fits(gan.name, gan.resolution, gan.channels)
    if iterations < 1:
        raise UserError(f"iterations={iterations} must be at least 1.")
    if backbone not in BACKBONES:
        raise UserError(f"backbone={backbone!r} can't be; there are {' and '.join(BACKBONES)}.")
    check_seed(seed)
