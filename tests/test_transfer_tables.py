"""TransferGAN's tables: sources that are yet to be trained, density beside diversity, and the choice of iterations."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import tiny_wgan_resnet
from ledgers import recorded

from fewshotgan.bench import proximity
from fewshotgan.bench.claims import Claims, decide
from fewshotgan.bench.papers import NOT_RUN, render_own
from fewshotgan.bench.pretrain import pretrain, share_of
from fewshotgan.bench.recipes import RECIPES, Recipe
from fewshotgan.bench.record import table_jobs
from fewshotgan.bench.results import runs, samples, scores
from fewshotgan.bench.table import SEEDS, Row, cell_metrics, is_here
from fewshotgan.bench.tables import CLAIMS, TABLES, transfer_classes, transfer_sources
from fewshotgan.bench.tables.transfer_sources import DENSE, SOURCES, WIDE, denser
from fewshotgan.bench.tables.transfergan import GRID, ITERATIONS, ROWS, SIZES, TUNING, by_target, chosen
from fewshotgan.images import MIXTURES, list_domains, load_images

ABSENT = Row("transfergan", gan="nothing-wgan")


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.setenv("FEWSHOTGAN_LEDGER", str(tmp_path / "runs.jsonl"))
    (tmp_path / "runs.jsonl").touch()


def test_a_source_that_is_yet_to_be_trained_has_no_runs_and_no_jobs(empty, monkeypatch):
    column = transfer_sources.TABLE.columns[0]
    assert not is_here(ABSENT, column) and is_here(Row("transfergan"), column)
    assert runs(ABSENT, column) == scores(ABSENT, column) == {} and samples(ABSENT, column) is None
    own = replace(TABLES["transfergan-sources"], rows={"nothing": ABSENT, "wide": Row("transfergan")})
    monkeypatch.setitem(TABLES, "transfergan-sources", own)
    text = render_own(own)
    assert text.count(NOT_RUN) == 2 * 2 * len(own.columns) and text.endswith("whose cells can't be run: nothing-wgan")
    assert {job.spec.gan for job in table_jobs("transfergan-sources")} == {"fashion-wgan"}


def test_every_source_has_a_recipe_of_equal_networks_and_training_and_has_seen_no_target():
    recipes = [RECIPES[gan] for label, gan in SOURCES.items() if label != WIDE]
    assert len({str((recipe.config, recipe.thousands, recipe.batch, recipe.options)) for recipe in recipes}) == 1
    for recipe in [*recipes, RECIPES[SOURCES[WIDE]]]:
        collection = recipe.images.split("/")[0]
        left_out = [f"{collection}/{name}" for name in MIXTURES.get(recipe.images, ())]
        unseen = left_out or [name for name in list_domains() if name != recipe.images and name not in MIXTURES]
        own = [target for target in transfer_sources.TARGETS if target.startswith(collection)]
        assert set(own) <= set(unseen), recipe.name


def test_a_diverse_source_sees_as_many_images_as_a_dense_one_of_all_classes():
    every = load_images("fashion/source")
    found = share_of(every, RECIPES["fashion-wgan-diverse"].share)
    assert len(found) == len(load_images("fashion/sneaker")) == len(every) / 8
    assert torch.bincount(found.labels).min() > 80 and torch.equal(share_of(every, 1 / 8).pixels, found.pixels)
    for i in (0, 500):  # labels stay with their images
        (places,) = torch.where((every.pixels == found.pixels[i]).flatten(1).all(dim=1))
        assert found.labels[i] in every.labels[places]
    assert share_of(every, 1.0) is every


def test_a_source_of_another_domain_is_trained_and_measured_in_its_own_size_and_grey(monkeypatch, tmp_path):
    images, small = RECIPES["avatars-wgan"].images, tiny_wgan_resnet(channels=1)
    assert load_images(images, 1).channels == 3 and RECIPES["avatars-wgan"].config["generator"]["channels"] == 1
    recipe = Recipe("tiny", "avatars/lorelei", small.config, thousands=1, batch=100, share=0.5)
    run = pretrain(recipe, tmp_path, measured=8, progress=False)
    assert run.gan.sample(1).shape == (1, 1, 16, 16)
    assert run.gan.card["data"] == {"domain": "avatars/lorelei", "training_images": 75}
    nearest = (proximity.Proximity("avatars/adventurer", 1.0, "close"),)
    monkeypatch.setattr(proximity, "proximity", lambda _source: nearest)
    monkeypatch.setattr(proximity, "GENERATED", 20)
    measured = proximity.quality(run.gan, "avatars/lorelei")
    assert measured["fd_efficientnet"] > measured["closest_distance"] > 0 and not measured["meets_bar"]


def test_density_is_the_mean_of_all_dense_sources(empty):
    columns, rng = transfer_sources.TABLE.columns, np.random.default_rng(0)
    for label in (*DENSE, WIDE):
        for column in columns:
            for seed in SEEDS:
                middle = {"trousers": 100, WIDE: 250}.get(label, 200)
                value = {"fd_efficientnet": middle * np.exp(0.01 * rng.normal())}
                recorded(transfer_sources.TABLE.rows[label], column, seed, value)
    found = denser(WIDE, columns)()
    assert len(found) == 20
    assert found == pytest.approx([np.log(250) - (3 * np.log(200) + np.log(100)) / 4] * 20, abs=0.03)


def test_the_gain_shrinks_is_one_test_over_targets_and_seeds(empty):
    statement = "the gain from pretraining shrinks as the data grows, WGAN-GP's networks"
    rng = np.random.default_rng(0)

    (claim,) = (claim for claim in CLAIMS if claim.statement == statement)

    def verdict():
        (found,) = decide([claim]).values()
        return found.word, found.pairs

    assert verdict() == ("undecided", 0)
    for targets in by_target(SIZES):
        for column in targets:
            for seed in SEEDS:
                gain = 0.6 - 0.15 * np.log10(column.n) + 0.1 * rng.normal()
                recorded(SIZES.rows["From scratch"], column, seed, {"fd_efficientnet": 300 * np.exp(gain)})
                recorded(SIZES.rows["Pre-trained"], column, seed, {"fd_efficientnet": 300.0})
    assert verdict() == ("holds", 15)
    write = Claims("transfergan", SIZES.name, SIZES.rows)
    (found,) = decide([write.shrinks("reversed", "From scratch", "Pre-trained", by_target(SIZES))]).values()
    assert found.word == "does not hold"
    read = write.shrinks("x", "Pre-trained", "From scratch", by_target(SIZES)).advantages[0]
    assert np.mean(read()) == pytest.approx(0.15, abs=0.05)  # a tenth of the images more, so much less gain


def test_the_iterations_follow_from_the_tuning_by_the_rule(empty):
    assert chosen(10) is None
    ends = {125: (500, 300), 250: (420, 310), 500: (400, 315), 1000: (399, 390)}
    for column in (column for column in TUNING.columns if column.n == 10):
        for label, value in zip(("From scratch", "Pre-trained"), ends[column.iterations], strict=True):
            assert chosen(10) is None
            recorded(ROWS[label], column, 0, {"fd_efficientnet": value})
    assert chosen(10) == 250  # 500 is less in the product, by three percent


def test_the_iterations_are_those_of_the_recorded_tuning():
    for n, count in ITERATIONS.items():
        assert chosen(n) in (None, count) and count in GRID


def test_controls_are_not_asked_for_their_classes():
    own = transfer_classes.TABLE
    asked = {label: cell_metrics(own, row, own.columns[0]) for label, row in own.rows.items()}
    assert "fd_classes" in asked["AC-GAN"] and "class_accuracy" in asked["conditional norm"]
    assert not {"fd_classes", "class_accuracy"} & {*asked["source as it is"], *asked["shots repeated"]}
    assert "iw" in asked["shots repeated"]
