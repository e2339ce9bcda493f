"""MineGAN: the released miner, G fixed to the bit while it is mined, several GANs, a learned selector, mined
classes.
"""

import pytest
import torch
from golden import fill
from helpers import FAMILIES, assert_met, noise_images, tiny_gan, tiny_gp_resnet, tiny_sngan

from fewshotgan import load_gan
from fewshotgan.augment import NoAugment
from fewshotgan.files import UserError
from fewshotgan.gans import GAN
from fewshotgan.gans.gan import combine
from fewshotgan.gans.prior import Miner, Truncated, make_prior
from fewshotgan.gans.semantic import ConstantMiner, NoiseMiner
from fewshotgan.images import Images
from fewshotgan.methods.method import Batch
from fewshotgan.methods.minegan import MineGAN, Mining
from fewshotgan.session import adapt
from fewshotgan.train import Loop, make_task

QUICK = {"iterations": 8, "batch": 4, "progress": False}


def built(method, gan):
    return method.build(make_task(gan, noise_images().pixels, 4, 0, None, torch.device("cpu")))


def test_the_miner_meets_the_golden():
    golden = fill.load("minegan_miners")
    miner = Miner(golden.spec["constructor"]["code_dim"])
    for ours, theirs in (("0", "0"), ("2", "2")):
        for kind in ("weight", "bias"):
            value = golden.params[f"miner.transform.{theirs}.{kind}"]
            miner.latent.get_submodule(ours).get_parameter(kind).data = torch.from_numpy(value)
    with torch.no_grad():
        assert_met(golden, {"miner": miner(torch.from_numpy(golden.inputs["z"]))}, every=False)


def test_a_fresh_miner_gives_latents_of_the_scale_that_the_generator_knows():
    latents = Miner(256)(torch.randn(200, 256, generator=torch.Generator().manual_seed(0)))
    assert latents.std().item() == pytest.approx(1, abs=0.1)
    assert Miner(8).labels(torch.randn(2, 8)) is None
    assert torch.allclose(Miner(8, classes=3).labels(torch.randn(2, 8)).sum(dim=1), torch.ones(2))
    with pytest.raises(ValueError, match="no prior 'other'"):
        make_prior({"kind": "other"}, 8)


def test_the_truncated_prior_is_a_truncated_normal_distribution():
    u = torch.randn(100_000, generator=torch.Generator().manual_seed(0))
    plain = u[u.abs() < 0.8]
    z = Truncated(0.8)(u)
    assert z.abs().max() <= 0.8
    assert torch.allclose(
        z.quantile(torch.tensor([0.1, 0.3, 0.5, 0.9])), plain.quantile(torch.tensor([0.1, 0.3, 0.5, 0.9])), atol=0.01
    )
    assert (z[u.argsort()].diff() >= 0).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_mining_leaves_the_generator_to_the_bit_and_computes_no_gradient_for_it(family):
    gan = FAMILIES[family]()
    run = adapt(gan, noise_images(), "minegan-noft", **QUICK)
    after = run.gan.generator.state_dict()
    for key, value in gan.generator.state_dict().items():
        if key != "w_mean":  # the centre of truncation follows the miner
            assert torch.equal(value, after[key]), key
    for key, parameter in run.training.generator.named_parameters():
        assert (parameter.grad is None) != key.startswith("prior."), key
    assert not torch.equal(run.training.generator.prior.latent[0].weight, Miner(8).latent[0].weight)


def test_fine_tuning_follows_and_moves_everything_the_statistics_of_the_norms_included():
    gan = tiny_sngan()
    run = adapt(gan, noise_images(), "minegan", iterations=40, batch=4, progress=False, mining=0.25)
    assert [row["stage"] for row in run.history] == ["mining", *["fine-tuning"] * 3]
    after = run.gan.generator.state_dict()
    assert not any(torch.equal(value, after[key]) for key, value in gan.generator.state_dict().items())


def test_gradients_of_the_miner_are_cleared_each_step():
    """After a second step the miner holds the gradient of that step alone, not of both as in the released StyleGAN2
    version.
    """
    found = {}
    for steps in (1, 2):
        training = built(Mining(learning_rate=1e-30), tiny_gan(noise=False))
        loop = Loop(training, {}, 10, 10, None)
        (stage,) = training.stages(10)
        loop.begin(stage, 0)
        miner = stage.players[1]
        for _ in range(steps):
            training.task.rng.manual_seed(1)
            loop.open(stage)
            loop.move(miner)
        found[steps] = training.generator.prior.latent[0].weight.grad.clone()
    assert found[1].any() and torch.equal(found[1], found[2])


