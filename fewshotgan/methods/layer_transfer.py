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
from dataclasses import dataclass, replace
from typing import Any, Literal, Self, cast

import torch
from torch import Tensor, nn

from fewshotgan.files import UserError
from fewshotgan.gans.gan import GAN
from fewshotgan.gans.gp_resnet import Discriminator, Generator
from fewshotgan.gans.prior import Miner
from fewshotgan.methods.finetuning import FineTuning, FineTuningTraining
from fewshotgan.methods.method import Batch, Stage, Task, Terms, settled
from fewshotgan.methods.options import option

HEAD_AT = 8  # least side of what precedes G's general part by default; G4, the paper's choice, leaves 16 pixels at 128


@dataclass(frozen=True)
class LayerTransfer(FineTuning):
    """TransferGAN with a frozen general part, on a GP-GAN."""

    name = "layer_transfer"
    paper = "Zhao et al., ICML 2020, arXiv 2002.11810"
    summary = "freeze the groups of G and D near the image (GmDn), train the others"
    usual_r1 = 20, 128

    learning_rate: float | None = option(0.001, "rate of both networks' Adam", above=0)
    r1_gamma: float | None = option(
        None,
        "weight of R1; by default 20 at 128 pixels, falling with the area of the images, and 0 with hinge and wgan_gp",
        low=0,
    )
    general: str | None = option(
        None,
        'the general part, "GmDn"; by default G4D2, the paper\'s choice, or fewer groups of G where the images are '
        "smaller than 64 pixels",
    )
    general_from: Literal["source", "fresh", "scratch"] = option(
        "source",
        "where the general part comes from; fresh is the control: random weights, frozen; scratch: random weights that "
        "train with the rest, so that nothing is transferred, not even frozen (with a fresh specific part, the paper's "
        "Scratch)",
    )
    specific_from: Literal["source", "fresh"] = option(
        "source", "where all other layers come from but the fully connected ones, which always start fresh"
    )
    penalised: Literal["real", "both"] = option(
        "real", "images whose gradient is penalised: real ones, or both real and generated"
    )
    z_dim: int | None = option(
        None, "size of the latents; by default the source's (4 in the paper's setting of 25 images)", low=1
    )

    def settle(self, source: GAN) -> Self:
        """Settle the general part and the size of the latents, too.

        Raises:
            UserError: for a source that is no GP-GAN, or has not the groups.
        """
        if not isinstance(source.generator, Generator):
            raise UserError(
                f"{self.name} counts the groups of a GP-GAN from the image (family gp_resnet); {source.name} is a "
                f"{source.config['family']}."
            )
        if isinstance(source.generator.prior, Miner):
            raise UserError(
                f"{self.name} starts with fresh latents, and {source.name} has a miner; hand over the GAN that was "
                "mined."
            )
        general = self.general or f"G{min(4, (source.resolution // HEAD_AT).bit_length())}D2"
        z_dim = source.z_dim if self.z_dim is None else self.z_dim
        made = replace(super().settle(source), general=general, z_dim=z_dim)
        made.counts(source)
        return made

    def counts(self, source: GAN) -> dict[str, int]:
        """Return how many groups of each network are general.

        Raises:
            UserError: if `general` is no GmDn, or names groups that the source has not.
        """
        match = re.fullmatch(r"G(\d+)D(\d+)", settled(self.general))
        most = {network: len(groups) for network, groups in counted(source).items()}
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

    def target(self, source: GAN, seed: int) -> GAN:
        """Return the target's networks at the start: groups from the source as the options say, the rest fresh."""
        gan = GAN.create(self.configuration(source), source.name, seed=seed).to(source.device)
        given, counts = counted(source), self.counts(source)
        for network, groups in counted(gan).items():
            for i, (name, modules) in enumerate(groups.items()):
                if (self.general_from if i < counts[network] else self.specific_from) == "source":
                    nn.ModuleList(modules).load_state_dict(nn.ModuleList(given[network][name]).state_dict())
        return gan

    def build(self, task: Task) -> "LayerTransferTraining":
        """Train the target's networks."""
        method = self.settle(task.source)
        return LayerTransferTraining(method, task, method.target(task.source, task.seed))


def counted(gan: GAN) -> dict[str, dict[str, list[nn.Module]]]:
    """Return the groups of both networks of a GP-GAN as the paper counts them, from the image."""
    generator, discriminator = cast(Generator, gan.generator), cast(Discriminator, gan.discriminator)
    return {"generator": generator.counted(), "discriminator": discriminator.counted()}


class LayerTransferTraining(FineTuningTraining):
    """Layer transfer at work: G moves first, and D sees the images that moved it."""

    method: LayerTransfer

    def __init__(self, method: LayerTransfer, task: Task, gan: GAN) -> None:
        super().__init__(method, task, gan)
        counts = method.counts(task.source)
        groups = {network: list(named.values())[: counts[network]] for network, named in counted(gan).items()}
        self.general = {network: [m for group in parts for m in group] for network, parts in groups.items()}

    @property
    def generator(self) -> Generator:
        """The generator in training."""
        return cast(Generator, self.modules["generator"])

    def specific(self, network: str) -> list[nn.Parameter]:
        """Return the parameters that train: those outside the general part, all if it is from scratch."""
        kept = self.general[network] if self.method.general_from != "scratch" else []
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

    def latents(self, batch: Batch) -> Tensor:
        """Return latents z (batch, z_dim), of the target's size."""
        shape = (self.task.batch, self.generator.z_dim)
        return torch.randn(shape, generator=self.task.rng, device=self.task.images.device)

    def generate(self, batch: Batch) -> Tensor:
        """Return images (batch, C, H, W) for G, and leave them for D."""
        images = super().generate(batch)
        batch["fake"] = images.detach()
        return images

    def fakes(self, batch: Batch) -> Tensor:
        """Return the images that G was just moved by, or fresh ones where D has several moves."""
        return batch["fake"] if self.loss.moves == 1 else super().fakes(batch)

    def r1(self, batch: Batch) -> Terms:
        """The penalty of real images, or of real and generated ones, as the discriminator sees them."""
        terms = super().r1(batch)
        if self.method.penalised == "both":
            terms["r1_fake"] = self.penalty(self.fakes(batch), batch) * (self.r1_gamma / 2)
        return terms


@dataclass(frozen=True)
class GPHead(LayerTransfer):
    """The name that the paper's ablation gives to layer transfer (table 1, row b): a preset, `LayerTransfer` at its
    defaults.

    General part G4D2, GP-GAN's own kind of head on it; options as `LayerTransfer`.
    """

    name = "gphead"
    summary = "layer_transfer at its defaults, by the name it has in AdaFM's ablation"
