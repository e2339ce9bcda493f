"""FreezeD: fine-tune G, and only the blocks of D near its output.

Paper: Mo et al., "Freeze the Discriminator: a Simple Baseline for Fine-Tuning GANs" (CVPR Workshops 2020,
arXiv 2002.10964), section 3: the lower layers of D, those near the image, are generic feature extractors and stay
fixed.

Differs: layers are named by resolution. The paper's StyleGAN experiments at 256 pixels fix the image projection and the
four blocks at 256, 128, 64 and 32 pixels, so the default here is "down to 32",
and the first block alone where the images are smaller than that.
"""

from dataclasses import dataclass

from torch import nn

from fewshotgan.files import UserError
from fewshotgan.gans.gan import GAN
from fewshotgan.methods.transfergan import TransferGAN


@dataclass
class FreezeD(TransferGAN):
    """TransferGAN with the discriminator's lower blocks fixed.

    Args:
        frozen_down_to: D's blocks from the image's resolution down to this one are fixed, the image projection
            included; 32 by default, or the images' own if they are smaller.
    """

    name = "freezed"
    paper = "Mo et al., CVPR Workshops 2020, arXiv 2002.10964"
    summary = "fine-tune G and the upper half of D; D's blocks near the image stay fixed"

    frozen_down_to: int | None = None

    def settle(self, source: GAN) -> None:
        """Settle which blocks are fixed."""
        super().settle(source)
        if self.frozen_down_to is None:
            self.frozen_down_to = min(32, source.resolution)

    def discriminator_parameters(self) -> list[nn.Parameter]:
        """What trains of D: the groups at resolutions below `frozen_down_to`."""
        groups = self.discriminator.groups()
        trained = [modules for side, modules in groups.items() if int(side) < self.frozen_down_to]
        if str(self.frozen_down_to) not in groups or not trained:
            sides = [side for side in groups if side != min(groups, key=int)]
            raise UserError(
                f"frozen_down_to={self.frozen_down_to} does not name a block of this discriminator that can be the "
                "last "
                f"frozen one; choose one of {', '.join(sides)}."
            )
        return [parameter for modules in trained for module in modules for parameter in module.parameters()]
