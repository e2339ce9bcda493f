"""MineGAN: find where in the latent space of one GAN, or of several, images like the target lie; then fine-tune from
there.

Paper: Wang et al., "MineGAN: effective knowledge transfer from GANs to target domains with few images" (CVPR 2020,
arXiv 1912.05270):

1. Mining (equations 2 and 3): a miner M, a small multilayer perceptron, turns standard normal u into latents z = M(u).
   M and the critic D train on the target, G stays as it is. Alone this is the method "MineGAN (w/o FT)".
2. Fine-tuning: M, G and D train together.

Several GANs: each generator has its miner, the critic is that of one of them. The images of all generators for one u
are a supersample, which counts as its best image: D(G_i(M_i(u))) is maximised over i in both losses, so that only the
highest-scoring generator is trained. The selector learns the probabilities with which the generators are used
afterwards.

Conditional GANs: no labels; a second miner chooses the classes from the same u, or in a BigGAN makes a vector in the
place of the class's (`gans/prior.py`).

Each family keeps its own loss: WGAN-GP's networks that of the paper, StyleGAN2 the logistic one, as in the released
StyleGAN2 version. Where the critic moves several times, each move has a fresh batch, and the miner goes on with the
last one.

Differs: the released StyleGAN2 version clears the miner's gradients never, so that they pile up; here they are cleared
at each step, like all. It mines the constant too, and the released StyleGAN version the noise; here they are options of
a StyleGAN2 (`semantic`), off unless asked for, since the paper has the miner of the latents alone. The selector is a
softmax of one number for each generator, trained by cross-entropy to predict the highest-scoring one, as a head of the
miner is in the released MNIST version; its optimum is the frequency with which each generator wins. The critic is the
first generator's, not a random one's. In a family with batch norm the generator's running statistics serve while it is
mined, so that G is fixed to the bit; fine-tuning normalises each batch by itself, like all other fine-tuning. While G
is fixed, critic and miner see one batch of generated images, which saves a pass through G. The critic's part of the
cost stays: by operations a mining step costs 0.84 of a full one where G and D cost the same
(`tests/benchmarks/bench.py`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fewshotgan.files import UserError
from fewshotgan.gans import network
from fewshotgan.gans.gan import GAN, MIXTURE
from fewshotgan.gans.layers import hold_statistics
from fewshotgan.gans.mixture import Generator as Mixture
from fewshotgan.gans.semantic import Semantic
from fewshotgan.methods.finetuning import FineTuning, FineTuningTraining
from fewshotgan.methods.method import Batch, Player, Stage, Task, Terms
from fewshotgan.methods.options import option


@dataclass(frozen=True)
class Mining(FineTuning):
    """Mining alone: miner and critic train, the generator is fixed."""

    name = "minegan-noft"
    paper = "Wang et al., CVPR 2020, arXiv 1912.05270"
    summary = "a miner finds the latents whose images look like the target; G fixed"
    multi_source = True
    conditional = True

    miner: Literal["trained", "random"] = option("trained", "the miner; random, a control, stays as it is drawn")
    semantic: Literal["none", "constant", "noise"] = option(
        "none", "the other input of a StyleGAN2 that is mined with the latents"
    )
    selector: Literal["learned", "uniform"] = option("learned", "the selector of several GANs; uniform is a control")
    selector_rate: float = option(0.01, "learning rate of the selector", above=0)

    def build(self, task: Task) -> "MiningTraining":
        """Train a copy of the source with a fresh miner before each generator."""
        return MiningTraining(self.settle(task.source), task, with_miners(task.source, task.seed, self.semantic))


def with_miners(source: GAN, seed: int, semantic: Semantic) -> GAN:
    """Return a copy of a GAN with a fresh miner before each generator, in place of any that was there, and one of
    another input if that is asked for.

    Raises:
        UserError: if the generator has no such input.
    """
    sizes = source.config["generator"]
    if semantic != "none" and source.config["family"] != "stylegan2":
        raise UserError(f"{source.name} has no {semantic} to mine: leave out semantic, or start from one StyleGAN2.")
    if semantic == "noise" and not sizes.get("noise", True):
        raise UserError(f"{source.name} has no noise inputs to mine: leave out semantic, or mine the constant.")
    plain: dict[str, Any] = {"prior": None, **({"semantic": "none"} if "semantic" in sizes else {})}
    mined: dict[str, Any] = {"prior": {"kind": "miner"}, **({} if semantic == "none" else {"semantic": semantic})}
    return source.changed(**plain).changed(seed, **mined)  # one step alone would keep the weights of a miner


class MiningTraining(FineTuningTraining):
    """Mining at work.

    Attributes:
        combined: whether there are several generators.
        probabilities: of the selector after each iteration since the start or the last resumption.
    """

    method: Mining

    def __init__(self, method: Mining, task: Task, gan: GAN) -> None:
        super().__init__(method, task, gan)
        self.combined = gan.config["family"] == MIXTURE
        self.probabilities: list[list[float]] = []

    @property
    def mixture(self) -> Mixture:
        """The several generators."""
        return cast(Mixture, self.generator)

    def stages(self, iterations: int) -> Iterator[Stage]:
        """One stage, G fixed."""
        yield self.mining_stage(iterations)

    def mining_stage(self, iterations: int) -> Stage:
        """Train critic, miners and selector."""
        return Stage("mining", iterations, self.players(self.mined_parameters()), before=self.mine)

    def mine(self, batch: Batch) -> None:
        """Draw the images of this iteration, for critic and miners; running statistics stay."""
        hold_statistics(self.generator)
        for part in self.mined():
            part.train()
        self.modules.requires_grad_(False)
        for parameter in self.mined_parameters():
            parameter.requires_grad_(True)
        batch.update({f"fake {i}": fake for i, fake in enumerate(self.draw(batch))})

    def players(self, parameters: list[nn.Parameter]) -> list[Player]:
        """The critic, what trains of the generators, and the selector, if there is something to select."""
        players = [self.discriminator_player()]
        if parameters:
            players.append(replace(self.generator_player(), parameters=parameters))
        if self.combined and self.method.selector == "learned":
            selector, rate = [self.mixture.selector], self.method.selector_rate
            players.append(Player("selector", selector, self.selector_terms, rate, after_step=self.follow))
        return players

    def generators(self) -> list[network.Generator]:
        """Return the generators, one or several."""
        return list(self.mixture.parts) if self.combined else [self.generator]

    def mined(self) -> list[nn.Module]:
        """Return all miners."""
        return [part for generator in self.generators() for part in generator.mined()]

    def miners(self) -> list[nn.Parameter]:
        """Return the parameters of all miners."""
        return [parameter for part in self.mined() for parameter in part.parameters()]

    def mined_parameters(self) -> list[nn.Parameter]:
        """What trains while G is fixed: the miners, but random ones never."""
        return self.miners() if self.method.miner == "trained" else []

    def generator_parameters(self) -> list[nn.Parameter]:
        """What trains when G is fine-tuned: everything but the selector and random miners."""
        kept = {id(parameter) for parameter in self.miners() if self.method.miner == "random"}
        return [p for generator in self.generators() for p in generator.parameters() if id(p) not in kept]

    def discriminator_terms(self, batch: Batch) -> Terms:
        """Adversarial loss of real images and of the best image of each supersample (equation 2, with the maximum);
        which generators won is left for the selector.
        """
        with torch.no_grad():
            fakes = self.supersamples(batch)
        real = self.task.augmented(self.real(batch))
        logits = self.judge(real, batch)
        self.task.augment.update(logits.detach())
        seen = [self.task.augmented(fake.detach()) for fake in fakes]
        best = self.scores(seen, batch).max(dim=0)
        batch["winners"] = best.indices.flatten()
        winning = torch.stack(seen)[batch["winners"], torch.arange(len(real), device=real.device)]
        return self.discriminator_loss(logits, best.values) | self.due_penalty(real, winning, batch)

    def generator_terms(self, batch: Batch) -> Terms:
        """Adversarial loss of the best image of each supersample (equation 3, with the maximum)."""
        seen = [self.task.augmented(fake) for fake in self.supersamples(batch)]
        return self.generator_loss(self.scores(seen, batch).max(dim=0).values, batch)

    def selector_terms(self, batch: Batch) -> Terms:
        """Cross-entropy of the selector's probabilities with the generators that won, as the critic saw them in its
        move.
        """
        winners = batch["winners"]
        return {"cross_entropy": F.cross_entropy(self.mixture.selector.expand(len(winners), -1), winners)}

    def follow(self) -> None:
        """Keep the selector's probabilities, to be looked at."""
        self.probabilities.append(self.mixture.probabilities().tolist())

    def supersamples(self, batch: Batch) -> list[Tensor]:
        """Return each generator's images (batch, C, H, W) of the same u: the iteration's while G is fixed, else fresh
        ones.
        """
        names = [f"fake {i}" for i in range(len(self.generators()))]
        return [batch[name] for name in names] if names[0] in batch else self.draw(batch)

    def draw(self, batch: Batch) -> list[Tensor]:
        """Return fresh images (batch, C, H, W) of each generator, of the same u."""
        if not self.combined:
            return [self.generate(batch)]
        u = self.task.latents()
        return [self.mixture.part(i, u, rng=self.task.rng) for i in range(len(self.mixture.parts))]

    def scores(self, seen: list[Tensor], batch: Batch) -> Tensor:
        """Return the critic's logits of each generator's augmented images, (generators, batch, 1)."""
        return torch.stack([self.judge(fake, batch) for fake in seen])


@dataclass(frozen=True)
class MineGAN(Mining):
    """Mining, then fine-tuning of miner, generator and critic."""

    name = "minegan"
    summary = "a miner finds the latents whose images look like the target; then all is fine-tuned; one GAN or several"

    mining: float = option(
        0.5, "share of the iterations in which G is fixed (a half on MNIST in the released code)", above=0, below=1
    )

    def build(self, task: Task) -> "MineGANTraining":
        """Train a copy of the source with a fresh miner before each generator."""
        return MineGANTraining(self.settle(task.source), task, with_miners(task.source, task.seed, self.semantic))


class MineGANTraining(MiningTraining):
    """MineGAN at work."""

    method: MineGAN

    def stages(self, iterations: int) -> Iterator[Stage]:
        """Mining, then fine-tuning."""
        if iterations < 2:
            raise UserError(f"{self.method.name} trains in two stages: give at least 2 iterations.")
        mining = min(max(1, round(iterations * self.method.mining)), iterations - 1)
        yield self.mining_stage(mining)
        yield Stage("fine-tuning", iterations - mining, self.players(self.generator_parameters()))
