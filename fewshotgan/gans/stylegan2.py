"""StyleGAN2: generator and discriminator in pure PyTorch, at any power-of-two resolution and any width.

Paper: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (CVPR 2020, arXiv 1912.04958).
The generator has skip connections to RGB, the discriminator is residual (section 4.1); the other architectures of that
section are there for files that have them: "skip", "resnet" (residual) and "orig" (neither). Classes are as in
StyleGAN2-ADA (arXiv 2006.06676): see `gans/mapping.py`.

Its layers are in `gans/stylegan2_layers.py`.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from fewshotgan.files import UserError
from fewshotgan.gans import network
from fewshotgan.gans.layers import (
    GAIN,
    EqualConv2d,
    EqualLinear,
    Stack,
    fir_down,
    fir_up,
    minibatch_std,
    widths,
)
from fewshotgan.gans.mapping import ClassProjection, FeatureProjection, MappingNetwork
from fewshotgan.gans.prior import PriorConfig
from fewshotgan.gans.semantic import ConstantMiner, NoiseMiner, Semantic, make_semantic
from fewshotgan.gans.stylegan2_layers import ResidualBlock, SynthesisBlock

RESIDUAL = {"skip": False, "resnet": True, "orig": False}  # whether blocks of an architecture have a shortcut


class Generator(network.StyleGenerator):
    """StyleGAN2's generator, with skip connections to the image (section 4.1).

    Args:
        resolution: side of the images, a power of two of at least 8.
        channels: 1 (grey) or 3 (colour).
        z_dim: size of the latents z.
        w_dim: size of the intermediate latents w.
        mapping_layers: depth of the mapping network.
        channel_base: feature channels at a resolution times its side, so that they double with each halving.
        channel_max: most feature channels at any resolution.
        noise: whether the convolutions add noise (a network for flat drawings does without).
        normalise: whether the mapping network normalises the latents.
        prior: what turns standard normal numbers into latents (`gans/prior.py`).
        classes: number of classes, 0 for a generator without.
        architecture: "skip", "resnet" or "orig".
        semantic: which input a miner makes beside the latents, "constant" or "noise" (`gans/semantic.py`), or "none".
    """

    def __init__(
        self,
        resolution: int = 64,
        channels: int = 3,
        z_dim: int = 512,
        w_dim: int = 512,
        mapping_layers: int = 8,
        channel_base: int = 32768,
        channel_max: int = 512,
        noise: bool = True,
        normalise: bool = True,
        prior: PriorConfig | None = None,
        classes: int = 0,
        architecture: str = "skip",
        semantic: Semantic = "none",
    ) -> None:
        super().__init__(resolution, channels, z_dim, classes, prior)
        self.w_dim = w_dim
        width, residual = widths(resolution, channel_base, channel_max), RESIDUAL[architecture]
        self.mapping = MappingNetwork(z_dim, w_dim, mapping_layers, normalise, classes, feature_dim=self.feature_dim)
        self.const = nn.Parameter(torch.randn(width[4], 4, 4))
        self.blocks: Stack[SynthesisBlock] = Stack()
        before = 0
        for side, out in width.items():
            projects = channels if architecture == "skip" or side == resolution else 0
            self.blocks[str(side)] = SynthesisBlock(before, out, w_dim, side, projects, noise, residual)
            before = out
        self.w_mean: Tensor
        self.register_buffer("w_mean", torch.zeros(w_dim))
        self.semantic = make_semantic(semantic, width[4], noise)

    @property
    def num_ws(self) -> int:
        """Number of w that the layers take: two per resolution."""
        return 2 * len(self.blocks)

    @property
    def truncates(self) -> bool:
        """Yes, towards the mean w."""
        return True

    def mined(self) -> list[nn.Module]:
        """Return the prior and the miner of another input, if there is one."""
        return super().mined() + ([] if self.semantic is None else [self.semantic])

    def groups(self) -> network.Groups:
        """Return the modules by name, from the latents to the image: "mapping", "4", "8", ..."""
        return {"mapping": [self.mapping], **{side: [block] for side, block in self.blocks.items()}}

    def forward(
        self,
        z: Tensor | None = None,
        *,
        w: Tensor | None = None,
        labels: Tensor | None = None,
        mix: Tensor | None = None,
        mix_from: int = 0,
        truncation: float | Tensor = 1.0,
        noise: str | None = None,
        rng: torch.Generator | None = None,
        features: list[Tensor] | None = None,
    ) -> Tensor:
        """Generate images, as `network.Generator.forward`, from z or from w.

        Args:
            z: latents (N, z_dim), standard normal.
            w: intermediate latents instead of z: (N, w_dim), or one for each layer (N, num_ws, w_dim).
            labels: classes (N,), weights of the classes (N, classes), or features of images (N, feature_dim); the
                prior's by default, if it finds them.
            mix: second latents (N, z_dim) for style mixing.
            mix_from: first layer that `mix` drives.
            truncation: w moves to `w_mean + truncation * (w - w_mean)`.
            noise: of each convolution.
            rng: source of random noise.
            features: collects the activations of each convolution.

        Raises:
            UserError: if labels are missing, or given where there are no classes, or without z and w.
        """
        self.check_labels(labels)
        if w is None:
            if z is None:
                raise UserError("A StyleGAN2 needs latents to make an image of: give z or w.")
            w = self.map_to_w(z, mix, mix_from, labels)
        w = w[:, None].expand(-1, self.num_ws, -1) if w.dim() == 2 else w
        if isinstance(truncation, Tensor) or truncation != 1.0:
            w = torch.lerp(self.w_mean.expand_as(w), w, truncation)
        return self.synthesise(w, noise or ("random" if self.training else "const"), rng, features)

    if TYPE_CHECKING:
        __call__ = forward

    def map_to_w(self, z: Tensor, mix: Tensor | None = None, mix_from: int = 0, labels: Tensor | None = None) -> Tensor:
        """Map z (N, z_dim) to w (N, num_ws, w_dim), with the layers from `mix_from` on taken from `mix`; both of the
        labels' classes.
        """
        labels = self.condition(z, labels)
        w = self.mapping(self.prior(z), labels)[:, None].expand(-1, self.num_ws, -1)
        if mix is None:
            return w
        other = self.mapping(self.prior(mix), labels)[:, None].expand(-1, self.num_ws, -1)
        return torch.cat([w[:, :mix_from], other[:, mix_from:]], dim=1)

    def synthesise(
        self, w: Tensor, noise: str = "random", rng: torch.Generator | None = None, features: list[Tensor] | None = None
    ) -> Tensor:
        """Run the synthesis blocks on w (N, num_ws, w_dim); see `forward`."""
        const = self.semantic() if isinstance(self.semantic, ConstantMiner) else self.const
        maps = self.semantic.draw(w.shape[0], noise, rng) if isinstance(self.semantic, NoiseMiner) else {}
        x = const.expand(w.shape[0], -1, -1, -1)
        image: Tensor | None = None
        layer = 0  # the next row of w; each image projection shares its row with the layer after it
        for side, block in self.blocks.items():
            before = x
            for conv in block.convolutions():
                x = conv(x, w[:, layer], noise, rng, maps.get(int(side)))
                layer += 1
                if features is not None:
                    features.append(x)
            if block.skip is not None:
                x = (x + fir_up(block.skip(before))) * (1 / GAIN)
            if block.to_image is not None:
                projected = block.to_image(x, w[:, layer])
                image = projected if image is None else fir_up(image) + projected
        assert image is not None  # the last block projects
        return image

    def mean_class(self) -> network.StateDict:
        """Return the state dict of the network without classes that does for every latent what this one does for the
        mean of the classes' embeddings.
        """
        state = {key: value for key, value in self.state_dict().items() if not key.startswith("mapping.embedding.")}
        return {**state, **self.mapping.mean_class("mapping.")}

    @torch.no_grad()
    def refresh(self, samples: int = 8192, seed: int = 0) -> None:
        """Set `w_mean`, the centre of truncation, to the mean w of `samples` latents."""
        rng = torch.Generator().manual_seed(seed)
        z = torch.randn(samples, self.z_dim, generator=rng).to(self.w_mean.device)
        labels = torch.randint(self.classes, (samples,), generator=rng).to(z.device) if self.classes else None
        self.w_mean.copy_(self.map_to_w(z, labels=labels)[:, 0].mean(dim=0))


class Discriminator(network.Discriminator):
    """StyleGAN2's residual discriminator (section 4.1).

    Args: as `Generator`; `group` is the group size of the minibatch standard deviation, `mapping_layers` and `map_dim`
        are those of the classes' mapping (as wide as the features at 4 pixels by default), `feature_dim` is the size of
        the features of an image that are projected in the place of a class.
    """

    def __init__(
        self,
        resolution: int = 64,
        channels: int = 3,
        channel_base: int = 32768,
        channel_max: int = 512,
        group: int = 4,
        classes: int = 0,
        architecture: str = "resnet",
        mapping_layers: int = 8,
        map_dim: int | None = None,
        feature_dim: int = 0,
    ) -> None:
        super().__init__(resolution, channels, classes, feature_dim)
        self.group = group
        width, residual = widths(resolution, channel_base, channel_max), RESIDUAL[architecture]
        self.from_image = EqualConv2d(channels, width[resolution], 1)
        self.blocks: Stack[ResidualBlock] = Stack(
            {
                str(side): ResidualBlock(width[side], width[side // 2], residual)
                for side in sorted(width, reverse=True)
                if side > 4
            }
        )
        self.conv = EqualConv2d(width[4] + 1, width[4], 3)
        self.hidden = EqualLinear(width[4] * 16, width[4], activate=True)
        self.out = EqualLinear(width[4], (map_dim or width[4]) if classes else 1)
        halved = [side for side in width if side < resolution and architecture == "skip"]
        self.from_images: Stack[EqualConv2d] = Stack(
            {str(side): EqualConv2d(channels, width[side], 1) for side in halved}
        )
        self.projection = ClassProjection(classes, map_dim or width[4], mapping_layers) if classes else None
        self.instance = FeatureProjection(feature_dim, width[4]) if feature_dim else None

    def groups(self) -> network.Groups:
        """Return the modules by name, from the image to the logit: "64" (with the image's 1x1), "32", ..., "8", "4"."""
        groups: network.Groups = {side: [block] for side, block in self.blocks.items()}
        groups[str(self.resolution)].insert(0, self.from_image)
        groups["4"] = [self.conv, self.hidden, self.out]
        for side, layer in self.from_images.items():
            groups[side].insert(0, layer)
        groups["4"] += [layer for layer in (self.projection, self.instance) if layer is not None]
        return groups

    def forward(self, x: Tensor, features: list[Tensor] | None = None, *, labels: Tensor | None = None) -> Tensor:
        """Return logits (N, 1) of images (N, channels, H, W), with classes those of the labels (N,), without labels
        their mean; features (N, feature_dim) add their projection.

        `features` collects the output of each block's convolutions.
        """
        self.check_labels(labels)
        x = self.trunk(x, 4, features)
        x = self.conv(minibatch_std(x, self.group))
        h = self.hidden(x.flatten(1))
        x = self.out(h)
        if self.instance is not None and labels is not None:
            return x + self.instance(h, labels)
        return x if self.projection is None else self.projection(x, labels)

    def trunk(self, x: Tensor, side: int, features: list[Tensor] | None = None) -> Tensor:
        """Return what the blocks down to `side` pixels make of images: (N, C, side, side)."""
        image, x = x, self.from_image(x)
        for block in self.blocks.values():
            if x.shape[-1] == side:
                break
            x = block(x, features)
            if self.from_images:
                image = fir_down(image)
                x = x + self.from_images[str(x.shape[-1])](image)
        return x

    def mean_class(self) -> network.StateDict:
        """Return the state dict of the network without classes whose logit is the mean over this one's."""
        state = {key: value for key, value in self.state_dict().items() if not key.startswith("projection.")}
        assert self.projection is not None  # asked of a network with classes alone
        mean = self.projection.mean().detach()
        return {**state, "out.weight": (mean @ state["out.weight"])[None], "out.bias": (mean @ state["out.bias"])[None]}

    def patches(self, x: Tensor, side: int, features: list[Tensor] | None = None) -> Tensor:
        """Return the activations (N, C, side, side) of the last convolution before the skip that leads to `side`
        pixels, side >= 4.

        CDC's patch head reads them (arXiv 2104.06820, section 3.3); the layers behind are not computed.
        """
        collected: list[Tensor] = [] if features is None else features
        self.trunk(x, side, collected)
        return collected[-1]
