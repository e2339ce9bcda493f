"""Pretraining stops by itself, resumes to the bit, and writes a GAN with its card."""

from dataclasses import replace

import pytest
import torch
from helpers import noise_images, tiny_gan, tiny_gp_resnet, tiny_sngan

from fewshotgan import list_gans, load_gan, load_images
from fewshotgan.bench import curve, pretrain, publication
from fewshotgan.bench.recipes import RECIPES, Recipe
from fewshotgan.files import UserError


@pytest.fixture
def recipe(monkeypatch):
    recipe = Recipe("tiny", "avatars/thumbs", tiny_gan().config, thousands=1, batch=50, options={"r1_gamma": 0.1})
    monkeypatch.setitem(RECIPES, "tiny", recipe)
    return recipe


def test_it_stops_by_itself_and_resumes_to_the_bit(recipe, tmp_path):
    options = {"images": noise_images(60), "progress": False, "measured": 12}
    whole = pretrain.pretrain("tiny", tmp_path / "whole", **options)
    part = pretrain.pretrain("tiny", tmp_path / "parts", minutes=0.0, **options)
    assert whole.finished and not part.finished
    assert 0 < load_gan(tmp_path / "parts" / "tiny.safetensors").card["images_seen"] < 1000
    last = pretrain.pretrain("tiny", tmp_path / "parts", **options).gan
    assert last.card["images_seen"] == 1000 and last.card["data"] == {"domain": "noise", "training_images": 60}
    assert torch.equal(last.sample(4), whole.gan.sample(4))
    assert last.card["recipe"]["r1_gamma"] == 0.1 and last.card["recipe"]["batch"] == 50


def test_mixed_precision_is_close_to_full_and_part_of_the_run(recipe, tmp_path):
    options = {"images": noise_images(60), "progress": False, "measured": 12}
    full = pretrain.pretrain("tiny", tmp_path / "full", **options).gan
    mixed = pretrain.pretrain("tiny", tmp_path / "mixed", mixed=True, **options).gan
    assert (full.card["recipe"]["precision"], mixed.card["recipe"]["precision"]) == ("fp32", "bf16")
    assert all(weight.dtype == torch.float32 for weight in mixed.weights())
    difference, size = (mixed.sample(16) - full.sample(16)).square().mean(), full.sample(16).var()
    assert 0 < difference < 0.02 * size
    with pytest.raises(UserError, match="a different run"):
        pretrain.pretrain("tiny", tmp_path / "mixed", **options)


def test_a_gan_grows_and_resumes_to_the_bit_from_any_phase(monkeypatch, tmp_path):
    options = {"loss": "relativistic", "r1_gamma": 1.0, "r2_gamma": 1.0}
    config = tiny_gan(noise=False).config
    monkeypatch.setitem(RECIPES, "grown", Recipe("grown", "x", config, 2, 50, growing=((8, 1),), options=options))
    given = {"images": noise_images(60), "progress": False, "measured": 12}
    whole = pretrain.pretrain("grown", tmp_path / "whole", **given)
    sides = []
    for _ in range(100):
        part = pretrain.pretrain("grown", tmp_path / "parts", minutes=0.0, **given)
        sides.append(part.gan.resolution)
        if part.finished and sides[-1] == 16:
            break
    assert set(sides) == {8, 16} and sides == sorted(sides)
    assert torch.equal(part.gan.sample(4), whole.gan.sample(4))
    assert part.gan.card["images_seen"] == 2000 and part.gan.config == config
    resolutions = [point["resolution"] for point in part.gan.card["curve"]]
    assert resolutions[0] == 8 and resolutions[-1] == 16


def test_the_best_of_the_curve_is_kept_and_not_the_newest(recipe, tmp_path, monkeypatch):
    distances = iter([5.0, 3.0, 4.0, 6.0])
    monkeypatch.setattr(curve, "frechet_distance", lambda *_: next(distances))
    monkeypatch.setattr(pretrain, "SNAPSHOTS", 3)
    monkeypatch.setattr(pretrain, "LONGEST", 6)
    run = pretrain.pretrain("tiny", tmp_path, images=noise_images(60), progress=False, measured=12)
    seen = [(point["images"], point["fd_efficientnet"]) for point in run.gan.card["curve"]]
    assert seen == [(300, 5.0), (600, 3.0), (900, 4.0), (1000, 6.0)]
    assert load_gan(tmp_path / "tiny.safetensors").card["images_seen"] == 600


def test_a_start_counts_and_is_part_of_the_run(recipe, tmp_path):
    options = {"images": noise_images(60), "progress": False, "measured": 12}
    start = pretrain.pretrain("tiny", tmp_path / "first", **options).gan
    with pytest.raises(UserError, match="was not made by pretraining"):
        pretrain.pretrain("tiny", tmp_path / "other", start=tiny_gan(), thousands=2, **options)
    pretrain.pretrain("tiny", tmp_path / "second", thousands=2, minutes=0.0, **options)
    with pytest.raises(UserError, match="a different run"):  # one that began with fresh weights
        pretrain.pretrain("tiny", tmp_path / "second", start=start, thousands=2, **options)
    more = pretrain.pretrain("tiny", tmp_path / "third", start=start, thousands=2, **options)
    assert more.gan.card["images_seen"] == 2000 and more.gan.card["started_from"]["images_seen"] == 1000


