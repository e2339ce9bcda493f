"""A source of one's own images: any family and size, its own classes, and a card that claims what was measured."""

import numpy as np
import pytest
import torch
from helpers import noise_images
from PIL import Image

from fewshotgan.bench import own
from fewshotgan.bench.own import (
    ONLY_CLASSES,
    OWN_FAMILIES,
    WITHOUT_CLASSES,
    hold_back,
    own_quality,
    own_recipe,
)
from fewshotgan.bench.pretrain import pretrain
from fewshotgan.cli import main
from fewshotgan.files import UserError
from fewshotgan.gans import GAN, load_gan
from fewshotgan.images import Images
from fewshotgan.images.labels import with_folders_as_classes
from fewshotgan.methods import Conditional, TransferGAN
from fewshotgan.train import Loop, make_task


@pytest.fixture(autouse=True)
def few_samples(monkeypatch):
    """Measure a few samples, not a thousand."""
    monkeypatch.setattr(own, "GENERATED", 24)
    monkeypatch.setitem(pretrain.__kwdefaults__, "measured", 24)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i in range(60):
            Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(tmp_path / "pets" / name / f"{i}.png")
    return tmp_path / "pets"


@pytest.mark.parametrize("size", [16, 32, 64])
@pytest.mark.parametrize("family", OWN_FAMILIES)
def test_every_family_makes_images_of_every_size(family, size):
    images = Images(noise_images(12, size, 1).pixels, "mine", labels=torch.arange(12) % 3)
    recipe = own_recipe(images, family, classes=family in ONLY_CLASSES)
    gan = GAN.create(recipe.config, recipe.name)
    assert gan.sample(2).shape == (2, 1, size, size) and gan.name == "own-mine"
    assert gan.classes == (3 if family in ONLY_CLASSES else 0)


@pytest.mark.parametrize("family", OWN_FAMILIES)
def test_every_family_trains_by_its_recipe_on_few_images_and_on_many(family, monkeypatch):
    images = Images(noise_images(12).pixels, "mine", labels=torch.arange(12) % 3)
    for plenty in (own.PLENTY, 12):
        monkeypatch.setattr(own, "PLENTY", plenty)
        recipe = own_recipe(images, family, classes=family in ONLY_CLASSES)
        assert (recipe.augment is None) is (plenty == 12)
        gan = GAN.create(recipe.config, recipe.name)
        task = make_task(gan, images.pixels, 2, 0, recipe.augment, torch.device("cpu"), images.labels)
        training = (Conditional if gan.classes else TransferGAN)(**recipe.options).build(task)
        run = Loop(training, {}, 1, 1, None).run(None, None, progress=False)
        assert run.finished and run.iterations == 1


@pytest.mark.parametrize("family", [name for name in OWN_FAMILIES if name not in WITHOUT_CLASSES])
def test_classes_are_those_of_the_images(family):
    images = Images(noise_images(12).pixels, "mine", labels=torch.arange(12) % 2, classes=5)
    assert GAN.create(own_recipe(images, family, classes=True).config, "x").classes == 5


def test_what_can_t_be_is_refused():
    images = noise_images(12)
    for given, family, classes, text in (
        (noise_images(9), "stylegan2", False, "9 images; a source needs 10"),
        (noise_images(12, 48), "stylegan2", False, "48 pixels can't be"),
        (images, "vae", False, "no family 'vae'"),
        (images, "progan", True, "progan has no classes"),
        (images, "sngan", True, "has no labels"),
        (images, "biggan", False, "biggan is class-conditional"),
    ):
        with pytest.raises(UserError, match=text):
            own_recipe(given, family, classes=classes)


def test_folders_are_classes(folder):
    images = Images(noise_images(4).pixels, "x", names=("b/1", "a/1", "b/2", "a/c/3"))
    assert with_folders_as_classes(images).labels.tolist() == [1, 0, 1, 0]
    for names in (("a/1", "a/2", "a/3", "a/4"), ("a/1", "b/1", "c", "a/2")):
        with pytest.raises(UserError, match="a folder for each class"):
            with_folders_as_classes(Images(images.pixels, "x", names=names))


def test_a_tenth_is_held_back_of_a_hundred_and_nothing_of_fewer():
    train, held = hold_back(noise_images(120))
    assert (len(train), len(held)) == (108, 12)
    both = {one.numpy().tobytes() for part in (train, held) for one in part.pixels}
    assert len(both) == 120
    assert hold_back(noise_images(99))[1] is None
    few = noise_images(12)
    quality = own_quality(GAN.create(own_recipe(few).config, "x"), few, None)
    assert quality["training_fd"] is None and "a copy of them would be at 0" in quality["against"]


def test_the_command_trains_goes_on_and_writes_an_honest_card(folder, tmp_path, capsys):
    command = ["pretrain", "own", "--images", str(folder), "--size", "16", "--family", "sngan", "--classes"]
    command += ["--batch", "16", "--thousands", "1", "--out", str(tmp_path / "out")]
    assert main([*command, "--minutes", "0"]) == 130
    assert "The same command goes on." in capsys.readouterr().out
    assert main(command) == 0
    published = tmp_path / "out" / "own-pets" / "published"
    gan, page = load_gan(published / "own-pets.safetensors"), (published / "own-pets.md").read_text()
    assert gan.classes == 2 and gan.card["data"] == {"domain": "pets", "training_images": 108}
    assert "12 images of pets that were held back" in page and "of the training images, for comparison" in page
    assert "bar" not in page.lower() and "fashion" not in page and str(tmp_path) not in page
    assert not {"ratio", "closest", "meets_bar"} & gan.card["quality"].keys()


def test_own_images_on_a_shipped_recipe_are_no_sneakers(folder, tmp_path, capsys):
    command = ["pretrain", "fashion-wgan-sneaker", "--images", str(folder), "--thousands", "1"]
    assert main([*command, "--minutes", "0", "--out", str(tmp_path / "out")]) == 130
    page = (tmp_path / "out" / "fashion-wgan-sneaker-pets" / "published" / "fashion-wgan-sneaker-pets.md").read_text()
    assert "'domain': 'pets'" in page and "fashion/" not in page
    blend = "50% fashion/sneaker, 50% fashion/dress"
    assert main(["pretrain", "fashion-sngan", "--images", blend, "--out", str(tmp_path / "out")]) == 2
    assert "labels of 8 classes; these images have 2 classes" in capsys.readouterr().err
    assert main(["pretrain", "own"]) == 2
