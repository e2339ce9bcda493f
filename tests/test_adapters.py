"""Adapters: the identity at the start, the equations, the numbers of AdAM's released layers, folding."""

import math

import pytest
import torch
from golden import fill
from helpers import FAMILIES, assert_met, tensors, tiny_gan

from fewshotgan.adapters import (
    AdaFM,
    KernelModulation,
    Shift,
    SingularValues,
    adapters,
    attach,
    layers,
    merged,
    original,
)
from fewshotgan.gans.layers import EqualConv2d, EqualLinear, fir_up
from fewshotgan.gans.stylegan2_layers import ModulatedConv2d, ResidualBlock, StyledConv, ToImage
from fewshotgan.methods.adam import modulate


def test_paper_layout_is_the_outer_product_and_a_zero_switches_its_filter_off():
    weight = torch.randn(3, 2, 2, 2)
    adapter = KernelModulation(weight, scale=1.0)
    adapter.v.data[1] = 0
    bent = adapter(weight)
    for o in range(3):
        for r, value in enumerate(weight[o].flatten()):
            assert bent[o].flatten()[r].item() == pytest.approx(
                (value * (1 + adapter.v[o] * adapter.u[r])).item(), rel=1e-5
            )
    assert torch.equal(bent[1], weight[1])


def test_official_layout_mixes_filters_and_leaves_linear_layers_alone():
    weight = torch.ones(4, 3, 1, 1)
    adapter = KernelModulation(weight, "official", scale=1.0)
    adapter.v.data[1] = 0
    assert (adapter(weight)[1] != 1).any()
    matrix = torch.ones(4, 3)
    adapter = KernelModulation(matrix, "official", scale=1.0)
    assert torch.allclose(adapter(matrix), 1 + torch.outer(adapter.v, adapter.u))
    with pytest.raises(ValueError, match="paper, official"):
        KernelModulation(weight, "mine")


