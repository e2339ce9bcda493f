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

Conditional GANs: no labels; a second miner chooses the classes from the same u (`gans/prior.py`).

Differs: the paper's losses are those of WGAN-GP; here each family keeps its own (logistic, R1), as in the released
StyleGAN2 version. That version clears the miner's gradients never, so that they pile up; here they are cleared at each
step, like all. Of its miners only the one before the mapping network is here, not those that replace the constant or
the noise inputs. The selector is a softmax of one number for each generator, trained by cross-entropy to predict the
highest-scoring one, as a head of the miner is in the released MNIST version; its optimum is the frequency with which
each generator wins. The critic is the first generator's, not a random one's. In a family with batch norm the
generator's running statistics serve while it is mined, so that G is fixed to the bit; fine-tuning normalises each batch
by itself, like all other fine-tuning. While G is fixed, critic and miner see one batch of generated images, which saves
a pass through G. The critic's part of the cost stays: by operations a mining step costs 0.84 of a full one where G and
D cost the same (`tests/benchmarks/bench.py`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fewshotgan.files import UserError
from fewshotgan.gans.gan import GAN, MIXTURE
from fewshotgan.gans.layers import hold_statistics
from fewshotgan.gans.mixture import Generator as Mixture
from fewshotgan.losses import logistic_discriminator, logistic_generator
from fewshotgan.methods.method import Player, Stage, Terms
from fewshotgan.methods.transfergan import TransferGAN

MINERS, SELECTORS = ("trained", "random"), ("learned", "uniform")


@dataclass
class Mining(TransferGAN):
    """Mining alone: miner and critic train, the generator is fixed; options as `TransferGAN`, and these.

    Args:
        miner: "trained", or a control: "random" stays as it is drawn.
        selector: of several GANs "learned", or a control: "uniform".
        selector_rate: learning rate of the selector.
    """

    name = "minegan-noft"
    paper = "Wang et al., CVPR 2020, arXiv 1912.05270"
    summary = "a miner finds the latents whose images look like the target; G fixed"
    several = True
    conditional = True

    miner: str = "trained"
    selector: str = "learned"
    selector_rate: float = 0.01

    def start(self, gan: GAN) -> None:
        """Put a fresh miner before each generator."""
        self.check()
        bare = gan.changed(prior=None)  # a miner that was there before goes: `changed` would keep its weights
        super().start(bare.changed(self.task.seed, prior={"kind": "miner"}))
        self.combined = gan.config["family"] == MIXTURE
        self.fixed = True  # whether G is
        # of the selector after each iteration since the start or the last resumption
        self.probabilities: list[list[float]] = []

    def check(self) -> None:
        """Raise one sentence for an option that can't be."""
        for name, value, possible in (("miner", self.miner, MINERS), ("selector", self.selector, SELECTORS)):
            if value not in possible:
                raise UserError(f"{self.name}: {name}={value!r} is unknown: give {' or '.join(possible)}.")

    def stages(self, iterations: int) -> Iterator[Stage]:
        """One stage, G fixed."""
        yield self.mining_stage(iterations)

    def mining_stage(self, iterations: int) -> Stage:
        """Train critic, miners and selector."""
        return Stage("mining", iterations, self.players(), before=self.mine)

    def mine(self, _iteration: int) -> None:
        """Draw the images of this iteration, for critic and miners; running statistics stay."""
        hold_statistics(self.generator)
        self.modules.requires_grad_(False)
        for parameter in self.generator_parameters():
            parameter.requires_grad_(True)
        self.mined = self.supersamples()

    def players(self) -> list[Player]:
        """The critic, what trains of the generators, and the selector, if there is something to select."""
        players = [self.discriminator_player()]
        if self.generator_parameters():
            players.append(self.generator_player())
        if self.combined and self.selector == "learned":
            selector = cast(Mixture, self.generator).selector
            players.append(
                Player("selector", [selector], self.selector_terms, self.selector_rate, after_step=self.follow)
            )
        return players

    def generators(self) -> list[nn.Module]:
        """Return the generators, one or several."""
        return list(self.generator.parts) if self.combined else [self.generator]

    def miners(self) -> list[nn.Parameter]:
        """Return the parameters of all miners."""
        return [parameter for generator in self.generators() for parameter in generator.prior.parameters()]

    def generator_parameters(self) -> list[nn.Parameter]:
        """What trains of G: the miners alone, or, fine-tuned, everything but the selector; a random miner never."""
        miners = self.miners()
        if self.fixed:
            return miners if self.miner == "trained" else []
        kept = {id(parameter) for parameter in miners if self.miner == "random"}
        return [p for generator in self.generators() for p in generator.parameters() if id(p) not in kept]

    def discriminator_terms(self) -> Terms:
        """Logistic loss of real images and of the best image of each supersample (equation 2, with the maximum)."""
        with torch.no_grad():
            fakes = self.mined if self.fixed else self.supersamples()
        logits = self.judge(self.task.augmented(self.real()))
        self.task.augment.update(logits.detach())
        best = self.scores([fake.detach() for fake in fakes]).max(dim=0)
        self.winners = best.indices.flatten()
        return {"logistic": logistic_discriminator(logits, best.values)}

    def generator_terms(self) -> Terms:
        """Non-saturating loss of the best image of each supersample (equation 3, with the maximum)."""
        fakes = self.mined if self.fixed else self.supersamples()
        return {"logistic": logistic_generator(self.scores(fakes).max(dim=0).values)}

    def selector_terms(self) -> Terms:
        """Cross-entropy of the selector's probabilities with the generators that won, as the critic saw them in its
        move.
        """
        logits = self.generator.selector.expand(len(self.winners), -1)
        return {"cross_entropy": F.cross_entropy(logits, self.winners)}

    def follow(self) -> None:
        """Keep the selector's probabilities, to be looked at."""
        self.probabilities.append(cast(Mixture, self.generator).probabilities().tolist())

    def supersamples(self) -> list[Tensor]:
        """Return a batch of each generator's images of the same u."""
        if not self.combined:
            return [self.generate()]
        u = self.task.latents()
        return [self.generator.part(i, u, rng=self.task.rng) for i in range(len(self.generator.parts))]

    def scores(self, fakes: list[Tensor]) -> Tensor:
        """Return the critic's logits of each generator's images, (generators, batch, 1)."""
        return torch.stack([self.judge(self.task.augmented(fake)) for fake in fakes])


@dataclass
class MineGAN(Mining):
    """Mining, then fine-tuning of miner, generator and critic; options as `Mining`, and this one.

    Args:
        mining: share of the iterations in which G is fixed (a half on MNIST in the released code).
    """

    name = "minegan"
    summary = "a miner finds the latents whose images look like the target; then all is fine-tuned; one GAN or several"

    mining: float = 0.5

    def check(self) -> None:
        """Raise one sentence for an option that can't be."""
        super().check()
        if not 0 < self.mining < 1:
            raise UserError(
                f"{self.name}: mining={self.mining} is a share of the iterations: give a number between 0 and 1."
            )

    def stages(self, iterations: int) -> Iterator[Stage]:
        """Mining, then fine-tuning."""
        if iterations < 2:
            raise UserError(f"{self.name} trains in two stages: give at least 2 iterations.")
        mining = min(max(1, round(iterations * self.mining)), iterations - 1)
        yield self.mining_stage(mining)
        self.fixed = False
        yield Stage("fine-tuning", iterations - mining, self.players())
