"""Class-conditional training of a source: labels reach both networks. No method of adaptation: a few images bring no
labels.

Paper: Mescheder et al., "Which Training Methods for GANs do actually Converge?" (ICML 2018, arXiv 1801.04406), section
6: each real image is judged as of its class, each generated one as of the class that it was made for.

Each family keeps its own loss: GP-GAN the paper's, SNGAN the hinge loss.

Differs: generated images are made for the classes of the real ones of the same batch, so that both have the same
frequencies.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from fewshotgan.files import UserError
from fewshotgan.gans.gan import GAN
from fewshotgan.methods.finetuning import FineTuning, FineTuningTraining
from fewshotgan.methods.method import Batch, Task, Terms
from fewshotgan.methods.options import option


@dataclass(frozen=True)
class Conditional(FineTuning):
    """The losses of `FineTuning` on images with labels; options as there, and one of BigGAN's."""

    name = "conditional"
    paper = "Mescheder et al., ICML 2018, arXiv 1801.04406"
    summary = "train G and D of a class-conditional source"

    orthogonal: float = option(
        0.0, "weight of G's orthogonal regularisation (BigGAN, arXiv 1809.11096, equation 3: 1e-4), 0 for none", low=0
    )

    def build(self, task: Task) -> "ConditionalTraining":
        """Train from a copy of the source.

        Raises:
            UserError: unless there is a label of the source's for each image.
        """
        labels, source = task.labels, task.source
        if labels is None or int(labels.max()) >= source.classes:
            found = "none" if labels is None else f"{int(labels.max()) + 1} classes"
            raise UserError(
                f"{source.name} is trained on images with labels of {source.classes} classes; these images have "
                f"{found}."
            )
        return ConditionalTraining(self.settle(source), task, source.copy(), labels)


class ConditionedTraining(FineTuningTraining):
    """Training on images of each of which something is known that conditions both networks: its class, or its features.
    Generated images are made under what is known of the real ones of the same batch. Arguments as of
    `FineTuningTraining`, and

    Args:
        known: of each image: labels (N,), or features (N, d).
    """

    def __init__(self, method: FineTuning, task: Task, gan: GAN, known: Tensor) -> None:
        super().__init__(method, task, gan)
        self.known = known.to(task.images.device)

    def begin(self, batch: Batch) -> None:
        """Draw real images; each move of D has its own, and G goes on with the last."""
        batch["numbers"] = self.task.draw()

    def real(self, batch: Batch) -> Tensor:
        """Return the batch's real images (batch, C, H, W)."""
        return self.task.pick(batch["numbers"])

    def condition(self, batch: Batch) -> Tensor:
        """Return what is known of the batch's real images, (batch, ...)."""
        return self.known[batch["numbers"]]


class ConditionalTraining(ConditionedTraining):
    """Conditional at work."""

    method: Conditional

    def generator_terms(self, batch: Batch) -> Terms:
        """G's adversarial loss, and its orthogonal regularisation if there is some."""
        terms = super().generator_terms(batch)
        if self.method.orthogonal:
            with torch.autocast(self.task.source.device.type, enabled=False):  # as penalties
                terms["orthogonal"] = self.generator.orthogonality() * self.method.orthogonal
        return terms
