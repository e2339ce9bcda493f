"""EWC, CDC, DCL, RICK, FSGAN: their equations on small tensors, their goldens, and what they must not touch."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from golden import fill
from helpers import assert_met, noise_images, tensors, tiny_gan
from tqdm import tqdm

from fewshotgan.files import UserError
from fewshotgan.gans import official
from fewshotgan.gans.layers import EqualConv2d
from fewshotgan.gans.stylegan2 import Discriminator
from fewshotgan.methods.adam import AdAM
from fewshotgan.methods.cdc import CDC, distance_consistency, relations
from fewshotgan.methods.dcl import DCL, contrast
from fewshotgan.methods.ewc import EWC, ewc_penalty
from fewshotgan.methods.fsgan import adapted_layers
from fewshotgan.methods.method import Batch, Penalty
from fewshotgan.methods.rick import RICK, pruned_key
from fewshotgan.session import adapt
from fewshotgan.train import Loop, make_task

QUICK = {"iterations": 8, "batch": 4, "progress": False}


def built(method, gan=None, batch=4):
    """A method at work, ready for its first iteration."""
    return method.build(make_task(gan or tiny_gan(), noise_images().pixels, batch, 0, None, torch.device("cpu")))


# --- EWC -----------------------------------------------------------------------------------------------------------


def test_ewc_penalty_meets_the_golden():
    golden = fill.load("ewc_penalty")
    x = tensors(golden.inputs)
    theta = {key: x[f"theta_{key}"].clone().requires_grad_() for key in "ab"}
    source, fisher = ({key: x[f"{name}_{key}"] for key in "ab"} for name in ("theta0", "fisher"))
    squared = {key: value.square() for key, value in fisher.items()}
    penalty = golden.spec["call"]["lam"] * ewc_penalty(theta, source, squared)
    penalty.backward()
    assert_met(golden, {"penalty_sum": penalty, "grad_a": theta["a"].grad}, every=False)


def test_ewc_is_exactly_zero_at_the_start_with_its_gradient_and_holds_the_weights():
    training = built(EWC(samples=5))
    assert all((value >= 0).all() for value in training.fisher.values())
    assert sum(float(value.sum()) for value in training.fisher.values()) > 0
    parameters = dict(training.generator.named_parameters())
    for parameter in parameters.values():
        parameter.requires_grad_(True)
    penalty = ewc_penalty(parameters, training.anchor, training.fisher)
    penalty.backward()
    assert penalty.item() == 0
    assert all(parameter.grad is None or not parameter.grad.any() for parameter in parameters.values())

    def moved(weight):
        run = adapt(tiny_gan(), noise_images(), "ewc", weight=weight, samples=5, **QUICK)
        return float(ewc_penalty(dict(run.gan.generator.named_parameters()), training.anchor, training.fisher))

    assert moved(1e6) < 0.5 * moved(0.0)


def test_importance_is_measured_in_the_loss_of_training_and_a_wasserstein_critic_s_has_no_zero():
    """Adding a number to all logits changes nothing that a Wasserstein critic says, so it changes no importance."""

    def fisher(loss, shift):
        gan = tiny_gan()
        gan.discriminator.out.bias.data += shift
        ewc = built(EWC(samples=3, loss=loss), gan).fisher
        return torch.cat([value.flatten() for value in ewc.values()])

    assert torch.allclose(fisher("wgan_gp", 0.0), fisher("wgan_gp", 5.0), rtol=1e-4)
    assert torch.equal(fisher("relativistic", 0.0), fisher("logistic", 0.0))
    assert not torch.allclose(fisher("logistic", 0.0), fisher("logistic", 5.0), rtol=1e-1)
    for method in (RICK(loss="wgan_gp", samples=3), AdAM(loss="wgan_gp", samples=3)):
        found = []
        for shift in (0.0, 5.0):
            gan = tiny_gan()
            gan.discriminator.out.bias.data += shift
            training = built(method, gan)
            scores = training.importance()
            flat = (
                scores if isinstance(method, RICK) else {k: v for family in scores.values() for k, v in family.items()}
            )
            found.append(torch.cat([value.flatten() for value in flat.values()]))
        assert torch.allclose(*found, rtol=1e-4), method.name


# --- CDC -----------------------------------------------------------------------------------------------------------


def test_distance_consistency_meets_the_golden():
    golden = fill.load("cdc_distance")
    x = tensors(golden.inputs)
    source, target = [x[f"f{i}"] for i in range(3)], [x[f"g{i}"].clone().requires_grad_() for i in range(3)]
    loss = golden.spec["call"]["kl_wt"] * distance_consistency(source, target, x["feat_ind"])
    loss.backward()
    rows = {
        "dist_source": relations(source, x["feat_ind"]).softmax(dim=1),
        "dist_target": relations(target, x["feat_ind"]).softmax(dim=1),
    }
    assert_met(golden, {**rows, "loss": loss, "grad_target1": target[1].grad})


def test_patch_discriminator_meets_the_golden():
    golden = fill.load("cdc_patch_d64")
    params, x = tensors(golden.params), torch.from_numpy(golden.inputs["x"])
    net = Discriminator(64)
    net.load_state_dict(
        official.stylegan2_discriminator({k.removeprefix("d."): v for k, v in params.items() if k.startswith("d.")})
    )
    features, got = [], {}
    with torch.no_grad():
        got["image_level"] = net(x, features)
        assert torch.equal(net.patches(x, 32), features[1]) and torch.equal(net.patches(x, 16), features[3])
        for i, activations in enumerate(features[1:5]):  # the public list begins with the first map of 32 pixels
            head = EqualConv2d(512, 1, 3)
            head.load_state_dict(
                {"weight": params[f"e.new_conv.{i}.0.weight"], "bias": params[f"e.new_conv.{i}.1.bias"]}
            )
            got[f"patch{i}"] = head(activations)
    assert_met(golden, got)


@pytest.mark.parametrize("noise", [True, False])
def test_cdc_term_is_zero_while_the_target_is_the_source(noise):
    training = built(CDC(), tiny_gan(noise=noise))
    assert abs(training.consistency().item()) < 1e-7
    for parameter in training.generator.blocks.parameters():
        parameter.data += torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.5
    assert training.consistency().item() > 1e-6


def test_cdc_draws_around_anchors_every_fourth_iteration_and_judges_patches_otherwise():
    training = built(CDC(anchor_every=4, anchor_std=0.01))
    assert training.modules.anchors.shape == (10, 8)
    evaluated = training.task.source.latents(100, seed=training.task.seed)
    assert torch.cdist(training.modules.anchors, evaluated).min() > 0  # no image is measured that was an anchor
    shapes = []
    for iteration in range(8):
        z = training.latents(Batch(iteration))
        near = torch.cdist(z, training.modules.anchors).min(dim=1).values.max()
        assert (near < 0.2) == (iteration % 4 == 0)
        shapes.append(tuple(training.judge(training.generator(z), Batch(iteration)).shape))
    assert shapes[0] == shapes[4] == (4, 1)
    assert set(shapes) == {(4, 1), (4, 1, 8, 8)}


def test_the_patch_head_receives_r1_and_trains():
    training = built(CDC())
    training.modules.requires_grad_(True)
    terms = training.r1(Batch(0))
    assert terms.keys() == {"r1", "r1_patch"}
    (gradient,) = torch.autograd.grad(terms["r1_patch"], [training.modules["patch_head"].weight])
    assert gradient.any()
    loop = Loop(training, {}, 8, 100, None)
    before = training.modules["patch_head"].weight.detach().clone()
    loop.run(None, None, progress=False)
    assert not torch.equal(before, training.modules["patch_head"].weight)


# --- DCL -----------------------------------------------------------------------------------------------------------


def test_contrast_is_infonce():
    anchor, positive, negatives = torch.randn(3, 2, 2), torch.randn(3, 2, 2), torch.randn(5, 2, 2)

    def cosine(a, b):
        return float(F.cosine_similarity(a.flatten(), b.flatten(), dim=0))

    plain = own = 0.0
    for i in range(3):
        up = math.exp(cosine(anchor[i], positive[i]) / 0.5)
        plain -= math.log(up / (up + sum(math.exp(cosine(anchor[i], negative) / 0.5) for negative in negatives))) / 3
        own -= math.log(up / sum(math.exp(cosine(anchor[i], other) / 0.5) for other in positive)) / 3
    assert contrast(anchor, positive, negatives, 0.5).item() == pytest.approx(plain, rel=1e-5)
    assert contrast(anchor, positive, temperature=0.5).item() == pytest.approx(own, rel=1e-5)


def test_dcl_has_both_terms_and_no_gradient_reaches_the_source():
    training = built(DCL())
    training.modules.requires_grad_(True)
    for terms in (training.generator_terms(Batch(0)), training.discriminator_terms(Batch(0))):
        assert terms.keys() == {"logistic", "contrast"}
        sum(terms.values()).backward()
    assert all(parameter.grad is None for parameter in training.task.source.generator.parameters())
    assert training.generator.blocks["8"].conv0.conv.weight.grad.any()


@pytest.mark.parametrize("method", ["cdc", "dcl"])
def test_a_batch_of_one_is_refused(method):
    with pytest.raises(UserError, match="batch of at least 2"):
        adapt(tiny_gan(), noise_images(), method, iterations=2, batch=1, progress=False)


def test_a_patch_map_that_is_not_there_is_refused():
    with pytest.raises(UserError, match="choose one of 8, 4"):
        adapt(tiny_gan(), noise_images(), "cdc", patch_at=16, **QUICK)


# --- RICK and FSGAN ------------------------------------------------------------------------------------------------


def momentum(player):
    player.betas = (0.9, 0.99)
    return player


def test_rick_freezes_and_prunes_to_the_bit_with_momentum():
    training = built(RICK(quantile=50, prune=10, every=4, samples=4, warmup=0.25))
    make = training.generator_player
    training.generator_player = lambda: momentum(make())
    for name, layer in training.filters().items():
        training.rows(name, layer)[-1].data.add_(0.01)  # a bias of zero would look pruned
    before = {name: value.clone() for name, value in training.modules.state_dict().items()}
    loop = Loop(training, {}, 8, 100, None)  # two of warm-up, then two spans
    frozen = moved = pruned = 0
    for _ in loop.train(None, tqdm(disable=True)):
        if loop.iteration == 2:
            now = training.modules.state_dict()
            still = [name for name in before if name.startswith("generator")]
            assert all(torch.equal(before[name], now[name]) for name in still)
        if loop.iteration in (6, 8):
            names = {id(parameter): name for name, parameter in training.modules.named_parameters()}
            for weight, rows, values in [entry for kept in training.kept.values() for entry in kept]:
                assert torch.equal(weight[rows], values)
                frozen += len(rows)
                free = torch.ones(len(weight), dtype=torch.bool).index_fill(0, rows, False)
                moved += int((weight != before[names[id(weight)]])[free].sum())
                pruned += int((weight == 0).reshape(len(weight), -1).all(dim=1).sum())
    assert frozen and moved and pruned
    gan, gone = loop.outcome(finished=True).gan, 0
    for name in training.filters():
        network, layer = name.split(".", 1)
        rows = training.modules.get_buffer(pruned_key(name))
        for parameter in training.rows(name, getattr(gan, network).get_submodule(layer)):
            assert not parameter[rows].any()  # in the moving average too
            gone += int(rows.sum())
    assert gone
    assert not any(name.startswith("generator.blocks.4.") for name in training.filters())


def test_rick_resumes_to_the_bit(tmp_path):
    options = {**QUICK, "every": 3, "samples": 3, "quantile": 50.0, "prune": 5.0}
    whole = adapt(tiny_gan(), noise_images(), "rick", **options)
    part = adapt(tiny_gan(), noise_images(), "rick", **options, out=tmp_path, minutes=0.0)
    while not part.finished:
        part = adapt(tiny_gan(), noise_images(), "rick", **options, out=tmp_path, minutes=1e-5)
    assert torch.equal(part.gan.sample(3), whole.gan.sample(3))
    ends = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["stage_ends"]
    # the file does not grow with the stages
    assert len(ends) > 2 and [bool(end) for end in ends] == [False] * (len(ends) - 1) + [True]


def test_rick_refuses_impossible_shares():
    with pytest.raises(UserError, match="prune the smaller"):
        adapt(tiny_gan(), noise_images(), "rick", quantile=1.0, prune=5.0, **QUICK)


def test_fsgan_adapts_the_layers_that_the_released_code_adapts():
    gan = tiny_gan()
    styled = {f"blocks.{side}.conv{i}.conv" for side in (8, 16) for i in (0, 1)} | {"blocks.4.conv1.conv"}
    assert adapted_layers(gan.generator).keys() == styled | {"mapping.layers.0", "mapping.layers.1"}
    convolutions = {f"blocks.{side}.conv{i}" for side in (8, 16) for i in (0, 1)} | {"conv"}
    assert adapted_layers(gan.discriminator).keys() == convolutions | {"hidden", "out"}


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_fsgan_trains_singular_values_alone(network):
    gan = tiny_gan()
    run = adapt(gan, noise_images(), "fsgan", **QUICK)
    assert run.spec["options"]["learning_rate"] == 0.002
    adapted = {f"{name}.weight" for name in adapted_layers(getattr(gan, network))}
    trained = getattr(run.gan, network).state_dict()
    for name, before in getattr(gan, network).state_dict().items():
        after = trained[name]
        assert name == "w_mean" or torch.equal(before, after) != (name in adapted), name
        if name in adapted:  # the singular vectors are those of the source: U^T W' V is diagonal
            u, values, vh = torch.linalg.svd(before.flatten(1), full_matrices=False)
            inner = u.T @ after.flatten(1) @ vh.T
            assert torch.allclose(inner, torch.diag(torch.diagonal(inner)), atol=1e-5 * float(values[0])), name


def test_rick_pays_r1_in_one_of_sixteen_iterations_of_the_run():
    training, paid = built(RICK(samples=1), batch=2), []
    player = training.discriminator_player

    def counted():
        return replace(
            player(), penalties=[Penalty(16, lambda batch: paid.append(loop.iteration) or training.r1(batch))]
        )

    training.discriminator_player = counted
    loop = Loop(training, {}, 200, 1000, None)
    loop.run(None, None, progress=False)
    assert paid == list(range(0, 200, 16)) and len(paid) == 13
