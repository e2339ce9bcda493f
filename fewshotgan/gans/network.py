"""The contract of networks: all that methods, metrics and the training loop may ask of a family.

A family derives its networks from `Generator` (or `StyleGenerator`, where an intermediate latent w drives every layer)
and `Discriminator`. Each option of `forward` exists in every family: one that a family lacks is either without effect
(`noise`, `rng`) or refused in one sentence (`labels`, `mix`, `truncation`), and a property says which it has. Weights
of layers are (out, in, ...), as methods read a filter in each row. The tests in `tests/family_kit.py` hold every
registered family to this contract.
"""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import torch
from torch import Generator as RandomGenerator
from torch import Tensor, nn

from fewshotgan.files import UserError
from fewshotgan.gans.prior import PriorConfig, make_prior

Groups = dict[str, list[nn.Module]]
"""Modules by name, in the order of the forward pass; see `Network.groups`."""
StateDict = dict[str, Tensor]
"""Tensors by name, as `nn.Module.state_dict` returns them."""


class Network(nn.Module, ABC):
    """What generators and discriminators have in common.

    Attributes:
        kind: "generator" or "discriminator", for messages.
        resolution: side of the images in pixels, a power of two of at least 8.
        channels: 1 (grey) or 3 (colour).
        classes: number of classes of a class-conditional network, else 0.
        feature_dim: size of the features of an image that take the place of a class, else 0.
    """

    kind: ClassVar[str]

    def __init__(self, resolution: int, channels: int, classes: int = 0, feature_dim: int = 0) -> None:
        super().__init__()
        self.resolution, self.channels, self.classes, self.feature_dim = resolution, channels, classes, feature_dim

    @abstractmethod
    def groups(self) -> Groups:
        """Return the modules by the side of the feature map that they work on, in the order of the forward pass.

        The keys are all powers of two from "4" to the resolution, ascending in a generator and descending in a
        discriminator; a mapping network comes first, as "mapping". Each parameter is in exactly one group, except the
        prior's, which are in none. The layers at the image are in the group of the resolution, unless each resolution
        has its own; `to_image` or `from_image` in their names tells methods apart from other convolutions.
        """

    def mean_class(self) -> StateDict:
        """Return the weights of the same network with `classes=0` that does for every image what this one does on
        average over its classes. A class-conditional family overrides this.

        Raises:
            UserError: if there are no classes.
        """
        raise UserError(f"This {self.kind} has no classes to take the mean of; use it as it is.")

    def orthogonality(self) -> Tensor:
        """Return how far the filters of each layer are from orthogonal, a scalar: the orthogonal regularisation of
        BigGAN (arXiv 1809.11096, equation 3), half the sum over kernels W of |W W^T * (1 - I)|^2, the filters as rows.

        A method that asks for it weighs it, by 1e-4 in the released code, whose gradient this half has. Embeddings of
        classes and the prior are left out.
        """
        filters = [
            parameter.flatten(1)
            for name, parameter in self.named_parameters()
            if name.endswith("weight") and parameter.dim() > 1 and not name.startswith(("prior.", "embedding."))
        ]
        products = [w @ w.T for w in filters]
        return torch.stack([(p - p.diag().diag()).square().sum() for p in products]).sum() / 2

    def check_labels(self, labels: Tensor | None) -> None:
        """Raise one sentence for labels where there are no classes, or for features of another size.

        Raises:
            UserError: if the network is conditioned on neither classes nor features and gets labels, or features do
                not fit.
        """
        if labels is None:
            return
        if self.feature_dim and labels.shape[1:] != (self.feature_dim,):
            raise UserError(
                f"This {self.kind} is conditioned on features of {self.feature_dim} numbers for each image, not on "
                f"{tuple(labels.shape)}; make them by its prior's condense()."
            )
        if not (self.classes or self.feature_dim):
            raise UserError(f"This {self.kind} has no classes: leave out the labels.")


