"""AdaFM: a small tailored head on the transferred general part, whose filters are bent by a scale and a shift each.

Paper: Zhao et al., "On Leveraging Pretrained GANs for Generation with Limited Data" (ICML 2020, arXiv 2002.11810):

- SmallHead (section 3.2): G's specific part is replaced by one that few images can train, a mapping network and style
  blocks (`gans/small_head.py`), which start fresh; the general part of G and D is the source's, frozen;
- AdaFM (section 3.3, equation 1): each 3x3 convolution of G's general part is modulated, W' = gamma * W + beta, with a
  number for each pair of channels (`adapters.AdaFM`); weights, biases, shortcuts and the convolution at the image stay
  as they are.

As in the released code, modulations are frozen at first, for a sixth of the iterations (10,000 of 60,000). The setting
of 25 images is `general="G4D6"` at 128 pixels (all groups of D but the last), `z_dim=4`, `penalised="both"` and twice
the weight of the penalty.

Differs: the head's last layer starts at the scale of the source's own features at its place, measured, where the
released code has the ImageNet network's, 1,000. So does it where nothing else is the source's (`general_from` "scratch"
or "fresh"): one number is transferred then, so that the rows of a comparison differ in the filters alone. Further as
`layer_transfer`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self, cast

import torch
from torch import Tensor, nn

from fewshotgan import adapters
from fewshotgan.adapters import adapter_of, attach, is_adapted, layers, merged
from fewshotgan.files import UserError
from fewshotgan.gans.gan import GAN
from fewshotgan.gans.gp_resnet import Generator
from fewshotgan.methods.layer_transfer import HEAD_AT, LayerTransfer, LayerTransferTraining
from fewshotgan.methods.method import Player, Stage, Task, settled
from fewshotgan.methods.options import option

SAMPLES = 64  # of the source, by which the scale of its features is measured


@torch.no_grad()
def feature_scale(source: GAN, groups: int, seed: int = 0) -> float:
    """Return the standard deviation over pixels, mean over channels and samples, of the features that the last `groups`
    groups of G go on with.
    """
    generator = cast(Generator, source.generator)
    seen: list[float] = []

    def measure(x: Tensor) -> None:
        seen.append(float(x.std(dim=(2, 3)).mean()))

    if groups == 1:  # the convolution at the image alone, with the activation before it
        last = list(generator.blocks.values())[-1]
        hook = last.register_forward_hook(lambda _module, _inputs, output: measure(output))
    else:
        module = list(generator.counted().values())[groups - 1][0]
        hook = module.register_forward_pre_hook(lambda _module, inputs: measure(inputs[0]))
    generator(source.latents(SAMPLES, seed).to(source.device), noise="const")
    hook.remove()
    return seen[0]


@torch.no_grad()
def dialled(adapted: GAN, source: GAN, share: float) -> GAN:
    """Return an adapted GAN whose modulations are turned to a share, 0 for the source's filters, 1 for the target's.

    Equation 1 is linear in gamma and beta, so that 1 + share (gamma - 1) and share * beta make W + share (W' - W): of
    the merged weights a straight line.

    Args:
        adapted: made by AdaFM, modulations merged.
        source: what it was adapted from.
        share: usually 0..1.
    """
    gan = adapted.copy()
    blocks, plain = (cast(Generator, each.generator).blocks for each in (gan, source))
    weights = dict(plain.named_parameters())
    for name, value in blocks.named_parameters():
        if name.endswith(("conv0.weight", "conv1.weight")):
            value.copy_(torch.lerp(weights[name], value, share))
    return gan


@dataclass(frozen=True)
class SmallHead(LayerTransfer):
    """Layer transfer with the tailored head; `specific_from` is of D's specific part alone, since the head starts
    fresh.
    """

    name = "smallhead"
    summary = "freeze the general part, with a small head of style blocks in place of G's specific part"

    scale: float | None = option(
        None, "at which the head's last layer starts; by default that of the source's features at its place", above=0
    )

    def settle(self, source: GAN) -> Self:
        """Settle the scale, too: measured on the source.

        Raises:
            UserError: if the general part leaves no room for a style block, or nothing is general.
        """
        made = super().settle(source)
        general = made.counts(source)["generator"]
        if not general or source.resolution >> (general - 1) < HEAD_AT:
            most = (source.resolution // HEAD_AT).bit_length()
            raise UserError(
                f"{self.name}: a small head makes features of at least {HEAD_AT} pixels for G's general part, "
                f"so that of {source.name} can be G1 to G{most}, not G{general}."
            )
        scale = feature_scale(source.unconditional(), general) if self.scale is None else self.scale
        return replace(made, scale=scale)

    def configuration(self, source: GAN) -> dict[str, Any]:
        """Return the target's configuration: the source's with a small head up to G's general part."""
        config, side = super().configuration(source), source.resolution >> (self.counts(source)["generator"] - 1)
        return {**config, "generator": {**config["generator"], "head": side, "w_dim": source.z_dim}}

    def target(self, source: GAN, seed: int) -> GAN:
        """Return the target's networks at the start, the head at the scale of the source's features."""
        gan = super().target(source, seed)
        head = cast(Generator, gan.generator).head
        assert head is not None  # `configuration` asks for one
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            head.match.start(settled(self.scale))
        return gan


@dataclass(frozen=True)
class AdaFM(SmallHead):
    """SmallHead with adaptive filter modulation of G's general part."""

    name = "adafm"
    summary = "a small head on the frozen general part, whose filters get a scale and a shift for each pair of channels"

    waiting: float = option(1 / 6, "share of the iterations in which the modulations are still frozen", low=0, below=1)

    def settle(self, source: GAN) -> Self:
        """Settle what SmallHead does.

        Raises:
            UserError: if the filters would train beside their modulations.
        """
        if self.general_from == "scratch":
            raise UserError(
                f"{self.name} bends filters that stay as they are, and general_from=scratch trains them; use smallhead."
            )
        return super().settle(source)

    def build(self, task: Task) -> "AdaFMTraining":
        """Train the target's networks."""
        method = self.settle(task.source)
        return AdaFMTraining(method, task, method.target(task.source, task.seed))


class AdaFMTraining(LayerTransferTraining):
    """AdaFM at work: a modulation stands before each 3x3 convolution of the blocks of G's general part."""

    method: AdaFM

    def __init__(self, method: AdaFM, task: Task, gan: GAN) -> None:
        super().__init__(method, task, gan)
        for part in self.general["generator"]:
            for name, layer in list(layers(part)):
                if name.endswith(("conv0", "conv1")):  # neither the shortcuts nor the image's own convolution
                    attach(layer, "weight", adapters.AdaFM(layer.weight))

    def stages(self, iterations: int) -> Iterator[Stage]:
        """The head alone, then head and modulations."""
        waiting = min(round(iterations * self.method.waiting), iterations - 1)
        if waiting:
            yield Stage("head", waiting, [self.generator_player(), self.discriminator_player()])
        yield Stage("modulation", iterations - waiting, [self.bending_player(), self.discriminator_player()])

    def bending_player(self) -> Player:
        """G with the modulations of the general part."""
        player = self.generator_player()
        return replace(player, parameters=[*player.parameters, *adapters.adapters(self.generator)])

    def modulations(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Return (gamma, beta), each (out, in), of each modulated layer as it trains, from the latents to the image."""
        found = {}
        for name, layer in layers(self.generator.blocks):
            if is_adapted(layer, "weight"):
                bend = adapter_of(layer, "weight", adapters.AdaFM)
                found[name] = bend.gamma.detach()[:, :, 0, 0], bend.beta.detach()[:, :, 0, 0]
        return found

    def result(self, modules: nn.ModuleDict) -> GAN:
        """Return plain networks, modulations merged."""
        return merged(super().result(modules))
