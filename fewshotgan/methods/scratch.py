"""Training from scratch: the control that transfer must beat, on the same network, loop and budget."""

from dataclasses import dataclass

from fewshotgan.methods.finetuning import FineTuning, FineTuningTraining
from fewshotgan.methods.method import Task
from fewshotgan.methods.transfergan import start


@dataclass(frozen=True)
class Scratch(FineTuning):
    """Train the source's architecture from random weights; options as `FineTuning`."""

    name = "scratch"
    paper = "baseline: StyleGAN2, Karras et al., CVPR 2020, arXiv 1912.04958"
    summary = "the source's architecture from random weights, no transfer (control)"

    def build(self, task: Task) -> FineTuningTraining:
        """Take the source's sizes, not its weights."""
        return FineTuningTraining(self.settle(task.source), task, start(task.source, "none", task.seed))
