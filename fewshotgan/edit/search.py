"""The search for the latent whose image is nearest to a given one.

Paper: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (CVPR 2020, arXiv 1912.04958), appendix D:
minimise a perceptual distance, add noise to w that fades, ramp the learning rate up and down, and keep the noise maps,
which are optimised too, free of signal. "w+", one w for each layer, is from Abdal et al., "Image2StyleGAN" (ICCV 2019,
arXiv 1904.03189).

Differs: the perceptual distance is LPIPS over EfficientNet-Lite0, unweighted, unless VGG16 is asked for, and pixels
count too, since both networks know larger images than ours. Steps and noise are in standard deviations of w, whose
scale differs from GAN to GAN. The search begins at the nearest of many samples, with less noise, and not at the mean
w, from which it often missed the colour of a garment in w; in w+ both do as well. A search in z has a penalty that
keeps its length usual. The result is the nearest image on the way, not the last.
"""

import math
import time
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from fewshotgan.edit.latents import Latents
from fewshotgan.metrics.diversity import lpips_vector
from fewshotgan.metrics.perceptual import feature_maps

RATE = 0.1  # of Adam, in standard deviations of the latent
RAMP_UP, RAMP_DOWN = 0.05, 0.25  # shares of the run
JITTER, JITTER_UNTIL = 0.02, 0.75  # noise on the latent, in norms of w, and when it has faded
PIXELS = 10.0  # weight of the mean square of the pixels' differences
NOISE_WEIGHT = 1e5  # of the noise maps' autocorrelation
USUAL_LENGTH = 0.1  # weight of z's departure from its usual length
CANDIDATES = 256  # samples among which the search begins
LOG_EVERY = 10


