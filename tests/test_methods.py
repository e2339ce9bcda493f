"""What each method says it does, on tiny networks, through the one loop."""

from dataclasses import FrozenInstanceError, dataclass
from typing import Literal

import pytest
import torch
from helpers import FAMILIES, images_for, noise_images, tiny_gan, tiny_progan, tiny_wgan_resnet

from fewshotgan import load_gan
from fewshotgan.files import UserError
from fewshotgan.gans.network import PaperLoss
from fewshotgan.methods import (
    METHODS,
    FineTuning,
    FineTuningTraining,
    TransferGAN,
    create_method,
    list_methods,
    option,
    options_of,
)
from fewshotgan.methods.dip import InstancePrior
from fewshotgan.methods.freezed import FreezeD
from fewshotgan.methods.layer_transfer import LayerTransfer
from fewshotgan.session import adapt
from fewshotgan.train import make_task

QUICK = {"iterations": 4, "batch": 4, "progress": False}
CONDITIONED = [name for name, method in METHODS.items() if issubclass(method, InstancePrior)]
# whose networks have layers that the source has not
REBUILT = ("smallhead", "adafm", "acgan", "cbn_transfer", *CONDITIONED)


def fits(method, family):
    """Whether a method has what it works on in a family."""
    if method in CONDITIONED:
        return family in ("stylegan2", "sngan", "biggan", "biggan_deep")
    if method == "bsa":
        return family in ("stylegan2", "sngan", "wgan_resnet")
    if METHODS[method].labelled:
        return family in ("sngan", "wgan_resnet", "dcgan")
    return family == "gp_resnet" or not issubclass(METHODS[method], LayerTransfer)


PAIRS = [(method, family) for method in METHODS for family in FAMILIES if fits(method, family)]


def sizes(gan):
    """What a method may not change in a configuration: all but where the latents come from."""
    generator = {key: value for key, value in gan.config["generator"].items() if key not in ("prior", "normalise")}
    return {**gan.config, "generator": generator}


@pytest.mark.parametrize(("method", "family"), PAIRS)
def test_every_method_runs_learns_and_leaves_the_source_alone(method, family, tmp_path):
    gan = FAMILIES[family]()
    before = {key: value.clone() for key, value in gan.generator.state_dict().items()}
    images = images_for(method)
    run = adapt(gan, images, method, **QUICK)
    assert all(torch.equal(before[key], value) for key, value in gan.generator.state_dict().items())
    assert not torch.equal(run.gan.sample(2), gan.sample(2))
    assert run.finished and run.history[-1]["iteration"] == 4
    assert run.spec["method"] == method and run.snapshots[0][0] == 0
    assert torch.equal(run.gan.sample(3), adapt(gan, images, method, **QUICK).gan.sample(3))
    assert method in list_methods()
    run.gan.save(tmp_path / "adapted.safetensors")
    assert torch.equal(load_gan(tmp_path / "adapted.safetensors").sample(2), run.gan.sample(2))
    if method not in REBUILT:
        assert sizes(run.gan) == sizes(gan)
        keys = {key for key in run.gan.generator.state_dict() if not key.startswith("prior.")}
        assert keys == gan.generator.state_dict().keys()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_rate_is_that_of_the_weights_unless_it_is_given(family):
    runs = [
        adapt(FAMILIES[family](), noise_images(), "transfergan", **QUICK, **given)
        for given in ({}, {"learning_rate": 0.001})
    ]
    rates = [run.spec["options"]["learning_rate"] for run in runs]
    assert rates == [0.002 if family in ("stylegan2", "progan") else 0.0005, 0.001]


OWN = {
    "sngan": PaperLoss("hinge", 5, (0.0, 0.9)),
    "wgan_resnet": PaperLoss("wgan_gp", 5, (0.0, 0.9)),
    "biggan": PaperLoss("hinge", 2, (0.0, 0.999)),
    "biggan_deep": PaperLoss("hinge", 2, (0.0, 0.999)),
    "dcgan": PaperLoss("logistic", 1, (0.5, 0.999)),
}
GIVEN = {"logistic": PaperLoss(), "wgan_gp": PaperLoss("wgan_gp", 5, (0.0, 0.9))}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_is_that_of_the_family_s_paper_unless_it_is_given(family):
    gan, own = FAMILIES[family](), OWN.get(family, PaperLoss())
    for given in (None, "logistic", "wgan_gp"):
        made = TransferGAN(loss=given).settle(gan)
        assert made.loss == (given or own.name)
        assert made.r1_gamma == (10 * (16 / 256) ** 2 if made.loss == "logistic" else 0.0)
        training = made.build(make_task(gan, noise_images().pixels, 2, 0, None, torch.device("cpu")))
        critic, generator = next(training.stages(2)).players
        expected = own if made.loss == own.name else GIVEN[made.loss]
        assert critic.moves == expected.moves and critic.betas == generator.betas == expected.betas
        assert generator.moves == 1 and len(critic.penalties) == (made.loss == "logistic")


