"""BSA: bend the statistics of each channel, find a latent for each training image, and compare the images; no
discriminator.

Paper: Noguchi and Harada, "Image Generation From Small Datasets via Batch Statistics Adaptation" (ICCV 2019, arXiv
1904.01774), sections 3 and 4. What trains is a scale and a shift for each channel and one latent z_i for each training
image x_i; the batch norms keep their running statistics. With noise e, the loss of a batch is

    mean |G(z + e) - x|  +  perceptual: weight * sum over layers of mean |F_l(G(z + e)) - F_l(x)|
    + latent weight * EMD(z, normal)  +  statistics weight * sum over layers of (mean (scale - 1)^2 + mean shift^2)

where EMD stands for the surrogate of the released code (`latent_distance`). Latents start at zero. Afterwards z is
drawn from a truncated normal distribution, which the adapted GAN carries as its prior.

Scale and shift follow the SNGAN version of the released code: on the 4-pixel map after the first linear layer, and
after every batch norm but the last, on top of its own. StyleGAN2 has no batch norm: its styles are the channels'
scales, so that the scale multiplies them (all, those of the image projections included), and the shift is added to the
biases of its convolutions.

BigGAN's norms read their scales and shifts off the class and the latents, by linear layers: as in the BigGAN version of
the released code these train, and a vector in the place of the class's, from the mean of the classes (as in the public
PyTorch port), beside a scale and a shift on the 4-pixel map. The statistics term is then the mean square of that
vector; the rate is 0.0005, twice that for the vector and a hundred times that for the latents.

Differs: the first linear layer's weight, which trains at a rate of 1e-7 there, stays. Perceptual features are
EfficientNet-Lite0's by default, with a weight that makes their term about as large as the L1 term between two images;
VGG16's with the paper's weight, but with torchvision's weights and means instead of Caffe's, taken after the ReLUs: on
images of unit scale instead of 0 to 255, where that weight is likely too small (not measured). In StyleGAN2 the mapping
network does without its normalisation of z, so that zero is the middle of the latents, and truncation has an effect;
the noise inputs are the stored ones.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal, Self, cast

import torch
from torch import Tensor, nn

from fewshotgan.adapters import ChannelScale, ChannelShift, Shift, adapters, attach, merged
from fewshotgan.files import UserError, clip
from fewshotgan.gans import biggan_layers, biggan_networks, dcgan, sngan, stylegan2
from fewshotgan.gans.gan import GAN
from fewshotgan.gans.layers import hold_statistics
from fewshotgan.gans.network import Generator
from fewshotgan.gans.prior import Instances, Miner, PriorConfig
from fewshotgan.gans.stylegan2_layers import ModulatedConv2d, StyledConv
from fewshotgan.methods.method import Batch, Method, Player, Stage, Task, Terms, Training, settled
from fewshotgan.methods.options import option
from fewshotgan.metrics.perceptual import feature_maps

PERCEPTUAL_WEIGHTS = {"efficientnet": 0.02, "vgg": 0.001}
# the rate falls by this after 3,000, 6,000 and 9,000 of 10,000 iterations
SPANS, DECAY = (0.0, 0.3, 0.6, 0.9, 1.0), 0.2
VECTOR_RATE, LATENT_RATE = 2.0, 100.0  # in a BigGAN, over the rate of what drives its norms
NORMALS = 10  # normal numbers for each latent of the batch


def latent_distance(z: Tensor, normal: Tensor) -> Tensor:
    """Return how far latents (N, d) are from a sample (M, d), a scalar: mean over M of the least squared distance,
    and over N.
    """
    squared = (z[:, None] - normal[None]).square().sum(dim=2)
    return squared.min(dim=0).values.mean() + squared.min(dim=1).values.mean()


def class_vector(generator: nn.Module) -> nn.Parameter | None:
    """Return a BigGAN's vectors of classes, (1, embed) where it has none, which BSA trains; None elsewhere."""
    shared = generator.shared if isinstance(generator, biggan_networks.Generator) else None
    return None if shared is None else shared.table


def driving_parameters(generator: nn.Module) -> list[nn.Parameter]:
    """Return what makes the statistics of a BigGAN: the vector, the norms' linear layers, scale and shift at 4
    pixels.
    """
    kinds = (biggan_layers.ClassVectors, biggan_layers.ChannelAffine, biggan_layers.ConditionalNorm)
    return [p for module in generator.modules() if isinstance(module, kinds) for p in module.parameters()]