def test_the_card_says_what_was_measured(recipe, tmp_path):
    run = pretrain.pretrain("tiny", tmp_path, images=noise_images(60), thousands=1, progress=False, measured=12)
    quality = {
        "fd_efficientnet": 9.0,
        "precision": 0.5,
        "recall": 0.25,
        "closest": "avatars/shapes",
        "closest_distance": 12.0,
        "ratio": 0.75,
        "bar": 0.25,
        "meets_bar": False,
        "protocol": 2,
    }
    publication.publish(run.gan, lambda gan: quality, tmp_path)
    page = (tmp_path / "tiny.md").read_text()
    assert (
        "**misses** the bar of 0.25" in page and "| images seen | 1000 |" in page and (tmp_path / "tiny.png").is_file()
    )
    shipped = load_gan(tmp_path / "tiny.safetensors")
    assert shipped.card["quality"] == quality
    assert torch.equal(shipped.sample(4), run.gan.sample(4)) and shipped.generator.const.dtype == torch.float32


def test_recipes_match_the_shipped_gans():
    assert list_gans()
    for name in list_gans():
        gan, recipe = load_gan(name), RECIPES[name]
        assert gan.config == recipe.config
        assert gan.card["data"]["domain"] == recipe.images
        assert {key: gan.card["recipe"][key] for key in recipe.options} == recipe.options


def test_labels_reach_both_networks_of_a_class_conditional_source(monkeypatch, tmp_path):
    config = tiny_gp_resnet(classes=2).config
    monkeypatch.setitem(
        RECIPES,
        "classes",
        Recipe("classes", "avatars/thumbs", config, thousands=1, batch=50, options={"learning_rate": 0.01}),
    )
    bright = torch.arange(60) % 2
    pixels = (bright.view(-1, 1, 1, 1) * 255).to(torch.uint8).expand(60, 3, 16, 16)  # a class is black, the other white
    images = replace(noise_images(60), pixels=pixels, labels=bright)
    whole = pretrain.pretrain("classes", tmp_path / "whole", images=images, thousands=2, progress=False, measured=12)
    assert whole.gan.sample(8, labels=1).mean() > whole.gan.sample(8, labels=0).mean() + 0.2
    pretrain.pretrain(
        "classes", tmp_path / "parts", images=images, thousands=2, minutes=0.0, progress=False, measured=12
    )
    parts = pretrain.pretrain("classes", tmp_path / "parts", images=images, thousands=2, progress=False, measured=12)
    assert torch.equal(parts.gan.sample(4), whole.gan.sample(4))


def test_a_class_conditional_source_trains_by_its_paper_s_loss_and_resumes_to_the_bit(monkeypatch, tmp_path):
    config = tiny_sngan(classes=2).config
    monkeypatch.setitem(RECIPES, "classes", Recipe("classes", "avatars/thumbs", config, thousands=1, batch=50))
    given = {
        "images": replace(noise_images(60), labels=torch.arange(60) % 2), "progress": False, "measured": 12,
    }  # fmt: skip
    whole = pretrain.pretrain("classes", tmp_path / "whole", **given)
    pretrain.pretrain("classes", tmp_path / "parts", minutes=0.0, **given)
    parts = pretrain.pretrain("classes", tmp_path / "parts", **given)
    assert torch.equal(parts.gan.sample(4), whole.gan.sample(4))
    assert whole.gan.card["recipe"]["loss"] == "hinge" and whole.gan.card["images_seen"] == 1000
    assert whole.training.discriminator_player().moves == 5


def test_a_class_conditional_source_needs_labels(monkeypatch, tmp_path):
    monkeypatch.setitem(
        RECIPES, "classes", Recipe("classes", "avatars/thumbs", tiny_gp_resnet(classes=2).config, thousands=1)
    )
    for labels, found in ((None, "none"), (torch.full((8,), 2), "3 classes")):
        with pytest.raises(UserError, match=f"labels of 2 classes; these images have {found}"):
            pretrain.pretrain(
                "classes", tmp_path, images=replace(noise_images(8), labels=labels), progress=False, measured=12
            )


def test_the_recipe_of_many_styles_has_a_class_for_each():
    recipe = RECIPES["avatars-gp-resnet"]
    assert int(load_images(recipe.images).labels.max()) + 1 == recipe.config["generator"]["classes"]


def test_an_unknown_recipe_is_refused(tmp_path):
    with pytest.raises(UserError, match="no recipe 'cats'"):
        pretrain.pretrain("cats", tmp_path)
