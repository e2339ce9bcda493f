"""Training from scratch: the control that transfer must beat, on the same network, loop and budget."""

from dataclasses import dataclass

from fewshotgan.gans.gan import GAN
from fewshotgan.methods.method import Task
from fewshotgan.methods.transfergan import TransferGAN, TransferGANTraining


@dataclass(frozen=True)
class Scratch(TransferGAN):
    """Train the source's architecture from random weights; options as `TransferGAN`."""

    name = "scratch"
    paper = "baseline: StyleGAN2, Karras et al., CVPR 2020, arXiv 1912.04958"
    summary = "the source's architecture from random weights, no transfer (control)"

    def build(self, task: Task) -> TransferGANTraining:
        """Take the source's sizes, not its weights."""
        fresh = GAN.create(task.source.config, task.source.name, seed=task.seed).to(task.images.device)
        return TransferGANTraining(self.settle(task.source), task, fresh)
