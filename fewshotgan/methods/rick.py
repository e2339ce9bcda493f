"""RICK: as it trains, freeze the filters that matter, fine-tune the others, prune the few that matter least.

Paper: Zhao et al., "Exploring Incompatible Knowledge Transfer in Few-shot Image Generation" (CVPR 2023, arXiv
2304.07574), section 4: every so many iterations the Fisher information of each filter is estimated anew on the adapted
networks; filters above a high quantile are kept as they are, those below a tiny quantile are set to zero for good (they
carry what does not fit the target), the rest is fine-tuned. A warm-up trains D's last layers alone.

What is in the choice follows the released code: in G the convolutions from 8 pixels on, in D the convolutions of its
residual blocks, a quantile for each network; a filter of D goes with its bias.

Differs: path-length regularisation and style mixing are off by default, where the released code has `path_length=2` and
`mixing=0.9`. Importance is measured at the trained weights, not at their moving average; what is pruned is zero in the
moving average too, from which the result is made (the released code leaves it to fade there). G's style layers, which
have a quantile of their own in the released code, always train. The warm-up takes an eighth of the iterations, the
share of the released code.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self, cast

import torch
from torch import Tensor, nn

from fewshotgan.adapters import Kernel, layers
from fewshotgan.files import UserError
from fewshotgan.fisher import both_fisher
from fewshotgan.gans.gan import GAN
from fewshotgan.gans.network import Network
from fewshotgan.methods.finetuning import FineTuning, FineTuningTraining
from fewshotgan.methods.method import KeptRows, Stage, Task
from fewshotgan.methods.options import option

NETWORKS = ("generator", "discriminator")


@dataclass(frozen=True)
class RICK(FineTuning):
    """Freeze, fine-tune and prune, estimated again and again."""

    name = "rick"
    paper = "Zhao et al., CVPR 2023, arXiv 2304.07574"
    summary = "freeze the filters that matter, prune those that don't fit, again and again as it trains"
    memoryless = True  # of many stages: each estimate begins anew, and what is pruned lies with the networks

    quantile: float = option(
        60.0,
        "percent of the filters that may train; those above are frozen until the next estimate (40 for close and 85 "
        "for distant targets in the released code)",
        low=0,
        high=100,
    )
    prune: float = option(0.1, "percent of the filters that are pruned at each estimate", low=0, below=100)
    every: int = option(50, "iterations between estimates", low=1)
    warmup: float = option(0.125, "share of the iterations that trains D's last layers alone", low=0, below=1)
    samples: int = option(20, "samples from which the Fisher information is estimated", low=1)

    def settle(self, source: GAN) -> Self:
        """Settle what TransferGAN does.

        Raises:
            UserError: if more is pruned than may train.
        """
        if self.prune > self.quantile:
            raise UserError(
                f"{self.name}: quantile={self.quantile:g} and prune={self.prune:g} are percentages with prune the "
                "smaller."
            )
        return super().settle(source)

    def build(self, task: Task) -> "RICKTraining":
        """Train from a copy of the source."""
        return RICKTraining(self.settle(task.source), task, task.source.copy())


class RICKTraining(FineTuningTraining):
    """RICK at work; nothing is frozen or pruned at first, and which filters were pruned lies in `modules`."""

    method: RICK

    def __init__(self, method: RICK, task: Task, gan: GAN) -> None:
        super().__init__(method, task, gan)
        self.kept = {"generator": KeptRows(), "discriminator": KeptRows()}
        for name, layer in self.filters().items():
            none = torch.zeros(len(layer.weight), dtype=torch.bool, device=layer.weight.device)
            self.modules.register_buffer(pruned_key(name), none)

    def stages(self, iterations: int) -> Iterator[Stage]:
        """The warm-up, then spans between two estimates."""
        warmup = round(iterations * self.method.warmup)
        if warmup:
            yield Stage("warm-up", warmup, [replace(self.discriminator_player(), parameters=self.last_layers())])
        for first in range(warmup, iterations, self.method.every):
            self.estimate()
            players = [self.discriminator_player(), self.generator_player()]
            for player in players:
                player.after_step = self.kept[player.name].restore
            yield Stage("adaptation", min(self.method.every, iterations - first), players)

    def last_layers(self) -> list[nn.Parameter]:
        """Return D's last layers, which alone train while it warms up."""
        return [parameter for module in self.discriminator.groups()["4"] for parameter in module.parameters()]

    def filters(self) -> dict[str, Kernel]:
        """Return the convolutions in the choice, by name in `modules`: G's from 8 pixels on but to the image, those
        of D's blocks.
        """
        networks = {key: cast(Network, self.modules[key]) for key in NETWORKS}
        left_out = {id(part) for net in networks.values() for module in net.groups()["4"] for part in module.modules()}
        return {
            f"{network}.{name}": layer
            for network in NETWORKS for name, layer in layers(networks[network])
            if layer.weight.dim() == 4 and id(layer) not in left_out and "image" not in name
        }  # fmt: skip

    def rows(self, name: str, layer: nn.Module) -> list[nn.Parameter]:
        """Return the parameters of which a row belongs to one filter of a layer: its weight, and in D its bias."""
        kinds = ("weight", "bias") if name.startswith("discriminator") else ("weight",)
        return [parameter for kind in kinds if (parameter := getattr(layer, kind, None)) is not None]

    def estimate(self) -> None:
        """Estimate each filter's Fisher information, and settle which are frozen and which are pruned."""
        scores, filters = self.importance(), self.filters()
        for network in NETWORKS:
            self.kept[network].clear()
            members = {name: value for name, value in scores.items() if name.startswith(network)}
            pooled = torch.cat(list(members.values())).double()
            high, low = (torch.quantile(pooled, percent / 100) for percent in (self.method.quantile, self.method.prune))
            for name, value in members.items():
                pruned = self.modules.get_buffer(pruned_key(name))
                if self.method.prune:
                    pruned |= value.double() <= low
                for parameter in self.rows(name, filters[name]):
                    with torch.no_grad():
                        parameter[pruned] = 0
                    self.kept[network].keep(parameter, pruned | (value.double() > high))

    def importance(self) -> dict[str, Tensor]:
        """Return each filter's Fisher information, (out,), by name of the layer: its weights' mean, or half of that
        and its bias's sum.
        """
        z = self.task.source.latents(self.method.samples, seed=self.task.seed).to(self.task.images.device)
        names: dict[str, list[str]] = {network: [] for network in NETWORKS}
        for layer, module in self.filters().items():
            network, name = layer.split(".", 1)
            names[network] += [
                f"{name}.{kind}" for kind, _ in zip(("weight", "bias"), self.rows(layer, module), strict=False)
            ]
        found = both_fisher(self.generator, self.discriminator, names, z, self.task.images, self.likelihood)
        scores = {}
        for layer in self.filters():
            network, name = layer.split(".", 1)
            score, bias = found[network][f"{name}.weight"].flatten(1).mean(dim=1), found[network].get(f"{name}.bias")
            scores[layer] = score if bias is None else (score + bias) / 2
        return scores

    def result(self, modules: nn.ModuleDict) -> GAN:
        """Return plain networks in which the pruned filters are zero, which a moving average alone forgets slowly."""
        gan = super().result(modules)
        networks = {"generator": gan.generator, "discriminator": gan.discriminator}
        with torch.no_grad():
            for name in self.filters():
                network, layer = name.split(".", 1)
                for parameter in self.rows(name, networks[network].get_submodule(layer)):
                    parameter[self.modules.get_buffer(pruned_key(name))] = 0
        return gan


def pruned_key(layer: str) -> str:
    """Return the name under which `modules` has a layer's pruned filters, saved with the networks."""
    return f"pruned {layer}".replace(".", " ")
