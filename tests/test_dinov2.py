"""DINOv2's network: it computes what a transformer computes, reads a file of the released layout, and says offline what
to do.
"""

import pytest
import torch
from helpers import noise_images, tiny
from torch import nn

from fewshotgan import dinov2, instances
from fewshotgan.dinov2 import SHA256, URL, Block, VisionTransformer, dinov2_network
from fewshotgan.files import UserError, sha256
from fewshotgan.session import adapt

NAME = "dinov2_vits14_pretrain.pth"


def released():
    """Return weights under the names and in the shapes of the released file, most of them a number repeated."""
    shapes = {"cls_token": (1, 1, 384), "pos_embed": (1, 1370, 384), "mask_token": (1, 384)}
    shapes |= {"patch_embed.proj.weight": (384, 3, 14, 14), "patch_embed.proj.bias": (384,)}
    linear = {"attn.qkv": (1152, 384), "attn.proj": (384, 384), "mlp.fc1": (1536, 384), "mlp.fc2": (384, 1536)}
    vectors = ("norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias", "ls1.gamma", "ls2.gamma")
    for block in range(12):
        shapes |= {f"blocks.{block}.{name}.weight": size for name, size in linear.items()}
        shapes |= {f"blocks.{block}.{name}.bias": size[:1] for name, size in linear.items()}
        shapes |= {f"blocks.{block}.{name}": (384,) for name in vectors}
    shapes |= {"norm.weight": (384,), "norm.bias": (384,)}
    rng = torch.Generator().manual_seed(0)
    weights = {name: torch.randn(1, generator=rng).mul(0.05).expand(shape) for name, shape in shapes.items()}
    whole = ("patch_embed.proj.weight", "blocks.11.attn.qkv.weight", "blocks.11.attn.proj.weight")  # images differ
    return weights | {name: torch.randn(shapes[name], generator=rng) for name in whole}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FEWSHOTGAN_CACHE", str(tmp_path))
    dinov2_network.cache_clear()
    yield tmp_path
    dinov2_network.cache_clear()


@torch.no_grad()
def test_a_block_is_the_transformers_of_pytorch_with_scales_of_one():
    torch.manual_seed(0)
    block = Block(12, 3).eval()
    other = nn.TransformerEncoderLayer(
        12, 3, 48, 0.0, "gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=True
    ).eval()
    other.self_attn.in_proj_weight.copy_(block.attn.qkv.weight)
    other.self_attn.in_proj_bias.copy_(block.attn.qkv.bias)
    for theirs, ours in ((other.self_attn.out_proj, block.attn.proj), (other.linear1, block.mlp.fc1)):
        theirs.load_state_dict(ours.state_dict())
    other.linear2.load_state_dict(block.mlp.fc2.state_dict())
    x = torch.randn(2, 5, 12)
    assert torch.allclose(block(x), other(x), atol=1e-5)
    block.ls1.gamma.zero_()
    block.ls2.gamma.zero_()
    assert torch.equal(block(x), x)


@torch.no_grad()
def test_positions_are_resized_and_patches_are_in_their_places():
    network = VisionTransformer(8, 0, 1)
    network.pos_embed.copy_(torch.linspace(0, 1, 1370)[None, :, None].expand(1, -1, 8))
    assert torch.equal(network.positions(37, 37), network.pos_embed)
    smaller = network.positions(16, 16)
    assert smaller.shape == (1, 257, 8) and torch.equal(smaller[:, 0], network.pos_embed[:, 0])
    grid = smaller[0, 1:, 0].view(16, 16)
    assert (grid.diff(dim=0) > 0).all() and (grid.diff(dim=1) > 0).all()  # rows stay rows
    assert grid.mean().item() == pytest.approx(network.pos_embed[0, 1:, 0].mean().item(), abs=0.01)


def test_a_file_of_the_released_layout_is_read_and_conditions_a_gan(cache, monkeypatch):
    torch.save(released(), cache / NAME)
    monkeypatch.setattr(dinov2, "SHA256", sha256(cache / NAME))
    described = instances.describe(noise_images(3), "dinov2")
    assert described.shape == (3, 384) and described.isfinite().all()
    run = adapt(tiny("sngan"), noise_images(4), "dip", features="dinov2", iterations=1, batch=2, progress=False)
    assert run.gan.generator.prior.network == "dinov2"


def test_another_file_and_no_connection_are_one_sentence(cache, monkeypatch):
    assert URL.endswith(NAME) and len(SHA256) == 64
    (cache / NAME).write_bytes(b"another")
    with pytest.raises(UserError, match="is not the file that was meant"):
        dinov2_network()
    torch.save({"norm.weight": torch.zeros(384)}, cache / NAME)
    monkeypatch.setattr(dinov2, "SHA256", sha256(cache / NAME))
    with pytest.raises(UserError, match="does not hold DINOv2's ViT-S/14"):
        dinov2_network()
    (cache / NAME).unlink()
    monkeypatch.setattr(dinov2, "URL", f"http://127.0.0.1:9/{NAME}")  # where nothing listens
    with pytest.raises(UserError, match="needs a connection once; offline use simclr or efficientnet, or put"):
        dinov2_network()
