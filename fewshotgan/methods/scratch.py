"""Training from scratch: the control that transfer must beat, on the same network, loop and budget."""

from dataclasses import dataclass

from fewshotgan.gans.gan import GAN
from fewshotgan.methods.method import Task
from fewshotgan.methods.transfergan import TransferGAN


@dataclass
class Scratch(TransferGAN):
    """Train the source's architecture from random weights; options as `TransferGAN`."""

    name = "scratch"
    paper = "baseline: StyleGAN2, Karras et al., CVPR 2020, arXiv 1912.04958"
    summary = "the source's architecture from random weights, no transfer (control)"

    def build(self, task: Task) -> None:
        """Take the source's sizes, not its weights."""
        self.task = task
        self.start(GAN.create(task.source.config, task.source.name, seed=task.seed).to(task.images.device))
