"""WGAN-GP's residual networks compute what the paper's equations say, written out slowly; no batch in the critic.

No golden: the released checkpoints are of TensorFlow 1, and no PyTorch release has these networks.
"""

import torch
import torch.nn.functional as F
from helpers import tiny_wgan_resnet

from fewshotgan.gans.wgan_resnet import Discriminator, DiscriminatorBlock, Generator, GeneratorBlock


def conv(layer, x):
    return F.conv2d(x, layer.weight, layer.bias, padding=layer.weight.shape[-1] // 2)


def halve(x):
    return (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4


def double(x):
    return x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


def over(x, norm, axes):
    mean, variance = x.mean(dim=axes, keepdim=True), x.var(dim=axes, keepdim=True, unbiased=False)
    return (x - mean) / (variance + 1e-5).sqrt() * norm.weight[:, None, None] + norm.bias[:, None, None]


def shaken(block):
    for parameter in block.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return block


@torch.no_grad()
def test_a_block_upsamples_before_and_averages_after_its_convolutions():
    torch.manual_seed(0)
    x, up, down = torch.randn(3, 4, 8, 8), shaken(GeneratorBlock(4, 5, 0)), shaken(DiscriminatorBlock(4, 5))
    y = conv(up.conv0, double(over(x, up.norm0, (0, 2, 3)).relu()))
    expected = conv(up.skip, double(x)) + conv(up.conv1, over(y, up.norm1, (0, 2, 3)).relu())
    assert torch.allclose(up(x, None), expected, atol=1e-4) and up.conv0.bias is None
    y = conv(down.conv0, over(x, down.norm0, (1, 2, 3)).relu())
    expected = conv(down.skip, halve(x)) + halve(conv(down.conv1, over(y, down.norm1, (1, 2, 3)).relu()))
    assert torch.allclose(down(x), expected, atol=1e-4) and down.conv0.bias is None


def test_the_paper_s_sizes():
    generator, critic = Generator(), Discriminator()
    widths = [
        [block.skip.in_channels, block.skip.out_channels]
        for net in (generator, critic)
        for block in net.blocks.values()
    ]
    assert widths[:4] == [[512, 512], [512, 256], [256, 128], [128, 64]]
    assert widths[4:] == [[64, 128], [128, 256], [256, 512], [512, 512]]
    assert critic.out.in_features == 4 * 4 * 512 and generator.dense.out_features == 4 * 4 * 512


@torch.no_grad()
def test_the_critic_judges_each_image_alone_in_training_too():
    gan = tiny_wgan_resnet()
    x = gan.sample(6)
    gan.discriminator.train()
    assert torch.allclose(gan.discriminator(x)[2:3], gan.discriminator(x[2:3]), atol=1e-5)
