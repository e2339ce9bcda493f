"""Edit images through the features that condition a GAN with a data instance prior.

Paper: Mangla et al., "Data InStance Prior (DISP) in Generative Adversarial Networks" (WACV 2022, arXiv 2012.04256): the
features of a given image, or of one that was put together from others, condition G, which draws an image of its own
domain. What the abstract names is here: inversion, CutMix, in-painting, translation.

Readings of ours: the latent is then refined towards the given pixels, by the distance of `edit/search.py`; pixels to be
painted have the mean of the others before the network sees them. `translate` refines nothing: its image is of another
domain, and shall not look the same.
"""

from dataclasses import dataclass, replace
from typing import TypedDict, Unpack, get_args

import torch
from torch import Tensor

from fewshotgan.device import choose_device
from fewshotgan.edit.search import PIXELS, RATE, USUAL_LENGTH, schedule, shown
from fewshotgan.files import UserError, check_seed, clip, whole
from fewshotgan.gans.gan import GAN
from fewshotgan.gans.prior import Instances, Sampling
from fewshotgan.images import Images
from fewshotgan.instances import describe, is_named, network_name
from fewshotgan.metrics.diversity import lpips_vector
from fewshotgan.metrics.perceptual import feature_maps
from fewshotgan.progress import watched

ITERATIONS = 100
CANDIDATES = 32  # latents among which the search begins
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Edit:
    """What a GAN draws of given images.

    Attributes:
        images: (N, C, H, W), -1..1.
        target: what the network saw, likewise: the images given, or what was put together.
        latent: (N, z_dim), standard normal.
        features: (N, feature_dim), of the target.
    """

    images: Tensor
    target: Tensor
    latent: Tensor
    features: Tensor


class Search(TypedDict, total=False):
    """How a latent is refined; see `invert`."""

    iterations: int
    seed: int
    features: str | None
    device: str | torch.device | None


def invert(
    gan: GAN,
    images: Images,
    *,
    iterations: int = ITERATIONS,
    seed: int = 0,
    features: str | None = None,
    device: str | torch.device | None = None,
) -> Edit:
    """Draw given images again: their features condition the GAN, and the latent is refined towards them.

    Args:
        gan: with a data instance prior, as `dip` and its kind adapt it; it is left untouched.
        images: of the GAN's resolution and channels; all at once, so a few.
        iterations: steps of the refinement, 0 for the nearest of a few latents.
        seed: of these latents.
        features: the encoder's file, if the GAN was trained on features of one that does not ship.
        device: a GPU where there is one by default.

    Raises:
        UserError: for a GAN without such a prior, images of another size, or another encoder.
    """
    search: Search = {"iterations": iterations, "seed": seed, "features": features, "device": device}
    return _edited(gan, images, None, **search)


def cutmix(gan: GAN, images: Images, others: Images, box: Box, **search: Unpack[Search]) -> Edit:
    """Draw images with a box out of others as one: features of the composite condition the GAN.

    Args:
        gan: as `invert`.
        images: as `invert`.
        others: as many, of the same size.
        box: of the others' pixels: first row and column, and the row and column behind the last.
        search: iterations, seed, features and device, as `invert`.

    Raises:
        UserError: as `invert`, or for a box that is empty or sticks out.
    """
    for given in (images, others):
        _fitting(gan, given)
    if len(others) != len(images):
        raise UserError(f"There are {len(images)} images and {len(others)} others; cutmix takes them in pairs.")
    inside = _inside(box, images.resolution)
    mixed = torch.where(inside, others.pixels, images.pixels)
    return invert(gan, replace(images, pixels=mixed), **search)


def inpaint(gan: GAN, images: Images, box: Box, **search: Unpack[Search]) -> Edit:
    """Paint a box of given images anew: the latent is refined towards the pixels outside, which stay as they are.

    Args:
        gan: as `invert`.
        images: as `invert`.
        box: to paint: first row and column, and the row and column behind the last.
        search: iterations, seed, features and device, as `invert`.

    Raises:
        UserError: as `cutmix`.
    """
    _fitting(gan, images)
    hidden = _inside(box, images.resolution)
    if hidden.all():
        raise UserError(f"box={box} covers the whole image; leave some pixels to go by.")
    known = images.pixels[:, :, ~hidden].float().mean(dim=2).round().byte()
    seen = replace(images, pixels=torch.where(hidden, known[:, :, None, None], images.pixels))
    found = _edited(gan, seen, ~hidden, **search)
    return replace(found, images=torch.where(hidden, found.images, found.target))


def translate(
    gan: GAN,
    images: Images,
    *,
    seed: int = 0,
    features: str | None = None,
    device: str | torch.device | None = None,
) -> Edit:
    """Draw images of another domain in that of the GAN: their features condition it, latents are drawn.

    Args:
        gan: as `invert`.
        images: of any domain, of the GAN's resolution and channels.
        seed: of the latents.
        features: as `invert`.
        device: as `invert`.

    Raises:
        UserError: as `invert`.
    """
    condition = _features(gan, images, features)
    gan = gan.copy().to(choose_device(device))
    z = gan.latents(len(images), check_seed(seed))[:, : _memory(gan).z_dim].to(gan.device)
    with torch.no_grad():
        made = gan.generator(z, labels=condition.to(gan.device), noise="const")
    return Edit(made.clamp(-1, 1).cpu(), images.tensor(), z.cpu(), condition)


