"""Measures that are taken beforehand, how well they told how runs ended, and the source that is recommended."""

import numpy as np
import pytest
import torch
from helpers import noise_images
from ledgers import recorded
from PIL import Image
from scipy.stats import spearmanr

from fewshotgan.bench import choice, foresight, nearness, outlook
from fewshotgan.bench.choice import choose
from fewshotgan.bench.foresight import ENOUGH, agreement, judge
from fewshotgan.bench.outlook import MEASURES, critic_gap
from fewshotgan.bench.pictures import foresight_picture
from fewshotgan.bench.table import is_here
from fewshotgan.bench.tables.transfer_sources import SOURCES, TABLE
from fewshotgan.cli import main
from fewshotgan.files import UserError
from fewshotgan.gans import load_gan
from fewshotgan.images import Images, load_images

HERE = [label for label in SOURCES if is_here(TABLE.rows[label], TABLE.columns[0])]


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Few samples and images, and a ledger of one's own."""
    monkeypatch.setenv("FEWSHOTGAN_LEDGER", str(tmp_path / "runs.jsonl"))
    (tmp_path / "runs.jsonl").touch()
    monkeypatch.setattr(outlook, "SAMPLES", 8)
    monkeypatch.setattr(outlook, "MOST", 6)
    monkeypatch.setattr(nearness, "SAMPLES", 8)
    monkeypatch.setattr(nearness, "MOST", 6)
    monkeypatch.setattr(choice, "shipped_gans", lambda: tuple(map(load_gan, ("fashion-wgan-sneaker", "fashion-wgan"))))
    for cached in (nearness.source_features, foresight._measured):
        cached.cache_clear()
    yield
    for cached in (nearness.source_features, foresight._measured):
        cached.cache_clear()


def test_agreement_is_that_of_ranks_within_a_target():
    rng = np.random.default_rng(0)
    values, ends = rng.normal(size=(2, 7, 3))
    assert agreement(values[:, :1], ends[:, :1]) == pytest.approx(spearmanr(values[:, 0], ends[:, 0]).statistic)
    assert agreement(ends + np.array([0, 100, -100]), np.exp(ends)) == pytest.approx(
        1
    )  # a hard target counts for nothing
    assert agreement(-ends, ends) == pytest.approx(-1) and agreement(np.zeros((7, 3)), ends) == 0
    tied = np.array([[1.0], [1.0], [2.0], [np.inf]])
    assert agreement(tied, np.arange(4.0)[:, None]) == pytest.approx(spearmanr([1, 1, 2, 3], range(4)).statistic)


def test_pairs_without_an_end_are_left_out():
    values, ends = np.arange(12.0).reshape(6, 2), np.arange(12.0).reshape(6, 2)
    values[0, 0], ends[0, 0], ends[1, 1] = 99, np.nan, np.nan
    assert agreement(values, ends) == pytest.approx(1)
    assert judge({"critic": values}, ends, 50)[0].pairs == 10


def test_a_measure_that_tells_beats_chance_and_one_by_lot_does_not():
    rng, decided = np.random.default_rng(1), []
    for _ in range(40):
        ends = rng.normal(size=(8, 4)) + rng.normal(size=(8, 1))
        lot = rng.normal(size=(8, 4)) + rng.normal(size=(8, 1))  # of sources that are good or bad for all targets
        first, second = judge({"critic": lot, "fd_target": ends + 0.3 * rng.normal(size=(8, 4))}, ends, 200)
        assert first.measure == "fd_target" and first.p < 0.02 and first.low > first.chance[1]
        assert second.chance[0] < 0 < second.chance[1] and second.low < second.correlation < second.high
        decided.append(second.p <= 0.05)
    assert sum(decided) <= 6  # two are expected
    assert "no better than chance" not in str(first) and "over 32 pairs" in str(first)


