"""Which iteration is kept: a criterion that knows no test set, and what the run says of its choice."""

import gc
import json

import numpy as np
import pytest
import torch
from helpers import noise_images, tiny_gan

from fewshotgan import UserError, adapt, load_gan
from fewshotgan.metrics.extractors import features
from fewshotgan.stopping import moments

QUICK = {"iterations": 6, "batch": 2, "progress": False, "snapshot_every": 2}


def normal(n, mean=0.0, spread=1.0, seed=0):
    return mean + spread * np.random.default_rng(seed).normal(size=(n, 50))


def test_the_criterion_is_the_distance_of_means_and_spreads_whatever_the_numbers():
    for n, k in ((400, 300), (400, 10)):
        draws = [moments(normal(n, seed=i), normal(k, 0.5, seed=i + 100)) for i in range(30)]
        assert np.mean(draws) == pytest.approx(50 * 0.25, rel=0.1)
    wide = np.mean([moments(normal(400, spread=2, seed=i), normal(300, seed=i + 100)) for i in range(30)])
    assert wide == pytest.approx(50, rel=0.1)  # (2 sqrt(50) - sqrt(50))^2


def test_copies_of_the_mean_and_samples_elsewhere_are_worse_than_samples_like_the_shots():
    shots = normal(10, 1.0)
    like = moments(normal(100, 1.0, seed=1), shots)
    assert like < moments(normal(100, 1.5, seed=2), shots)
    assert like < moments(normal(100, 1.0, spread=0.1, seed=3), shots)


def test_the_best_is_the_kept_gan_with_the_smallest_value_and_the_choice_says_so(tmp_path):
    images = noise_images()
    run = adapt(tiny_gan(), images, "scratch", **QUICK, keep="best", out=tmp_path)
    values = {int(key): value for key, value in run.choice["values"].items()}
    assert list(values) == [2, 4, 6] and run.chosen == min(values, key=values.get)
    judged = moments(features(run.at(run.chosen).sample(128, 20_010)), features(images.tensor()))
    assert values[run.chosen] == pytest.approx(judged, abs=0.006)
    assert torch.allclose(run.gan.sample(2), run.at(run.chosen).sample(2), atol=1e-2)
    assert json.dumps(run.choice)


def test_one_image_leaves_no_choice_and_the_last_is_the_last(tmp_path):
    one = adapt(tiny_gan(), noise_images(1), "scratch", **QUICK, keep="best")
    assert one.chosen == 6 and "no choice" in one.choice["why"]
    last = adapt(tiny_gan(), noise_images(), "scratch", **QUICK, keep="last")
    assert last.choice == {"iteration": 6, "why": "the last, as asked for"}
    with pytest.raises(UserError, match="keep='first' is unknown; it is 'last' or 'best'"):
        adapt(tiny_gan(), noise_images(), "scratch", **QUICK, keep="first")


def test_without_a_folder_the_gans_last_as_long_as_the_run():
    run = adapt(tiny_gan(), noise_images(), "scratch", **QUICK)
    folder = run.store.folder
    assert load_gan(folder / "000002.safetensors").sample(1).shape == (1, 3, 16, 16)
    del run
    gc.collect()
    assert not folder.exists()