def resampled(gan: GAN, sampling: Sampling) -> GAN:
    """Return a copy of a GAN that draws the features of its samples in another way.

    Args:
        gan: with a data instance prior.
        sampling: "bank", "neighbours" or "gaussian" (`gans/prior.py`).

    Raises:
        UserError: for a GAN without such a prior, or another word.
    """
    _memory(gan)
    if sampling not in get_args(Sampling):
        raise UserError(
            f"sampling={clip(sampling, 60)!r} is no way to draw features; give {', '.join(get_args(Sampling))}."
        )
    return gan.changed(prior={**gan.config["generator"]["prior"], "sampling": sampling})


def _memory(gan: object) -> Instances:
    """Return the prior of a GAN that has one."""
    if not isinstance(gan, GAN):
        raise UserError("Editing takes a GAN and Images; load them first with load_gan and load_images.")
    if not isinstance(gan.generator.prior, Instances):
        raise UserError(
            f"{clip(gan.name, 60)} has no data instance prior, so features of an image tell it nothing: adapt a GAN "
            "with dip, or find latents with project."
        )
    return gan.generator.prior


def _fitting(gan: GAN, images: object) -> None:
    """Raise one sentence for images that the GAN can't draw."""
    _memory(gan)
    if not isinstance(images, Images):
        raise UserError("Editing takes a GAN and Images; load them first with load_gan and load_images.")
    images.check_fits(gan.name, gan.resolution, gan.channels)


def _inside(box: Box, side: int) -> Tensor:
    """Return which pixels (side, side) lie in a box."""
    top, left, bottom, right = (whole("box", number) for number in box)
    if not (0 <= top < bottom <= side and 0 <= left < right <= side):
        raise UserError(
            f"box={box} is no part of {side} x {side} pixels; give (top, left, bottom, right), from 0 to {side}."
        )
    inside = torch.zeros(side, side, dtype=torch.bool)
    inside[top:bottom, left:right] = True
    return inside


def _features(gan: GAN, images: Images, network: str | None) -> Tensor:
    """Return the features (N, feature_dim) of images by the network that the GAN was trained with."""
    memory = _memory(gan)
    _fitting(gan, images)
    if network is None and not is_named(memory.network):
        raise UserError(f"{clip(gan.name, 60)} was trained on features of an encoder; give its file as features.")
    network = network or memory.network
    if network_name(network) != memory.network:
        raise UserError(
            f"{clip(network, 60)} is {network_name(network)}, and {clip(gan.name, 60)} was trained on features of "
            f"{memory.network}; give that one."
        )
    return memory.condense(describe(images, network).to(memory.centre.device)).cpu()


def _edited(
    gan: GAN,
    seen: Images,
    known: Tensor | None,
    iterations: int = ITERATIONS,
    seed: int = 0,
    features: str | None = None,
    device: str | torch.device | None = None,
) -> Edit:
    """Return what the GAN draws of images as the network sees them, refined where pixels (H, W) are known."""
    condition = _features(gan, seen, features)
    if whole("iterations", iterations) < 0:
        raise UserError(f"iterations={iterations} must be at least 0.")
    gan = gan.copy().to(choose_device(device))
    gan.generator.requires_grad_(False)
    search = _Refinement(gan, condition.to(gan.device), seen.tensor().to(gan.device), known, check_seed(seed))
    for iteration in watched(range(iterations), "steps of the search"):
        search.step(iteration / iterations)
    return Edit(search.draw(search.best).clamp(-1, 1).cpu(), search.target.cpu(), search.best.cpu(), condition)


class _Refinement:
    """The latent, standard normal, whose image under given features is nearest to a target."""

    def __init__(self, gan: GAN, condition: Tensor, target: Tensor, known: Tensor | None, seed: int) -> None:
        self.gan, self.condition, self.target = gan, condition, target
        self.known = None if known is None else known.to(target.device)
        with torch.no_grad():
            self.wanted = lpips_vector(feature_maps(target))
            drawn = gan.latents(CANDIDATES, seed)[:, : _memory(gan).z_dim].to(target.device)
            losses = torch.stack([self.losses(self.draw(z.expand(len(target), -1))) for z in drawn])
        self.least = losses.min(dim=0).values
        self.best = drawn[losses.argmin(dim=0)].clone()
        self.z = self.best.clone().requires_grad_()
        self.optimiser = torch.optim.Adam([self.z], lr=RATE, betas=(0.9, 0.999))

    def draw(self, z: Tensor) -> Tensor:
        """Return the images (N, C, H, W) of latents (N, z_dim)."""
        return self.gan.generator(z, labels=self.condition, noise="const")

    def losses(self, images: Tensor) -> Tensor:
        """Return how far images are from the target, (N,), where its pixels are known."""
        images = shown(images)
        if self.known is not None:
            images = torch.where(self.known, images, self.target)
        distance = (lpips_vector(feature_maps(images)) - self.wanted).square().sum(dim=1)
        return distance + PIXELS * (images - self.target).square().mean(dim=(1, 2, 3))

    def step(self, done: float) -> None:
        """One step of Adam, when this share of the search is done; the nearest latents are remembered."""
        for group in self.optimiser.param_groups:
            group["lr"] = RATE * schedule(done)
        losses = self.losses(self.draw(self.z))
        better = losses.detach() < self.least
        self.least = torch.where(better, losses.detach(), self.least)
        self.best = torch.where(better[:, None], self.z.detach(), self.best)
        self.optimiser.zero_grad(set_to_none=True)
        usual = USUAL_LENGTH * (self.z.square().mean(dim=1) - 1).square().sum()
        torch.autograd.backward(losses.sum() + usual)
        self.optimiser.step()
