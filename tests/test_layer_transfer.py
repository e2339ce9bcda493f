"""Layer transfer, SmallHead, AdaFM: what is general stays to the bit and costs no gradient, what is specific trains."""

import itertools

import pytest
import torch
from helpers import noise_images, tiny_gan, tiny_gp_resnet

from fewshotgan import load_gan
from fewshotgan.adapters import adapters, is_adapted
from fewshotgan.files import UserError
from fewshotgan.methods import METHODS, Batch
from fewshotgan.methods.adafm import AdaFM, SmallHead, feature_scale
from fewshotgan.methods.layer_transfer import LayerTransfer
from fewshotgan.run import CollapseError
from fewshotgan.session import adapt
from fewshotgan.train import Loop, make_task

QUICK = {"iterations": 10, "batch": 4, "progress": False}


def built(method, gan=None):
    """A method at work, ready for its first iteration."""
    return method.build(make_task(gan or tiny_gp_resnet(), noise_images().pixels, 4, 0, None, torch.device("cpu")))


def looped(training):
    """A method's loop at the beginning of its first stage, with that stage."""
    loop, stage = Loop(training, {}, 12, 100, None), next(training.stages(12))
    loop.begin(stage, 0)
    return loop, stage


def values(modules):
    return [value for module in modules for value in module.state_dict().values()]


# --- what is frozen --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("general", "g", "d"), [("G0D0", 0, 0), ("G1D3", 1, 3), ("G3D1", 3, 1), ("G4D4", 4, 4)])
def test_general_groups_are_counted_from_the_image_and_stay_to_the_bit(general, g, d):
    gan = tiny_gp_resnet()
    run = adapt(gan, noise_images(), "layer_transfer", general=general, **QUICK)
    assert run.spec["options"]["general"] == general
    for before, after, count in ((gan.generator, run.gan.generator, g), (gan.discriminator, run.gan.discriminator, d)):
        for i, (name, modules) in enumerate(before.counted().items()):
            same = [torch.equal(a, b) for a, b in zip(values(modules), values(after.counted()[name]), strict=True)]
            assert all(same) if i < count else not any(same), name
    assert not torch.equal(gan.generator.dense.weight, run.gan.generator.dense.weight)
    assert not torch.equal(gan.discriminator.out.weight, run.gan.discriminator.out.weight)


def test_both_parts_start_from_the_source_or_fresh_and_the_fully_connected_layers_always_fresh():
    gan = tiny_gp_resnet(seed=5)
    fresh = tiny_gp_resnet(seed=0)  # the seed of the task
    for general_from, specific_from in itertools.product(("source", "fresh"), repeat=2):
        training = built(LayerTransfer(general="G2D2", general_from=general_from, specific_from=specific_from), gan)
        for network in ("generator", "discriminator"):
            for i, (name, modules) in enumerate(getattr(training, network).counted().items()):
                start = {"source": gan, "fresh": fresh}[general_from if i < 2 else specific_from]
                assert all(map(torch.equal, values(modules), values(getattr(start, network).counted()[name])))
        assert torch.equal(training.generator.dense.weight, fresh.generator.dense.weight)
        assert torch.equal(training.discriminator.out.weight, fresh.discriminator.out.weight)


def test_the_random_frozen_control_freezes_its_random_part():
    run = adapt(tiny_gp_resnet(seed=5), noise_images(), "layer_transfer", general="G3D2", general_from="fresh", **QUICK)
    fresh = tiny_gp_resnet(seed=0)
    assert torch.equal(run.gan.generator.to_image.weight, fresh.generator.to_image.weight)
    assert all(map(torch.equal, values([run.gan.generator.blocks["8"]]), values([fresh.generator.blocks["8"]])))


@pytest.mark.parametrize("made", [LayerTransfer, SmallHead])
def test_from_scratch_everything_trains_and_nothing_is_the_sources(made):
    gan = tiny_gp_resnet(seed=5)
    training = built(made(general="G2D2", general_from="scratch", specific_from="fresh"), gan)
    for network in ("generator", "discriminator"):
        assert len(training.specific(network)) == len(list(training.modules[network].parameters()))
        theirs = [
            p for modules in getattr(gan, network).counted().values() for module in modules for p in module.parameters()
        ]
        assert not any(torch.equal(p, q) for p in training.specific(network) for q in theirs if p.shape == q.shape)