def test_the_options_of_recorded_runs_on_stylegan2_stay_what_they_were():
    assert TransferGAN().settle(tiny_gan()).options() == {
        "learning_rate": 0.002, "loss": "logistic", "r1_gamma": 10 * (16 / 256) ** 2, "r2_gamma": 0.0, "r1_every": 16,
        "path_length": 0.0, "path_length_every": 4, "mixing": 0.0, "transfer": "GD",
    }  # fmt: skip


@pytest.mark.parametrize("method", [name for name, made in METHODS.items() if issubclass(made, FineTuning)])
@pytest.mark.parametrize("loss", ["relativistic", "hinge", "wgan_gp"])
def test_every_adversarial_method_trains_by_any_loss(method, loss):
    family = next(family for family in ("stylegan2", "gp_resnet", "sngan") if fits(method, family))
    run = adapt(FAMILIES[family](), images_for(method), method, iterations=2, batch=2, progress=False, loss=loss)
    names = set(run.history[-1])
    assert f"discriminator/{loss}" in names and run.spec["options"]["loss"] == loss
    assert ("discriminator/gradient_penalty" in names) == (loss == "wgan_gp")
    assert run.gan.sample(2).isfinite().all()


def test_a_critic_of_several_moves_sees_fresh_images_and_latents_in_each(monkeypatch):
    seen, penalised, original = [], [], FineTuningTraining.judge

    def watch(self, x, batch):
        (penalised if x.requires_grad and x.is_leaf else seen).append(x.detach().clone())
        return original(self, x, batch)

    monkeypatch.setattr(FineTuningTraining, "judge", watch)
    adapt(tiny_wgan_resnet(), noise_images(), "transfergan", iterations=1, batch=2, progress=False, augment=None)
    assert len(seen) == 5 * 2 + 1 and len(penalised) == 5  # a real and a generated batch for each move, then G's
    assert len({x.numpy().tobytes() for x in seen}) == 11
    for i, x in enumerate(penalised):
        real, fake = seen[2 * i], seen[2 * i + 1]
        share = ((x - fake) / (real - fake)).flatten(1)  # of the way from the generated to the real image
        assert (
            torch.allclose(share, share.mean(dim=1, keepdim=True), atol=1e-3) and 0 <= share.min() <= share.max() <= 1
        )


@pytest.mark.parametrize("loss", ["relativistic", "wgan_gp"])
def test_ada_is_refused_where_logits_have_no_zero(loss):
    with pytest.raises(UserError, match=f"the loss {loss} leaves open; give augment='diffaugment'") as error:
        adapt(tiny_gan(), noise_images(), "transfergan", **QUICK, loss=loss, augment="ada")
    assert len(str(error.value)) <= 240


@pytest.mark.parametrize("family", FAMILIES)
def test_freezed_keeps_the_lower_blocks_bit_identical_and_trains_the_rest(family):
    gan = FAMILIES[family]()
    run = adapt(gan, noise_images(), "freezed", frozen_down_to=8, **QUICK)
    before, after = gan.discriminator.groups(), run.gan.discriminator.groups()
    for side in ("16", "8"):
        pairs = zip(
            torch.nn.ModuleList(before[side]).parameters(), torch.nn.ModuleList(after[side]).parameters(), strict=True
        )
        assert all(torch.equal(a, b) for a, b in pairs), side
    assert not torch.equal(gan.discriminator.out.weight, run.gan.discriminator.out.weight)
    pairs = zip(*(torch.nn.ModuleList(g.generator.groups()["16"]).parameters() for g in (gan, run.gan)), strict=True)
    assert not any(torch.equal(a, b) for a, b in pairs)


def test_scratch_takes_the_sizes_and_not_the_weights():
    run = adapt(tiny_gan(seed=5), noise_images(), "scratch", iterations=1, batch=2, progress=False, seed=3)
    start = run.snapshots[0][1]
    assert not torch.allclose(start, tiny_gan(seed=5).render(tiny_gan().latents(16, 3)))
    assert torch.equal(start, tiny_gan(seed=3).render(tiny_gan().latents(16, 3)))


@pytest.mark.parametrize(
    "options", [{"path_length": 2.0, "path_length_every": 2, "mixing": 1.0}, {"augment": "ada"}, {"augment": None}]
)
def test_options_of_training_run(options):
    for method in ("transfergan", "fsgan"):
        run = adapt(tiny_gan(), noise_images(), method, **QUICK, **options)
        assert run.gan.sample(2).isfinite().all()


