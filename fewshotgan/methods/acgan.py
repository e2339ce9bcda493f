"""AC-GAN from an unconditional source: the class joins the noise, and the critic learns to tell classes.

Papers: Odena et al., "Conditional Image Synthesis with Auxiliary Classifier GANs" (ICML 2017, arXiv 1610.09585),
equations 2 and 3; Wang et al., "Transferring GANs" (ECCV 2018, arXiv 1805.01677), section 5 and table 6, where the
source is unconditional.

The weights of the generator's first layer that read the class are fresh, and so is the classifier, a linear layer on
the critic's last features; everything else is the source's. The critic minimises the classifier's cross-entropy on real
images, the generator that on its own, each with weight 1, as the released code of TransferGAN has it.

Differs: generated images are made for the classes of the real ones of the same batch, as in `Conditional`.
"""

import copy
import inspect
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fewshotgan.files import UserError
from fewshotgan.gans.class_norm import Conditioning, spread
from fewshotgan.gans.gan import FAMILIES, GAN
from fewshotgan.methods.conditional import ConditionedTraining
from fewshotgan.methods.method import Batch, Task, Terms
from fewshotgan.methods.options import option
from fewshotgan.methods.transfergan import TransferGAN, start

PARTS = {"noise": "a first layer that a class can join", "norm": "batch norm"}


@dataclass(frozen=True)
class ACGAN(TransferGAN):
    """Make an unconditional source class-conditional by the generator's first layer; options as `TransferGAN`, and
    those of the classes.
    """

    name = "acgan"
    paper = "Odena et al., ICML 2017, arXiv 1610.09585; Wang et al., ECCV 2018, arXiv 1805.01677"
    summary = "an unconditional source learns the images' classes, which join the noise"
    labelled = True
    conditioning: ClassVar[Conditioning] = "noise"

    shuffled: bool = option(False, "whether the labels are dealt out at random: a control, which must lose")
    classification: float = option(1.0, "weight of the classifier's cross-entropy, in both networks' losses", low=0)

    def build(self, task: Task) -> "ACGANTraining":
        """Train from the source, made class-conditional.

        Raises:
            UserError: for a source whose generator has no place for classes.
        """
        labels = task.labels
        assert labels is not None, "a task of a method that learns labels has some"
        if self.shuffled:
            labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(task.seed))]
        gan = start(conditioned(task.source, int(labels.max()) + 1, self, task.seed), self.transfer, task.seed)
        return ACGANTraining(self.settle(task.source), task, gan, labels)


def conditioned(source: GAN, classes: int, method: ACGAN, seed: int) -> GAN:
    """Return the source with a generator of so many classes, each of which is the source at first but for fresh weights
    that read the class beside the noise; a class-conditional source is not taken.

    Raises:
        UserError: if the family's generator has no such place for classes.
    """
    able = [name for name, (kind, _) in FAMILIES.items() if "conditioning" in inspect.signature(kind).parameters]
    if source.config["family"] not in able:
        raise UserError(
            f"{method.name} needs a generator with {PARTS[method.conditioning]}, as {', '.join(able)} have; "
            f"{source.name} is a {source.config['family']}."
        )
    config = copy.deepcopy(source.config)
    config["generator"] |= {"classes": classes, "conditioning": method.conditioning}
    gan = GAN.create(config, source.name, seed).to(source.device)
    gan.generator.load_state_dict(spread(gan.generator, source.generator.state_dict()))
    gan.discriminator.load_state_dict(source.discriminator.state_dict())
    return gan


class ACGANTraining(ConditionedTraining):
    """AC-GAN at work."""

    method: ACGAN

    def __init__(self, method: ACGAN, task: Task, gan: GAN, labels: Tensor) -> None:
        super().__init__(method, task, gan, labels)
        with torch.no_grad():
            _, features = self.examined(task.pick(torch.zeros(1, dtype=torch.int64, device=gan.device)))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(task.seed)
            self.modules["classifier"] = nn.Linear(features.shape[1], gan.classes).to(gan.device)

    def discriminator_parameters(self) -> list[nn.Parameter]:
        """What trains of D: everything, and the classifier."""
        return [*super().discriminator_parameters(), *self.modules["classifier"].parameters()]

    def examined(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the critic's logits (N, 1) of images (N, C, H, W), and its last features (N, d)."""
        found: list[Tensor] = []
        logits = self.discriminator(x, found)
        return logits, found[-1].flatten(1)

    def judge(self, x: Tensor, batch: Batch) -> Tensor:
        """Return logits (N, 1) of images (N, C, H, W); the critic is told no class."""
        return self.discriminator(x)

    def judge_real(self, x: Tensor, batch: Batch) -> Tensor:
        """Return logits (N, 1) of real images (N, C, H, W), and leave the classifier's features in the batch."""
        logits, batch["features"] = self.examined(x)
        return logits

    def error(self, features: Tensor, batch: Batch) -> Terms:
        """Return the classifier's weighted cross-entropy on features (N, d) of images of the batch's classes."""
        logits = self.modules["classifier"](features)
        return {"classification": F.cross_entropy(logits, self.condition(batch)) * self.method.classification}

    def discriminator_terms(self, batch: Batch) -> Terms:
        """D's adversarial loss, and the classifier's on real images."""
        return super().discriminator_terms(batch) | self.error(batch["features"], batch)

    def generator_terms(self, batch: Batch) -> Terms:
        """G's adversarial loss, and the classifier's on generated images."""
        logits, features = self.examined(self.task.augmented(self.generate(batch)))
        return self.generator_loss(logits, batch) | self.error(features, batch)
