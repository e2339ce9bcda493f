"""AdAM: find out which filters of the source matter for the target, keep those and bend them, fine-tune the others.

Paper: Zhao et al., "Few-shot Image Generation via Adaptation-Aware Kernel Modulation" (NeurIPS 2022, arXiv 2210.16559):

1. Importance probing (section 4.1): adapt only a rank-one modulation of every kernel for a short while, then estimate
   the Fisher information of the modulation's parameters. A filter's importance is that of its own modulation (equation
   4).
2. Hybrid training (section 4.3) from the source anew: filters above a quantile of importance stay as they are and are
   modulated, W' = W (1 + v u^T); those below are fine-tuned and not modulated.

What is in the choice follows the released code: in G the convolutions from 8 pixels on and the layers that map w to
their styles, in D the convolutions of its residual blocks; one quantile for each of the three. The 4-pixel convolution,
the image projections and the mapping network (or miner) of G and the projection from the image of D are always
modulated, G's constant is always kept, and D's last layers are always fine-tuned.

Differs: path-length regularisation and style mixing are off by default, where the released code has `path_length=2` and
`mixing=0.9`. Masked filters are restored after every step, instead of zeroing their gradients, which holds only for
Adam with beta1 = 0. In the layout "official" the modulation of a convolution is laid out as the released code does it
(see `KernelModulation`); of its other quirks, a style layer scaled by its outputs instead of its inputs is left out,
since the modulation would then not be the identity at the start. Importance is measured at the trained weights, not at
their moving average. Probing takes a quarter of the iterations, so that all methods have one budget (the paper: 500
beside 1,500).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from fewshotgan.adapters import (
    KernelModulation,
    Shift,
    adapter_of,
    adapters,
    attach,
    is_adapted,
    is_kernel,
    layers,
    merged,
    original,
)
from fewshotgan.files import UserError
from fewshotgan.fisher import Parameters, both_fisher
from fewshotgan.gans.gan import GAN
from fewshotgan.methods.finetuning import FineTuning, FineTuningTraining
from fewshotgan.methods.method import KeptRows, Stage, Task
from fewshotgan.methods.options import option

Filters = dict[str, Tensor]
"""By name of the layer, a number or a truth value for each filter, (out,)."""


def filter_importance(fisher: Parameters, layer: str) -> Tensor:
    """Return the importance of each filter of a layer, (out,): mean F_u + F_v, or (mean F_u + F_v + F_b) / 2 with a
    bias.

    The half is the released code's. `fisher` has the values of the layer's adapters by the adapters' names.
    """
    score = fisher[f"{layer}.parametrizations.weight.0.u"].mean() + fisher[f"{layer}.parametrizations.weight.0.v"]
    bias = fisher.get(f"{layer}.parametrizations.bias.0.shift")
    return score if bias is None else (score + bias) / 2


def important(scores: Filters, quantile: float) -> Filters:
    """Return which filters are important: those above the quantile (percent) of the filters of all these layers."""
    cut = torch.quantile(torch.cat(list(scores.values())).double(), quantile / 100)
    return {name: value.double() > cut for name, value in scores.items()}


def modulate(network: nn.Module, layout: str, rng: torch.Generator, but: Sequence[nn.Parameter] = ()) -> None:
    """Put a `KernelModulation` before every kernel and a `Shift` before every bias and noise strength, `but` some
    and G's constant.
    """
    left_out = {id(parameter) for parameter in but}
    for module in list(network.modules()):
        for name, parameter in list(module.named_parameters(recurse=False)):
            if id(parameter) not in left_out and name != "const":
                kernel = is_kernel(module, parameter)
                attach(module, name, KernelModulation(parameter, layout, rng=rng) if kernel else Shift(parameter))


@dataclass(frozen=True)
class AdAM(FineTuning):
    """Importance probing, then hybrid training."""

    name = "adam"
    paper = "Zhao et al., NeurIPS 2022, arXiv 2210.16559"
    summary = "probe which filters matter for the target; modulate those, fine-tune the others"

    quantile: float = option(
        50.0,
        "percent of the filters that are fine-tuned, the others are modulated (50 for close and 75 for distant targets "
        "in the released code)",
        low=0,
        high=100,
    )
    probing: float = option(0.25, "share of the iterations that probing takes", above=0, below=1)
    samples: int = option(64, "samples from which the Fisher information is estimated", low=1)
    layout: Literal["paper", "official"] = option("paper", "layout of the modulation")
    importance: Literal["fisher", "random", "reversed"] = option(
        "fisher", "importance of a filter; random and reversed are controls"
    )

    def build(self, task: Task) -> "AdAMTraining":
        """Train from a copy of the source."""
        return AdAMTraining(self.settle(task.source), task, task.source.copy())


class AdAMTraining(FineTuningTraining):
    """AdAM at work: a modulation stands before every kernel but those of D's last layers.

    Attributes:
        source: the state of `modules` at the start.
        scores: importance of the filters in the choice, by family, known after probing.
        chosen: which of them are important, likewise.
    """

    method: AdAM

    def __init__(self, method: AdAM, task: Task, gan: GAN) -> None:
        self.head = [parameter for module in gan.discriminator.groups()["4"] for parameter in module.parameters()]
        rng = torch.Generator().manual_seed(task.seed)
        modulate(gan.generator, method.layout, rng)
        modulate(gan.discriminator, method.layout, rng, self.head)
        super().__init__(method, task, gan)
        self.source = {name: value.clone() for name, value in self.modules.state_dict().items()}
        self.kept = {"generator": KeptRows(), "discriminator": KeptRows()}
        self.tuned: dict[str, list[nn.Parameter]] = {"generator": [], "discriminator": []}
        self.scores: dict[str, Filters] = {}
        self.chosen: dict[str, Filters] = {}

    def stages(self, iterations: int) -> Iterator[Stage]:
        """Probing, the choice, and hybrid training from the source."""
        if iterations < 2:
            raise UserError(f"{self.method.name} trains in two stages: give at least 2 iterations.")
        probe = min(max(1, round(iterations * self.method.probing)), iterations - 1)
        yield Stage("probing", probe, [self.discriminator_player(), self.generator_player()])
        self.scores = self.importance()
        self.chosen = {family: important(scores, self.method.quantile) for family, scores in self.scores.items()}
        self.modules.load_state_dict(self.source)
        self.divide(self.chosen)
        players = [self.discriminator_player(), self.generator_player()]
        for player in players:
            player.after_step = self.kept[player.name].restore
        yield Stage("adaptation", iterations - probe, players, restart=True)

    def generator_parameters(self) -> list[nn.Parameter]:
        """Modulations; in hybrid training also the kernels in the choice."""
        return [*adapters(self.generator), *self.tuned["generator"]]

    def discriminator_parameters(self) -> list[nn.Parameter]:
        """Modulations and the last layers; in hybrid training also the kernels in the choice."""
        return [*adapters(self.discriminator), *self.head, *self.tuned["discriminator"]]

    # --- importance probing --------------------------------------------------------------------------------------

    def families(self) -> dict[str, dict[str, nn.Module]]:
        """Return the layers in the choice, one quantile a family: {"convolutions" and "styles" of G, "discriminator":
        {name: layer}}.

        A generator without a mapping network has no styles.
        """
        found: dict[str, dict[str, nn.Module]] = {"convolutions": {}, "styles": {}, "discriminator": {}}
        always = {
            id(m) for key in ("mapping", "4") for part in self.generator.groups().get(key, []) for m in part.modules()
        }
        for name, layer in layers(self.generator):
            if id(layer) not in always and "to_image" not in name and not name.startswith("prior."):
                found["convolutions" if layer.weight.dim() == 4 else "styles"][name] = layer
        for name, layer in layers(self.discriminator):
            if is_adapted(layer, "weight") and "from_image" not in name:
                found["discriminator"][name] = layer
        return {family: members for family, members in found.items() if members}

    def importance(self) -> dict[str, Filters]:
        """Return the importance of the filters in the choice, by family."""
        fisher, kind = self.information(), self.method.importance
        rng = torch.Generator().manual_seed(self.task.seed)
        found: dict[str, Filters] = {}
        for family, members in self.families().items():
            network = "discriminator" if family == "discriminator" else "generator"
            scores = {name: filter_importance(fisher[network], name) for name in members}
            if kind == "random":
                scores = {name: torch.rand(len(value), generator=rng).to(value) for name, value in scores.items()}
            found[family] = {name: -value for name, value in scores.items()} if kind == "reversed" else scores
        return found

    def information(self) -> dict[str, Parameters]:
        """Return the Fisher information of both networks' modulations, from latents of the run's seed and repeated
        images.
        """
        z = self.task.source.latents(self.method.samples, seed=self.task.seed).to(self.task.images.device)
        bent = {id(parameter) for network in self.modules.values() for parameter in adapters(network)}
        names = {
            key: [name for name, parameter in network.named_parameters() if id(parameter) in bent]
            for key, network in self.modules.items()
        }
        return both_fisher(self.generator, self.discriminator, names, z, self.task.images, self.likelihood)

    # --- hybrid training -----------------------------------------------------------------------------------------

    def divide(self, chosen: dict[str, Filters]) -> None:
        """Settle, for each layer in the choice, which rows stay as they are: important kernels, and modulations of
        the others.
        """
        for kept in self.kept.values():
            kept.clear()
        for family, members in self.families().items():
            network = "discriminator" if family == "discriminator" else "generator"
            for name, layer in members.items():
                stay = chosen[family][name]
                for parameter in ("weight", "bias") if is_adapted(layer, "bias") else ("weight",):
                    plain = original(layer, parameter)
                    self.tuned[network].append(plain)
                    self.kept[network].keep(plain, stay)
                    if parameter == "weight":
                        rows = adapter_of(layer, parameter, KernelModulation).v
                    else:
                        rows = adapter_of(layer, parameter, Shift).shift
                    rows.data[~stay] = 0
                    self.kept[network].keep(rows, ~stay)

    def result(self, modules: nn.ModuleDict) -> GAN:
        """Return plain networks, modulations merged."""
        return merged(super().result(modules))
