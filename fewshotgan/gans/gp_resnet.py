"""GP-GAN: a residual generator and discriminator without any normalisation, class-conditional or not.

Paper: Mescheder et al., "Which Training Methods for GANs do actually Converge?" (ICML 2018, arXiv 1801.04406), appendix
G: what keeps the two together is the gradient penalty alone. The published networks differ in

- the residual blocks at each resolution: two (ImageNet), or one (LSUN, CelebA). With two the width changes on the
  image's side of the resampling, with one on the latents' side;
- the image's own resolution: it has blocks (ImageNet, CelebA), or none, `late` (LSUN);
- the kernel at the image: 7 (LSUN, CelebA) or 3;
- the label's embedding: divided by its norm (ImageNet), or not (LSUN, CelebA);
- the side of the first features, `start`: 4 pixels, but 2 for images half as large as the published.

AdaFM (arXiv 2002.11810) counts groups from the image, G1, G2, ... and D1, D2, ...: the convolution at the image is the
first one, the blocks of each resolution one more; the fully connected layer is in none. `head` puts its tailored head
(`gans/small_head.py`) in the place of the blocks up to that many pixels.

Differs: the published networks always have labels, of one class if need be; with `classes=0` ours have none.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fewshotgan.gans import network
from fewshotgan.gans.layers import LEAK, Layer, Row, Stack, widths
from fewshotgan.gans.prior import PriorConfig
from fewshotgan.gans.small_head import Mapping, SmallHead


class ResidualBlock(Layer):
    """out = shortcut + 0.1 dx, with two 3x3 convolutions, each after a leaky ReLU: (N, in, H, W) -> (N, out, H, W)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        hidden = min(in_channels, out_channels)
        self.conv0 = nn.Conv2d(in_channels, hidden, 3, padding=1)
        self.conv1 = nn.Conv2d(hidden, out_channels, 3, padding=1)
        self.skip = nn.Conv2d(in_channels, out_channels, 1, bias=False) if in_channels != out_channels else None

    def forward(self, x: Tensor, features: list[Tensor] | None = None) -> Tensor:
        """Return the sum; `features` collects the output of both convolutions."""
        first = self.conv0(F.leaky_relu(x, LEAK))
        second = self.conv1(F.leaky_relu(first, LEAK))
        if features is not None:
            features += [first, second]
        return torch.add(x if self.skip is None else self.skip(x), second, alpha=0.1)


class Group(Row[ResidualBlock]):
    """The residual blocks of one resolution: (N, in, H, W) -> (N, out, H, W)."""

    def forward(self, x: Tensor, features: list[Tensor] | None = None) -> Tensor:
        """Apply one after the other; `features` collects the output of all convolutions."""
        for block in self:
            x = block(x, features)
        return x


def pool(x: Tensor) -> Tensor:
    """Halve the size of (N, C, H, W) by the mean of each three by three pixels."""
    return F.avg_pool2d(x, 3, stride=2, padding=1)