@pytest.mark.parametrize("make", [KernelModulation, SingularValues, Shift, AdaFM])
def test_identity_at_the_start_and_folded_at_the_end(make):
    gan = tiny_gan()
    before = gan.sample(2)
    for _, layer in list(layers(gan.generator)):
        attach(layer, "weight", make(layer.weight))
    assert torch.equal(gan.sample(2), before)
    for parameter in adapters(gan.generator):
        parameter.data += 0.3
    assert not torch.equal(gan.sample(2), before)
    plain = merged(gan)
    assert plain.generator.state_dict().keys() == tiny_gan().generator.state_dict().keys()
    assert torch.allclose(plain.sample(2), gan.sample(2), atol=1e-6)
    assert torch.equal(
        original(gan.generator.blocks["8"].conv0.conv), tiny_gan().generator.blocks["8"].conv0.conv.weight
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_filter_modulation_fits_every_family(family):
    gan = FAMILIES[family]()
    before = gan.sample(2)
    for network in (gan.generator, gan.discriminator):
        for _, layer in list(layers(network)):
            weight = layer.weight.detach().clone()
            attach(layer, "weight", AdaFM(layer.weight))
            assert torch.equal(layer.weight, weight)
    # equal weights in another memory layout may round otherwise
    assert torch.allclose(gan.sample(2), before, atol=1e-5)
    for parameter in adapters(gan.generator):
        parameter.data += 0.1 * torch.randn_like(parameter)
    plain = merged(gan)
    assert torch.allclose(plain.sample(2), gan.sample(2), atol=1e-5) and not torch.allclose(
        plain.sample(2), before, atol=1e-3
    )


def test_filter_modulation_is_a_scale_and_a_shift_for_each_pair_of_channels():
    weight = torch.randn(3, 2, 3, 3)
    adapter = AdaFM(weight)
    assert adapter.gamma.shape == adapter.beta.shape == (3, 2, 1, 1) and torch.equal(adapter(weight), weight)
    adapter.gamma.data.normal_()
    adapter.beta.data.normal_()
    bent = adapter(weight)
    for o in range(3):
        for i in range(2):
            assert torch.allclose(bent[o, i], adapter.gamma[o, i, 0, 0] * weight[o, i] + adapter.beta[o, i, 0, 0])


def test_singular_vectors_stay():
    weight = torch.randn(5, 3, 2, 2)
    adapter = SingularValues(weight)
    with torch.no_grad():
        adapter.scale.copy_(torch.linspace(-0.5, 0.5, 5))
    before, after = torch.linalg.svdvals(weight.flatten(1)), torch.linalg.svdvals(adapter(weight).detach().flatten(1))
    assert torch.allclose(after.sort().values, (before * (1 + adapter.scale.detach())).sort().values, atol=1e-5)


class Released:
    """The layers of AdAM's released code, built from ours: filled with a golden's numbers."""

    def __init__(self, golden):
        self.params = tensors(golden.params)

    def fill(self, layer: torch.nn.Module, names: dict[str, str]) -> torch.nn.Module:
        """`names`: {our submodule and parameter: the released prefix of (weight or bias, vectors)}."""
        modulate(layer, "official", torch.Generator())
        for ours, (value, vectors) in names.items():
            path, _, parameter = ours.rpartition(".")
            module = layer.get_submodule(path)
            adapter = module.parametrizations[parameter][0]
            plain = original(module, parameter)
            plain.data = self.params[value].reshape(plain.shape)
            if isinstance(adapter, Shift):
                adapter.shift.data = self.params[f"{vectors}.b_vector"].reshape(plain.shape)
            else:
                adapter.u.data, adapter.v.data = self.params[f"{vectors}.u_vector"], self.params[f"{vectors}.v_vector"]
        for module in layer.modules():  # the released code scales its modulated style layers by their outputs
            if isinstance(module, EqualLinear):
                module.scale *= math.sqrt(module.weight.shape[1] / module.weight.shape[0])
        return layer

    def modulated(self, prefix: str) -> dict[str, tuple[str, str]]:
        affine = f"{prefix}.kml_fc"
        return {
            "weight": (f"{prefix}.weight", prefix),
            "affine.weight": (f"{prefix}.modulation.weight", affine),
            "affine.bias": (f"{prefix}.modulation.bias", affine),
        }


def prefixed(before: str, names: dict[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    return {f"{before}.{key}": value for key, value in names.items()}


def test_modulated_layers_meet_the_golden():
    golden = fill.load("adam_kml_layers")
    released = Released(golden)
    inputs = tensors(golden.inputs)
    x, style = inputs["x"], inputs["style"]
    got = {}
    with torch.no_grad():
        modconv = released.fill(ModulatedConv2d(6, 10, 3, 16), released.modulated("modconv"))
        got["modconv"] = modconv(x, style)
        got["modconv_R"] = modconv.parametrizations.weight[0].matrix().reshape(10, 6, 3, 3)
        got["modconv_up"] = released.fill(ModulatedConv2d(6, 10, 3, 16, up=True), released.modulated("modconv_up"))(
            x, style
        )
        plain = released.fill(ModulatedConv2d(6, 10, 1, 16, demodulate=False), released.modulated("modconv_nodemod"))
        got["modconv_nodemod"] = plain(x, style)
        torgb = released.fill(
            ToImage(6, 3, 16), {**prefixed("conv", released.modulated("torgb.conv")), "bias": ("torgb.bias", "torgb")}
        )
        got["torgb"] = torgb(x, style) + fir_up(inputs["skip"])
        styled = StyledConv(6, 10, 16, 16, up=True, noise=True)
        released.fill(styled, {
            **prefixed("conv", released.modulated("styled_up.conv")),
            "bias": ("styled_up.activate.bias", "styled_up.activate"),
            "noise_strength": ("styled_up.noise.weight", "styled_up.noise"),
        })  # fmt: skip
        styled.draw = lambda *_: inputs["noise"]
        got["styled_up"] = styled(x, style)
        for name, gain, options in (("fc_lin", 1.0, {}), ("fc_act", 100.0, {"lr_mul": 0.01, "activate": True})):
            released.params |= {"W": inputs["W"] * gain, "b": inputs["b"] * gain}
            got[name] = released.fill(EqualLinear(16, 10, **options), {"weight": ("W", name), "bias": ("b", name)})(
                style
            )
        got["conv"] = released.fill(EqualConv2d(6, 10, 3, activate=False), {"weight": ("conv.weight", "conv")})(x)
        names = {
            "weight": ("convlayer_down.1.weight", "convlayer_down.1"),
            "bias": ("convlayer_down.2.bias", "convlayer_down.2"),
        }
        down = released.fill(EqualConv2d(6, 10, 3, down=True), names)
        got["convlayer_down"] = down(x)
        down.parametrizations.bias[0].shift.zero_()  # the released code ignores it once nothing has gradients
        got["convlayer_down_frozen"] = down(x)
        block = {}
        for ours, theirs, bias in (
            ("conv0", "conv1.0", "conv1.1"),
            ("conv1", "conv2.1", "conv2.2"),
            ("skip", "skip.1", None),
        ):
            block[f"{ours}.weight"] = (f"resblock.{theirs}.weight", f"resblock.{theirs}")
            if bias:
                block[f"{ours}.bias"] = (f"resblock.{bias}.bias", f"resblock.{bias}")
        got["resblock"] = released.fill(ResidualBlock(6, 10), block)(x)
    assert_met(golden, got)
