"""Data Instance Prior: what a pretrained network says of a real image conditions both networks, as a class would.

Paper: Mangla et al., "Data InStance Prior (DISP) in Generative Adversarial Networks" (WACV 2022, arXiv 2012.04256).
With a frozen network C, real images x and latents z,

    D minimises  relu(1 - D(x, C(x))) + relu(1 + D(G(z, C(x)), C(x))),    G minimises  -D(G(z, C(x)), C(x)),
    D(x, c) = psi(phi(x)) + E_D(c) . phi(x),

where real and generated images of a step have the same c: each real image has a generated one that must be near it, as
in IMLE (Li and Malik 2018, arXiv 1809.09087), so that no mode is easily dropped. E_G(c) drives the batch norms of SNGAN
and BigGAN, and joins z before StyleGAN2's mapping network. The rest is a method of transfer: "dip" fine-tunes all,
"dip-freezed" keeps D's lower blocks, "dip-scratch" transfers nothing, "dip-bsa" bends statistics by reconstruction,
each with any augmentation: what D sees is augmented, what C sees is not.

The authors published no code, and of the paper this was written from the abstract, the introduction and what others say
of it; nothing here is checked against theirs. Readings of ours: everything in `fewshotgan/instances.py`; E_G is zero at
the start in a batch norm or a BigGAN's vector, so that G starts as the source (in StyleGAN2 with other latents of the
same distribution); E_D is fresh and, where D has spectral norm, has it too; the features of a StyleGAN2 are normalised
and added to z; with BSA the latent of an image and its features are learned together. Sampling: "bank", the pairs that
training has seen, until a comparison on the development target says otherwise.

A prior's network has seen more images than the GAN: measure with another one, such as FID beside EfficientNet features.
"""

import copy
from dataclasses import dataclass, replace
from typing import Literal, Self, cast

from torch import Tensor, nn

from fewshotgan.files import UserError, clip
from fewshotgan.gans import biggan_layers, biggan_networks, sngan, stylegan2
from fewshotgan.gans.class_norm import FeatureNorm
from fewshotgan.gans.gan import GAN
from fewshotgan.gans.mapping import MappingNetwork
from fewshotgan.gans.prior import Instances, Miner
from fewshotgan.gans.projection import ProjectionDiscriminator
from fewshotgan.images import Images
from fewshotgan.instances import Memory, check_network, network_name, remember
from fewshotgan.methods.bsa import BSA, BSATraining, bendable
from fewshotgan.methods.conditional import ConditionedTraining
from fewshotgan.methods.finetuning import FineTuning
from fewshotgan.methods.freezed import FreezeD, FreezeDTraining
from fewshotgan.methods.method import Method, Task
from fewshotgan.methods.options import option
from fewshotgan.methods.scratch import Scratch
from fewshotgan.methods.transfergan import start


@dataclass(frozen=True)
class InstancePrior(Method):
    """What the methods have in common: the prior's options."""

    name = "dip"
    paper = "Mangla et al., WACV 2022, arXiv 2012.04256"
    least_images = 2

    features: str = option(
        "efficientnet",
        "network that describes the real images: efficientnet, vgg or dinov2 (fetched once), simclr (trained without "
        "labels on grey clothes, ships), the file of another encoder that fewshotgan.simclr trained, or as controls "
        "random, the first one untrained, and onehot, the image's number",
    )
    components: int = option(64, "principal components of the features that are kept, at most", low=1)
    clusters: int = option(0, "centroids that stand for the images, for large data; 0 for the images themselves", low=0)
    sampling: Literal["bank", "neighbours", "gaussian"] = option(
        "bank",
        "features of a sample: those of an image, a mixture of an image's and a near neighbour's, or an image's with "
        "normal noise (with clusters a mixture of Gaussians)",
    )

    def settle(self, source: GAN) -> Self:
        """Check the features; which weights "simclr" has, their digits then say.

        Raises:
            UserError: for a source that features can't condition, or a network that there is not.
        """
        generator = source.generator
        drives = isinstance(generator, sngan.Generator | stylegan2.Generator) or (
            isinstance(generator, biggan_networks.Generator) and generator.shared is not None
        )
        judges = isinstance(source.discriminator, ProjectionDiscriminator | stylegan2.Discriminator)
        if not drives or (self.needs_discriminator and not judges):
            raise UserError(
                f"{self.name} conditions SNGAN, StyleGAN2 or a BigGAN with a shared embedding on features; "
                f"{clip(source.name, 60)} is a {source.config['family']}."
            )
        if isinstance(generator.prior, Miner):
            raise UserError(
                f"{self.name} draws latents of its own, and {clip(source.name, 60)} has a miner before them; hand over "
                "the GAN that was mined."
            )
        check_network(self.features)
        weighed = replace(self, features=network_name(self.features)) if self.features == "simclr" else self
        return super(InstancePrior, weighed).settle(source)

    def remember(self, task: Task) -> Memory:
        """Describe the task's images, once, as they are without augmentation."""
        return remember(
            Images(task.images.cpu(), "the shots"),
            self.features,
            components=self.components,
            clusters=self.clusters,
            sampling=self.sampling,
            seed=task.seed,
        )


