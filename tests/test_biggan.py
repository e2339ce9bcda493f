"""BigGAN computes what BigGAN-PyTorch computes, with and without hierarchical latents and self-attention."""

import pytest
import torch
from golden import fill
from helpers import assert_met, tensors

from fewshotgan.gans import biggan, official_biggan


def built(golden, networks=biggan):
    """The network of a golden, with its weights, through the converter."""
    state = tensors(golden.params)
    side = "Generator" if "linear.weight" in state and "embed.weight" not in state else "Discriminator"
    sizes, converted = getattr(official_biggan, side.lower())(state)
    net = getattr(networks, side)(**sizes)
    net.load_state_dict(converted)
    return net.eval()


def generator_outputs(net, golden):
    x, block = tensors(golden.inputs), net.blocks["8" if "4" not in net.blocks else "4"][0]
    got = {"image": net(x["z"], labels=x["y"])}
    got["after_sv0"] = (block.conv0.weight / block.conv0.normalised()).flatten()[:1]  # of the step that training takes
    got["image_train"] = net.train()(x["z"], labels=x["y"])
    norm = block.norm0.norm
    return {**got, "after_mean": norm.running_mean, "after_var": norm.running_var, "after_u0": block.conv0.u[None]}


@pytest.mark.parametrize("name", ["biggan_g32", "biggan_g32_cifar", "biggan_g128"])
@torch.no_grad()
def test_the_generators_are_met(name):
    golden = fill.load(name)
    assert_met(golden, generator_outputs(built(golden), golden))


@pytest.mark.parametrize("name", ["biggan_d32", "biggan_d128"])
@torch.no_grad()
def test_the_discriminators_are_met(name):
    golden = fill.load(name)
    net, x = built(golden), tensors(golden.inputs)
    got = {"logits": net(x["x"], labels=x["y"]), "logits_train": net.train()(x["x"], labels=x["y"])}
    got["logits_train2"] = net(x["x"], labels=x["y"])
    assert_met(golden, {**got, "after_u0": net.embedding.u[None]})
