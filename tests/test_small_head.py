"""AdaFM's head, norms and modulated generator compute what the released ones do; the head is part of a GAN like any
other.
"""

import pytest
import torch
from golden import fill
from helpers import assert_met, noise_images, tensors, tiny_gp_resnet

from fewshotgan import load_gan
from fewshotgan.adapters import AdaFM, attach, merged
from fewshotgan.gans.gp_resnet import Generator, ResidualBlock
from fewshotgan.gans.small_head import AdaptiveNorm, Noise, ScaleMatch, StyleBlock
from fewshotgan.session import adapt

STYLE_BLOCK = {
    "conv_0.weight": "conv0.weight",
    "conv_0.bias": "conv0.bias",
    "conv_1.conv.weight": "conv1.weight",
    "conv_1.conv.bias": "conv1.bias",
    "conv_s.weight": "skip.weight",
    "noise_0.weight": "noise0.strength",
    "noise_1.weight": "noise1.strength",
    "adain_0.style.linear.weight": "norm0.affine.weight",
    "adain_0.style.linear.bias": "norm0.affine.bias",
    "adain_1.style.linear.weight": "norm1.affine.weight",
    "adain_1.style.linear.bias": "norm1.affine.bias",
}
MATCH = {"weight": "scale", "beta": "shift", "norm.weight": "gain", "norm.bias": "offset"}
RESIDUAL = {"conv_0": "conv0", "conv_1": "conv1", "conv_s": "skip"}


def put(module, name, value):
    """Set a parameter or buffer, of whatever singleton axes the released code has."""
    target = module.get_submodule(name.rpartition(".")[0]).__getattr__(name.rpartition(".")[2])
    target.data = value.reshape(target.shape)


def filled(module, params, prefix, names):
    for theirs, ours in names.items():
        put(module, ours, params[f"{prefix}.{theirs}"])
    return module


def residual(block, params, prefix):
    """Fill a residual block, with a modulation on both convolutions."""
    for theirs, ours in RESIDUAL.items():
        for kind in ("weight", "bias"):
            if f"{prefix}.{theirs}.{kind}" in params:
                put(block, f"{ours}.{kind}", params[f"{prefix}.{theirs}.{kind}"])
    for i, layer in enumerate((block.conv0, block.conv1)):
        attach(layer, "weight", AdaFM(layer.weight))
        adapter = layer.parametrizations.weight[0]
        adapter.gamma.data, adapter.beta.data = (
            params[f"{prefix}.small_adafm_{i}.style_{kind}"] for kind in ("gama", "beta")
        )
    return block


def with_noise(block, *noise):
    for module, fixed in zip((block.noise0, block.noise1), noise, strict=True):
        module.draw = lambda *_, fixed=fixed: fixed
    return block


def test_layers_meet_the_golden():
    golden = fill.load("adafm_layers")
    params, inputs = tensors(golden.params), tensors(golden.inputs)
    x, style, probe = inputs["x"].requires_grad_(), inputs["style"], inputs["probe"]
    adapter = AdaFM(inputs["W"])
    adapter.gamma.data, adapter.beta.data = params["adafm.style_gama"], params["adafm.style_beta"]
    got = {"adafm": adapter(inputs["W"]), "resblock": residual(ResidualBlock(6, 10), params, "resblock")(x)}
    style_block = with_noise(
        filled(StyleBlock(6, 10, 256, 16), params, "styleblock", STYLE_BLOCK), inputs["noise0"], inputs["noise1"]
    )
    got["styleblock"] = style_block(x, (style, style))
    norm = filled(
        AdaptiveNorm(6, 256), params, "adain.style", {"linear.weight": "affine.weight", "linear.bias": "affine.bias"}
    )
    got["adain"] = norm(x, style)
    (got["adain_grad_x"],) = torch.autograd.grad((got["adain"] * probe).sum(), x)
    match = filled(ScaleMatch(6, 8), params, "adain_h", MATCH)
    got["adain_h"] = match(x)
    got["adain_h_grad_x"], weight = torch.autograd.grad((got["adain_h"] * probe).sum(), (x, match.scale))
    got["adain_h_grad_weight"] = weight.reshape(1, 6, 1, 1)
    assert_met(golden, got)


def test_the_modulated_generator_with_its_head_meets_the_golden():
    golden = fill.load("adafm_g128")
    params, inputs = tensors(golden.params), tensors(golden.inputs)
    net = Generator(128, z_dim=256, channel_base=8192, head=16, w_dim=256)
    for name, ours in (("small_fc", "dense"), ("conv_img", "to_image")):
        for kind in ("weight", "bias"):
            put(net, f"{ours}.{kind}", params[f"{name}.{kind}"])
    for i, layer in enumerate(net.mapping.layers):
        filled(layer, params, f"small_style.{2 * i + 1}.linear", {"weight": "weight", "bias": "bias"})
    for i, block in enumerate(net.head.blocks.values()):
        with_noise(
            filled(block, params, f"small_net_{i + 2}", STYLE_BLOCK),
            inputs[f"noise{2 * i}"],
            inputs[f"noise{2 * i + 1}"],
        )
    filled(net.head.match, params, "small_H", MATCH)
    for i, group in enumerate(net.blocks.values(), 3):
        for j, block in enumerate(group):
            residual(block, params, f"resnet_{i}_{j}")
    with torch.no_grad():
        assert_met(golden, {"image": net(inputs["z"]), "loss_w": net.mapping(inputs["z"]).square().sum(dim=1)})


