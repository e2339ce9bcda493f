"""`evaluate`: its numbers and protocol, the cache of real features, what it refuses."""

import sys

import numpy as np
import pytest
import torch
from helpers import noise_images, tiny_gan

from fewshotgan.files import UserError
from fewshotgan.gans import combine
from fewshotgan.images import Images, load_images
from fewshotgan.metrics import (
    METRICS,
    Comparison,
    evaluate,
    frechet_distance,
    kernel_distance,
    precision_recall,
    real_features,
)
from fewshotgan.metrics.evaluation import default_metrics, needs_met
from fewshotgan.metrics.extractors import features

SHARED = {"fd_efficientnet", "kd_efficientnet", "precision", "recall"}
evaluation, store, contract = (sys.modules[thing.__module__] for thing in (evaluate, real_features, Comparison))


class Copier:
    """A "GAN" that repeats the images it holds."""

    def __init__(self, images):
        self.images = images.tensor()

    def sample(self, n, seed=0):
        return self.images[torch.randint(len(self.images), (n,), generator=torch.Generator().manual_seed(seed))]


@pytest.fixture(autouse=True)
def fresh_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("FEWSHOTGAN_CACHE", str(tmp_path / "cache"))


def test_numbers_are_those_of_the_parts():
    real, fake = noise_images(12), noise_images(9).tensor() * 0.5
    scores = evaluate(fake, real)
    a, b = features(real.tensor()), features(fake)
    assert set(scores) == SHARED | {"protocol"}
    assert scores["fd_efficientnet"] == pytest.approx(frechet_distance(a, b), rel=1e-4)
    assert scores["kd_efficientnet"] == pytest.approx(kernel_distance(a, b), rel=1e-4)
    assert (scores["precision"], scores["recall"]) == precision_recall(a, b)


def test_real_images_are_at_no_distance_from_themselves():
    real = noise_images(12)
    scores = evaluate(real.tensor(), real)
    assert scores["fd_efficientnet"] == pytest.approx(0, abs=1e-3)
    assert scores["precision"] == scores["recall"] == 1.0


def test_a_generator_of_training_copies_is_found_out():
    train = load_images("avatars/pixel-art", n=5)
    real = Images(load_images("avatars/pixel-art", split="held_out").pixels[:60], "held out")
    assert evaluate(Copier(train), real, n=20, train=train)["memorisation"] == 1.0
    assert evaluate(real.tensor(), real, train=train)["memorisation"] <= 0.05


def test_the_protocol_says_how_to_repeat_the_numbers():
    real = noise_images(8)
    said = evaluate(Copier(real), real, n=6, seed=3)["protocol"]
    assert (said["n_real"], said["n_generated"], said["sample_seed"], said["flips"]) == (8, 6, 3, "none")
    assert said["extractors"] == {"efficientnet": 128}
    assert said["real"] == "noise, as given"
    noted = Images(real.pixels, "photos", "8 images resized to 16x16 (Lanczos).")
    assert evaluate(real.tensor(), noted)["protocol"]["real"] == "photos, 8 images resized to 16x16 (Lanczos)"
    given = evaluate(real.tensor(), real)["protocol"]
    assert given["sample_seed"] is None
    assert given["n_generated"] == 8


def test_a_shipped_domain_means_its_held_out_images(monkeypatch):
    asked = []

    def spy(source, n=None, *, split="train", resolution=None, channels=None):
        asked.append((source, split))
        return Images(load_images(source, split=split).pixels[:8], source)

    monkeypatch.setattr(evaluation, "load_images", spy)
    said = evaluate(noise_images(8, 32, 1).tensor(), "fashion/bag")["protocol"]
    assert asked == [("fashion/bag", "held_out")]
    assert said["real"] == "fashion/bag, held out"


def test_the_same_seed_gives_the_same_numbers_and_another_other_ones():
    real = noise_images(30)
    first, again, other = (evaluate(Copier(real), real, n=6, seed=seed)["fd_efficientnet"] for seed in (1, 1, 2))
    assert first == again != other


def test_real_features_are_computed_once(monkeypatch):
    real = noise_images(6)
    first = real_features(real, "efficientnet")
    monkeypatch.setattr(store, "features", None)  # a second computation would fail
    assert np.array_equal(real_features(real, "efficientnet"), first)