def test_gphead_is_layer_transfer_at_its_defaults():
    plain, named = (adapt(tiny_gp_resnet(), noise_images(), name, **QUICK) for name in ("layer_transfer", "gphead"))
    assert plain.spec["options"] == named.spec["options"] and torch.equal(plain.gan.sample(2), named.gan.sample(2))


@pytest.mark.parametrize(("resolution", "general"), [(8, "G1D2"), (16, "G2D2"), (32, "G3D2"), (64, "G4D2")])
@pytest.mark.parametrize("method", [LayerTransfer, SmallHead])
def test_the_default_is_the_papers_choice_or_leaves_eight_pixels(resolution, general, method):
    task = make_task(
        tiny_gp_resnet(resolution=resolution), noise_images(2, resolution).pixels, 2, 0, None, torch.device("cpu")
    )
    training = method().build(task)
    assert training.method.general == general
    assert training.method.r1_gamma == pytest.approx(20 * (resolution / 128) ** 2)
    with torch.no_grad():
        assert training.generate(Batch(0)).shape == (2, 3, resolution, resolution)


@pytest.mark.parametrize("made", [LayerTransfer, SmallHead, AdaFM])
def test_frozen_layers_cost_no_gradient(made):
    training = built(made(general="G2D2"))
    loop, stage = looped(training)
    graph: dict[str, list[bool]] = {}
    for name, modules in training.discriminator.counted().items():
        modules[0].register_forward_hook(
            lambda _m, _i, y, name=name: graph.setdefault(name, []).append(y.requires_grad)
        )
    generator, discriminator = stage.players
    loop.move(generator)
    general = [
        p
        for network in ("generator", "discriminator")
        for module in training.general[network]
        for p in module.parameters()
    ]
    assert all(p.grad is None for p in [*general, *training.discriminator.parameters()])
    assert all(p.grad is not None for p in training.specific("generator"))
    graph.clear()
    loop.iteration = 1  # without the penalty, whose gradient goes through all layers to the image
    loop.move(discriminator)
    assert all(not any(graph[name]) for name in ("D1", "D2")) and all(all(graph[name]) for name in ("D3", "D4"))
    assert all(p.grad is None for p in general) and all(p.grad is not None for p in training.specific("discriminator"))


def test_a_general_part_down_to_the_latents_leaves_one_layer_each():
    training = built(LayerTransfer(general="G4D4"))
    assert [p.shape for p in training.generator_parameters()] == [
        p.shape for p in training.generator.dense.parameters()
    ]
    assert [p.shape for p in training.discriminator_parameters()] == [
        p.shape for p in training.discriminator.out.parameters()
    ]


# --- the game --------------------------------------------------------------------------------------------------------


def test_the_discriminator_sees_the_images_that_moved_the_generator():
    training = built(LayerTransfer(general="G2D2"))
    loop, stage = looped(training)
    assert [player.name for player in stage.players] == ["generator", "discriminator"]
    loop.move(stage.players[0])
    fake = loop.batch["fake"]
    assert training.fakes(loop.batch) is fake and not fake.requires_grad
    seen = []
    training.discriminator.register_forward_pre_hook(lambda _m, inputs: seen.append(inputs[0]))
    training.discriminator_terms(loop.batch)
    assert any(torch.equal(x, fake) for x in seen)


def test_the_penalty_of_both_is_that_of_real_and_of_generated_images():
    training = built(LayerTransfer(general="G2D2", penalised="both", r1_gamma=2.0))
    batch = Batch(0)
    training.generate(batch)
    x = (training.task.images[:1].repeat(4, 1, 1, 1).float() / 127.5 - 1).requires_grad_()
    training.real = lambda _batch: x.detach()
    terms = training.r1(batch)
    for name, images in (("r1", x), ("r1_fake", batch["fake"].clone().requires_grad_())):
        (gradient,) = torch.autograd.grad(training.discriminator(images).sum(), images)
        assert terms[name].item() == pytest.approx(gradient.square().sum(dim=(1, 2, 3)).mean().item(), rel=1e-4)
    assert built(LayerTransfer()).r1(Batch(0)).keys() == {"r1"}


