"""CDC: keep the distances between the source's samples, and ask for realism of patches away from a few anchors.

Paper: Ojha et al., "Few-shot Image Generation via Cross-domain Correspondence" (CVPR 2021, arXiv 2104.06820):

- distance consistency (equations 1 to 4): for a batch of latents, the softmax of a sample's feature similarities to the
  others must be the same in the adapted as in the source generator;
- relaxed realism (equation 5): the image-level discriminator judges only images from around a few fixed anchor latents,
  one for each training image; all others are judged patch by patch.

Differs: path-length regularisation and style mixing are off by default, where the released code has `path_length=2` and
`mixing=0.9`. There, R1 is due only where the image-level discriminator moves, so the patch head never receives it; here
it does. The patch head reads the 32-pixel map, as theirs at 256 pixels, or the half of smaller images. Source and
target see the same noise inputs in the consistency term, which is therefore exactly zero at the start; not so for a
generator with batch norm, which trains on the statistics of its batch while the source keeps to its running ones.
"""

from dataclasses import dataclass, replace
from typing import Self, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fewshotgan.files import UserError
from fewshotgan.gans.gan import GAN
from fewshotgan.gans.layers import EqualConv2d
from fewshotgan.losses import r1_penalty
from fewshotgan.methods.finetuning import FineTuning, FineTuningTraining
from fewshotgan.methods.method import Batch, Task, Terms, settled
from fewshotgan.methods.options import option

ANCHORS = 2**20  # added to the run's seed: of latents that an evaluation with that seed does not draw


def similarities(features: list[Tensor]) -> Tensor:
    """Return cosine similarities (layers, N, N) between the N samples of each feature map (N, C, H, W)."""
    flat = [F.normalize(x.flatten(1), dim=1, eps=1e-8) for x in features]
    return torch.stack([x @ x.T for x in flat])


def relations(features: list[Tensor], layer: Tensor) -> Tensor:
    """Return each sample's similarities to the others, (N, N - 1), in the layer (N,) drawn for it (equation 1 before
    the softmax).
    """
    n = len(layer)
    rows = similarities(features)[layer, torch.arange(n, device=layer.device)]
    others = ~torch.eye(n, dtype=torch.bool, device=layer.device)
    return rows[others].view(n, n - 1)


def distance_consistency(source: list[Tensor], target: list[Tensor], layer: Tensor) -> Tensor:
    """Return the divergence of the adapted relations from the source's, a scalar (equations 3 and 4).

    Args:
        source: feature maps (N, C, H, W) of the source generator, layer by layer, for N >= 2 latents.
        target: those of the adapted generator, for the same latents.
        layer: (N,) the layer whose map speaks for each sample.

    The mean over the N (N - 1) elements, as in the released code, not the sum over each sample's.
    """
    wanted = relations(source, layer).softmax(dim=1)
    return F.kl_div(relations(target, layer).log_softmax(dim=1), wanted, reduction="sum") / wanted.numel()