def test_the_adaptive_norm_sets_mean_and_deviation():
    norm = AdaptiveNorm(3, 4)
    assert torch.equal(norm.affine.bias, torch.tensor([1.0, 1, 1, 0, 0, 0]))
    w = torch.randn(2, 4)
    y = norm(torch.randn(2, 3, 8, 8) * 5 + 7, w)
    gamma, beta = norm.affine(w).chunk(2, dim=1)
    assert torch.allclose(y.mean(dim=(2, 3)), beta, atol=1e-5)
    assert torch.allclose(y.std(dim=(2, 3), unbiased=False), gamma.abs(), atol=1e-4)


def test_the_scale_match_starts_at_its_scale_and_passes_a_hundredth():
    match = ScaleMatch(50, 8)
    match.start(20.0)
    x = torch.randn(2, 50, 8, 8, requires_grad=True)
    y = match(x)
    assert torch.allclose(y.std(dim=(2, 3)).mean(), torch.tensor(20.0), rtol=0.02)
    y.square().sum().backward()
    with torch.no_grad():
        n = torch.nn.functional.layer_norm(x, (8, 8))
    assert x.grad.abs().max() < 0.05 * (2 * y.detach() * n).abs().max()


def test_noise_is_random_stored_or_none():
    noise, x = Noise(3, 4), torch.zeros(2, 3, 4, 4)
    noise.strength.data = torch.tensor([0.0, 1.0, 2.0])
    assert torch.equal(noise(x, "none"), x)
    assert torch.allclose(noise(x, "const")[1], noise.strength[:, None, None] * noise.const)
    first, again = (noise(x, "random", torch.Generator().manual_seed(1)) for _ in range(2))
    assert (
        torch.equal(first, again)
        and not torch.equal(first[0], first[1])
        and torch.allclose(first[:, 2], 2 * first[:, 1])
    )


@pytest.mark.parametrize(("resolution", "head", "styles"), [(16, 16, 4), (32, 8, 2), (32, 16, 4)])
def test_a_head_is_a_configuration_of_the_generator(resolution, head, styles, tmp_path):
    gan = tiny_gp_resnet(resolution=resolution, head=head, w_dim=6)
    net, sides = gan.generator, [2**k for k in range(2, resolution.bit_length())]
    assert net.num_ws == styles and list(net.groups()) == ["mapping", *map(str, sides)]
    owned = [id(p) for modules in net.groups().values() for module in modules for p in module.parameters()]
    assert sorted(owned) == sorted(id(p) for p in net.parameters())
    assert list(net.counted()) == [f"G{i}" for i in range(1, 2 + sum(side > head for side in sides))]
    gan.save(tmp_path / "gan.safetensors")
    assert torch.equal(load_gan(tmp_path / "gan.safetensors").sample(3), gan.sample(3))
    net.train()
    z = gan.latents(2)
    with torch.no_grad():
        assert not torch.equal(net(z), net(z)) and torch.equal(net(z, noise="const"), net(z, noise="const"))


def test_styles_are_mixed_from_a_layer_on():
    gan = tiny_gp_resnet(resolution=16, head=16, w_dim=6)
    z, other = gan.latents(2), gan.latents(2, 1)
    w = gan.generator.map_to_w(z, other, 1)
    assert torch.equal(w[:, 0], gan.generator.mapping(z)) and torch.equal(w[:, 3], gan.generator.mapping(other))
    with torch.no_grad():
        assert torch.equal(gan.generator(z, mix=other, mix_from=4), gan.generator(z))
        assert not torch.allclose(gan.generator(z, mix=other, mix_from=0), gan.generator(z))


@pytest.mark.parametrize("method", ["ewc", "cdc", "adam", "rick", "fsgan", "smallhead"])
def test_a_gan_with_a_head_is_a_source_like_any_other(method):
    run = adapt(tiny_gp_resnet(head=8, w_dim=6), noise_images(), method, iterations=4, batch=4, progress=False)
    assert run.gan.sample(2).isfinite().all()


def test_modulations_fold_away_in_a_gan_with_a_head():
    gan = tiny_gp_resnet(head=8, w_dim=6)
    gan.generator.head.match.start(1.0)
    before, convolutions = gan.sample(2), [block.conv0 for block in gan.generator.blocks["16"]]
    for convolution in convolutions:
        attach(convolution, "weight", AdaFM(convolution.weight))
    assert torch.equal(gan.sample(2), before)
    for convolution in convolutions:
        convolution.parametrizations.weight[0].gamma.data += 0.5
    plain = merged(gan)
    assert torch.allclose(plain.sample(2), gan.sample(2), atol=1e-6) and not torch.allclose(
        plain.sample(2), before, atol=1e-3
    )
    assert plain.generator.state_dict().keys() == tiny_gp_resnet(head=8, w_dim=6).generator.state_dict().keys()
