"""CDC: keep the distances between the source's samples, and ask for realism of patches away from a few anchors.

Paper: Ojha et al., "Few-shot Image Generation via Cross-domain Correspondence" (CVPR 2021, arXiv 2104.06820):

- distance consistency (equations 1 to 4): for a batch of latents, the softmax of a sample's feature similarities to the
  others must be the same in the adapted as in the source generator;
- relaxed realism (equation 5): the image-level discriminator judges only images from around a few fixed anchor latents,
  one for each training image; all others are judged patch by patch.

Differs: in the released code R1 is due only where the image-level discriminator moves, so the patch head never receives
it; here it does. The patch head reads the 32-pixel map, as theirs at 256 pixels, or the half of smaller images. Source
and target see the same noise inputs in the consistency term, which is therefore exactly zero at the start; not so for a
generator with batch norm, which trains on the statistics of its batch while the source keeps to its running ones.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fewshotgan.files import UserError
from fewshotgan.gans.gan import GAN
from fewshotgan.gans.layers import EqualConv2d
from fewshotgan.losses import r1_penalty
from fewshotgan.methods.method import Stage, Terms
from fewshotgan.methods.transfergan import TransferGAN

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


@dataclass
class CDC(TransferGAN):
    """TransferGAN with distance consistency and a patch discriminator.

    Args:
        weight: of the distance consistency, with its mean over elements.
        anchor_every: every so many iterations latents come from the anchors, and the image-level discriminator judges.
        anchor_std: standard deviation of the latents around an anchor.
        patch_at: side of D's feature map that the patch head reads.
    """

    name = "cdc"
    paper = "Ojha et al., CVPR 2021, arXiv 2104.06820"
    summary = "fine-tune all, keeping the distances between the source's samples; patches judged away from anchors"

    weight: float = 1000.0
    anchor_every: int = 4
    anchor_std: float = 0.1
    patch_at: int | None = None

    def settle(self, source: GAN) -> None:
        """Settle which features the patch head reads."""
        super().settle(source)
        if self.patch_at is None:
            self.patch_at = min(32, source.resolution // 2)

    def start(self, gan: GAN) -> None:
        """Draw the anchors, one for each training image, and make the patch head."""
        super().start(gan)
        if self.task.batch < 2:
            raise UserError(f"{self.name} compares the samples of a batch with each other; give a batch of at least 2.")
        sides = [int(side) for side in gan.discriminator.groups() if int(side) < gan.resolution]
        if self.patch_at not in sides:
            choice = ", ".join(map(str, sides))
            raise UserError(
                f"patch_at={self.patch_at} is no feature map of this discriminator; choose one of {choice}."
            )
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(self.task.seed)
            blank = torch.zeros(1, gan.channels, gan.resolution, gan.resolution, device=gan.device)
            width = gan.discriminator.patches(blank, self.patch_at).shape[1]
            head = EqualConv2d(width, 1, 3).to(gan.device)
        self.modules["patch_head"] = head
        self.modules.register_buffer(
            "anchors", gan.latents(len(self.task.images), seed=ANCHORS + self.task.seed).to(gan.device)
        )
        self.anchored = True

    def stages(self, iterations: int) -> Iterator[Stage]:
        """One stage; every fourth iteration belongs to the anchors."""
        players = [self.discriminator_player(), self.generator_player()]
        yield Stage("adaptation", iterations, players, before=self.choose_realism)

    def choose_realism(self, iteration: int) -> None:
        """Decide whether this iteration is the anchors'."""
        self.anchored = iteration % self.anchor_every == 0

    def discriminator_parameters(self) -> list[nn.Parameter]:
        """What trains of D: everything, and the patch head."""
        return [*self.discriminator.parameters(), *self.modules["patch_head"].parameters()]

    def latents(self) -> Tensor:
        """Return latents around the anchors, or anywhere (equation 5)."""
        z = self.task.latents()
        if not self.anchored:
            return z
        anchors = self.modules.get_buffer("anchors")
        chosen = torch.randint(len(anchors), (len(z),), generator=self.task.rng, device=z.device)
        return anchors[chosen] + self.anchor_std * z

    def judge(self, x: Tensor, features: list[Tensor] | None = None) -> Tensor:
        """Return logits (N, 1) of images around the anchors, (N, 1, side, side) of the patches of others."""
        if self.anchored:
            return self.discriminator(x, features)
        return self.modules["patch_head"](self.discriminator.patches(x, self.patch_at, features))

    def generator_terms(self) -> Terms:
        """Add the distance consistency to the adversarial loss."""
        return {**super().generator_terms(), "distance": self.weight * self.consistency()}

    def consistency(self) -> Tensor:
        """Return the distance consistency of a fresh batch; the 4-pixel layer is left out, as in the released code."""
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

    def r1(self) -> Terms:
        """R1 of the image-level logits and of the patches' (see the module's docstring)."""
        terms, before = {}, self.anchored
        for name, self.anchored in (("r1", True), ("r1_patch", False)):
            real = self.task.augmented(self.task.real()).detach().requires_grad_()
            terms[name] = r1_penalty(self.judge(real).flatten(1).mean(dim=1), real) * (self.r1_gamma / 2)
        self.anchored = before
        return terms
