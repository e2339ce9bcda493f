"""NVIDIA's StyleGAN2-ADA is met, its pickles are read as data, with and without classes, in each architecture."""

import pytest
import torch
from golden import fill
from helpers import assert_met, tensors

from fewshotgan.gans.official import nvidia
from fewshotgan.gans.official.layout import Part
from fewshotgan.gans.stylegan2 import Discriminator, Generator


@pytest.mark.parametrize("name", ["sg2ada_g32", "sg2ada_g64_cond"])
@torch.no_grad()
def test_the_generators_are_met(name):
    golden = fill.load(name)
    found = nvidia.convert(Part(tensors(golden.params)), None)
    net = Generator(**found.config["generator"]).eval()
    net.load_state_dict(found.generator)
    x, call = tensors(golden.inputs), golden.spec["call"]
    labels = x["c"].argmax(dim=1) if "c" in x else None
    cutoff = call["truncation_cutoff"] or net.num_ws
    w = net.map_to_w(x["z"], labels=labels)
    short = torch.cat([torch.lerp(net.w_mean, w[:, :cutoff], call["truncation_psi"]), w[:, cutoff:]], dim=1)
    got = {
        "image": net(x["z"], labels=labels),
        "ws": w[:, 0],
        "image_trunc": net(w=short),
        "image_nonoise": net(x["z"], labels=labels, noise="none"),
        "w_avg_after": torch.lerp(w[:, 0].mean(dim=0), net.w_mean, 0.995),
    }
    assert_met(golden, got)


@pytest.mark.parametrize("name", ["sg2ada_d64", "sg2ada_d32_cond"])
@torch.no_grad()
def test_the_discriminators_are_met(name):
    golden = fill.load(name)
    part = Part(tensors(golden.params))
    state = nvidia.discriminator(part)
    net = Discriminator(**nvidia.discriminator_sizes(state, {}))
    net.load_state_dict(state)
    x = tensors(golden.inputs)
    got = {"logits": net(x["x"], labels=x["c"].argmax(dim=1) if "c" in x else None)}
    assert_met(golden, got)
