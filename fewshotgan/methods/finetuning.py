"""Fine-tuning of a generator and a discriminator against each other, which most methods change in a few places.

Each family keeps its own paper's loss: WGAN-GP's residual networks that of WGAN-GP; SNGAN and BigGAN the hinge loss;
all others, as "TGAN" in the tables of CDC and AdAM, StyleGAN2's: the non-saturating logistic loss with lazy R1 (arXiv
1801.04406), optionally with lazy path-length regularisation (arXiv 1912.04958, section 3.2) and style mixing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self, cast

import torch
from torch import Tensor, nn

from fewshotgan.augment import ADA
from fewshotgan.files import UserError
from fewshotgan.gans.gan import GAN
from fewshotgan.gans.layers import EqualConv2d
from fewshotgan.gans.network import Discriminator, Generator, StyleGenerator
from fewshotgan.losses import (
    LOSSES,
    Adversarial,
    adversarial,
    gradient_penalty,
    interpolates,
    path_length_penalty,
    path_lengths,
    r1_penalty,
)
from fewshotgan.methods.method import Batch, Method, Penalty, Player, Stage, Task, Terms, Training, settled
from fewshotgan.methods.options import option


@dataclass(frozen=True)
class FineTuning(Method):
    """Base of the methods that train G and D against each other; each says where from, and which parts."""

    name = "fine-tuning"
    usual_r1: ClassVar[tuple[float, int]] = 10, 256  # weight by default, at images of so many pixels

    learning_rate: float | None = option(
        None,
        "rate of both networks' Adam; by default 0.002, StyleGAN2's, where weights are equalised, a quarter of it "
        "elsewhere",
        above=0,
    )
    loss: Literal["logistic", "relativistic", "hinge", "wgan_gp"] | None = option(
        None,
        "adversarial loss; by default that of the family's paper. relativistic (R3GAN, arXiv 2501.05441) judges each "
        "real image against a generated one; wgan_gp has five steps of D for each of G",
    )
    r1_gamma: float | None = option(
        None,
        "weight of R1 (the penalty is gamma / 2 |grad|^2); by default 10 at 256 pixels, falling with the area, and 0 "
        "with hinge and wgan_gp",
        low=0,
    )
    r2_gamma: float = option(0.0, "weight of R2, the same penalty on generated images", low=0)
    r1_every: int = option(16, "iterations between payments of R1 and R2", low=1)
    path_length: float = option(
        0.0, "weight of path-length regularisation, 0 for none (2 in StyleGAN2's official code)", low=0
    )
    path_length_every: int = option(4, "iterations between its payments", low=1)
    mixing: float = option(
        0.0, "probability of style mixing (0.9 in StyleGAN2's official code at large resolutions)", low=0, high=1
    )

    def settle(self, source: GAN) -> Self:
        """Settle the rate, the loss and the weight of R1."""
        loss, gamma, rate = self.loss or source.discriminator.paper_loss.name, self.r1_gamma, self.learning_rate
        if rate is None:
            equalised = any(isinstance(module, EqualConv2d) for module in source.discriminator.modules())
            rate = 0.002 if equalised else 0.0005
        if gamma is None:
            weight, side = self.usual_r1
            gamma = weight * (source.resolution / side) ** 2 if LOSSES[loss].lazy_penalty else 0.0
        return replace(self, learning_rate=rate, loss=loss, r1_gamma=gamma)


class FineTuningTraining(Training):
    """Both networks in training, as `TransferGAN` trains them.

    Args:
        method: with its options settled.
        task: what it works on.
        gan: the networks at the start, which are ours to change.

    Raises:
        UserError: if the generator has not the layers that an option needs, or the augmentation can't go with the loss.
    """

    method: FineTuning

    def __init__(self, method: FineTuning, task: Task, gan: GAN) -> None:
        driven, mixes = isinstance(gan.generator, StyleGenerator), gan.generator.num_ws > 0
        for name, possible in (("path_length", driven), ("mixing", mixes)):
            if getattr(method, name) and not possible:
                raise UserError(
                    f"{method.name}: {name} needs a generator whose mapping network feeds all its layers; "
                    f"{gan.name} has none."
                )
        self.loss_name = settled(method.loss)
        self.loss = adversarial(self.loss_name, gan.discriminator.paper_loss)
        if isinstance(task.augment, ADA) and (self.loss.paired or self.loss.gradient_penalty):
            raise UserError(
                f"{method.name}: ada goes by the sign of D's logits of real images, which the loss {self.loss_name} "
                "leaves open; give augment='diffaugment' or None."
            )
        modules = nn.ModuleDict({"generator": gan.generator, "discriminator": gan.discriminator})
        modules.register_buffer("path_average", torch.zeros((), device=gan.device))
        super().__init__(method, task, modules)
        self.config = gan.config
        self.learning_rate, self.r1_gamma = settled(method.learning_rate), settled(method.r1_gamma)

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
        players = [self.discriminator_player(), self.generator_player()]
        yield Stage("adaptation", iterations, players, before=self.begin)

    def begin(self, batch: Batch) -> None:
        """Put into a batch what its players share; nothing."""

    def discriminator_player(self) -> Player:
        """D minimises the adversarial loss, in as many moves as the loss has, and R1 every `r1_every` iterations."""
        return Player(
            "discriminator",
            self.discriminator_parameters(),
            self.discriminator_terms,
            self.learning_rate,
            self.loss.betas,
            [Penalty(self.method.r1_every, self.r1)] if self.r1_gamma else [],
            moves=self.loss.moves,
        )

    def generator_player(self) -> Player:
        """G minimises the adversarial loss, and the path-length penalty every `path_length_every` iterations."""
        return Player(
            "generator",
            self.generator_parameters(),
            self.generator_terms,
            self.learning_rate,
            self.loss.betas,
            [Penalty(self.method.path_length_every, self.path)] if self.method.path_length else [],
        )

    def discriminator_parameters(self) -> list[nn.Parameter]:
        """What trains of D: everything."""
        return list(self.discriminator.parameters())

    def generator_parameters(self) -> list[nn.Parameter]:
        """What trains of G: everything."""
        return list(self.generator.parameters())

    def discriminator_terms(self, batch: Batch) -> Terms:
        """Adversarial loss of augmented real and generated images, and the penalty that it brings."""
        fake = self.fakes(batch)
        real = self.task.augmented(self.real(batch))
        logits = self.judge_real(real, batch)
        self.task.augment.update(logits.detach())
        fake = self.task.augmented(fake)
        return self.discriminator_loss(logits, self.judge(fake, batch)) | self.due_penalty(real, fake, batch)

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Terms:
        """Return D's adversarial loss of the logits of real and generated images, (N, 1) each."""
        return {self.loss_name: self.loss.discriminator(real, fake)}

    def due_penalty(self, real: Tensor, fake: Tensor, batch: Batch) -> Terms:
        """Return what is due at every step of D: WGAN-GP's penalty between real and generated images (N, C, H, W), as D
        sees them; nothing with other losses.
        """
        if not self.loss.gradient_penalty:
            return {}
        with torch.autocast(real.device.type, enabled=False):  # a gradient's norm needs full precision
            x = interpolates(real.float(), fake.float(), self.task.rng)
            logits = self.judge(x, batch).flatten(1).mean(dim=1)
            return {"gradient_penalty": self.loss.gradient_penalty * gradient_penalty(logits, x)}

    def generator_terms(self, batch: Batch) -> Terms:
        """Adversarial loss of augmented generated images, beside real ones where the loss compares them."""
        return self.generator_loss(self.judge(self.task.augmented(self.generate(batch)), batch), batch)

    def generator_loss(self, fake: Tensor, batch: Batch) -> Terms:
        """Return G's adversarial loss of the logits (N, 1) of generated images."""
        return {self.loss_name: self.loss.generator(self.real_logits(batch) if self.loss.paired else fake, fake)}

    @property
    def likelihood(self) -> Adversarial:
        """The loss in whose gradients Fisher information is measured: that of training, unless it compares pairs; then
        the logistic one.
        """
        return LOSSES["logistic"] if self.loss.paired else self.loss

    @torch.no_grad()
    def real_logits(self, batch: Batch) -> Tensor:
        """Return logits (batch, 1) of augmented real images, without a gradient."""
        return self.judge(self.task.augmented(self.real(batch)), batch)

    @torch.no_grad()
    def fakes(self, batch: Batch) -> Tensor:
        """Return generated images (batch, C, H, W) for the discriminator's terms."""
        return self.generate(batch)

    def real(self, batch: Batch) -> Tensor:
        """Return real images (batch, C, H, W) for the adversarial terms."""
        return self.task.real()

    def latents(self, batch: Batch) -> Tensor:
        """Return latents z (batch, z_dim) for the adversarial terms; a source's prior may take more numbers than the
        generator in training.
        """
        return self.task.latents()[:, : self.generator.z_dim]

    def condition(self, batch: Batch) -> Tensor | None:
        """Return what both networks are told of each image of the batch, (batch, ...); nothing."""
        return None

    def judge(self, x: Tensor, batch: Batch) -> Tensor:
        """Return logits (N, 1) of images (N, C, H, W) as they are, under the batch's condition."""
        return self.discriminator(x, labels=self.condition(batch))

    def judge_real(self, x: Tensor, batch: Batch) -> Tensor:
        """Return logits (N, 1) of real images (N, C, H, W), augmented, at D's move."""
        return self.judge(x, batch)

    def r1(self, batch: Batch) -> Terms:
        """R1 of the real images as the discriminator sees them, and R2 of generated ones."""
        terms = {"r1": self.penalty(self.real(batch), batch) * (self.r1_gamma / 2)}
        if self.method.r2_gamma:
            terms["r2"] = self.penalty(self.fakes(batch), batch) * (self.method.r2_gamma / 2)
        return terms

    def penalty(self, x: Tensor, batch: Batch) -> Tensor:
        """Return the gradient penalty of images (N, C, H, W), augmented."""
        x = self.task.augmented(x).detach().requires_grad_()
        return r1_penalty(self.judge(x, batch), x)

    def path(self, batch: Batch) -> Terms:
        """Path-length penalty on half a batch; its running average moves by 1 % each time."""
        generator = cast(StyleGenerator, self.generator)  # the constructor made sure
        half, condition = max(1, self.task.batch // 2), self.condition(batch)
        z = self.task.latents(half)[:, : generator.z_dim]
        w = generator.map_to_w(z, labels=None if condition is None else condition[:half])
        w = w if w.requires_grad else w.detach().requires_grad_()  # where nothing before w trains
        images = generator.synthesise(w, rng=self.task.rng)
        noise = torch.randn(images.shape, generator=self.task.rng, device=images.device)
        lengths = path_lengths(images, w, noise)
        average = self.modules.get_buffer("path_average")
        average.lerp_(lengths.detach().mean(), 0.01)
        return {"path_length": path_length_penalty(lengths, average) * self.method.path_length}

    def generate(self, batch: Batch) -> Tensor:
        """Return images (batch, C, H, W) of the generator in training, with style mixing at its probability."""
        z, rng, mixing, labels = self.latents(batch), self.task.rng, self.method.mixing, self.condition(batch)
        if mixing and torch.rand((), generator=rng, device=z.device) < mixing:
            cut = int(torch.randint(1, self.generator.num_ws, (), generator=rng, device=z.device))
            return self.generator(z, labels=labels, mix=self.latents(batch), mix_from=cut, rng=rng)
        return self.generator(z, labels=labels, rng=rng)

    def result(self, modules: nn.ModuleDict) -> GAN:
        """Return generator and discriminator as they are: nothing was added to them."""
        generator, discriminator = cast(Generator, modules["generator"]), cast(Discriminator, modules["discriminator"])
        return GAN(generator, discriminator, self.config, f"{self.task.source.name}+{self.method.name}")
