"""BigGAN-deep computes what BigGAN-PyTorch and Hugging Face compute."""

import torch
from golden import fill
from helpers import assert_met, tensors
from test_biggan import built, generator_outputs

from fewshotgan.gans import biggan_deep, official_biggan


@torch.no_grad()
def test_the_generator_is_met():
    golden = fill.load("biggan_deep_g64")
    assert_met(golden, generator_outputs(built(golden, biggan_deep), golden))


@torch.no_grad()
def test_the_generator_of_hugging_face_is_met():
    golden = fill.load("biggan_deep_hf_g32")
    config, state, _ = official_biggan.huggingface(tensors(golden.params), golden.spec["constructor"])
    net = biggan_deep.Generator(**config["generator"]).eval()
    net.load_state_dict(state)
    x, call = tensors(golden.inputs), golden.spec["call"]
    got = {}
    for name, truncation in (("image", call["t_exact"]), ("image_between", call["t_between"])):
        got[name] = net(x["z"] / truncation, labels=x["c"].argmax(dim=1), truncation=truncation)
    assert_met(golden, got)