@pytest.mark.parametrize("options", [{"path_length": 2.0}, {"mixing": 0.9}])
def test_a_family_without_the_layers_that_an_option_needs_is_refused(options):
    with pytest.raises(UserError, match="needs a generator whose mapping network feeds all its layers; tiny has none"):
        adapt(tiny_progan(), noise_images(), "transfergan", **QUICK, **options)


def test_bad_options_are_one_sentence():
    gan, images = tiny_gan(), noise_images()
    for arguments, text in (
        (("freezd", {}), "did you mean freezed"),
        (("freezed", {"frozen_down_to": 4}), "choose 16, 8"),
        (("scratch", {"lambda_": 1}), "no option 'lambda_'"),
        (("scratch", {"iterations": 0}), "iterations=0 must be from 1"),
        (("scratch", {"augment": "cutmix"}), "no augmentation"),
    ):
        method, options = arguments
        with pytest.raises(UserError, match=text):
            adapt(gan, images, method, **{**QUICK, **options})
    with pytest.raises(UserError, match="resolution=16"):
        adapt(gan, noise_images(resolution=32), "scratch", **QUICK)


# --- options and instances -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mine(TransferGAN):
    """A method of one's own, that nobody registered."""

    flag: bool = option(False, "whether")
    kind: Literal["one", "two"] | None = option(None, "which of two")
    shift: float = option(-1.0, "how far", low=-2, high=2)
    word: str = "any"


@pytest.mark.parametrize(("name", "good", "bad", "text"), [
    ("flag", [True, False], [1, "yes", None], "must be true or false"),
    ("kind", ["one", "two", None], ["three", 1, True], "must be one or two or none"),
    ("shift", [-2, -0.5, 2.0], [-2.1, 3, float("nan"), True, "x", None], "must be a finite number from -2 to 2"),
    ("word", ["x"], [1, None], "must be a word"),
    ("r1_every", [1, 5], [0, 1.0, True], "must be a whole number of at least 1"),
    ("learning_rate", [1e-4, None], [0, -1.0, float("inf")], "must be a finite number above 0 or none"),
])  # fmt: skip
def test_the_kind_and_the_range_of_an_option_are_those_of_its_field(name, good, bad, text):
    for value in good:
        assert getattr(Mine(**{name: value}), name) == value
    for value in bad:
        with pytest.raises(UserError, match=f"mine: {name}=.* {text}") as error:
            Mine(**{name: value})
        assert len(str(error.value)) <= 240


@pytest.mark.parametrize("method", METHODS)
def test_every_option_says_what_it_means(method):
    assert all(found.doc and found.accepts(found.default) for found in options_of(METHODS[method]).values())


def test_a_whole_number_is_recorded_as_the_number_that_it_stands_for():
    assert repr(create_method("transfergan", r1_gamma=2).options()["r1_gamma"]) == "2.0"


def test_a_method_is_handed_over_made_and_of_ones_own():
    gan, images = tiny_gan(), noise_images()
    named = adapt(gan, images, "freezed", frozen_down_to=8, **QUICK)
    made = adapt(gan, images, FreezeD(frozen_down_to=8), **QUICK)
    assert made.spec == named.spec and torch.equal(made.gan.sample(2), named.gan.sample(2))
    mine = adapt(gan, images, Mine(flag=True), **QUICK)
    assert mine.spec["method"] == "mine" and mine.spec["options"]["flag"] is True and mine.gan.name == "tiny+mine"
    for method, options, text in (
        (Mine, {}, "such as TransferGAN.., not <class"),
        (Mine(), {"r1_gamma": 1.0, "shift": 2.0}, r"to the method itself: Mine.r1_gamma=..., shift=....\."),
    ):
        with pytest.raises(UserError, match=text):
            adapt(gan, images, method, **QUICK, **options)


def test_a_method_never_changes_and_serves_many_runs():
    method = TransferGAN()
    small, large = tiny_gan(), tiny_gan(resolution=64)
    found = [adapt(gan, noise_images(resolution=gan.resolution), method, **QUICK) for gan in (small, large, small)]
    gammas = [run.spec["options"]["r1_gamma"] for run in found]
    assert gammas == [10 * (side / 256) ** 2 for side in (16, 64, 16)]
    assert torch.equal(found[0].gan.sample(2), found[2].gan.sample(2))
    assert method.r1_gamma is None and method == TransferGAN() and method.settle(large).r1_gamma == gammas[1]
    with pytest.raises(FrozenInstanceError):
        method.r1_gamma = 1.0