class Generator(Network):
    """Latents z to images.

    Attributes:
        z_dim: size of the normal numbers that it is given: those of the latents, and what a prior takes more.

    Args:
        resolution: side of the images in pixels, a power of two of at least 8.
        channels: 1 (grey) or 3 (colour).
        z_dim: size of the latents.
        classes: number of classes, 0 for an unconditional generator.
        prior: what turns standard normal numbers into latents (`gans/prior.py`).
        embed: size of the classes' shared embedding, which a miner puts out in place of the classes; 0 for none.
    """

    kind = "generator"

    def __init__(
        self,
        resolution: int,
        channels: int,
        z_dim: int,
        classes: int = 0,
        prior: PriorConfig | None = None,
        embed: int = 0,
    ) -> None:
        super().__init__(resolution, channels, classes)
        self.prior = make_prior(prior, z_dim, classes, embed)
        self.z_dim, self.feature_dim = z_dim + self.prior.extra, self.prior.feature_dim

    @property
    def num_ws(self) -> int:
        """Number of layers that take an intermediate latent w, and with it of style mixing; 0 without a mapping
        network.
        """
        return 0

    def mined(self) -> list[nn.Module]:
        """Return what a miner trains while the network itself is fixed: the prior."""
        return [self.prior]

    @property
    def truncates(self) -> bool:
        """Whether `truncation` has an effect; a generator whose latents have no centre refuses it."""
        return False

    @abstractmethod
    def forward(
        self,
        z: Tensor,
        *,
        labels: Tensor | None = None,
        mix: Tensor | None = None,
        mix_from: int = 0,
        truncation: float | Tensor = 1.0,
        noise: str | None = None,
        rng: RandomGenerator | None = None,
        features: list[Tensor] | None = None,
    ) -> Tensor:
        """Generate images. In evaluation mode an image depends on its own latent alone.

        Args:
            z: latents (N, z_dim), standard normal; the prior comes first.
            labels: of a class-conditional generator: classes, int64 (N,), or a mixture of classes for each image, of
                floating point, as the family takes it; or features of images (N, feature_dim) where these condition
                it. By default the prior's, if it finds them itself.
            mix: second latents (N, z_dim) for style mixing; they drive the layers from index `mix_from` on.
            mix_from: 0..num_ws.
            truncation: 1 for none; towards 0 for more typical and less diverse images. A tensor of one number, which
                an export leaves open, is not checked.
            noise: inputs of noise are "random", "const" (stored with the weights) or "none"; by default random in
                training mode and stored in evaluation mode. Without effect where there are none.
            rng: the source of all randomness of this call, on the device; by default PyTorch's own.
            features: a list to which activations (N, C, H, W) are appended, from 4 pixels to the resolution; the same
                number of them at each call.

        Returns:
            Images (N, channels, resolution, resolution), about -1..1, not clamped.

        Raises:
            UserError: if labels are missing, or for an option that the family has not.
        """

    if TYPE_CHECKING:
        __call__ = forward

    def refresh(self) -> None:  # most families keep no such number
        """Recompute what follows from the weights, such as the centre of truncation; nothing by default."""

    def condition(self, z: Tensor, labels: Tensor | None) -> Tensor | None:
        """Return the labels of latents (N, z_dim): those given, else the prior's, else None.

        Raises:
            UserError: if the generator is class-conditional and has none, or if it isn't and gets some.
        """
        self.check_labels(labels)
        labels = self.prior.labels(z) if labels is None else labels
        if self.classes and labels is None:
            raise UserError(f"This generator is class-conditional: give it labels, 0 to {self.classes - 1}.")
        return labels

    def check_options(self, mix: Tensor | None, truncation: float | Tensor) -> None:
        """Raise one sentence for an option that this generator has not.

        Raises:
            UserError: for style mixing without a mapping network, or truncation without a centre.
        """
        if mix is not None and not self.num_ws:
            raise UserError("This generator has no mapping network, so there are no styles to mix: leave out mix.")
        if not self.truncates and truncation != 1.0:
            raise UserError(
                f"This generator has no truncation, since its latents have no centre: leave out {truncation=:g}."
            )


