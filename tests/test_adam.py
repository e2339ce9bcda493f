"""AdAM: the released networks, Fisher information and choice of filters; what is kept is kept to the bit."""

import numpy as np
import pytest
import torch
from golden import fill
from helpers import FAMILIES, assert_met, noise_images, tensors, tiny_gan

from fewshotgan.adapters import KernelModulation, adapter_of, layers
from fewshotgan.files import UserError
from fewshotgan.fisher import discriminator_fisher, fisher, generator_fisher
from fewshotgan.gans import load_gan
from fewshotgan.gans.official import rosinality
from fewshotgan.gans.stylegan2 import Discriminator, Generator
from fewshotgan.losses import logistic_generator
from fewshotgan.methods.adam import AdAM, filter_importance, important
from fewshotgan.run import CollapseError
from fewshotgan.session import adapt
from fewshotgan.train import Loop, make_task


def test_modulated_generator_loads_folded_and_meets_the_golden():
    golden = fill.load("adam_kml_g32")
    state = rosinality.fold_kernel_modulation(tensors(golden.params))
    net = Generator(32).eval()
    net.load_state_dict(rosinality.generator(state))
    plain = Generator(32).eval()
    plain.load_state_dict(
        rosinality.generator({k: v for k, v in tensors(golden.params).items() if not k.endswith("_vector")})
    )
    x = tensors(golden.inputs)
    with torch.no_grad():
        mixed = net(x["z"], mix=x["z2"], mix_from=golden.spec["call"]["inject_index"])
        assert_met(
            golden,
            {"image": net(x["z"]), "w": net.mapping(x["z"]), "w_plain": plain.mapping(x["z"]), "image_mix": mixed},
        )


def test_modulated_discriminator_loads_folded_and_meets_the_golden():
    golden = fill.load("adam_kml_d32")
    x, params = torch.from_numpy(golden.inputs["x"]), tensors(golden.params)
    got = {}
    for name, state in (
        ("logits", params),
        ("logits_frozen", {k: v for k, v in params.items() if not k.endswith("b_vector")}),
    ):
        net = Discriminator(32, group=25)
        net.load_state_dict(rosinality.discriminator(rosinality.fold_kernel_modulation(state)))
        outputs = []
        net.from_image.register_forward_hook(lambda _m, _i, y, into=outputs: into.append(y))
        net.conv.register_forward_hook(lambda _m, _i, y, into=outputs: into.append(y))
        features = []
        with torch.no_grad():
            got[name] = net(x, features)
        if name == "logits":
            got["feat_rms"] = torch.stack([y.square().mean().sqrt() for y in (outputs[0], *features, outputs[1])])
    assert_met(golden, got)


def test_a_released_checkpoint_opens_as_a_plain_gan(tmp_path):
    torch.save(
        {"g_ema": tensors(fill.load("adam_kml_g32").params), "d": tensors(fill.load("adam_kml_d32").params)},
        tmp_path / "adam.pt",
    )
    gan = load_gan(tmp_path / "adam.pt")
    assert gan.resolution == 32
    assert not any("vector" in name or "parametrizations" in name for name in gan.generator.state_dict())