class Search:
    """State of one search; the latent is centre + deviation * `free`."""

    def __init__(self, latents: Latents, target: Tensor, backbone: str, seed: int, iterations: int) -> None:
        self.latents, self.target, self.backbone, self.iterations = latents, target, backbone, iterations
        self.rng = torch.Generator(target.device).manual_seed(seed)
        self.wanted = self.vectors(target)
        self.centre, self.deviation = latents.statistics()
        n, (z, labels) = len(target), self.nearest_samples(seed)
        self.free = (latents.of(z, labels) - self.centre) / self.deviation
        self.labels = labels if latents.space == "z" else None
        self.noise = {name: value.expand(n, 1, *value.shape).clone() for name, value in latents.noise_maps().items()}
        self.variables = [x.requires_grad_(True) for x in (self.free, *self.noise.values())]
        self.optimiser = torch.optim.Adam(self.variables, lr=RATE, betas=(0.9, 0.999))
        self.best = torch.full((n,), math.inf, device=target.device)
        self.best_latent, self.best_noise = self.latent(0).detach(), {k: x.detach() for k, x in self.noise.items()}
        self.best_parts = torch.zeros(2, n, device=target.device)
        self.history: list[dict[str, float]] = []

    def vectors(self, images: Tensor) -> Tensor:
        """Return vectors (N, D) whose squared distances are perceptual ones."""
        return lpips_vector(feature_maps(images, self.backbone))

    @torch.no_grad()
    def nearest_samples(self, seed: int) -> tuple[Tensor, Tensor | None]:
        """Return the latents (N, z_dim) of the nearest among many samples, and labels (N,) where there are classes."""
        gan = self.latents.gan
        z = gan.latents(CANDIDATES, seed).to(self.target.device)
        labels = gan.labels(CANDIDATES, seed).to(self.target.device) if gan.classes else None
        images = gan.render(z, labels=labels).to(self.target.device)
        seen = torch.cat([self.vectors(part) for part in images.split(32)])
        chosen = torch.cdist(self.wanted, seen).argmin(dim=1)
        return z[chosen].clone(), None if labels is None else labels[chosen]

    def latent(self, jitter: float) -> Tensor:
        """Return the latents, with noise of `jitter` standard deviations."""
        noise = torch.randn(self.free.shape, generator=self.rng, device=self.free.device) if jitter else 0
        return self.centre + self.deviation * (self.free + jitter * noise)

    def steps(self) -> Iterator[dict[str, float]]:
        """Search, and yield a row of the history after each step."""
        started = time.monotonic()
        for iteration in range(self.iterations):
            done = iteration / self.iterations
            self.step(done)
            distance, pixels = (float(x.mean()) for x in (self.best_parts[0], 127.5 * self.best_parts[1].sqrt()))
            row = {"iteration": iteration + 1, "seconds": round(time.monotonic() - started, 3)}
            row |= {"distance": distance, "pixels": pixels}
            if iteration % LOG_EVERY == 0 or iteration == self.iterations - 1:
                self.history.append(row)
            yield row

    def step(self, done: float) -> None:
        """One step of Adam, when this share of the run is done; the nearest images are remembered."""
        for group in self.optimiser.param_groups:
            group["lr"] = RATE * schedule(done)
        latent = self.latent(JITTER * self.centre.numel() ** 0.5 * max(0.0, 1 - done / JITTER_UNTIL) ** 2)
        images = shown(self.latents.images(latent, self.noise, self.labels))
        distance = (self.vectors(images) - self.wanted).square().sum(dim=1)
        pixels = (images - self.target).square().mean(dim=(1, 2, 3))
        loss = distance + PIXELS * pixels
        self.remember(loss.detach(), latent.detach(), torch.stack([distance, pixels]).detach())
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss.sum() + self.penalty())
        self.optimiser.step()
        with torch.no_grad():
            for noise in self.noise.values():
                noise -= noise.mean(dim=(2, 3), keepdim=True)
                noise *= noise.square().mean(dim=(2, 3), keepdim=True).rsqrt()

    def penalty(self) -> Tensor:
        """Return what keeps z of a usual length and noise maps free of signal."""
        total = torch.zeros((), device=self.free.device)
        if self.latents.space == "z":
            total = USUAL_LENGTH * (self.free.square().mean(dim=1) - 1).square().sum()
        for noise in self.noise.values():
            total = total + NOISE_WEIGHT * autocorrelation(noise)
        return total

    @torch.no_grad()
    def remember(self, loss: Tensor, latent: Tensor, parts: Tensor) -> None:
        """Keep what is nearer than all before, image by image."""
        better = loss < self.best
        self.best = torch.where(better, loss, self.best)
        self.best_parts = torch.where(better, parts, self.best_parts)
        self.best_latent[better] = latent[better]
        for name, noise in self.noise.items():
            self.best_noise[name] = torch.where(better.view(-1, 1, 1, 1), noise, self.best_noise[name])

    @torch.no_grad()
    def images(self) -> Tensor:
        """Return the nearest images so far, (N, C, H, W), -1..1."""
        return self.latents.images(self.best_latent, self.best_noise, self.labels).clamp(-1, 1).float()


def shown(images: Tensor) -> Tensor:
    """Return images within -1..1, as they are shown, whose gradient is that of the images before."""
    return images + (images.clamp(-1, 1) - images).detach()


def schedule(done: float) -> float:
    """Return the share of the learning rate at a share of the run: up in a line, down in half a cosine."""
    down = min(1.0, (1 - done) / RAMP_DOWN)
    return (0.5 - 0.5 * math.cos(math.pi * down)) * min(1.0, done / RAMP_UP)


def autocorrelation(noise: Tensor) -> Tensor:
    """Return how much neighbours in noise maps (N, 1, H, W) have in common, at every scale down to 8 pixels; a scalar
    (appendix D).
    """
    total = noise.new_zeros(())
    while True:
        for dim in (2, 3):
            total = total + (noise * noise.roll(1, dim)).mean(dim=(1, 2, 3)).square().sum()
        if noise.shape[-1] <= 8:
            return total
        noise = halved(noise)


def halved(noise: Tensor) -> Tensor:
    """Return noise maps (N, 1, H, W) at half the size, of the same variance."""
    return F.avg_pool2d(noise, 2) * 2