class LatentGenerator(Generator):
    """A generator without mapping network and noise inputs: an image follows from its latent, whose centre is zero, and
    its class.
    """

    @property
    def truncates(self) -> bool:
        """Yes, towards the latent zero."""
        return True

    def forward(
        self,
        z: Tensor,
        *,
        labels: Tensor | None = None,
        mix: Tensor | None = None,
        mix_from: int = 0,
        truncation: float | Tensor = 1.0,
        noise: str | None = None,
        rng: RandomGenerator | None = None,
        features: list[Tensor] | None = None,
    ) -> Tensor:
        """Generate images, as `Generator.forward`: latents are drawn towards zero by `truncation`, `mix` is refused,
        and `mix_from`, `noise` and `rng` have no effect.
        """
        labels = self.condition(z, labels)
        self.check_options(mix, truncation)
        return self.decode(self.prior(z) * truncation, labels, truncation, [] if features is None else features)

    if TYPE_CHECKING:
        __call__ = forward

    @abstractmethod
    def decode(self, z: Tensor, labels: Tensor | None, truncation: float | Tensor, features: list[Tensor]) -> Tensor:
        """Return images (N, channels, resolution, resolution) of what is left of the latents (N, z_dim) after prior and
        truncation, and of labels as `Generator.condition` returns them; activations are appended to `features`.
        """


class StyleGenerator(Generator):
    """A generator whose images follow from the intermediate latent w alone, so that path lengths are defined."""

    @abstractmethod
    def map_to_w(self, z: Tensor, mix: Tensor | None = None, mix_from: int = 0, labels: Tensor | None = None) -> Tensor:
        """Map latents z (N, z_dim) to w (N, num_ws, w_dim), with the layers from `mix_from` on taken from `mix`; of
        the labels (N,) where there are classes.
        """

    @abstractmethod
    def synthesise(
        self,
        w: Tensor,
        noise: str = "random",
        rng: RandomGenerator | None = None,
        features: list[Tensor] | None = None,
    ) -> Tensor:
        """Return the images (N, channels, resolution, resolution) of w (N, num_ws, w_dim); options as `forward`."""


class PaperLoss(NamedTuple):
    """The adversarial loss that the paper of a family trains it by.

    Attributes:
        name: one of `losses.LOSSES`.
        moves: steps of D for each of G.
        betas: of both players' Adam.
    """

    name: Literal["logistic", "relativistic", "hinge", "wgan_gp"] = "logistic"
    moves: int = 1
    betas: tuple[float, float] = (0.0, 0.99)


class Discriminator(Network):
    """Images to logits.

    Attributes:
        paper_loss: what every method trains the family by unless it is told otherwise.
    """

    kind = "discriminator"
    paper_loss: ClassVar[PaperLoss] = PaperLoss()

    @abstractmethod
    def forward(self, x: Tensor, features: list[Tensor] | None = None, *, labels: Tensor | None = None) -> Tensor:
        """Judge images.

        Args:
            x: images (N, channels, resolution, resolution), -1..1.
            features: a list to which activations (N, C, H, W) are appended, from the image to 4 pixels or less; the
                same number of them at each call.
            labels: classes, int64 (N,), of a class-conditional discriminator, or features of images (N, feature_dim)
                where these condition it; without them it judges the image alone.

        Returns:
            Logits (N, 1), higher for real.

        Raises:
            UserError: if there are labels and no classes.
        """

    if TYPE_CHECKING:
        __call__ = forward

    @abstractmethod
    def trunk(self, x: Tensor, side: int, features: list[Tensor] | None = None) -> Tensor:
        """Return the features (N, C, side, side) of images, for each power of two from 4 to half the resolution."""

    def patches(self, x: Tensor, side: int, features: list[Tensor] | None = None) -> Tensor:
        """Return the activations (N, C, side, side) that CDC's patch head reads (arXiv 2104.06820, section 3.3), for
        each power of two from 4 to half the resolution; the layers behind are not computed.
        """
        return self.trunk(x, side, features)
