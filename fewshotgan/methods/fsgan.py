"""FSGAN: adapt the singular values of the weights, and nothing else.

Paper: Robb et al., "Few-Shot Adaptation of Generative Adversarial Networks" (arXiv 2010.11943), section 3.1: a
convolution's weight, flattened to a matrix with a row for each filter, keeps its singular vectors; its singular values
are trained, in G and in D.

As in the released code (`config-ada-sv-flat`) a singular value is trained as a multiple of the source's, at a rate of
0.002, so that the rate does not depend on the units in which a family keeps its weights. Adapted are the convolutions
of both networks, G's mapping layers and D's dense layers; the projections to and from the image, D's skip connections,
the layers that map w to styles, and all biases and noise strengths stay as they are.

Differs: other families than StyleGAN2, which the released code has not, follow the same rule: their skip connections
stay in G too, and G's first dense layer, which takes the place of the mapping network, is adapted.
"""

from dataclasses import dataclass

from torch import nn

from fewshotgan.adapters import Kernel, SingularValues, adapters, attach, layers, merged
from fewshotgan.gans.gan import GAN
from fewshotgan.gans.network import Network
from fewshotgan.methods.finetuning import FineTuning, FineTuningTraining
from fewshotgan.methods.method import Task
from fewshotgan.methods.options import option

FROZEN = ("to_image", "from_image", "skip", "affine", "prior")  # in a layer's name: it gets no singular values to train


def adapted_layers(network: Network) -> dict[str, Kernel]:
    """Return the layers whose singular values train, by name."""
    return {name: layer for name, layer in layers(network) if not any(part in FROZEN for part in name.split("."))}


@dataclass(frozen=True)
class FSGAN(FineTuning):
    """TransferGAN on the singular values of convolutions, mapping and dense layers; options as there."""

    name = "fsgan"
    paper = "Robb et al., 2020, arXiv 2010.11943"
    summary = "train the singular values of the weights of G and D, nothing else"

    learning_rate: float | None = option(0.002, "rate of both networks' Adam", above=0)

    def build(self, task: Task) -> "FSGANTraining":
        """Train from a copy of the source, with an adapter before each weight that is adapted."""
        gan = task.source.copy()
        for network in (gan.generator, gan.discriminator):
            for layer in adapted_layers(network).values():
                attach(layer, "weight", SingularValues(layer.weight))
        return FSGANTraining(self.settle(task.source), task, gan)


class FSGANTraining(FineTuningTraining):
    """FSGAN at work."""

    def discriminator_parameters(self) -> list[nn.Parameter]:
        """What trains of D: the singular values."""
        return adapters(self.discriminator)

    def generator_parameters(self) -> list[nn.Parameter]:
        """What trains of G: the singular values."""
        return adapters(self.generator)

    def result(self, modules: nn.ModuleDict) -> GAN:
        """Return plain networks, the singular values merged."""
        return merged(super().result(modules))