def test_the_ledgers_pairs_choose_the_measure(small, tmp_path, capsys):
    empty = foresight_picture(foresight.foresight())
    measured = foresight._measured(tuple(HERE))["critic"]

    def ends(sources, targets):
        for i in sources:
            for j in targets:
                value = 500 * j + np.exp(measured[i, j] / 100)
                recorded(TABLE.rows[HERE[i]], TABLE.columns[j], 0, {"fd_efficientnet": value})

    ends(range(len(HERE)), range(3))
    ends(range(ENOUGH - 1), (3,))
    assert foresight.foresight() == []  # four sources of the last target
    ends(range(ENOUGH - 1, len(HERE)), (3,))
    found = foresight.foresight()
    assert {one.measure for one in found} == set(MEASURES)
    assert (found[0].measure, found[0].correlation) == ("critic", pytest.approx(1))
    assert main(["proximity", "--target", "fashion/sandal", "--n", "5", "--picture", str(tmp_path / "told.png")]) == 0
    out = capsys.readouterr().out
    assert "By critic, the best of 5 measures: rank correlation 1.00" in out and f"over {4 * len(HERE)} pairs" in out
    assert Image.open(tmp_path / "told.png").size == empty.size and Image.open(tmp_path / "told.png") != empty


def test_without_runs_the_source_nearest_to_the_images_is_recommended(small, capsys):
    assert main(["proximity", "--target", "fashion/sneaker", "--n", "6"]) == 0
    out = capsys.readouterr().out
    assert "Recommended: fashion-wgan-sneaker. By fd_target alone: no measure has been tested" in out
    assert all(f"{measure}: " in out for measure in MEASURES)


def test_a_grey_source_comes_last_for_coloured_images(small, tmp_path):
    made = choose(load_images("avatars/miniavs", 6), [load_gan("avatars-stylegan2")])
    assert [one.greys for one in made.sources] == [False, True, True]
    assert made.sources[0].gan == "avatars-stylegan2" and "(grey): your images would lose their colours" in str(made)
    replaced = choose(load_images("fashion/sneaker", 6), [replace_name(load_gan("fashion-wgan-dress"))])
    assert {one.gan for one in replaced.sources} == {"fashion-wgan", "fashion-wgan-sneaker"}


def replace_name(gan):
    """Return a GAN that bears the name of a shipped one."""
    gan.name = "fashion-wgan"
    return gan


def test_a_critic_puts_its_own_samples_on_the_level_of_its_samples():
    gan = load_gan("fashion-wgan-trouser")
    pixels = ((gan.sample(outlook.SAMPLES) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    assert abs(critic_gap(gan, Images(pixels, "own"))) < 0.01
    class_conditional = load_gan("fashion-sngan")
    assert np.isfinite(critic_gap(class_conditional, load_images("fashion/bag", 5)))


def test_without_a_critic_or_a_distance_there_is_a_dash(small):
    gan = load_gan("fashion-wgan-dress").copy()
    gan.card = {}
    made = outlook.outlook(gan, load_images("fashion/bag", 5))
    assert made.values["fd_source"] is None and made.far("fd_source") == float("inf")
    assert made.far("precision") == -made.values["precision"] and made.far("critic") == made.values["critic"]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (["--target", "nowhere"], "There is no folder"),
        (["--target", "fashion/bag", "--n", "3"], "fashion/bag has 3 images; to choose a source by, give at least 4"),
        (["fashion/bag", "--target", "fashion/bag"], "With --target the sources are GANs; leave out fashion/bag"),
        (["--gan", "fashion-wgan"], "name its images: --target DIR"),
        (["fashion/bag", "--n", "3"], "name its images: --target DIR"),
        (["--target", "fashion/bag", "--gan", "nothing"], "There is no GAN"),
        (["--target", "fashion/bag", "--picture", "told.txt"], "told.txt"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(small, capsys, line, text):
    assert main(["proximity", *line]) == 2
    captured = capsys.readouterr()
    assert text in captured.err and captured.err.count("\n") == 1 and captured.out == "" and len(captured.err) < 245


def test_what_is_no_image_or_gan_is_refused():
    for arguments in (("photos",), (noise_images(4), ["fashion-wgan"])):
        with pytest.raises(UserError, match="load them first"):
            choose(*arguments)
