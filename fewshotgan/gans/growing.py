"""Progressive growing: a larger GAN begins with what a smaller one has learned (ProGAN, arXiv 1710.10196, section 2).

Differs: ProGAN fades a new block in; here the new block's projection to the image begins at zero, so that G first draws
what the smaller GAN drew, and D's new blocks begin fresh. What trains, and what ships, is a plain StyleGAN2.
"""

from typing import Any, cast

import torch

from fewshotgan.files import UserError
from fewshotgan.gans.gan import GAN
from fewshotgan.gans.stylegan2 import Generator


@torch.no_grad()
def grow(gan: GAN, config: dict[str, Any], seed: int = 0) -> GAN:
    """Return a GAN of another configuration whose layers of the same name and shape have this one's weights.

    Args:
        gan: a StyleGAN2 of lower resolution.
        config: of the GAN to make: the same widths at the resolutions that both have.
        seed: of the layers that are new; projections to the image among them are zero.

    Raises:
        UserError: if the GAN is no StyleGAN2, or a layer that both have differs in shape.
    """
    grown = GAN.create(config, gan.name, seed).to(gan.device)
    if not (isinstance(gan.generator, Generator) and isinstance(grown.generator, Generator)):
        raise UserError(f"{gan.name} can't grow: only a StyleGAN2 adds up its images; train it at full resolution.")
    for old, new in ((gan.generator, grown.generator), (gan.discriminator, grown.discriminator)):
        known, tensors = old.state_dict(), new.state_dict()
        kept = {key: value for key, value in known.items() if key in tensors and not key.startswith("from_image")}
        for key, value in kept.items():
            if value.shape != tensors[key].shape:
                sizes = f"{tuple(value.shape)}, not {tuple(tensors[key].shape)}"
                raise UserError(f"{gan.name} can't grow: {key} is {sizes}; keep the widths that both have.")
        new.load_state_dict(tensors | kept)
    larger, smaller = (cast(Generator, each.generator).blocks for each in (grown, gan))
    for side in larger.keys() - smaller.keys():
        projection = larger[side].to_image
        if projection is not None:  # not of an architecture without skip connections
            projection.conv.weight.zero_()
            projection.bias.zero_()
    return grown
