"""FSGAN: adapt the singular values of the weights, and nothing else.

Paper: Robb et al., "Few-Shot Adaptation of Generative Adversarial Networks" (arXiv 2010.11943), section 3.1: each
convolution's weight, flattened to a matrix with a row for each filter, keeps its singular vectors; its singular values
are trained, in G and in D.

As in the released code a singular value is trained as a multiple of the source's, so that the rate does not depend on
the units in which a family keeps its weights; and the projections from and to the image count as convolutions.
"""

from dataclasses import dataclass

from torch import nn

from fewshotgan.adapters import SingularValues, adapters, attach, layers, merged
from fewshotgan.gans.gan import GAN
from fewshotgan.methods.transfergan import TransferGAN


@dataclass
class FSGAN(TransferGAN):
    """TransferGAN on the singular values of all convolutions; options as there."""

    name = "fsgan"
    paper = "Robb et al., 2020, arXiv 2010.11943"
    summary = "train the singular values of the convolutions of G and D, nothing else"

    learning_rate: float = 0.003

    def start(self, gan: GAN) -> None:
        """Put an adapter before each convolution's weight."""
        for network in (gan.generator, gan.discriminator):
            for _, layer in list(layers(network)):
                if layer.weight.dim() == 4:
                    attach(layer, "weight", SingularValues(layer.weight))
        super().start(gan)

    def discriminator_parameters(self) -> list[nn.Parameter]:
        """What trains of D: the singular values."""
        return adapters(self.discriminator)

    def generator_parameters(self) -> list[nn.Parameter]:
        """What trains of G: the singular values."""
        return adapters(self.generator)

    def result(self, modules: nn.ModuleDict) -> GAN:
        """Return plain networks, the singular values folded in."""
        return merged(super().result(modules))