DAMAGE = {
    "cut": lambda data: data[:-40],
    "empty": lambda data: b"",
    "text": lambda data: b"not a file",
    "header": lambda data: data[:90] + b"\xff" * 400 + data[490:],
    "numbers": lambda data: data[:900] + b"\xff" * 400 + data[1300:],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_broken_cache_is_computed_again(tmp_path, damage):
    real = noise_images(6)
    first = real_features(real, "efficientnet")
    (path,) = (tmp_path / "cache" / "features").glob("*.npz")
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert np.array_equal(real_features(real, "efficientnet"), first)
    assert path.read_bytes() == whole


def test_a_cache_that_can_not_be_written_costs_only_time(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("FEWSHOTGAN_CACHE", str(tmp_path / "file"))
    assert real_features(noise_images(4), "efficientnet").shape == (4, 1280)


def test_what_can_not_be_compared_is_refused_in_a_sentence():
    real = noise_images(8)
    with pytest.raises(UserError, match="load the real ones at the GAN's size"):
        evaluate(noise_images(8, 32).tensor(), real)
    with pytest.raises(UserError, match="takes generated images as floats"):
        evaluate(noise_images(10).pixels, noise_images(10))
    with pytest.raises(UserError, match="takes generated images as floats"):
        evaluate(noise_images(10).pixels.float(), noise_images(10))
    with pytest.raises(UserError, match="a shipped domain's name or Images"):
        evaluate("fashion-wgan", noise_images(10))
    with pytest.raises(UserError, match="takes as train the images"):
        evaluate(noise_images(10).tensor(), noise_images(10), train="photos")
    with pytest.raises(UserError, match="load them at the GAN's size"):
        evaluate(real.tensor(), real, train=noise_images(4, 32))
    with pytest.raises(UserError, match="memorisation needs other real images"):
        evaluate(real.tensor(), real, train=real)
    with pytest.raises(UserError, match=r"n=2.5 must be a whole number"):
        evaluate(Copier(real), real, n=2.5)
    with pytest.raises(UserError, match="at least 4 of each"):
        evaluate(real.tensor()[:3], real)
    with pytest.raises(UserError, match="NaN"):
        evaluate(real.tensor() * float("nan"), real)
    with pytest.raises(UserError, match=r"no metric 'fid_efficientnet'; there is fd_efficientnet, and METRICS lists"):
        evaluate(real.tensor(), real, metrics=["fid_efficientnet"])
    for empty in ((), "fid"):
        with pytest.raises(UserError, match="no list of names"):
            evaluate(real.tensor(), real, metrics=empty)


def test_inception_adds_fid_and_kid_by_their_names_only(monkeypatch):
    for module in (store, contract):
        monkeypatch.setattr(module, "features", lambda images, extractor: features(images))
    real = noise_images(8)
    scores = evaluate(real.tensor().flip(3), real, metrics=["fid", "kid", "recall"])
    assert set(scores) == {"fid", "kid", "recall", "protocol"}
    assert scores["protocol"]["extractors"] == {"efficientnet": 128, "inception": 299}


def test_features_are_computed_once_for_all_metrics(monkeypatch):
    counted = []
    monkeypatch.setattr(contract, "features", lambda images, extractor: counted.append(extractor) or features(images))
    real, shots = noise_images(8), noise_images(5)
    asked = [
        name for name, metric in METRICS.items() if metric.extractor == "efficientnet" and "classes" not in metric.needs
    ]
    assert len(asked) > 5 and set(evaluate(real.tensor(), real, metrics=asked, train=shots)) == {*asked, "protocol"}
    assert counted == ["efficientnet"]


def test_what_a_metric_needs_is_asked_for_by_name():
    real, mixed = noise_images(8), combine([tiny_gan(), tiny_gan(1)])
    assert needs_met(tiny_gan(), None, real, None) == set()
    assert needs_met(mixed, real, real, None) == {"shots", "mixture"}
    assert set(default_metrics(frozenset())) == SHARED and "memorisation" in default_metrics(frozenset({"shots"}))
    with pytest.raises(UserError, match="memorisation needs the images that were trained on"):
        evaluate(real.tensor(), real, metrics=["memorisation"])
    with pytest.raises(UserError, match="selector_0 needs a GAN mined from several"):
        evaluate(real.tensor(), real, metrics=["selector_0"])
    scores = evaluate(mixed, real, metrics=["selector_0", "selector_1"], n=8)
    assert scores["selector_0"] == scores["selector_1"] == 0.5
    with pytest.raises(UserError, match="mined from at least 3"):
        evaluate(mixed, real, metrics=["selector_2"], n=8)
