"""Class-conditional training of a source: labels reach both networks. No method of adaptation: a few images bring no
labels.

Paper: Mescheder et al., "Which Training Methods for GANs do actually Converge?" (ICML 2018, arXiv 1801.04406), section
6: each real image is judged as of its class, each generated one as of the class that it was made for.

Differs: generated images are made for the classes of the real ones of the same iteration, so that both have the same
frequencies.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from fewshotgan.files import UserError
from fewshotgan.gans.gan import GAN
from fewshotgan.methods.method import Stage
from fewshotgan.methods.transfergan import TransferGAN


@dataclass
class Conditional(TransferGAN):
    """TransferGAN's losses of images with labels; options as there."""

    name = "conditional"
    paper = "Mescheder et al., ICML 2018, arXiv 1801.04406"
    summary = "train G and D of a class-conditional source"

    def start(self, gan: GAN) -> None:
        """Check that there is a label of the GAN's for each image."""
        labels = self.task.labels
        if labels is None or int(labels.max()) >= gan.classes:
            found = "none" if labels is None else f"{int(labels.max()) + 1} classes"
            raise UserError(
                f"{gan.name} is trained on images with labels of {gan.classes} classes; these images have {found}."
            )
        self.every_label = labels
        super().start(gan)

    def stages(self, iterations: int) -> Iterator[Stage]:
        """One stage, with one batch of real images and labels for each iteration."""
        yield Stage("training", iterations, [self.discriminator_player(), self.generator_player()], before=self.begin)

    def begin(self, _iteration: int) -> None:
        """Draw the iteration's images and labels."""
        self.numbers = self.task.draw()
        self.labels = self.every_label[self.numbers]

    def real(self) -> Tensor:
        """Return the iteration's real images (batch, C, H, W)."""
        return self.task.pick(self.numbers)

    def generate(self) -> Tensor:
        """Return images (batch, C, H, W) of the iteration's labels."""
        return self.generator(self.latents(), labels=self.labels, rng=self.task.rng)

    def judge(self, x: Tensor) -> Tensor:
        """Return logits (N, 1) of images as of the iteration's labels."""
        return self.discriminator(x, labels=self.labels)