def statistics_penalty(network: nn.Module) -> Tensor:
    """Return the sum over adapters of mean (scale - 1)^2 and mean shift^2, a scalar, zero at the start; of a BigGAN the
    mean square of its vector.
    """
    if (vector := class_vector(network)) is not None:
        return vector.square().mean()
    terms = [(module.scale - 1).square().mean() for module in network.modules() if isinstance(module, ChannelScale)]
    terms += [module.shift.square().mean() for module in network.modules() if isinstance(module, ChannelShift | Shift)]
    return torch.stack(terms).sum()


def adapt_statistics(generator: nn.Module) -> None:
    """Put a scale and a shift for each channel into a generator with batch norm, or into a StyleGAN2 (see the module's
    docstring).

    Raises:
        UserError: for any other.
    """
    norms = [module for module in generator.modules() if isinstance(module, nn.BatchNorm2d) and module.affine]
    if norms:
        dense = cast(nn.Linear, generator.dense)
        first: tuple[nn.Module, int] = dense, dense.out_features // 16
        for layer, channels in [first, *((norm, norm.num_features) for norm in norms[:-1])]:
            scale = ChannelScale(channels)
            attach(layer, "weight", scale)
            attach(layer, "bias", ChannelShift(scale))
        return
    modules = list(generator.modules())
    if not any(isinstance(module, ModulatedConv2d) for module in modules):
        raise UserError(
            "bsa bends the statistics of batch norms or of StyleGAN2's styles, and this generator has neither."
        )
    for module in modules:
        if isinstance(module, ModulatedConv2d):
            scale = ChannelScale(module.affine.weight.shape[0])
            attach(module.affine, "weight", scale)
            attach(module.affine, "bias", scale)
        elif isinstance(module, StyledConv):
            attach(module, "bias", Shift(module.bias))


def bendable(source: GAN, seed: int = 0, prior: PriorConfig | None = None) -> GAN:
    """Return a copy of a GAN whose generator has what BSA trains; `seed` is that of weights that the prior brings."""
    if class_vector(source.generator) is not None:
        return source.changed(seed, prior=prior, affine=True)
    styled = isinstance(source.generator, stylegan2.Generator)
    gan = source.changed(seed, prior=prior, **({"normalise": False} if styled else {}))
    adapt_statistics(gan.generator)
    return gan


class Latents(nn.Module):
    """A latent for each training image, zero at the start: (n, z_dim)."""

    def __init__(self, n: int, z_dim: int) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.zeros(n, z_dim))


@dataclass(frozen=True)
class BSA(Method):
    """Statistics and latents, by reconstruction."""

    name = "bsa"
    paper = "Noguchi and Harada, ICCV 2019, arXiv 1904.01774"
    summary = "train scale and shift of each channel and a latent for each image, by reconstruction; no discriminator"
    least_images = 2
    needs_discriminator = False

    learning_rate: float | None = option(
        None,
        "rate of scales, shifts and latents; it falls in four spans; by default 0.03, and 0.0005 in a BigGAN, whose "
        "latents train at a hundred times the rate",
        above=0,
    )
    perceptual: Literal["efficientnet", "vgg"] = option(
        "efficientnet", "network of the perceptual term; vgg is fetched once"
    )
    perceptual_weight: float | None = option(
        None, "weight of the perceptual term, 0 for none; by default 0.02 with efficientnet and 0.001 with vgg", low=0
    )
    latent_weight: float = option(0.1, "weight of the distance between latents and normal numbers", low=0)
    statistics_weight: float = option(0.02, "weight of the squared deviations of scales and shifts", low=0)
    noise: float = option(0.01, "standard deviation of what is added to the latents", low=0)
    limit: float = option(0.3, "at which normal numbers are cut to sample the result", above=0)

    def settle(self, source: GAN) -> Self:
        """Settle the rate and the weight of the perceptual term.

        Raises:
            UserError: for a source that has no statistics to bend, or a miner.
        """
        driven = class_vector(source.generator) is not None
        if not driven and not isinstance(source.generator, sngan.Generator | dcgan.Generator | stylegan2.Generator):
            raise UserError(
                "bsa bends the batch norms of SNGAN, DCGAN or a BigGAN with a shared embedding, or StyleGAN2's styles; "
                "this generator has none of them."
            )
        if isinstance(source.generator.prior, Miner | Instances):
            raise UserError(
                f"{self.name} looks for latents itself, and {clip(source.name, 60)} has a prior before them; "
                "hand over the GAN that was mined or adapted."
            )
        weight = PERCEPTUAL_WEIGHTS[self.perceptual] if self.perceptual_weight is None else self.perceptual_weight
        rate = (0.0005 if driven else 0.03) if self.learning_rate is None else self.learning_rate
        return replace(self, perceptual_weight=weight, learning_rate=rate)

    def build(self, task: Task) -> "BSATraining":
        """Adapt a copy of the generator; latents are zero."""
        return BSATraining(self.settle(task.source), task, bendable(task.source))


