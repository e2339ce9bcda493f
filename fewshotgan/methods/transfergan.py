"""TransferGAN: start from a pretrained generator and discriminator, fine-tune everything.

Paper: Wang et al., "Transferring GANs: generating images from limited data" (ECCV 2018, arXiv 1805.01677), section 4:
both networks are initialised from the source, neither is frozen. Its table 1 also transfers one of the two alone
(`transfer`); the other then starts from random weights.

Each family keeps its own paper's loss (`methods/finetuning.py`): WGAN-GP's residual networks, the paper's, that of
WGAN-GP.

Differs: the rate on WGAN-GP's networks is 0.0005, for budgets of hundreds of iterations; the paper's is 0.00001, for
25,000.
"""

from dataclasses import dataclass
from typing import Literal

from fewshotgan.gans.gan import GAN
from fewshotgan.methods.finetuning import FineTuning, FineTuningTraining
from fewshotgan.methods.method import Task
from fewshotgan.methods.options import option


@dataclass(frozen=True)
class TransferGAN(FineTuning):
    """Fine-tune all of G and D."""

    name = "transfergan"
    paper = "Wang et al., ECCV 2018, arXiv 1805.01677"
    summary = "fine-tune all of G and D from the pretrained source"

    transfer: Literal["GD", "G", "D", "none"] = option(
        "GD", "which networks start from the source; the others start from random weights"
    )

    def build(self, task: Task) -> FineTuningTraining:
        """Train from a copy of the source, or of a part of it."""
        return FineTuningTraining(self.settle(task.source), task, start(task.source, self.transfer, task.seed))


def start(source: GAN, transfer: str, seed: int) -> GAN:
    """Return a GAN of the source's sizes whose networks are the source's where they are transferred, and fresh
    elsewhere.
    """
    gan = source.copy()
    if transfer == "GD":
        return gan
    fresh = GAN.create(source.config, source.name, seed).to(source.device)
    if "G" not in transfer:
        gan.generator = fresh.generator
    if "D" not in transfer:
        gan.discriminator = fresh.discriminator
    return gan