def conditioned(source: GAN, memory: Memory, seed: int) -> GAN:
    """Return a copy of a GAN whose networks are conditioned on features and whose prior has the memory; `seed` is that
    of the new weights.
    """
    plain = source.changed(prior=None)
    config = copy.deepcopy(plain.config)
    config["generator"]["prior"] = memory.config
    config["discriminator"]["feature_dim"] = memory.each.shape[1]
    gan = GAN.create(config, source.name, seed).to(source.device)
    gan.generator.load_state_dict(plain.generator.state_dict(), strict=False)
    judge = plain.discriminator.state_dict()
    gan.discriminator.load_state_dict({k: judge[k] for k in judge if not k.startswith("instance.")}, strict=False)
    memory.fill(cast(Instances, gan.generator.prior))
    return gan


def embeddings(generator: nn.Module) -> list[nn.Parameter]:
    """Return the parameters of E_G: what a generator makes of features."""
    found: list[nn.Module] = []
    for module in generator.modules():
        if isinstance(module, FeatureNorm):
            found += [module.scale, module.shift]
        elif isinstance(module, biggan_layers.FeatureVectors):
            found.append(module)
        elif isinstance(module, MappingNetwork) and module.instance is not None:
            found.append(module.instance)
    return [parameter for module in found for parameter in module.parameters()]


class FrozenDIPTraining(ConditionedTraining, FreezeDTraining):
    """DIP at work with D's lower blocks fixed."""

    method: "DIPFreezeD"


@dataclass(frozen=True)
class DIP(InstancePrior, FineTuning):
    """TransferGAN with a data instance prior, by the hinge loss."""

    name = "dip"
    summary = "features of real images condition G and D, as a class would; fine-tune all of both"

    def settle(self, source: GAN) -> Self:
        """Settle the loss: the paper's, whatever the family's."""
        hinged = replace(self, loss=self.loss or "hinge")
        return super(DIP, hinged).settle(source)

    def build(self, task: Task) -> ConditionedTraining:
        """Train a copy of the start, conditioned."""
        return ConditionedTraining(self.settle(task.source), task, *self.networks(task))

    def networks(self, task: Task) -> tuple[GAN, Tensor]:
        """Return the start, conditioned, and the features of each training image, (n, feature_dim)."""
        memory = self.remember(task)
        return conditioned(self.start(task), memory, task.seed), memory.each

    def start(self, task: Task) -> GAN:
        """Return the GAN that training starts from: the source."""
        return task.source


@dataclass(frozen=True)
class DIPFreezeD(DIP, FreezeD):
    """FreezeD with a data instance prior."""

    name = "dip-freezed"
    summary = "dip with D's blocks near the image fixed, as in FreezeD"

    def build(self, task: Task) -> FrozenDIPTraining:
        """Train a copy of the source, conditioned."""
        return FrozenDIPTraining(self.settle(task.source), task, *self.networks(task))


@dataclass(frozen=True)
class DIPScratch(DIP, Scratch):
    """Training from scratch with a data instance prior."""

    name = "dip-scratch"
    summary = "dip from random weights, no transfer (control)"

    def start(self, task: Task) -> GAN:
        """Take the source's sizes, not its weights."""
        return start(task.source, "none", task.seed)


@dataclass(frozen=True)
class DIPBSA(InstancePrior, BSA):
    """BSA with a data instance prior."""

    name = "dip-bsa"
    summary = "BSA whose generator reads features of the image beside its latent; no discriminator"

    def build(self, task: Task) -> "DIPBSATraining":
        """Adapt a copy of the generator, conditioned."""
        method, memory = self.settle(task.source), self.remember(task)
        gan = bendable(task.source, task.seed, memory.config)
        memory.fill(cast(Instances, gan.generator.prior))
        return DIPBSATraining(method, task, gan, memory.each)


class DIPBSATraining(BSATraining):
    """DIP-BSA at work; arguments as of `BSATraining`, and the features of each training image, (n, feature_dim)."""

    def __init__(self, method: BSA, task: Task, gan: GAN, features: Tensor) -> None:
        super().__init__(method, task, gan)
        self.features = features.to(task.images.device)

    def bent(self) -> list[nn.Parameter]:
        """What trains of the generator: its statistics, and what drives them."""
        return super().bent() + embeddings(self.generator)

    def condition(self, which: Tensor) -> Tensor:
        """Return the features (N, feature_dim) of the training images of these numbers."""
        return self.features[which]