def test_the_setting_of_25_images_runs(tmp_path):
    run = adapt(
        tiny_gp_resnet(), noise_images(25), "adafm", **QUICK, general="G2D3", z_dim=4, penalised="both", r1_every=1
    )
    assert run.gan.z_dim == 4 and run.gan.generator.mapping.layers[0].weight.shape == (8, 4)
    assert {"discriminator/r1", "discriminator/r1_fake"} <= run.history[-1].keys()
    run.gan.save(tmp_path / "few.safetensors")
    assert torch.equal(load_gan(tmp_path / "few.safetensors").sample(3), run.gan.sample(3))


def test_styles_are_mixed_in_training():
    run = adapt(tiny_gp_resnet(resolution=16), noise_images(), "smallhead", mixing=1.0, general="G1D2", **QUICK)
    assert run.gan.sample(2).isfinite().all()


# --- head and modulations --------------------------------------------------------------------------------------------


def test_the_head_starts_at_the_scale_of_the_sources_features():
    gan = tiny_gp_resnet()
    before = gan.generator.blocks["8"]
    outputs = []
    before.register_forward_hook(lambda _m, _i, y: outputs.append(y))
    scale = feature_scale(gan, 2)
    assert scale == pytest.approx(
        float(outputs[0].repeat_interleave(2, 2).repeat_interleave(2, 3).std(dim=(2, 3)).mean()), rel=1e-4
    )
    outputs.clear()
    gan.generator.blocks["16"].register_forward_hook(lambda _m, _i, y: outputs.append(y))
    assert feature_scale(gan, 1) == pytest.approx(float(outputs[-1].std(dim=(2, 3)).mean()), rel=1e-4)
    training = built(SmallHead(general="G2D2"), gan)
    assert training.method.options()["scale"] == pytest.approx(scale)
    assert torch.allclose(training.generator.head.match.scale, torch.tensor(scale), rtol=0.01)
    assert built(SmallHead(general="G2D2", scale=1000.0), gan).generator.head.match.scale.mean() > 900


def test_modulations_bend_the_convolutions_of_the_general_blocks_alone_and_are_the_identity():
    gan = tiny_gp_resnet()
    training, plain = built(AdaFM(general="G2D2"), gan), built(SmallHead(general="G2D2"), gan)
    bent = {
        name
        for name, module in training.generator.named_modules()
        if hasattr(module, "weight") and is_adapted(module, "weight")
    }
    assert bent == {f"blocks.16.{i}.conv{j}" for i in range(2) for j in range(2)}
    assert sum(p.numel() for p in adapters(training.generator)) == 2 * sum(
        layer.weight[..., 0, 0].numel() for name, layer in plain.generator.named_modules() if name in bent
    )
    z = gan.latents(2)
    with torch.no_grad():
        assert torch.equal(training.generator.eval()(z), plain.generator.eval()(z))


def test_modulations_wait_for_their_share_of_the_iterations():
    training = built(AdaFM(general="G2D2", waiting=0.5))
    spans = []
    for stage in training.stages(10):
        bending = {id(p) for p in adapters(training.generator)} <= {id(p) for p in stage.players[0].parameters}
        spans.append((stage.name, stage.iterations, bending, stage.restart))
    assert spans == [("head", 5, False, False), ("modulation", 5, True, False)]
    assert [stage.name for stage in built(AdaFM(general="G2D2", waiting=0.0)).stages(1)] == ["modulation"]
    assert [stage.iterations for stage in built(AdaFM(general="G2D2")).stages(6000)] == [1000, 5000]
    assert [stage.iterations for stage in built(AdaFM(general="G2D2", waiting=0.9)).stages(1)] == [1]