def ends(width: dict[int, int], blocks: int, late: bool) -> dict[int, tuple[int, int]]:
    """Return {resolution: (channels towards the latents, channels towards the image)} of the blocks at each
    resolution; with `late` the image's has none.
    """
    if blocks == 2:
        found = {side: (width.get(side // 2, out), out) for side, out in width.items()}
    elif blocks == 1:
        found = {side: (before, width.get(2 * side, before)) for side, before in width.items()}
    else:
        raise ValueError(f"a GP-GAN has 1 or 2 residual blocks at each resolution, not {blocks}")
    return {side: pair for side, pair in found.items() if not late or side < max(width)}


class Generator(network.Generator):
    """GP-GAN's generator.

    Args:
        resolution: side of the images, a power of two of at least 8.
        channels: 1 (grey) or 3 (colour).
        z_dim: size of the latents z.
        channel_base: feature channels at a resolution times its side, so that they double with each halving.
        channel_max: most feature channels at any resolution.
        blocks: residual blocks at each resolution, 1 or 2.
        kernel: of the convolution at the image.
        start: side of the first features, a power of two.
        late: whether the last upsampling comes after all blocks.
        level_channels: feature channels at `start` pixels, twice that, ..., in place of the rule.
        classes: number of labels, 0 for none.
        embed: size of a label's embedding.
        normalise: whether embeddings are divided by their norm.
        head: side of the features that a small head makes in place of the blocks up to there, 0 for none; without
            classes only.
        w_dim: size of the small head's styles.
        prior: what turns standard normal numbers into latents (`gans/prior.py`).
    """

    def __init__(
        self,
        resolution: int = 64,
        channels: int = 3,
        z_dim: int = 256,
        channel_base: int = 4096,
        channel_max: int = 1024,
        blocks: int = 2,
        kernel: int = 3,
        start: int = 4,
        late: bool = False,
        level_channels: list[int] | None = None,
        classes: int = 0,
        embed: int = 256,
        normalise: bool = True,
        head: int = 0,
        w_dim: int = 256,
        prior: PriorConfig | None = None,
    ) -> None:
        super().__init__(resolution, channels, z_dim, classes, prior)
        self.normalise = normalise
        width = widths(resolution, channel_base, channel_max, level_channels, start)
        sizes = ends(width, blocks, late)
        self.start = start
        if head and (head not in sizes or head < 8 or classes):
            raise ValueError(
                f"a small head makes 8 pixels up to {resolution}, a power of two, without classes, "
                f"not {head} for {classes}"
            )
        first, units = (sizes[head][1], 16) if head else (sizes[start][0], start**2)
        self.dense = nn.Linear(z_dim + (embed if classes else 0), first * units)
        self.embedding = nn.Embedding(classes, embed) if classes else None
        if head:
            self.mapping = Mapping(z_dim, w_dim)
        self.head = SmallHead(first, w_dim, head) if head else None
        self.blocks: Stack[Group] = Stack()
        for side, (before, after) in sizes.items():
            if side > head:
                self.blocks[str(side)] = Group(
                    [ResidualBlock(before, after), *(ResidualBlock(after, after) for _ in range(blocks - 1))]
                )
        self.to_image = nn.Conv2d(width[resolution], channels, kernel, padding=kernel // 2)

    @property
    def num_ws(self) -> int:
        """Number of styles that the small head's layers take: two for each of its resolutions."""
        return self.head.num_ws if self.head is not None else 0

    def counted(self) -> dict[str, list[nn.Module]]:
        """Return the groups as the paper counts them, from the image: "G1" is the convolution at the image, "G2" the
        last blocks, ...
        """
        modules = [self.to_image, *list(self.blocks.values())[::-1]]
        return {f"G{i}": [module] for i, module in enumerate(modules, 1)}

    def groups(self) -> network.Groups:
        """Return the modules by resolution, from the latents to the image, with a small head "mapping" first: "4",
        "8", ...
        """
        groups: network.Groups = {"4": [self.dense]}
        if self.embedding is not None:
            groups["4"].insert(0, self.embedding)
        if self.head is not None:
            groups = {"mapping": [self.mapping], **groups, **self.head.groups()}
        for side, block in self.blocks.items():
            groups.setdefault(str(max(int(side), 4)), []).append(block)
        groups.setdefault(str(self.resolution), []).append(self.to_image)
        return groups

    def forward(
        self,
        z: Tensor,
        *,
        labels: Tensor | None = None,
        mix: Tensor | None = None,
        mix_from: int = 0,
        truncation: float | Tensor = 1.0,
        noise: str | None = None,
        rng: torch.Generator | None = None,
        features: list[Tensor] | None = None,
    ) -> Tensor:
        """Generate images, -1..1, as `network.Generator.forward`.

        Args:
            z: latents (N, z_dim), standard normal.
            labels: classes (N,), or embeddings in their place (N, embed); by default the mean of the embeddings by a
                miner's weights, if the prior is one.
            mix: style mixing of a small head; refused without one.
            mix_from: first layer that `mix` drives.
            truncation: refused.
            noise: of a small head; without effect if there is none.
            rng: likewise.
            features: collects the output of each convolution but the last.

        Raises:
            UserError: if labels are missing, or for what is refused.
        """
        self.check_options(mix, truncation)
        x = self.first(z, labels)
        if self.head is not None:
            noise = noise or ("random" if self.training else "const")
            x = self.head(x, self.map_to_w(z, mix, mix_from), noise, rng, features)
        for side, group in self.blocks.items():
            x = group(F.interpolate(x, scale_factor=2) if x.shape[-1] < int(side) else x, features)
        if x.shape[-1] < self.resolution:
            x = F.interpolate(x, scale_factor=2)
            if features is not None:
                features.append(x)
        return torch.tanh(self.to_image(F.leaky_relu(x, LEAK)))

    def first(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Return the features (N, C, 4, 4) of latents (N, z_dim) and, with classes, labels as `forward` takes them."""
        given = self.condition(z, labels)
        x = self.prior(z)
        if self.embedding is not None and given is not None:
            mined = labels is None  # weights of the classes, not embeddings
            x = torch.cat([x, self.embedded(given @ self.embedding.weight if mined else given)], dim=1)
        side = self.start if self.head is None else 4
        features: Tensor = self.dense(x).view(z.shape[0], -1, side, side)
        return features

    def embedded(self, labels: Tensor) -> Tensor:
        """Return embeddings (N, embed) of labels (N,), or of embeddings as they are given, normalised where the
        network does.
        """
        assert self.embedding is not None  # asked of a network with classes alone
        y = labels if labels.is_floating_point() else F.embedding(labels, self.embedding.weight)
        return y / y.norm(dim=1, keepdim=True) if self.normalise else y

    def map_to_w(self, z: Tensor, mix: Tensor | None = None, mix_from: int = 0) -> Tensor:
        """Map z (N, z_dim) to the small head's styles (N, num_ws, w_dim), those from `mix_from` on taken from
        `mix`.
        """
        w = self.mapping(self.prior(z))[:, None].expand(-1, self.num_ws, -1)
        if mix is None:
            return w
        other = self.mapping(self.prior(mix))[:, None].expand(-1, self.num_ws, -1)
        return torch.cat([w[:, :mix_from], other[:, mix_from:]], dim=1)

    def mean_class(self) -> network.StateDict:
        """Return the state dict of the unconditional network, which computes what this one does for the classes' mean
        embedding.
        """
        state = {key: value for key, value in self.state_dict().items() if key != "embedding.weight"}
        mean = self.embedded(torch.arange(self.classes, device=self.dense.weight.device)).mean(dim=0)
        state["dense.weight"] = self.dense.weight.detach()[:, : self.z_dim]
        state["dense.bias"] = (self.dense.bias + self.dense.weight[:, self.z_dim :] @ mean).detach()
        return state


class Discriminator(network.Discriminator):
    """GP-GAN's discriminator, which mirrors the generator; it halves the size by the mean of each three by three
    pixels.

    Args: as `Generator`.
    """

    def __init__(
        self,
        resolution: int = 64,
        channels: int = 3,
        channel_base: int = 4096,
        channel_max: int = 1024,
        blocks: int = 2,
        kernel: int = 3,
        start: int = 4,
        late: bool = False,
        level_channels: list[int] | None = None,
        classes: int = 0,
    ) -> None:
        super().__init__(resolution, channels, classes)
        width = widths(resolution, channel_base, channel_max, level_channels, start)
        sizes = ends(width, blocks, late)
        self.start = start
        self.from_image = nn.Conv2d(channels, width[resolution], kernel, padding=kernel // 2)
        self.blocks: Stack[Group] = Stack()
        for side in sorted(sizes, reverse=True):
            after, before = sizes[side]
            self.blocks[str(side)] = Group(
                [*(ResidualBlock(before, before) for _ in range(blocks - 1)), ResidualBlock(before, after)]
            )
        self.out = nn.Linear(sizes[start][0] * start**2, max(classes, 1))

    def counted(self) -> dict[str, list[nn.Module]]:
        """Return the groups as the paper counts them, from the image: "D1" is the convolution at the image, "D2" the
        first blocks, ...
        """
        return {f"D{i}": [module] for i, module in enumerate([self.from_image, *self.blocks.values()], 1)}

    def groups(self) -> network.Groups:
        """Return the modules by resolution, from the image to the logit: "64" (with the convolution at the image),
        ..., "4".
        """
        groups: network.Groups = {str(self.resolution): [self.from_image]}
        for side, block in self.blocks.items():
            groups.setdefault(str(max(int(side), 4)), []).append(block)
        groups.setdefault("4", []).append(self.out)
        return groups

    def forward(self, x: Tensor, features: list[Tensor] | None = None, *, labels: Tensor | None = None) -> Tensor:
        """Return logits (N, 1) of images (N, channels, H, W), with classes those of the labels (N,), without labels
        their mean.

        `features` collects the output of each block's convolutions.
        """
        self.check_labels(labels)
        logits: Tensor = self.out(F.leaky_relu(self.trunk(x, min(self.start, 4), features), LEAK).flatten(1))
        if not self.classes:
            return logits
        return logits.mean(dim=1, keepdim=True) if labels is None else logits.gather(1, labels[:, None])

    def trunk(self, x: Tensor, side: int, features: list[Tensor] | None = None) -> Tensor:
        """Return what the blocks make of images, down to what enters those at `side`, the last blocks included: (N, C,
        side, side).
        """
        x = self.from_image(x)
        for name, group in self.blocks.items():
            if x.shape[-1] > int(name):
                x = pool(x)
            if int(name) == side:
                return x if side > self.start else group(x, features)
            x = group(x, features)
        return x

    def mean_class(self) -> network.StateDict:
        """Return the state dict of the unconditional network, whose logit is the mean over this one's classes."""
        state = self.state_dict()
        return {**state, **{key: state[key].mean(dim=0, keepdim=True) for key in ("out.weight", "out.bias")}}
