"""DCL: contrast the adapted networks with the source, in the generator and in the discriminator.

Paper: Zhao et al., "A Closer Look at Few-shot Image Generation" (CVPR 2022, arXiv 2205.03805): adapted generators reach
the same quality whatever the method, and differ in how fast they lose the source's diversity. Two InfoNCE terms slow
the loss down:

- generator (equation 4): a sample of the adapted G and the source's sample of the same latent attract each other; the
  source's samples of the other latents repel;
- discriminator (equation 5): D's features of an adapted sample and of the source's sample of the same latent attract
  each other; those of the few real images repel.

The adversarial part is CDC's: anchors and patches.

Differs: the authors published no training code; temperature and weights are those that public readings of the paper
give, and neither a tenth nor the tenfold of the weights came nearer to a development target (table `rival-weights`).
One layer is drawn for each step, and the adversarial batch itself is contrasted, so that source features are computed
once per move; D sees adapted, source and real images as augmented for the adversarial terms, each batch by a draw of
its own. Where the generator has noise inputs, the source's are fixed and the adapted one's fresh.
"""

from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from fewshotgan.files import UserError
from fewshotgan.gans.gan import GAN
from fewshotgan.methods.cdc import CDC, CDCTraining
from fewshotgan.methods.method import Batch, Task, Terms
from fewshotgan.methods.options import option


def contrast(anchor: Tensor, positive: Tensor, negatives: Tensor | None = None, temperature: float = 0.07) -> Tensor:
    """Return the InfoNCE loss of N anchors, a scalar.

    Args:
        anchor: features (N, ...).
        positive: features (N, ...); row i belongs to the same latent as row i of `anchor`.
        negatives: features (M, ...) that repel every anchor; by default each anchor is repelled by the positives of the
            others.
        temperature: divides the cosine similarities.
    """
    a, p = (F.normalize(x.flatten(1), dim=1, eps=1e-8) for x in (anchor, positive))
    if negatives is None:
        return F.cross_entropy(a @ p.T / temperature, torch.arange(len(a), device=a.device))
    away = a @ F.normalize(negatives.flatten(1), dim=1, eps=1e-8).T
    logits = torch.cat([(a * p).sum(dim=1, keepdim=True), away], dim=1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(a), dtype=torch.long, device=a.device))


@dataclass(frozen=True)
class DCL(CDC):
    """CDC's adversarial terms with dual contrastive learning in place of the distance consistency."""

    name = "dcl"
    paper = "Zhao et al., CVPR 2022, arXiv 2205.03805"
    summary = "fine-tune all, with G and D contrasted against the source; patches judged away from anchors"

    weight: float = option(2.0, "weight of the generator's contrast", low=0)
    discriminator_weight: float = option(0.5, "weight of the discriminator's contrast", low=0)
    temperature: float = option(0.07, "divides the similarities of both contrasts", above=0)

    def settle(self, source: GAN) -> Self:
        """Settle what CDC does.

        Raises:
            UserError: if styles are to be mixed.
        """
        if self.mixing:
            raise UserError(
                f"{self.name} contrasts the samples of one and the same latents, so styles can't be mixed; "
                "leave out mixing."
            )
        return super().settle(source)

    def build(self, task: Task) -> "DCLTraining":
        """Train from a copy of the source."""
        return DCLTraining(self.settle(task.source), task, task.source.copy())


class DCLTraining(CDCTraining):
    """DCL at work."""

    method: DCL

    def generator_terms(self, batch: Batch) -> Terms:
        """Adversarial loss, and each sample closer to the source's of its latent than to the source's of others
        (equation 4).
        """
        z = self.latents(batch)
        source: list[Tensor] = []
        target: list[Tensor] = []
        with torch.no_grad():
            self.task.source.generator(z, noise="const", features=source)
        images = self.generator(z, rng=self.task.rng, features=target)
        layer = self.draw(len(source))
        term = contrast(target[layer], source[layer], temperature=self.method.temperature)
        logits = self.judge(self.task.augmented(images), batch)
        return {**self.generator_loss(logits, batch), "contrast": self.method.weight * term}

    def discriminator_terms(self, batch: Batch) -> Terms:
        """Adversarial loss, and D's view of adapted samples closer to that of the source's than to real images'
        (equation 5).
        """
        z = self.latents(batch)
        with torch.no_grad():
            adapted = self.generator(z, rng=self.task.rng)
            source = self.task.source.generator(z, noise="const")
        features: dict[str, list[Tensor]] = {"real": [], "adapted": [], "source": []}
        images = {"real": self.real(batch), "adapted": adapted, "source": source}
        seen = {name: self.task.augmented(x) for name, x in images.items()}
        logits = {name: self.judge(x, batch, features[name]) for name, x in seen.items()}
        self.task.augment.update(logits["real"].detach())
        layer = self.draw(len(features["real"]))
        anchor, positive, negatives = (features[name][layer] for name in ("adapted", "source", "real"))
        term = contrast(anchor, positive, negatives, self.method.temperature)
        return {
            **self.discriminator_loss(logits["real"], logits["adapted"]),
            **self.due_penalty(seen["real"], seen["adapted"], batch),
            "contrast": self.method.discriminator_weight * term,
        }

    def draw(self, layers: int) -> int:
        """Return one of so many layers."""
        return int(torch.randint(layers, (), generator=self.task.rng, device=self.task.images.device))
