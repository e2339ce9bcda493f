"""StyleGAN2 computes what the public network computes, loaded through our converter, at any size."""

import pytest
import torch
from golden import fill
from helpers import assert_met, tensors

from fewshotgan.gans.layers import fir_down, fir_up, minibatch_std
from fewshotgan.gans.official import rosinality
from fewshotgan.gans.stylegan2 import Discriminator, Generator
from fewshotgan.losses import path_lengths, r1_penalty


def test_generator_meets_the_golden():
    golden = fill.load("stylegan2_g64")
    net = Generator(golden.spec["constructor"]["size"]).eval()
    net.load_state_dict(rosinality.generator(tensors(golden.params)))
    x, call = tensors(golden.inputs), golden.spec["call"]
    net.w_mean.copy_(x["w_mean"][0])
    with torch.no_grad():
        got = {
            "image": net(x["z"]),
            "w": net.mapping(x["z"]),
            "image_mix": net(x["z"], mix=x["z2"], mix_from=call["inject_index"]),
            "image_trunc": net(x["z"], truncation=call["truncation"]),
            "image_wplus": net(w=x["w_plus"]),
        }
    w = net.map_to_w(x["z"]).detach().clone().requires_grad_()
    got["path_lengths"] = path_lengths(net.synthesise(w, "const"), w, x["path_noise"]).detach()
    assert_met(golden, got)


def test_discriminator_meets_the_golden():
    golden = fill.load("stylegan2_d64")
    net = Discriminator(golden.spec["constructor"]["size"])
    net.load_state_dict(rosinality.discriminator(tensors(golden.params)))
    x = torch.from_numpy(golden.inputs["x"]).requires_grad_()
    logits = net(x)
    assert_met(golden, {"logits": logits, "r1": r1_penalty(logits, x)})


def test_modulation_of_activations_equals_a_weight_per_sample():
    net = Generator(8, 3, 4, 4, 1, channel_base=32, channel_max=4)
    conv = net.blocks["8"].conv1.conv
    x, w = torch.randn(2, 4, 8, 8), torch.randn(2, 4)
    style = conv.affine(w)
    for i in range(2):
        weight = conv.weight * conv.scale * style[i][None, :, None, None]
        weight = weight * torch.rsqrt(weight.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8)
        slow = torch.nn.functional.conv2d(x[i : i + 1], weight, padding=1)
        assert torch.allclose(conv(x, w)[i : i + 1], slow, atol=1e-5)


def test_noise_modes():
    net = Generator(8, 3, 4, 4, 1, channel_base=32, channel_max=4)
    net.blocks["8"].conv1.noise_strength.data.fill_(1.0)
    z = torch.randn(2, 4)
    assert torch.equal(net(z, noise="const"), net(z, noise="const"))
    assert not torch.equal(net(z, noise="random"), net(z, noise="random"))
    assert torch.equal(net.eval()(z), net(z, noise="const"))
    rng = torch.Generator
    assert torch.equal(
        net(z, noise="random", rng=rng().manual_seed(1)), net(z, noise="random", rng=rng().manual_seed(1))
    )


def test_fir_filters_keep_a_constant_and_the_deviation_knows_its_groups():
    x = torch.ones(1, 2, 8, 8)
    assert torch.allclose(fir_up(x)[:, :, 2:-2, 2:-2], torch.ones(()))
    assert torch.allclose(fir_down(x)[:, :, 1:-1, 1:-1], torch.ones(()))
    images = torch.zeros(8, 1, 2, 2)
    images[[1, 5]] = torch.tensor([1.0, 3.0]).view(2, 1, 1, 1)  # images 1 and 5 share group 1 modulo 2 with 3 and 7
    deviation = minibatch_std(images, 4)[:, -1, 0, 0]
    assert torch.allclose(deviation[[0, 2, 4, 6]], torch.zeros(4), atol=1e-3)
    assert torch.allclose(deviation[[1, 3, 5, 7]], torch.tensor([0.0, 0.0, 1.0, 3.0]).std(unbiased=False), atol=1e-4)


def test_impossible_resolutions_are_refused():
    with pytest.raises(ValueError, match="power of two"):
        Generator(48)


def test_filters_of_bfloat16_and_their_gradients_are_those_of_full_precision():
    x = torch.randn(2, 3, 8, 8).bfloat16()
    for filtered in (fir_down, fir_up):
        full, half = x.float().requires_grad_(), x.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            got = filtered(half)
        expected = filtered(full)
        assert got.dtype == torch.bfloat16
        torch.testing.assert_close(got.float(), expected, atol=0.03, rtol=0.01)
        got.backward(torch.ones_like(got))
        expected.backward(torch.ones_like(expected))
        torch.testing.assert_close(half.grad.float(), full.grad, atol=0.03, rtol=0.01)