def test_fisher_information_meets_the_golden():
    """On the folded networks, whose weights, biases and constant have the derivatives of the released ones'
    adapters.
    """
    golden = fill.load("adam_fisher")
    params, inputs = tensors(golden.params), tensors(golden.inputs)
    networks = {}
    for key, prefix, convert in (
        ("g", "g.", rosinality.generator),
        ("d", "d.", rosinality.discriminator),
    ):
        state = {name.removeprefix(prefix): value for name, value in params.items() if name.startswith(prefix)}
        networks[key] = convert(rosinality.fold_kernel_modulation(state))
    sizes = {"resolution": 8}
    g, d = Generator(**sizes, z_dim=64, w_dim=64, mapping_layers=2).eval(), Discriminator(**sizes)
    g.load_state_dict(networks["g"])
    d.load_state_dict(networks["d"])
    g.requires_grad_(False)
    d.requires_grad_(False)
    z, x = inputs["z"], inputs["x"]
    with torch.no_grad():
        fake = torch.cat([g(row[None], noise="const") for row in z])
    # b' = b + b_vector: the vector's Fisher information is the bias's; the constant has no adapter
    ours = {
        "input.input": "const",
        "conv1.activate.b_vector": "blocks.4.conv1.bias",
        "convs.0.noise.b_vector": "blocks.8.conv0.noise_strength",
        "to_rgbs.0.b_vector": "blocks.8.to_image.bias",
        "convs.1.activate.b_vector": "blocks.8.conv1.bias",
    }
    found = generator_fisher(g, d, list(ours.values()), z, chunk=2)
    expected = dict(zip(golden.spec["call"]["g_names"], golden.expected["fisher_g"], strict=True))
    for theirs, name in ours.items():
        assert float(found[name].sum()) == pytest.approx(float(expected[theirs]), rel=1e-3), theirs
    ours = {
        "final_conv.0.weight": "conv.weight",
        "final_linear.1.bias": "out.bias",
        "convs.1.conv1.1.b_vector": "blocks.8.conv0.bias",
    }
    found = discriminator_fisher(d, list(ours.values()), x, fake, chunk=2)
    expected = dict(zip(golden.spec["call"]["d_names"], golden.expected["fisher_d"], strict=True))
    for theirs, name in ours.items():
        assert float(found[name].sum()) == pytest.approx(float(expected[theirs]), rel=1e-3), theirs
    losses = torch.stack([logistic_generator(d(image[None])) for image in fake])
    assert_met(golden, {"loss_g": losses}, every=False)


def test_fisher_is_the_mean_of_squared_gradients_whatever_the_chunk():
    a, x = torch.randn(3), torch.randn(5, 3)
    got = [fisher(lambda p, row: (p["a"] * row).sum().square(), {"a": a}, (x,), chunk)["a"] for chunk in (1, 2, 5)]
    plain = torch.stack([(2 * (a * row).sum() * row).square() for row in x]).mean(dim=0)
    for one in got:
        assert torch.allclose(one, plain, rtol=1e-5)


def test_choice_of_filters_meets_the_golden():
    golden = fill.load("adam_filter_choice")
    call, expected = golden.spec["call"], golden.expected
    names = {
        "u_vector": "parametrizations.weight.0.u",
        "v_vector": "parametrizations.weight.0.v",
        "b_vector": "parametrizations.bias.0.shift",
    }
    values = {}
    for key in ("g", "d"):
        rest = torch.from_numpy(golden.inputs[f"fisher_{key}"]).square().double()
        for name, size in call[f"{key}_sizes"]:
            path, vector = name.rsplit(".", 1)
            path = ({"conv1.1": "conv1.0", "conv2.2": "conv2.1"}.get(".".join(path.split(".")[2:])) and ".".join(
                [*path.split(".")[:2], {"conv1.1": "conv1.0", "conv2.2": "conv2.1"}[".".join(path.split(".")[2:])]]
            )) or path  # fmt: skip  # the released bias belongs to the activation
            values[f"{path}.{names[vector]}"], rest = rest[:size], rest[size:]
    masks = {"g": {}, "d": {}}
    cuts = []
    for key, keep in (("g", lambda n: "kml_fc" not in n), ("g", lambda n: "kml_fc" in n), ("d", lambda n: True)):
        layers = [name.rsplit(".", 1)[0] for name in call[f"{key}_order"] if name.endswith("v_vector") and keep(name)]
        scores = {layer: filter_importance(values, layer) for layer in layers}
        cuts.append(np.quantile(np.concatenate([score.numpy() for score in scores.values()]), call["quantile"] / 100))
        masks[key] |= important(scores, call["quantile"])
    order = {key: [name.rsplit(".", 1)[0] for name in call[f"{key}_order"]] for key in ("g", "d")}
    for key in ("g", "d"):
        got = torch.cat([masks[key][layer] for layer in order[key]]).numpy().astype(np.uint8)
        assert np.array_equal(got, expected[f"kml_{key}"])
    assert np.allclose(cuts, expected["cut"], rtol=1e-6)


def trained(family="stylegan2", **options):
    """AdAM after some steps of hybrid training with an optimiser that has momentum."""
    task = make_task(FAMILIES[family](), noise_images().pixels, 4, 0, None, torch.device("cpu"))
    training = AdAM(samples=6, **options).build(task)
    loop = Loop(training, {}, 16, 100, None)
    for player in ("generator_player", "discriminator_player"):
        make = getattr(training, player)
        setattr(training, player, lambda make=make: momentum(make()))
    loop.run(None, None, progress=False)
    return training


