"""Pictures have the sizes and pixels that they should; panels answer their sliders."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import noise_images, tiny_gan
from ledgers import recorded
from matplotlib.font_manager import FontEntry, fontManager, get_font
from PIL import Image

from fewshotgan import show as show_function
from fewshotgan.bench import ledger
from fewshotgan.bench.tables import TABLES
from fewshotgan.files import UserError
from fewshotgan.films import save_film
from fewshotgan.lessons.figures import curves, importance_figure, map_figure, maps_figure, show_source
from fewshotgan.lessons.panels import (
    AdaptationPanel,
    ReconstructionPanel,
    RecordedPanel,
    between_picture,
    panel_picture,
    recorded_picture,
)
from fewshotgan.pictures import (
    before_during_after,
    columns,
    grid,
    light,
    result_figure,
    save_picture,
    stack,
    title_font,
)
from fewshotgan.session import adapt


def test_titles_have_a_font_with_their_letters(monkeypatch):
    gone = FontEntry(fname="/a-font-that-is-gone.ttf", name="Gone")  # matplotlib remembers what was uninstalled since
    monkeypatch.setattr(fontManager, "ttflist", [gone, *fontManager.ttflist])
    assert title_font(13, "Bücher, Фото\n").getname() == ("DejaVu Sans", "Book")
    other = title_font(13, "\u0359")  # a letter that matplotlib's STIX has and its DejaVu lacks
    assert other.getname()[0] != "DejaVu Sans" and ord("\u0359") in get_font(other.path).get_charmap()
    assert title_font(13, "\U0010fffd").getname()[0] == "DejaVu Sans"  # that no font has


@pytest.mark.parametrize("name", ["LastResort", "Last Resort High-Efficiency", ".LastResort", "Last Resort"])
def test_a_font_of_boxes_draws_no_title(monkeypatch, name):
    (box,) = {font.fname for font in fontManager.ttflist if "LastResort" in font.fname}
    ours = [font for font in fontManager.ttflist if font.name == "DejaVu Sans"]
    monkeypatch.setattr(fontManager, "ttflist", [FontEntry(fname=box, name=name), *ours])
    for title in ("照片", "10 images of 照片", "iteration 10", "🦊"):
        assert title_font(13, title).getname()[0] == "DejaVu Sans", title


def test_a_chinese_folder_leaves_other_titles_legible():
    plain = stack({"adapted, same latents": grid(noise_images(2))})
    both = stack({"adapted, same latents": grid(noise_images(2)), "照片": grid(noise_images(2))})
    assert np.array_equal(np.asarray(plain)[:28], np.asarray(both)[:28])


@pytest.fixture(scope="module")
def run():
    return adapt(tiny_gan(), noise_images(), "transfergan", iterations=20, batch=2, progress=False, snapshot_every=5)


def test_a_grid_keeps_every_pixel():
    images = torch.linspace(-1, 1, 3).view(3, 1, 1, 1).expand(3, 1, 4, 4)
    picture = grid(images, columns=2, zoom=2)
    assert picture.size == (2 * 8 + 2, 2 * 8 + 2)
    assert [picture.getpixel(spot)[0] for spot in ((0, 0), (10, 0), (0, 10), (17, 17))] == [0, 128, 255, 255]


def test_pixels_and_samples_are_drawn_alike():
    images = noise_images(4)
    drawn = [np.asarray(show_function(given)) for given in (images.pixels, images.tensor(), images)]
    assert np.array_equal(drawn[0], drawn[1]) and np.array_equal(drawn[0], drawn[2]) and drawn[0].std() > 20


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (noise_images(4).pixels.float(), "floats from -1 to 1, not of torch.float32 up to 255"),
        (noise_images(4).pixels.long(), "not of torch.int64"),
        (noise_images(4).pixels[0], r"not of a tensor of shape \(3, 16, 16\)"),
        (noise_images(4).pixels[:0], r"not of a tensor of shape \(0, 3, 16, 16\)"),
        (tiny_gan(), "not of a GAN"),
        (torch.zeros(1, 1, 1, 1, dtype=torch.uint8).expand(9000, 3, 200, 200), "too many for one picture"),
    ],
    ids=["0..255", "int64", "one image", "none", "a GAN", "huge"],
)
def test_what_can_not_be_drawn_is_refused(given, text):
    with pytest.raises(UserError, match=text):
        show_function(given)


def test_show_returns_a_picture_outside_notebooks():
    assert show_function(noise_images(4), title="noise").size[1] > grid(noise_images(4)).size[1]


def tiles(picture, rows, columns, side=96):
    """The pictures of a grid of titled rows, as arrays {(row, column): (side, side, 3)}."""
    pixels, step = np.asarray(picture.convert("RGB")), side + 30
    return {
        (row, column): pixels[
            28 + row * step : 28 + row * step + side, column * (side + 2) : column * (side + 2) + side
        ]
        for row in range(rows)
        for column in range(columns)
    }


def enlarged(image):
    """A sample (C, H, W) as it is drawn, (96, 96, 3)."""
    return np.asarray(grid(image[None], 1, 96 // image.shape[-1]))


def test_a_column_is_one_latent_in_every_row(run):
    source, adapted, few = tiny_gan().sample(4), run.gan.sample(4), noise_images(10)
    drawn = tiles(result_figure(source, few, adapted), 3, 4)
    for row, images in enumerate((source, few.tensor(), adapted)):
        for column in range(4):
            assert np.array_equal(drawn[row, column], enlarged(images[column])), (row, column)
    swapped = tiles(columns({"a": adapted, "b": source}), 2, 4)
    assert np.array_equal(swapped[0, 3], drawn[2, 3]) and np.array_equal(swapped[1, 3], drawn[0, 3])


def test_the_first_and_the_last_moment_of_a_run_are_drawn(run):
    drawn = tiles(before_during_after(run, moments=3, samples=4), 3, 4)
    middle = len(run.snapshots) // 2
    for row, index in enumerate((0, middle, -1)):
        assert np.array_equal(drawn[row, 2], enlarged(run.snapshots[index][1][2])), row


def test_curves_show_the_numbers_that_they_are_given():
    (axes,) = curves({"x": ([10, 100], [1.0, 2.0]), "y": ([100], [3.0])}, "images", "distance", log=True).axes
    assert [(line.get_label(), line.get_xydata().tolist()) for line in axes.lines] == [
        ("x", [[10, 1], [100, 2]]),
        ("y", [[100, 3]]),
    ]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_xscale()) == ("images", "distance", "log")
    assert [label.get_text() for label in axes.get_xticklabels()] == ["10", "100"] and axes.get_ylim()[0] == 0


def test_files_hold_what_was_drawn(tmp_path):
    source = tiny_gan().sample(4)
    save_picture(grid(source), tmp_path / "a.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), np.asarray(grid(source)))
    save_film(source, tmp_path / "a.gif", fps=1000 / 70)
    film = Image.open(tmp_path / "a.gif")
    assert (film.n_frames, film.info["duration"], film.info["loop"]) == (4, 70, 0)
    for frame, image in enumerate(source):
        film.seek(frame)
        off = np.abs(np.asarray(film.convert("RGB")).astype(int) - enlarged(image))
        assert off.mean() < 4, frame  # 256 colours


def test_importance_and_map_figures():
    scores = {
        "a": {"one": torch.tensor([0.1, 0.9]), "two": torch.tensor([0.8, 0.2, 0.3])},
        "b": {"one": torch.rand(2), "two": torch.rand(3)},
    }
    figure = importance_figure(scores, 0.4)
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", "important"]
    assert figure.axes[-1].lines[0].get_xdata().tolist() == [0.5, 1 / 3]
    scatter = map_figure({"x": np.zeros((4, 2)), "y": np.ones((3, 2))})
    assert [len(points.get_offsets()) for points in scatter.axes[0].collections] == [4, 3]
    both = maps_figure({"a": {"x": np.zeros((4, 2))}, "b": {"y": np.ones((3, 2))}}, ("angle", "radius"))
    assert [(axes.get_title(), axes.get_xlabel()) for axes in both.axes] == [("a", "angle"), ("b", "angle")]


def test_the_recorded_panel_shows_what_the_ledger_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("FEWSHOTGAN_LEDGER", str(tmp_path / "runs.jsonl"))
    own = TABLES["adaptation-10-shot"]
    found = {"fd_efficientnet": 123.0, "intra_lpips_efficientnet": 0.25}
    spec = recorded(own.rows["AdAM"], own.columns[2], 0, found)
    ledger.save_samples(spec.key, torch.full((10, 3, 64, 64), 0.5))
    panel = RecordedPanel(own, (5, 10), (50, 75))
    before = bytes(panel.picture.value)
    panel.method.value, panel.target.value = "AdAM", own.columns[2].images
    assert panel.chosen() == (own.rows["AdAM"], replace(own.columns[2], label=""))
    found = bytes(panel.picture.value)
    panel.quantile.value = 75
    assert panel.chosen()[0].options == (("quantile", 75),)
    assert len({before, found, bytes(panel.picture.value)}) == 3  # not run, recorded, not run with this quantile
    grey = np.asarray(recorded_picture(own.rows["AdAM"], own.columns[2]))[-40, 40]
    assert (abs(grey.astype(int) - 191) <= 2).all()


def test_the_reconstruction_panel_walks_between_two_training_images():
    training = adapt(
        tiny_gan(), noise_images(), "bsa", iterations=20, batch=4, progress=False, perceptual_weight=0.0
    ).training
    panel = ReconstructionPanel(training)
    assert (panel.first.max, panel.second.max) == (9, 9)
    before = bytes(panel.picture.value)
    panel.second.value, panel.walk.value = 4, 1.0
    assert bytes(panel.picture.value) != before
    arrived = np.asarray(between_picture(training, 0, 4, 1.0))[28:124]
    # five images of 96 pixels: the one on the way, and where it leads
    middle, end = (arrived[:, 98 * i : 98 * i + 96] for i in (2, 3))
    assert np.array_equal(middle, end) and middle.std() > 0


def test_the_source_shown_is_the_code_that_runs(capsys):
    show_source(noise_images)
    assert capsys.readouterr().out.startswith("def noise_images(")


def test_the_panel_redraws(run):
    panel = AdaptationPanel(run)
    first = bytes(panel.picture.value)
    assert first.startswith(b"\x89PNG")
    panel.seed.value = 3
    second = bytes(panel.picture.value)
    panel.walk.value = 0.5
    third = bytes(panel.picture.value)
    panel.moment.value = 0
    assert len({first, second, third, bytes(panel.picture.value)}) == 4
    assert panel.describe() == "moment 0: iteration 0; seed 3; walk 0.50"
    assert panel_picture(run, seed=3).size == panel_picture(run, seed=4).size


def test_a_lighter_picture_keeps_its_colours():
    rng = np.random.default_rng(0)
    hues = rng.integers(0, 256, (400, 3), dtype=np.uint8)  # more than a palette holds
    tiles = hues[rng.integers(0, len(hues), (60, 80))].repeat(8, 0).repeat(8, 1)
    error = np.abs(np.asarray(light(Image.fromarray(tiles)).convert("RGB")).astype(int) - tiles).max(axis=2)
    plain = Image.new("RGB", (9, 9), "white")
    plain.paste((40, 40, 40), (0, 0, 3, 3))
    assert light(plain).convert("RGB").getcolors() == plain.getcolors()
    assert error.mean() < 8 and error.max() <= 30  # the median cut alone: 9.1, and one pixel in forty is off by more
