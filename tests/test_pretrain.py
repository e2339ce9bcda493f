"""Pretraining stops by itself, resumes to the bit, and writes a GAN with its card."""

import pytest
import torch
from helpers import CONFIG, noise_images

from fewshotgan import load_gan, pretrain
from fewshotgan.files import UserError
from fewshotgan.pretrain import RECIPES, Recipe


@pytest.fixture
def recipe(monkeypatch):
    recipe = Recipe("tiny", "avatars/thumbs", CONFIG, thousands=1, batch=50, options={"r1_gamma": 0.1})
    monkeypatch.setitem(RECIPES, "tiny", recipe)
    return recipe


def test_it_stops_by_itself_and_resumes_to_the_bit(recipe, tmp_path):
    options = {"images": noise_images(60), "progress": False}
    whole = pretrain.pretrain("tiny", tmp_path / "whole", **options)
    part = pretrain.pretrain("tiny", tmp_path / "parts", minutes=0.0, **options)
    assert whole.finished and not part.finished
    first = load_gan(tmp_path / "parts" / "tiny.safetensors")
    assert 0 < first.card["images_seen"] < 1000
    pretrain.pretrain("tiny", tmp_path / "parts", **options)
    last = load_gan(tmp_path / "parts" / "tiny.safetensors")
    assert last.card["images_seen"] == 1000 and last.card["data"] == {"domain": "avatars/thumbs", "training_images": 60}
    assert torch.equal(last.sample(4), whole.gan.sample(4))
    assert last.card["recipe"]["r1_gamma"] == 0.1 and last.card["recipe"]["batch"] == 50


def test_the_card_says_what_was_measured(recipe, tmp_path, monkeypatch):
    run = pretrain.pretrain("tiny", tmp_path, images=noise_images(60), thousands=1, progress=False)
    quality = {"fd_efficientnet": 9.0, "closest": "avatars/shapes", "closest_distance": 12.0, "ratio": 0.75, "bar": 0.25, "meets_bar": False, "protocol": 2}
    monkeypatch.setattr(pretrain.proximity, "quality", lambda gan, source: quality)
    pretrain.publish(run.gan, recipe, tmp_path)
    page = (tmp_path / "tiny.md").read_text()
    assert "**misses** the bar of 0.25" in page and "| images seen | 1000 |" in page and (tmp_path / "tiny.png").is_file()
    shipped = load_gan(tmp_path / "tiny.safetensors")
    assert shipped.card["quality"] == quality
    assert torch.equal(shipped.sample(4), run.gan.sample(4)) and shipped.generator.const.dtype == torch.float32


def test_recipes_match_the_shipped_gans():
    for name, recipe in RECIPES.items():
        gan = load_gan(name)
        assert gan.config == recipe.config
        assert gan.card["data"]["domain"] == recipe.images
        assert {key: gan.card["recipe"][key] for key in recipe.options} == recipe.options


def test_an_unknown_recipe_is_refused(tmp_path):
    with pytest.raises(UserError, match="no recipe 'cats'"):
        pretrain.pretrain("cats", tmp_path)
