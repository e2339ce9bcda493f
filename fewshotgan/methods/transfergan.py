"""TransferGAN: start from a pretrained generator and discriminator, fine-tune everything.

Paper: Wang et al., "Transferring GANs: generating images from limited data" (ECCV 2018, arXiv 1805.01677), section 4:
both networks are initialised from the source, neither is frozen.

Differs: the paper fine-tunes a WGAN-GP residual network by the WGAN-GP loss; here any family is fine-tuned by
StyleGAN2's losses, as "TGAN" is in the tables of CDC and AdAM: non-saturating logistic loss, lazy R1 (arXiv
1801.04406), optional lazy path-length regularisation (arXiv 1912.04958, section 3.2) and style mixing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from fewshotgan.files import UserError
from fewshotgan.gans.gan import GAN
from fewshotgan.gans.layers import EqualConv2d
from fewshotgan.gans.network import Discriminator, Generator, StyleGenerator
from fewshotgan.losses import (
    logistic_discriminator,
    logistic_generator,
    path_length_penalty,
    path_lengths,
    r1_penalty,
)
from fewshotgan.methods.method import Method, Penalty, Player, Stage, Task, Terms


@dataclass
class TransferGAN(Method):
    """Fine-tune all of G and D.

    Args:
        learning_rate: of both networks' Adam; by default 0.002, StyleGAN2's, where weights are equalised, a quarter of
            it elsewhere.
        r1_gamma: weight of R1 (the penalty is gamma / 2 |grad|^2); by default 10 at 256 pixels, falling with the area.
        r1_every: R1 is paid every so many iterations.
        path_length: weight of path-length regularisation, 0 for none (2 in the official code).
        path_length_every: its interval.
        mixing: probability of style mixing (0.9 in the official code at large resolutions).
    """

    name = "transfergan"
    paper = "Wang et al., ECCV 2018, arXiv 1805.01677"
    summary = "fine-tune all of G and D from the pretrained source"

    learning_rate: float | None = None
    r1_gamma: float | None = None
    r1_every: int = 16
    path_length: float = 0.0
    path_length_every: int = 4
    mixing: float = 0.0

    def settle(self, source: GAN) -> None:
        """Settle the rate and the weight of R1."""
        if self.r1_gamma is None:
            self.r1_gamma = 10 * (source.resolution / 256) ** 2
        if self.learning_rate is None:
            equalised = any(isinstance(module, EqualConv2d) for module in source.discriminator.modules())
            self.learning_rate = 0.002 if equalised else 0.0005

    def build(self, task: Task) -> None:
        """Copy both networks of the source."""
        self.task = task
        self.start(task.source.copy())

    def start(self, gan: GAN) -> None:
        """Train from the weights of this GAN, which is ours to change.

        Raises:
            UserError: if the generator has not the layers that an option needs, or `mixing` is no probability.
        """
        if self.mixing > 1:
            raise UserError(f"{self.name}: mixing={self.mixing} is a probability: give a number from 0 to 1.")
        driven, mixes = isinstance(gan.generator, StyleGenerator), gan.generator.num_ws > 0
        for option, possible in (("path_length", driven), ("mixing", mixes)):
            if getattr(self, option) and not possible:
                raise UserError(
                    f"{self.name}: {option} needs a generator whose mapping network feeds all its layers; "
                    f"{gan.name} has none."
                )
        self.config = gan.config
        self.modules = nn.ModuleDict({"generator": gan.generator, "discriminator": gan.discriminator})
        self.modules.register_buffer("path_average", torch.zeros((), device=gan.device))
        self.settle(gan)

    @property
    def generator(self) -> Generator:
        """The generator in training."""
        return cast(Generator, self.modules["generator"])

    @property
    def discriminator(self) -> Discriminator:
        """The discriminator in training."""
        return cast(Discriminator, self.modules["discriminator"])

    def stages(self, iterations: int) -> Iterator[Stage]:
        """One stage, discriminator first."""
        yield Stage("adaptation", iterations, [self.discriminator_player(), self.generator_player()])

    def discriminator_player(self) -> Player:
        """D minimises the logistic loss, and R1 every `r1_every` iterations."""
        penalties = [Penalty(self.r1_every, self.r1)] if self.r1_gamma else []
        parameters = self.discriminator_parameters()
        return Player("discriminator", parameters, self.discriminator_terms, self.learning_rate, penalties=penalties)

    def generator_player(self) -> Player:
        """G minimises the non-saturating loss, and the path-length penalty every `path_length_every` iterations."""
        penalties = [Penalty(self.path_length_every, self.path)] if self.path_length else []
        parameters = self.generator_parameters()
        return Player("generator", parameters, self.generator_terms, self.learning_rate, penalties=penalties)

    def discriminator_parameters(self) -> list[nn.Parameter]:
        """What trains of D: everything."""
        return list(self.discriminator.parameters())

    def generator_parameters(self) -> list[nn.Parameter]:
        """What trains of G: everything."""
        return list(self.generator.parameters())

    def discriminator_terms(self) -> Terms:
        """Logistic loss of augmented real and generated images."""
        fake = self.fakes()
        logits = self.judge(self.task.augmented(self.real()))
        self.task.augment.update(logits.detach())
        return {"logistic": logistic_discriminator(logits, self.judge(self.task.augmented(fake)))}

    def generator_terms(self) -> Terms:
        """Non-saturating loss of augmented generated images."""
        return {"logistic": logistic_generator(self.judge(self.task.augmented(self.generate())))}

    @torch.no_grad()
    def fakes(self) -> Tensor:
        """Return a batch of generated images (batch, C, H, W) for the discriminator's terms."""
        return self.generate()

    def real(self) -> Tensor:
        """Return a batch of real images (batch, C, H, W) for the adversarial terms."""
        return self.task.real()

    def latents(self) -> Tensor:
        """Return latents (batch, z_dim) for the adversarial terms."""
        return self.task.latents()

    def judge(self, x: Tensor) -> Tensor:
        """Return logits of images (N, C, H, W) as they are: (N, 1)."""
        return self.discriminator(x)

    def r1(self) -> Terms:
        """R1 of the real images as the discriminator sees them."""
        real = self.task.augmented(self.real()).detach().requires_grad_()
        return {"r1": r1_penalty(self.judge(real), real) * (self.r1_gamma / 2)}

    def path(self) -> Terms:
        """Path-length penalty on half a batch; its running average moves by 1 % each time."""
        generator = cast(StyleGenerator, self.generator)  # `start` made sure
        w = generator.map_to_w(self.task.latents(max(1, self.task.batch // 2)))
        w = w if w.requires_grad else w.detach().requires_grad_()  # where nothing before w trains
        images = generator.synthesise(w, rng=self.task.rng)
        noise = torch.randn(images.shape, generator=self.task.rng, device=images.device)
        lengths = path_lengths(images, w, noise)
        average = self.modules.path_average
        average.lerp_(lengths.detach().mean(), 0.01)
        return {"path_length": path_length_penalty(lengths, average) * self.path_length}

    def generate(self) -> Tensor:
        """Return a batch of images of the generator in training, with style mixing at its probability."""
        z, rng = self.latents(), self.task.rng
        if self.mixing and torch.rand((), generator=rng, device=z.device) < self.mixing:
            cut = int(torch.randint(1, self.generator.num_ws, (), generator=rng, device=z.device))
            return self.generator(z, mix=self.latents(), mix_from=cut, rng=rng)
        return self.generator(z, rng=rng)

    def result(self, modules: nn.ModuleDict) -> GAN:
        """Return generator and discriminator as they are: nothing was added to them."""
        return GAN(modules["generator"], modules["discriminator"], self.config, f"{self.task.source.name}+{self.name}")
