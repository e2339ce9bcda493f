"""Conditional batch norm from an unconditional source: each class starts as a copy of the source.

Paper: Wang et al., "Transferring GANs" (ECCV 2018, arXiv 1805.01677), section 5 and table 6, with the conditional norm
of Dumoulin et al. (arXiv 1610.07629): every class has a scale and a shift of its own in the generator's norms, copied
from the source's, so that before the first step every class draws the source's images.

The critic's classifier, and the losses, are AC-GAN's (`methods/acgan.py`).

Differs: the norm before the image has one scale and shift for all classes, as in TransferGAN's released code.
"""

from dataclasses import dataclass

from fewshotgan.methods.acgan import ACGAN


@dataclass(frozen=True)
class CBNTransfer(ACGAN):
    """Make an unconditional source class-conditional by the generator's norms; options as `ACGAN`."""

    name = "cbn_transfer"
    paper = "Wang et al., ECCV 2018, arXiv 1805.01677"
    summary = "an unconditional source learns the images' classes, each starting as a copy of it"
    conditioning = "norm"
