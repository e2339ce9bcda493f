"""FreezeD: fine-tune G, and only the blocks of D near its output.

Paper: Mo et al., "Freeze the Discriminator: a Simple Baseline for Fine-Tuning GANs" (CVPR Workshops 2020,
arXiv 2002.10964), section 3: the lower layers of D, those near the image, are generic feature extractors and stay
fixed.

Differs: layers are named by resolution. The paper's StyleGAN experiments at 256 pixels fix the image projection and the
four blocks at 256, 128, 64 and 32 pixels, so the default here is "down to 32", and the
first block alone where the images are smaller than that.
"""

from dataclasses import dataclass, replace
from typing import Self

from torch import nn

from fewshotgan.files import UserError
from fewshotgan.gans.gan import GAN
from fewshotgan.methods.finetuning import FineTuning, FineTuningTraining
from fewshotgan.methods.method import Task, settled
from fewshotgan.methods.options import option


@dataclass(frozen=True)
class FreezeD(FineTuning):
    """TransferGAN with the discriminator's lower blocks fixed."""

    name = "freezed"
    paper = "Mo et al., CVPR Workshops 2020, arXiv 2002.10964"
    summary = "fine-tune G and the upper half of D; D's blocks near the image stay fixed"

    frozen_down_to: int | None = option(
        None,
        "D's blocks from the image's resolution down to this one are fixed, the image projection included; by default "
        "32, or the images' own resolution if they are smaller",
        low=4,
    )

    def settle(self, source: GAN) -> Self:
        """Settle which blocks are fixed.

        Raises:
            UserError: if there is no such block, or none would be left to train.
        """
        last = min(32, source.resolution) if self.frozen_down_to is None else self.frozen_down_to
        sides = [int(side) for side in source.discriminator.groups()]
        possible = [side for side in sides if side != min(sides)]
        if last not in possible:
            raise UserError(
                f"frozen_down_to={last} names no block of this discriminator that can be the last frozen one; "
                f"choose {', '.join(map(str, possible))}."
            )
        return replace(super().settle(source), frozen_down_to=last)

    def build(self, task: Task) -> "FreezeDTraining":
        """Train from a copy of the source."""
        return FreezeDTraining(self.settle(task.source), task, task.source.copy())


class FreezeDTraining(FineTuningTraining):
    """FreezeD at work."""

    method: FreezeD

    def discriminator_parameters(self) -> list[nn.Parameter]:
        """What trains of D: the groups at resolutions below `frozen_down_to`."""
        limit = settled(self.method.frozen_down_to)
        trained = [modules for side, modules in self.discriminator.groups().items() if int(side) < limit]
        return [parameter for modules in trained for module in modules for parameter in module.parameters()]
