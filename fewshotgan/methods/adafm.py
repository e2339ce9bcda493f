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
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fewshotgan import adapters
from fewshotgan.adapters import adapter_of, attach, is_adapted, layers, merged
from fewshotgan.files import UserError
from fewshotgan.gans.gan import GAN
from fewshotgan.methods.layer_transfer import HEAD_AT, LayerTransfer
from fewshotgan.methods.method import Stage

SAMPLES = 64  # of the source, by which the scale of its features is measured


@torch.no_grad()
def feature_scale(source: GAN, groups: int, seed: int = 0) -> float:
    """Return the deviation over pixels, mean over channels and samples, of the features that the last `groups`
    groups of G go on with.
    """
    seen: list[float] = []

    def measure(x: Tensor) -> None:
        seen.append(float(x.std(dim=(2, 3)).mean()))

    if groups == 1:  # the convolution at the image alone, with the activation before it
        hook = list(source.generator.blocks.values())[-1].register_forward_hook(
            lambda _module, _inputs, output: measure(output)
        )
    else:
        module = list(source.generator.counted().values())[groups - 1][0]
        hook = module.register_forward_pre_hook(lambda _module, inputs: measure(inputs[0]))
    source.generator(source.latents(SAMPLES, seed).to(source.device), noise="const")
    hook.remove()
    return seen[0]


@torch.no_grad()
def dialled(adapted: GAN, source: GAN, share: float) -> GAN:
    """Return an adapted GAN whose modulations are turned to a share, 0 for the source's filters, 1 for the target's.

    Equation 1 is linear in gamma and beta, so that 1 + share (gamma - 1) and share * beta make W + share (W' - W): of
    the folded weights a straight line.

    Args:
        adapted: made by AdaFM, modulations folded in.
        source: what it was adapted from.
        share: usually 0..1.
    """
    gan = adapted.copy()
    weights = dict(source.generator.blocks.named_parameters())
    for name, value in gan.generator.blocks.named_parameters():
        if name.endswith(("conv0.weight", "conv1.weight")):
            value.copy_(torch.lerp(weights[name], value, share))
    return gan


@dataclass
class SmallHead(LayerTransfer):
    """Layer transfer with the tailored head.

    Args:
        specific_from: of D's specific part alone, since the head starts fresh.
        scale: at which the head's last layer starts; by default that of the source's features at its place.
    """

    name = "smallhead"
    summary = "freeze the general part, with a small head of style blocks in place of G's specific part"

    scale: float | None = None

    def configuration(self, source: GAN) -> dict[str, Any]:
        """Return the target's configuration: the source's with a small head up to G's general part.

        Raises:
            UserError: if the general part leaves no room for a style block, or nothing is general.
        """
        general, config = self.counts["generator"], super().configuration(source)
        side = source.resolution >> (general - 1) if general else 0
        if side < HEAD_AT:
            most = (source.resolution // HEAD_AT).bit_length()
            raise UserError(
                f"{self.name}: a small head makes features of at least {HEAD_AT} pixels for G's general part, "
                f"so that of {source.name} "
                f"can be G1 to G{most}, not G{general}."
            )
        return {**config, "generator": {**config["generator"], "head": side, "w_dim": source.z_dim}}

    def target(self, source: GAN) -> GAN:
        """Return the target's networks at the start, the head at the scale of the source's features."""
        gan = super().target(source)
        if self.scale is None:
            self.scale = feature_scale(source, self.counts["generator"], self.task.seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.task.seed)
            gan.generator.head.match.start(self.scale)
        return gan


@dataclass
class AdaFM(SmallHead):
    """SmallHead with adaptive filter modulation of G's general part.

    Args:
        waiting: share of the iterations in which the modulations are still frozen.
    """

    name = "adafm"
    summary = "a small head on the frozen general part, whose filters get a scale and a shift for each pair of channels"

    waiting: float = 1 / 6

    def start(self, gan: GAN) -> None:
        """Put a modulation before each 3x3 convolution of the blocks of G's general part.

        Raises:
            UserError: if `waiting` is no share, or the filters would train beside their modulations.
        """
        if self.general_from == "scratch":
            raise UserError(
                f"{self.name} bends filters that stay as they are, and general_from=scratch trains them; use smallhead."
            )
        if not 0 <= self.waiting < 1:
            raise UserError(
                f"{self.name}: waiting={self.waiting} is a share of the iterations: give a number from 0 to below 1."
            )
        super().start(gan)
        self.bending = False
        for part in self.general_part("generator"):
            for name, layer in list(layers(part)):
                if name.endswith(("conv0", "conv1")):  # neither the shortcuts nor the image's own convolution
                    attach(layer, "weight", adapters.AdaFM(layer.weight))

    def stages(self, iterations: int) -> Iterator[Stage]:
        """The head alone, then head and modulations."""
        waiting = min(round(iterations * self.waiting), iterations - 1)
        if waiting:
            yield Stage("head", waiting, [self.generator_player(), self.discriminator_player()])
        self.bending = True
        yield Stage("modulation", iterations - waiting, [self.generator_player(), self.discriminator_player()])

    def generator_parameters(self) -> list[nn.Parameter]:
        """What trains of G: the head, and later the modulations of the general part."""
        return [*super().generator_parameters(), *(adapters.adapters(self.generator) if self.bending else [])]

    def modulations(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Return (gamma, beta), each (out, in), of each modulated layer as it trains, from the latents to the image."""
        found = {}
        for name, layer in layers(self.generator.blocks):
            if is_adapted(layer, "weight"):
                bend = adapter_of(layer, "weight", adapters.AdaFM)
                found[name] = bend.gamma.detach()[:, :, 0, 0], bend.beta.detach()[:, :, 0, 0]
        return found

    def result(self, modules: nn.ModuleDict) -> GAN:
        """Return plain networks, modulations folded in."""
        return merged(super().result(modules))