def momentum(player):
    player.betas = (0.9, 0.99)
    return player


@pytest.mark.parametrize(("family", "choices"), [("stylegan2", 3), ("progan", 2)])
def test_important_filters_and_the_modulation_of_the_others_are_bit_identical_with_momentum(family, choices):
    training = trained(family, quantile=50.0)
    assert len(training.chosen) == choices  # a ProGAN has no styles
    parameters = dict(training.modules.named_parameters())
    moved = 0
    for family, members in training.chosen.items():
        network = "discriminator" if family == "discriminator" else "generator"
        assert (
            members and any(rows.any() for rows in members.values()) and any((~rows).any() for rows in members.values())
        )
        for layer, rows in members.items():
            name = f"{network}.{layer}.parametrizations.weight"
            kernel, before = parameters[f"{name}.original"], training.source[f"{name}.original"]
            assert torch.equal(kernel[rows], before[rows]), layer
            assert not parameters[f"{name}.0.v"][~rows].any(), layer
            moved += int((kernel != before).flatten(1).any(dim=1).sum())
    assert moved > 0
    if family == "stylegan2":
        assert torch.equal(parameters["generator.const"], training.source["generator.const"])


def test_a_bent_weight_is_computed_once_for_all_that_a_player_looks_at():
    """D judges real and generated images in one move, and pays R1 in another; G's move needs each once."""
    training = AdAM().build(make_task(tiny_gan(), noise_images().pixels, 4, 0, None, torch.device("cpu")))
    loop = Loop(training, {}, 10, 10, None)
    stage = next(training.stages(10))
    loop.begin(stage, 0)
    calls = {"generator": 0, "discriminator": 0}
    for name, network in training.modules.items():

        def count(_module, _inputs, _output, name=name):
            calls[name] += 1

        (_, bent), *_ = [found for found in layers(network) if "blocks.8.conv1" in found[0]]
        adapter_of(bent, "weight", KernelModulation).register_forward_hook(count)
    for player, expected in zip(
        stage.players, ({"generator": 1, "discriminator": 2}, {"generator": 2, "discriminator": 3}), strict=True
    ):
        loop.move(player)
        assert calls == expected, player.name


@pytest.mark.parametrize(("quantile", "all_important"), [(0, False), (100, False)])
def test_extreme_quantiles(quantile, all_important):
    training = trained(quantile=quantile)
    shares = [rows.float().mean() for members in training.chosen.values() for rows in members.values()]
    share = float(torch.stack(shares).mean())
    assert share > 0.8 if quantile == 0 else share == 0


def test_controls_choose_others():
    chosen = {kind: trained(importance=kind).chosen["convolutions"] for kind in ("fisher", "random", "reversed")}
    flat = {kind: torch.cat(list(members.values())) for kind, members in chosen.items()}
    assert (flat["fisher"] != flat["random"]).any()
    assert (flat["fisher"] == ~flat["reversed"]).float().mean() > 0.9


@pytest.mark.parametrize("layout", ["paper", "official"])
def test_the_result_is_plain_and_resumes_to_the_bit(layout, tmp_path):
    options = {"iterations": 12, "batch": 4, "progress": False, "samples": 4, "layout": layout}
    whole = adapt(tiny_gan(), noise_images(), "adam", **options)
    part = adapt(tiny_gan(), noise_images(), "adam", **options, out=tmp_path, minutes=0.0)
    while not part.finished:
        part = adapt(tiny_gan(), noise_images(), "adam", **options, out=tmp_path, minutes=1e-5)
    assert torch.equal(part.gan.sample(3), whole.gan.sample(3))
    whole.gan.save(tmp_path / "adapted.safetensors")
    assert torch.equal(load_gan(tmp_path / "adapted.safetensors").sample(2), whole.gan.sample(2))


@pytest.mark.parametrize(
    "options",
    [{"quantile": 101}, {"quantile": -1}, {"probing": 0.0}, {"layout": "mine"}, {"importance": "luck"}, {"samples": 0}],
)
def test_impossible_options_are_one_sentence(options):
    with pytest.raises(UserError, match=next(iter(options))) as error:
        adapt(tiny_gan(), noise_images(), "adam", progress=False, **options)
    assert not isinstance(error.value, CollapseError)