def test_the_random_miner_never_moves():
    gan = tiny_gan()
    start = built(MineGAN(), gan).generator.prior.state_dict()
    for method in ("minegan", "minegan-noft"):
        run = adapt(gan, noise_images(), method, miner="random", **QUICK)
        assert all(torch.equal(value, start[key]) for key, value in run.gan.generator.prior.state_dict().items())
    mined = adapt(gan, noise_images(), "minegan", **QUICK).gan.generator.prior.state_dict()
    assert not any(torch.equal(value, start[key]) for key, value in mined.items())


# --- several GANs ---------------------------------------------------------------------------------------------------


def test_several_gans_become_one_that_samples_from_all_and_saves_and_loads(tmp_path):
    sources = [tiny_gan(seed=1), tiny_sngan(seed=2), tiny_gan(seed=3, z_dim=5)]
    before = [{key: value.clone() for key, value in gan.generator.state_dict().items()} for gan in sources]
    run = adapt(sources, noise_images(), "minegan", **QUICK)
    for gan, state in zip(sources, before, strict=True):
        assert all(torch.equal(state[key], value) for key, value in gan.generator.state_dict().items())
    assert run.spec["gan"] == "tiny & tiny & tiny" and len(run.gan.generator.parts) == 3
    run.gan.save(tmp_path / "mixture.safetensors")
    again = load_gan(tmp_path / "mixture.safetensors")
    assert torch.equal(again.sample(12, seed=2), run.gan.sample(12, seed=2))
    assert torch.equal(again.generator.probabilities(), run.gan.generator.probabilities())
    assert torch.equal(adapt(sources, noise_images(), "minegan", **QUICK).gan.sample(5), run.gan.sample(5))
    with pytest.raises(UserError, match="adapts one GAN at a time"):
        adapt(again, noise_images(), "transfergan", **QUICK)


def test_a_mixture_uses_each_generator_with_its_probability_and_never_blends():
    mixture = combine([tiny_gan(seed=1), tiny_gan(seed=2)])
    mixture.generator.selector.data = torch.tensor([0.0, 3.0]).log_softmax(dim=0)
    z = mixture.latents(4000)
    chosen = mixture.generator.choose(z)
    assert chosen.float().mean() == pytest.approx(mixture.generator.probabilities()[1].item(), abs=0.02)
    images = mixture.render(z[:40])
    for i, gan in enumerate((tiny_gan(seed=1), tiny_gan(seed=2))):
        rows = chosen[:40] == i
        assert rows.any() and torch.allclose(images[rows], gan.render(z[:40][rows][:, :8]), atol=1e-6)


def test_only_the_highest_scoring_generator_gets_a_gradient():
    training = built(MineGAN(), combine([tiny_gan(seed=1), tiny_gan(seed=2)]))
    favourite, logit = training.generator.parts[1], torch.nn.Linear(1, 1)

    def judge(x, _batch):
        return logit(x.mean(dim=(1, 2, 3))[:, None] * 0) + x.mean(dim=(1, 2, 3))[:, None]

    training.judge = judge
    favourite.blocks["16"].to_image.bias.data += 3
    training.modules.requires_grad_(True)
    batch = Batch(0)
    training.generator_terms(batch)["logistic"].backward()
    training.discriminator_terms(batch)
    assert (batch["winners"] == 1).all()
    assert favourite.prior.latent[0].weight.grad is not None and favourite.const.grad.any()
    other = training.generator.parts[0]
    assert all(p.grad is None or not p.grad.any() for p in other.parameters())


def test_the_gradient_penalty_is_due_between_real_images_and_the_best_of_each_supersample():
    training = built(MineGAN(loss="wgan_gp"), combine([tiny_gan(seed=1), tiny_gan(seed=2)]))
    training.judge = lambda x, _batch: x.mean(dim=(1, 2, 3))[:, None]
    due = []
    training.due_penalty = lambda real, fake, _batch: due.append(fake) or {}
    batch = Batch(0)
    first, second = training.draw(batch)
    batch.update({"fake 0": first, "fake 1": second})
    training.task.augment = NoAugment()
    training.discriminator_terms(batch)
    best = torch.where((first.mean(dim=(1, 2, 3)) > second.mean(dim=(1, 2, 3))).view(-1, 1, 1, 1), first, second)
    assert torch.equal(due[0], best.detach())


