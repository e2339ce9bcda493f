"""DINOv2's smallest network, which learned from 142 million photographs without labels: features for a data instance
prior, where there is a network to fetch it once.

Paper: Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision" (arXiv 2304.07193); a vision
transformer (Dosovitskiy et al., arXiv 2010.11929) with patches of 14 pixels and a scale after each branch. Features are
the class token's. The modules have the names of the released file, `dinov2_vits14_pretrain.pth`.
"""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fewshotgan.device import choose_device
from fewshotgan.files import UserError, cache_dir, first_line
from fewshotgan.gans.layers import Layer
from fewshotgan.metrics.extractors import fetch

URL = "https://dl.fbaipublicfiles.com/dinov2/dinov2_vits14/dinov2_vits14_pretrain.pth"
SHA256 = "b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9"
WIDTH, DEPTH, HEADS = 384, 12, 6
PATCH, PLACES = 14, 37  # pixels of a patch's side, and patches of the side that positions were learned for
SIDE = 224  # pixels of the images that it is shown here
OFFSET = 0.1  # with which the released code interpolates positions
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Scale(Layer):
    """A factor for each channel: (N, T, width) -> (N, T, width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Scale."""
        return x * self.gamma


class Attention(Layer):
    """Self-attention of several heads: (N, T, width) -> (N, T, width)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Attend."""
        n, tokens, width = x.shape
        query, key, value = self.qkv(x).view(n, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        found = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(n, tokens, width)
        out: Tensor = self.proj(found)
        return out


class Perceptron(Layer):
    """Linear, GELU, linear: (N, T, width) -> (N, T, width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Compute each token by itself."""
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class Block(Layer):
    """Attention and a perceptron, each normalised before, scaled, and added: (N, T, width) -> (N, T, width)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(width, eps=1e-6) for _ in range(2))
        self.attn, self.mlp = Attention(width, heads), Perceptron(width)
        self.ls1, self.ls2 = Scale(width), Scale(width)

    def forward(self, x: Tensor) -> Tensor:
        """Add both branches."""
        x = x + self.ls1(self.attn(self.norm1(x)))
        out: Tensor = x + self.ls2(self.mlp(self.norm2(x)))
        return out


class VisionTransformer(Layer):
    """DINOv2's network: images (N, 3, H, W), normalised, H and W multiples of 14, -> features (N, width).

    Args:
        width: of the tokens.
        depth: number of blocks.
        heads: of each block's attention.
    """

    def __init__(self, width: int = WIDTH, depth: int = DEPTH, heads: int = HEADS) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + PLACES**2, width))
        self.mask_token = nn.Parameter(torch.zeros(1, width))  # of its training; in the file
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, PATCH, stride=PATCH)})
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """Describe images by the class token."""
        patches = self.patch_embed["proj"](x)
        tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), patches.flatten(2).transpose(1, 2)], dim=1)
        tokens = tokens + self.positions(*patches.shape[2:])
        for block in self.blocks:
            tokens = block(tokens)
        described: Tensor = self.norm(tokens)[:, 0]
        return described

    def positions(self, height: int, width: int) -> Tensor:
        """Return the embeddings (1, 1 + height width, d) of the class token and of so many patches."""
        if height == width == PLACES:
            return self.pos_embed
        first, grid = self.pos_embed[:, :1], self.pos_embed[:, 1:].unflatten(1, (PLACES, PLACES)).permute(0, 3, 1, 2)
        factors = [(side + OFFSET) / PLACES for side in (height, width)]
        resized = F.interpolate(grid, scale_factor=factors, mode="bicubic")
        return torch.cat([first, resized.flatten(2).transpose(1, 2)], dim=1)


@cache
def dinov2_network() -> VisionTransformer:
    """Return the released network, fetched once, its checksum compared; in evaluation mode, without gradients.

    Raises:
        UserError: if it can't be fetched, or the file is another one.
    """
    instead = "features=dinov2 needs a connection once; offline use simclr or efficientnet"
    path = fetch(URL, SHA256, cache_dir() / URL.rpartition("/")[2], instead)
    network = VisionTransformer()
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (RuntimeError, AttributeError, TypeError) as error:
        raise UserError(f"{path} does not hold DINOv2's ViT-S/14 ({first_line(error)}); delete it.") from error
    return network.eval().requires_grad_(False).to(choose_device(None))


@torch.no_grad()
def describe_by_dinov2(x: Tensor) -> Tensor:
    """Return features (N, 384), on the CPU, of images (N, C, H, W), -1..1, C 1 or 3."""
    network = dinov2_network()
    x = F.interpolate(x.expand(-1, 3, -1, -1), (SIDE, SIDE), mode="bicubic", antialias=True).clamp(-1, 1)
    mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, DEVIATION))
    described: Tensor = network((((x + 1) / 2 - mean) / deviation).to(network.cls_token.device)).cpu()
    return described
