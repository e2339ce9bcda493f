"""Layer transfer: freeze the general part of a pretrained GAN, the layers near the image, and train the rest for the
target.

Paper: Zhao et al., "On Leveraging Pretrained GANs for Generation with Limited Data" (ICML 2020, arXiv 2002.11810),
section 3.1. GmDn names the general part: the m groups of G and the n groups of D that are nearest to the image, counted
from there, the convolution at the image being the first group and the blocks of each resolution one more. The fully
connected layers are in no group.

As in the released code, the specific part starts from the source too, but for the fully connected layers, which depend
on the source's labels and latents; G moves first, and D then sees the same generated images; the gradient penalty is
that of GP-GAN (Mescheder et al., arXiv 1801.04406, equation 9), on real images, or on real and generated ones in the
setting of 25 images.

Differs: the released code leaves out the half of that equation, so that its weight 10 at 128 pixels is `r1_gamma=20`
here, which falls with the area of the images; the penalty is lazy, as in all methods here. The learning rate is 1e-4 in
the paper's 60,000 iterations; ours, for budgets of hundreds, is that of the source's own training. A class-conditional
source is first replaced by its mean class.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fewshotgan.files import UserError
from fewshotgan.gans.gan import GAN
from fewshotgan.gans.gp_resnet import Generator
from fewshotgan.gans.prior import Miner
from fewshotgan.losses import r1_penalty
from fewshotgan.methods.method import Stage, Task, Terms
from fewshotgan.methods.transfergan import TransferGAN

STARTS = ("source", "fresh")
GENERAL_FROM = (*STARTS, "scratch")
PENALISED = ("real", "both")
HEAD_AT = 8  # least side of what precedes G's general part by default; G4, the paper's choice, leaves 16 pixels at 128


@dataclass
class LayerTransfer(TransferGAN):
    """TransferGAN with a frozen general part, on a GP-GAN.

    Args:
        general: "GmDn"; by default G4D2, the paper's choice, or fewer groups of G where the images are smaller than 64
            pixels.
        general_from: "source"; "fresh" for the control: random weights, frozen; or "scratch": random weights that train
            with the rest, so that nothing of the general part is transferred, not even frozen (with a fresh specific
            part, the paper's Scratch).
        specific_from: "source" or "fresh", of all other layers but the fully connected ones, which always start fresh.
        penalised: images whose gradient is penalised: "real", or "both" real and generated.
        z_dim: size of the latents, the source's by default (4 in the paper's setting of 25 images).
    """

    name = "layer_transfer"
    paper = "Zhao et al., ICML 2020, arXiv 2002.11810"
    summary = "freeze the groups of G and D near the image (GmDn), train the others"

    learning_rate: float = 0.001
    general: str | None = None
    general_from: str = "source"
    specific_from: str = "source"
    penalised: str = "real"
    z_dim: int | None = None

    def build(self, task: Task) -> None:
        """Make the target's networks from the source's groups."""
        self.task = task
        self.check(task.source)
        self.start(self.target(task.source))

    def settle(self, source: GAN) -> None:
        """Settle the general part, the size of the latents and the weight of R1."""
        self.z_dim = source.z_dim if self.z_dim is None else self.z_dim
        self.general = self.general or f"G{min(4, (source.resolution // HEAD_AT).bit_length())}D2"
        self.r1_gamma = 20 * (source.resolution / 128) ** 2 if self.r1_gamma is None else self.r1_gamma

    def check(self, source: GAN) -> None:
        """Raise one sentence for a source or an option that can't be."""
        if not isinstance(source.generator, Generator):
            family = source.config["family"]
            raise UserError(
                f"{self.name} counts the groups of a GP-GAN from the image (family gp_resnet); "
                f"{source.name} is a {family}."
            )
        if isinstance(source.generator.prior, Miner):
            raise UserError(
                f"{self.name} starts with fresh latents, and {source.name} has a miner; "
                "hand over the GAN that was mined."
            )
        for option, known in (("general_from", GENERAL_FROM), ("specific_from", STARTS), ("penalised", PENALISED)):
            if getattr(self, option) not in known:
                raise UserError(
                    f"{self.name}: {option}={getattr(self, option)!r} is unknown: give {' or '.join(known)}."
                )
        self.settle(source)
        if self.z_dim < 1:
            raise UserError(f"{self.name}: z_dim={self.z_dim} is no size of latents: give at least 1.")
        self.counts = self.parse(source)

    def parse(self, source: GAN) -> dict[str, int]:
        """Return how many groups of each network are general.

        Raises:
            UserError: if `general` is no GmDn, or names groups that the source has not.
        """
        match = re.fullmatch(r"G(\d+)D(\d+)", self.general or "")
        most = {"generator": len(source.generator.counted()), "discriminator": len(source.discriminator.counted())}
        range_ = f"G0 to G{most['generator']} and D0 to D{most['discriminator']}"
        if match is None:
            raise UserError(
                f"{self.name}: general={self.general!r} names no general part: write it as G4D2; "
                f"{source.name} has {range_}."
            )
        counts = {"generator": int(match[1]), "discriminator": int(match[2])}
        if any(counts[network] > most[network] for network in most):
            raise UserError(
                f"{self.name}: general={self.general} has groups that {source.name} has not: it has {range_}."
            )
        return counts

    def configuration(self, source: GAN) -> dict[str, Any]:
        """Return the target's configuration: the source's, but for the size of the latents."""
        return {**source.config, "generator": {**source.config["generator"], "z_dim": self.z_dim}}

    def target(self, source: GAN) -> GAN:
        """Return the target's networks at the start: groups from the source as the options say, the rest fresh."""
        gan = GAN.create(self.configuration(source), source.name, seed=self.task.seed).to(source.device)
        for network, theirs in (("generator", source.generator), ("discriminator", source.discriminator)):
            given = theirs.counted()
            for i, (name, modules) in enumerate(getattr(gan, network).counted().items()):
                if (self.general_from if i < self.counts[network] else self.specific_from) == "source":
                    nn.ModuleList(modules).load_state_dict(nn.ModuleList(given[name]).state_dict())
        return gan

    def general_part(self, network: str) -> list[nn.Module]:
        """Return the modules of the general part of "generator" or "discriminator"."""
        groups = list(self.modules[network].counted().values())[: self.counts[network]]
        return [module for group in groups for module in group]

    def specific(self, network: str) -> list[nn.Parameter]:
        """Return the parameters that train: those outside the general part, all if it is from scratch."""
        kept = self.general_part(network) if self.general_from != "scratch" else []
        frozen = {id(parameter) for module in kept for parameter in module.parameters()}
        return [parameter for parameter in self.modules[network].parameters() if id(parameter) not in frozen]

    def generator_parameters(self) -> list[nn.Parameter]:
        """What trains of G: the specific part."""
        return self.specific("generator")

    def discriminator_parameters(self) -> list[nn.Parameter]:
        """What trains of D: the specific part."""
        return self.specific("discriminator")

    def stages(self, iterations: int) -> Iterator[Stage]:
        """One stage, generator first."""
        yield Stage("adaptation", iterations, [self.generator_player(), self.discriminator_player()])

    def latents(self) -> Tensor:
        """Return latents (batch, z_dim), of the target's size."""
        shape = (self.task.batch, self.modules["generator"].z_dim)
        return torch.randn(shape, generator=self.task.rng, device=self.task.images.device)

    def generate(self) -> Tensor:
        """Return a batch of images, and keep it for D."""
        images = super().generate()
        self.fake = images.detach()
        return images

    def fakes(self) -> Tensor:
        """Return the images that G was just moved by."""
        return self.fake

    def r1(self) -> Terms:
        """The penalty of real images, or of real and generated ones, as the discriminator sees them."""
        terms = super().r1()
        if self.penalised == "both":
            fake = self.task.augmented(self.fake).detach().requires_grad_()
            terms["r1_fake"] = r1_penalty(self.judge(fake), fake) * (self.r1_gamma / 2)
        return terms


@dataclass
class GPHead(LayerTransfer):
    """The name that the paper's ablation gives to layer transfer (table 1, row b): a preset, `LayerTransfer` at its
    defaults.

    General part G4D2, GP-GAN's own kind of head on it; options as `LayerTransfer`.
    """

    name = "gphead"
    summary = "layer_transfer at its defaults, by the name it has in AdaFM's ablation"