@dataclass(frozen=True)
class CDC(FineTuning):
    """TransferGAN with distance consistency and a patch discriminator."""

    name = "cdc"
    paper = "Ojha et al., CVPR 2021, arXiv 2104.06820"
    summary = "fine-tune all, keeping the distances between the source's samples; patches judged away from anchors"

    weight: float = option(1000.0, "weight of the distance consistency, with its mean over elements", low=0)
    anchor_every: int = option(
        4,
        "in one of so many iterations latents come from the anchors, and the image-level discriminator judges",
        low=1,
    )
    anchor_std: float = option(0.1, "standard deviation of the latents around an anchor", low=0)
    patch_at: int | None = option(
        None,
        "side of D's feature map that the patch head reads; by default 32, or half the resolution of smaller images",
        low=4,
    )

    def settle(self, source: GAN) -> Self:
        """Settle which map the patch head reads.

        Raises:
            UserError: if D has no such map.
        """
        side = min(32, source.resolution // 2) if self.patch_at is None else self.patch_at
        sides = [int(key) for key in source.discriminator.groups() if int(key) < source.resolution]
        if side not in sides:
            choice = ", ".join(map(str, sides))
            raise UserError(f"patch_at={side} is no feature map of this discriminator; choose one of {choice}.")
        return replace(super().settle(source), patch_at=side)

    def build(self, task: Task) -> "CDCTraining":
        """Train from a copy of the source."""
        return CDCTraining(self.settle(task.source), task, task.source.copy())


class CDCTraining(FineTuningTraining):
    """CDC at work: the anchors, one for each training image, and the patch head lie in `modules`.

    Raises:
        UserError: for a batch of one.
    """

    method: CDC

    def __init__(self, method: CDC, task: Task, gan: GAN) -> None:
        if task.batch < 2:
            raise UserError(
                f"{method.name} compares the samples of a batch with each other; give a batch of at least 2."
            )
        super().__init__(method, task, gan)
        self.patch_at = settled(method.patch_at)
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(task.seed)
            blank = torch.zeros(1, gan.channels, gan.resolution, gan.resolution, device=gan.device)
            width = gan.discriminator.patches(blank, self.patch_at).shape[1]
            self.modules["patch_head"] = EqualConv2d(width, 1, 3).to(gan.device)
        anchors = gan.latents(len(task.images), seed=ANCHORS + task.seed).to(gan.device)
        self.modules.register_buffer("anchors", anchors)

    def anchored(self, batch: Batch) -> bool:
        """Return whether the iteration is the anchors'."""
        return batch.iteration % self.method.anchor_every == 0

    def discriminator_parameters(self) -> list[nn.Parameter]:
        """What trains of D: everything, and the patch head."""
        return [*self.discriminator.parameters(), *self.modules["patch_head"].parameters()]

    def latents(self, batch: Batch) -> Tensor:
        """Return latents z (batch, z_dim) around the anchors, or anywhere (equation 5)."""
        z = self.task.latents()
        if not self.anchored(batch):
            return z
        anchors = self.modules.get_buffer("anchors")
        chosen = torch.randint(len(anchors), (len(z),), generator=self.task.rng, device=z.device)
        return anchors[chosen] + self.method.anchor_std * z

    def judge(self, x: Tensor, batch: Batch, features: list[Tensor] | None = None) -> Tensor:
        """Return logits (N, 1) of images around the anchors, (N, 1, side, side) of the patches of others."""
        return self.judge_images(x, features) if self.anchored(batch) else self.judge_patches(x, features)

    def judge_images(self, x: Tensor, features: list[Tensor] | None = None) -> Tensor:
        """Return logits (N, 1) of images (N, C, H, W)."""
        return self.discriminator(x, features)

    def judge_patches(self, x: Tensor, features: list[Tensor] | None = None) -> Tensor:
        """Return logits (N, 1, side, side) of the patches of images (N, C, H, W)."""
        head = cast(EqualConv2d, self.modules["patch_head"])
        return head(self.discriminator.patches(x, self.patch_at, features))

    def generator_terms(self, batch: Batch) -> Terms:
        """Add the distance consistency to the adversarial loss."""
        return {**super().generator_terms(batch), "distance": self.method.weight * self.consistency()}

    def consistency(self) -> Tensor:
        """Return the distance consistency of fresh latents; the 4-pixel layer is left out, as in the released code."""
        z = self.task.latents()
        source, target = self.features_of(z)
        layer = torch.randint(1, len(source), (len(z),), generator=self.task.rng, device=z.device)
        return distance_consistency(source, target, layer)

    def features_of(self, z: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return the feature maps of source (without gradient) and adapted generator for latents (N, z_dim)."""
        source: list[Tensor] = []
        target: list[Tensor] = []
        with torch.no_grad():
            self.task.source.generator(z, noise="const", features=source)
        self.generator(z, noise="const", features=target)
        return source, target

    def r1(self, batch: Batch) -> Terms:
        """R1 of the image-level logits and of the patches' (see the module's docstring)."""
        terms = {}
        for name, judge in (("r1", self.judge_images), ("r1_patch", self.judge_patches)):
            real = self.task.augmented(self.real(batch)).detach().requires_grad_()
            terms[name] = r1_penalty(judge(real).flatten(1).mean(dim=1), real) * (self.r1_gamma / 2)
        return terms