def flat(level: float, seed: int) -> GAN:
    """An 8-pixel GAN of almost uniform images around a level."""
    sizes = {"resolution": 8, "channels": 1, "channel_base": 32, "channel_max": 4}
    latent = {"z_dim": 4, "w_dim": 4, "mapping_layers": 1, "noise": False}
    gan = GAN.create(
        {"family": "stylegan2", "generator": {**sizes, **latent}, "discriminator": sizes}, f"level {level}", seed
    )
    for block in gan.generator.blocks.values():
        block.to_image.conv.weight.data *= 0.05
    gan.generator.blocks["8"].to_image.bias.data += level
    return gan


def test_the_selector_learns_how_a_target_is_mixed_and_the_uniform_one_does_not():
    gans = [flat(-0.6, 0), flat(0.6, 1)]
    learned = []
    for bright in (20, 80):
        pixels = torch.cat([gans[1].sample(bright, 7), gans[0].sample(100 - bright, 8)])
        target = Images(((pixels + 1) * 127.5).round().byte(), f"{bright} % bright")
        options = {"iterations": 150, "batch": 8, "progress": False, "augment": None, "selector_rate": 0.03}
        run = adapt(gans, target, "minegan-noft", **options)
        learned.append(run.gan.generator.probabilities()[1].item())
        share = (run.gan.sample(400).mean(dim=(1, 2, 3)) > 0).float().mean().item()
        assert share == pytest.approx(learned[-1], abs=0.08)
    assert learned[0] < 0.35 and learned[1] > 0.65
    control = adapt(gans, target, "minegan-noft", selector="uniform", **{**options, "iterations": 20})
    assert torch.equal(control.gan.generator.probabilities(), torch.tensor([0.5, 0.5]))


def test_a_stopped_run_of_several_gans_goes_on_to_the_bit(tmp_path):
    sources, whole = [tiny_gan(seed=1), tiny_sngan(seed=2)], {"iterations": 12, "batch": 2, "progress": False}
    straight = adapt(sources, noise_images(), "minegan", **whole)
    stopped = adapt(sources, noise_images(), "minegan", out=tmp_path, minutes=0.0, **whole)
    assert not stopped.finished
    goes_on = adapt(sources, noise_images(), "minegan", out=tmp_path, **whole)
    assert goes_on.finished and torch.equal(goes_on.gan.sample(4), straight.gan.sample(4))


@pytest.mark.parametrize("family", [tiny_gan, lambda: tiny_sngan(classes=4)])
def test_a_mined_gan_gets_a_fresh_miner(family):
    mined = adapt(family(), noise_images(), "minegan-noft", **QUICK).gan
    again, alone = (built(Mining(miner="random"), gan).generator.prior.state_dict() for gan in (mined, family()))
    assert all(torch.equal(again[key], alone[key]) for key in alone) and again.keys() == alone.keys()


# --- conditional ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("family", "without"), [(tiny_sngan, "bsa"), (tiny_gp_resnet, "layer_transfer")])
def test_classes_are_mined_without_labels(family, without, tmp_path):
    gan = family(classes=4)
    run = adapt(gan, noise_images(), "minegan-noft", **QUICK)
    assert gan.classes == 4 and run.gan.classes == 0
    weights = run.gan.generator.prior.labels(run.gan.latents(6))
    assert weights.shape == (6, 4) and torch.allclose(weights.sum(dim=1), torch.ones(6))
    assert any(name.startswith("condition") for name, _ in run.gan.generator.prior.named_parameters())
    run.gan.save(tmp_path / "mined.safetensors")
    assert torch.equal(load_gan(tmp_path / "mined.safetensors").sample(3), run.gan.sample(3))
    for method in ("adam", "rick"):
        assert adapt(run.gan, noise_images(), method, **QUICK).gan.sample(2).isfinite().all()  # a miner goes with them
    others = adapt(gan, noise_images(), "transfergan", **QUICK)
    assert others.gan.classes == 0 and torch.equal(others.snapshots[0][1], gan.unconditional().render(gan.latents(16)))
    with pytest.raises(UserError, match="hand over the GAN that was mined"):
        adapt(run.gan, noise_images(), without, **QUICK)


# --- what is refused ------------------------------------------------------------------------------------------------


