"""EWC: fine-tune, and pull each of G's weights back to the source as strongly as the source depends on it.

Paper: Li et al., "Few-shot Image Generation with Elastic Weight Consolidation" (NeurIPS 2020, arXiv 2012.02780),
equation 3:

    L = L_adv + lambda * sum_i F_i (theta_i - theta_source,i)^2

F_i is the Fisher information of G's i-th parameter, from the source's own samples, with the source's discriminator as
the stand-in for the likelihood that a GAN does not have.

Differs: no code of the authors is public. F is a mean over samples of the squared gradient, a sample at a time (public
re-implementations square a batch's mean, or don't square at all), of every parameter of G; the reduction is the sum, as
in the equation, so that lambda is comparable between layers and not between networks. Its default was chosen on a
development target (table `rival-weights`): with 1 most weights are as free as without the penalty. The paper's own, of
another network and scale, is about 5e8 by readings of it that we could not check.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from fewshotgan.fisher import generator_fisher
from fewshotgan.gans.gan import GAN
from fewshotgan.methods.finetuning import FineTuning, FineTuningTraining
from fewshotgan.methods.method import Batch, Task, Terms
from fewshotgan.methods.options import option


def ewc_penalty(parameters: Mapping[str, Tensor], source: Mapping[str, Tensor], fisher: Mapping[str, Tensor]) -> Tensor:
    """Return sum F (theta - theta_source)^2 over all elements of all tensors, a scalar (equation 3 without lambda)."""
    terms = [(value * (parameters[name] - source[name]).square()).sum() for name, value in fisher.items()]
    return torch.stack(terms).sum()


@dataclass(frozen=True)
class EWC(FineTuning):
    """TransferGAN with an elastic penalty on G."""

    name = "ewc"
    paper = "Li et al., NeurIPS 2020, arXiv 2012.02780"
    summary = "fine-tune all, with G's weights pulled to the source by their Fisher information"

    weight: float = option(100.0, "lambda of the equation, for the sum over parameters", low=0)
    samples: int = option(64, "samples of the source from which F is estimated", low=1)

    def build(self, task: Task) -> "EWCTraining":
        """Train from a copy of the source."""
        return EWCTraining(self.settle(task.source), task, task.source.copy())


class EWCTraining(FineTuningTraining):
    """EWC at work.

    Attributes:
        fisher: F of each of G's parameters, by name.
        anchor: the source's parameters, by name.
    """

    method: EWC

    def __init__(self, method: EWC, task: Task, gan: GAN) -> None:
        super().__init__(method, task, gan)
        source, names = task.source, [name for name, _ in gan.generator.named_parameters()]
        z = source.latents(method.samples, seed=task.seed).to(source.device)
        networks = source.generator, source.discriminator
        self.fisher = generator_fisher(*networks, names, z, adversarial=self.likelihood)
        self.anchor = {name: value.detach().clone() for name, value in gan.generator.named_parameters()}

    def generator_terms(self, batch: Batch) -> Terms:
        """Add the penalty to the adversarial loss."""
        penalty = ewc_penalty(dict(self.generator.named_parameters()), self.anchor, self.fisher)
        return {**super().generator_terms(batch), "ewc": self.method.weight * penalty}