class BSATraining(Training):
    """BSA at work.

    Args:
        method: with its options settled.
        task: what it works on.
        gan: has the generator with its adapters.
    """

    method: BSA

    def __init__(self, method: BSA, task: Task, gan: GAN) -> None:
        latents = Latents(len(task.images), task.source.z_dim).to(gan.device)
        super().__init__(method, task, nn.ModuleDict({"generator": gan.generator, "latents": latents}))
        prior = {"kind": "truncated"} | (gan.config["generator"]["prior"] or {}) | {"limit": method.limit}
        self.config: dict[str, Any] = {**gan.config, "generator": {**gan.config["generator"], "prior": prior}}
        self.perceptual_weight, self.learning_rate = settled(method.perceptual_weight), settled(method.learning_rate)

    @property
    def generator(self) -> Generator:
        """The generator in training, which takes latents as they are."""
        return cast(Generator, self.modules["generator"])

    @property
    def latents(self) -> nn.Parameter:
        """The latent of each training image, (n, z_dim)."""
        return cast(Latents, self.modules["latents"]).values

    def stages(self, iterations: int) -> Iterator[Stage]:
        """Spans of falling rate; running statistics stay."""
        parameters, rates = [*self.bent(), self.latents], []
        if (vector := class_vector(self.generator)) is not None:
            rates = [(vector, VECTOR_RATE), (self.latents, LATENT_RATE)]
        for k, (first, last) in enumerate(pairwise(round(iterations * share) for share in SPANS)):
            if last > first:
                rate = self.learning_rate * DECAY**k
                player = Player("statistics", parameters, self.terms, rate, betas=(0.9, 0.999), rates=rates)
                yield Stage("reconstruction", last - first, [player], before=self.begin)

    def bent(self) -> list[nn.Parameter]:
        """What trains of the generator: its statistics."""
        driven = class_vector(self.generator) is not None
        return driving_parameters(self.generator) if driven else adapters(self.generator)

    def begin(self, _batch: Batch) -> None:
        """Keep the running statistics."""
        hold_statistics(self.generator)

    def terms(self, batch: Batch) -> Terms:
        """Reconstruction of a batch, and what keeps latents and statistics in place."""
        which = self.task.draw()
        real, z = self.task.pick(which), self.latents[which]
        noise, normal = self.task.latents(len(z)), self.task.latents(NORMALS * len(z))
        images = self.generator(z + self.method.noise * noise, labels=self.condition(which), noise="const")
        terms = {
            "l1": (images - real).abs().mean(),
            "latent": self.method.latent_weight * latent_distance(z, normal),
            "statistics": self.method.statistics_weight * statistics_penalty(self.generator),
        }
        if self.perceptual_weight:
            terms["perceptual"] = self.perceptual_weight * self.distance(images, real)
        return terms

    def condition(self, which: Tensor) -> Tensor | None:
        """Return what the generator is told of the training images of these numbers (N,); nothing."""
        return None

    def distance(self, images: Tensor, real: Tensor) -> Tensor:
        """Return the sum over feature maps of the mean absolute difference, a scalar."""
        with torch.no_grad():
            wanted = feature_maps(real, self.method.perceptual)
        found = feature_maps(images, self.method.perceptual)
        return torch.stack([(a - b).abs().mean() for a, b in zip(found, wanted, strict=True)]).sum()

    @torch.no_grad()
    def reconstruct(self, latents: Tensor | None = None) -> Tensor:
        """Return the images (n, C, H, W), -1..1, on the CPU, of latents (n, z_dim), by default those of the training
        images.
        """
        hold_statistics(self.generator)
        latents = self.latents if latents is None else latents
        made = []
        for which in torch.arange(len(latents), device=latents.device).split(32):
            made.append(self.generator(latents[which], labels=self.condition(which), noise="const"))
        return torch.cat(made).clamp(-1, 1).cpu()

    def result(self, modules: nn.ModuleDict) -> GAN:
        """Return the plain generator, statistics merged, with its prior, beside the source's discriminator."""
        name = f"{self.task.source.name}+{self.method.name}"
        return merged(GAN(cast(Generator, modules["generator"]), self.task.source.discriminator, self.config, name))