def test_general_weights_stay_while_modulations_move_and_fold_away():
    gan = tiny_gp_resnet()
    run = adapt(gan, noise_images(), "adafm", general="G2D2", **QUICK)
    live, group = run.training.generator, gan.generator.blocks["16"]
    for ours, theirs in zip(live.blocks["16"], group, strict=True):
        for layer in ("conv0", "conv1"):
            kept = getattr(ours, layer).parametrizations.weight
            assert torch.equal(kept.original, getattr(theirs, layer).weight)
            assert (kept[0].gamma != 1).any() and (kept[0].beta != 0).any()
            assert torch.equal(getattr(ours, layer).bias, getattr(theirs, layer).bias)
    assert torch.equal(run.gan.generator.blocks["16"][0].skip.weight, group[0].skip.weight)
    assert torch.equal(run.gan.generator.to_image.weight, gan.generator.to_image.weight)
    assert not any("parametrizations" in key for key in run.gan.generator.state_dict())
    assert not torch.equal(run.gan.generator.blocks["16"][0].conv0.weight, group[0].conv0.weight)


@pytest.mark.parametrize("method", ["layer_transfer", "smallhead", "adafm"])
def test_the_result_is_saved_and_resumes_to_the_bit(method, tmp_path):
    options = {"iterations": 12, "batch": 4, "progress": False, "general": "G2D2"}
    whole = adapt(tiny_gp_resnet(), noise_images(), method, **options)
    part = adapt(tiny_gp_resnet(), noise_images(), method, **options, out=tmp_path, minutes=0.0)
    while not part.finished:
        part = adapt(tiny_gp_resnet(), noise_images(), method, **options, out=tmp_path, minutes=1e-5)
    assert torch.equal(part.gan.sample(3), whole.gan.sample(3))
    whole.gan.save(tmp_path / "adapted.safetensors")
    again = load_gan(tmp_path / "adapted.safetensors")
    assert torch.equal(again.sample(2), whole.gan.sample(2)) and again.config == whole.gan.config


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("options", "text"), [
    ({"general": "4D2"}, "write it as G4D2"),
    ({"general": "G5D2"}, "general=G5D2 has groups that tiny has not: it has G0 to G4 and D0 to D4"),
    ({"general": "G2D9"}, "it has G0 to G4 and D0 to D4"),
    ({"general_from": "luck"}, "must be source or fresh or scratch"),
    ({"specific_from": "luck"}, "must be source or fresh"),
    ({"penalised": "fake"}, "must be real or both"),
    ({"z_dim": 0}, "z_dim=0 must be a whole number of at least 1"),
    ({"path_length": 2.0}, "path_length needs a generator"),
])  # fmt: skip
@pytest.mark.parametrize("method", ["layer_transfer", "adafm"])
def test_impossible_options_are_one_sentence(method, options, text):
    with pytest.raises(UserError, match=text) as error:
        adapt(tiny_gp_resnet(), noise_images(), method, **QUICK, **options)
    assert not isinstance(error.value, CollapseError) and str(error.value).count(". ") == 0


@pytest.mark.parametrize(("options", "text"), [
    ({"general": "G0D2"}, "can be G1 to G2, not G0"),
    ({"general": "G3D2"}, "can be G1 to G2, not G3"),
    ({"waiting": 1.0}, "must be a finite number of at least 0 and below 1"),
    ({"general_from": "scratch"}, "bends filters that stay as they are"),
])  # fmt: skip
def test_a_head_that_has_no_room_is_refused(options, text):
    with pytest.raises(UserError, match=text):
        adapt(tiny_gp_resnet(), noise_images(), "adafm", **QUICK, **options)


@pytest.mark.parametrize("method", [name for name, made in METHODS.items() if issubclass(made, LayerTransfer)])
def test_a_source_of_another_family_or_resolution_is_refused(method):
    with pytest.raises(UserError, match=r"groups of a GP-GAN .* tiny is a stylegan2"):
        adapt(tiny_gan(), noise_images(), method, **QUICK)
    with pytest.raises(UserError, match="resolution=16"):
        adapt(tiny_gp_resnet(), noise_images(resolution=32), method, **QUICK)