def test_bad_input_is_one_sentence():
    gan, images = tiny_gan(), noise_images()
    alone = tiny_gan()
    alone.config = {**alone.config, "discriminator": None}
    small = flat(0.0, 0)
    for sources, method, options, text in (
        ([gan, small], "minegan", {}, "level 0.0 of 8 and 1; GANs of one run must agree"),
        ([], "minegan", {}, "empty list"),
        ([gan, combine([gan, gan])], "minegan", {}, "a mixture of GANs already"),
        ([gan, gan], "freezed", {}, "freezed adapts one GAN at a time"),
        (alone, "minegan", {}, "minegan needs a discriminator, and tiny came without one"),
        (gan, "minegan", {"miner": "lazy"}, "miner='lazy' must be trained or random"),
        (gan, "minegan", {"selector": "none"}, "selector='none' must be learned or uniform"),
        (gan, "minegan", {"mining": 1.0}, "mining=1.0 must be a finite number above 0 and below 1"),
        (gan, "minegan", {"iterations": 1}, "at least 2 iterations"),
    ):
        with pytest.raises(UserError, match=text):
            adapt(sources, images, method, **{**QUICK, **options})
    assert torch.equal(
        adapt([gan], images, "scratch", **QUICK).gan.sample(2), adapt(gan, images, "scratch", **QUICK).gan.sample(2)
    )


# --- the miners of other inputs ---------------------------------------------------------------------------------------


def filled(module, golden, names):
    """Give a module the golden's weights, {ours: theirs}."""
    module.load_state_dict(
        {ours: torch.from_numpy(golden.params[theirs]) for ours, theirs in names.items()}, strict=False
    )
    return module


def test_the_miner_of_the_constant_meets_the_golden():
    golden = fill.load("minegan_miners")
    names = {"const": "semantic_conv.input.input"}
    for i in range(3):
        names[f"layers.{i}.weight"] = f"semantic_conv.conv{i + 1}.weight"
    for i in range(2):
        names[f"layers.{i}.bias"] = f"semantic_conv.relu{i + 1}.bias"
    miner = filled(ConstantMiner(512), golden, names)
    with torch.no_grad():
        made = miner().expand(golden.expected["semantic_conv"].shape)
    assert_met(golden, {"semantic_conv": made}, every=False)


def test_the_miner_of_the_noise_meets_the_golden():
    golden = fill.load("minegan_miners")
    code = torch.from_numpy(golden.inputs["v"])
    theirs = {"first": "4.0", "maps.2": "4.2", "maps.4": "8.1", "maps.8": "16.1", "maps.16": "32.1"}
    names = {
        f"{ours}.{kind}": f"semantic.transform_{layer}.{kind}"
        for ours, layer in theirs.items()
        for kind in ("weight", "bias")
    }
    miner = filled(NoiseMiner(side=2), golden, names)  # the golden's code of 4 numbers makes maps from 2 pixels on
    with torch.no_grad():
        maps = miner(code)
    outputs = {f"semantic{name}": maps[side].flatten(1) for name, side in ((4, 2), (8, 4), (16, 8), (32, 16))}
    assert_met(golden, outputs, every=False)


@pytest.mark.parametrize("semantic", ["constant", "noise"])
def test_another_input_is_mined_while_the_generator_is_fixed_and_saved_with_it(semantic, tmp_path):
    gan = tiny_gan(noise=True)
    for block in gan.generator.blocks.values():
        for conv in block.convolutions():
            conv.noise_strength.data.fill_(0.5)
    run = adapt(gan, noise_images(), "minegan-noft", semantic=semantic, **QUICK)
    after = run.gan.generator.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in gan.generator.state_dict().items() if key != "w_mean")
    fresh = built(Mining(semantic=semantic), gan).generator.semantic.state_dict()
    used = {key for key in fresh if key not in ("stored", "maps.32.weight", "maps.32.bias")}  # the GAN has 16 pixels
    assert all(not torch.equal(fresh[key], after[f"semantic.{key}"]) for key in used)
    assert not torch.equal(run.gan.sample(4), adapt(gan, noise_images(), "minegan-noft", **QUICK).gan.sample(4))
    assert torch.equal(run.gan.sample(4), run.gan.sample(4))
    run.gan.save(tmp_path / "mined.safetensors")
    assert torch.equal(load_gan(tmp_path / "mined.safetensors").sample(4), run.gan.sample(4))
    again = adapt(run.gan, noise_images(), "minegan", **QUICK)  # in place of the miners that were there
    assert again.gan.config["generator"]["semantic"] == "none"


def test_an_input_that_is_not_there_cannot_be_mined():
    with pytest.raises(UserError, match="no noise inputs"):
        adapt(tiny_gan(noise=False), noise_images(), "minegan", semantic="noise", **QUICK)
    with pytest.raises(UserError, match="no constant to mine"):
        adapt(tiny_sngan(), noise_images(), "minegan", semantic="constant", **QUICK)
