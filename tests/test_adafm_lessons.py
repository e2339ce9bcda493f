"""What lessons 02 and 03 draw: the grid, the general part, modulations, kernels, styles."""

import numpy as np
import pytest
import torch
from helpers import noise_images, tiny_gp_resnet
from ledgers import recorded

from fewshotgan import load_gan
from fewshotgan.bench import ledger
from fewshotgan.bench.table import cell_spec
from fewshotgan.bench.tables import adafm as tables
from fewshotgan.lessons.figures import bars, box_plots, groups_picture, heat_map, kernels_picture
from fewshotgan.lessons.panels import GeneralPartPanel, StylePanel, general_part_picture, grouped, style_picture
from fewshotgan.methods.adafm import dialled
from fewshotgan.session import adapt


@pytest.fixture
def own_ledger(tmp_path, monkeypatch):
    monkeypatch.setenv("FEWSHOTGAN_LEDGER", str(tmp_path / "runs.jsonl"))


@pytest.fixture(scope="module")
def bent():
    """A source, and a run of AdaFM on it."""
    gan = tiny_gp_resnet(resolution=32)
    return gan, adapt(
        gan, noise_images(6, 32), "adafm", general="G2D2", iterations=12, batch=4, waiting=0.0, progress=False
    )


def record(row, column, seed, distance, status="ok"):
    recorded(row, column, seed, {"fd_efficientnet": distance}, status=status)


def test_the_grid_has_the_mean_of_what_was_run_and_gaps(own_ledger):
    for seed, distance in enumerate((100.0, 110.0)):
        record(tables.GRID.rows["G3D2"], tables.LARGE, seed, distance)
    record(tables.GRID.rows["G0D5"], tables.LARGE, 0, 5.0, "failed")
    means = np.array(tables.grid_means())
    assert means.shape == (6, 6) and means[3, 2] == 105 and np.isfinite(means).sum() == 1
    marks = tables.grid_failures()
    assert [[len(cell) for cell in row] for row in marks] == [[0] * 5 + [1]] + [[0] * 6] * 5
    assert [
        heat_map(means, list("abcdef"), list("uvwxyz"), "x", "y", marks, "d").axes[0].texts[i].get_text()
        for i in (0, 5)
    ] == ["-", "-*"]


def test_the_curves_have_what_was_run(own_ledger):
    record(tables.OUR, tables.CURVES.columns[0], 0, 30.0)
    record(tables.OUR, tables.LARGE, 0, 20.0)  # the curve's last point is a cell of the ablation
    assert tables.curve_means()["Our"] == ([tables.LENGTHS[0], tables.ITERATIONS], [30.0, 20.0])
    assert tables.curve_means()["Scratch"] == ([], [])


def test_the_general_part_is_drawn_with_what_the_ledger_holds(own_ledger):
    gan = load_gan(tables.SOURCE)
    boxes = grouped(gan, 2, 1)
    assert [name for name, _, frozen in boxes["z to G"] if frozen] == ["G2", "G1"] and boxes["z to G"][0][0] == "dense"
    assert [name for name, _, frozen in boxes["image to D"] if frozen] == ["D1"] and boxes["image to D"][-1][
        0
    ] == "dense"
    assert groups_picture(boxes).width > groups_picture({"G": boxes["z to G"][:2]}).width
    bare = general_part_picture(tables.GRID, 2, 1)
    ledger.save_samples(cell_spec(tables.GRID.rows["G2D1"], tables.LARGE, 0).key, gan.sample(10))
    assert not np.array_equal(np.array(bare), np.array(general_part_picture(tables.GRID, 2, 1)))
    panel = GeneralPartPanel(tables.GRID)
    before, panel.m.value = panel.picture.value, 5
    assert panel.picture.value != before and panel.m.max == panel.n.max == 5
    assert panel.describe() == "G5D2: 7 groups frozen: D1, D2, G1, G2, G3, G4, G5"


def test_modulations_are_those_that_train_and_the_dial_is_a_straight_line(bent):
    gan, run = bent
    found = run.training.modulations()
    assert list(found) == [f"32.{block}.conv{i}" for block in range(2) for i in range(2)]
    layer = run.training.generator.blocks.get_submodule("32.0.conv0")
    gamma, beta = found["32.0.conv0"]
    source = gan.generator.blocks.get_submodule("32.0.conv0").weight
    assert torch.allclose(layer.weight, gamma[..., None, None] * source + beta[..., None, None])
    assert torch.equal(dialled(run.gan, gan, 1.0).sample(2), run.gan.sample(2))
    back = dialled(run.gan, gan, 0.0).generator
    assert torch.equal(back.blocks.get_submodule("32.0.conv0").weight, source)
    assert torch.equal(back.mapping.layers[0].weight, run.gan.generator.mapping.layers[0].weight)
    half = dialled(run.gan, gan, 0.5).generator.blocks.get_submodule("32.0.conv0").weight
    assert torch.allclose(half, (source + run.gan.generator.blocks.get_submodule("32.0.conv0").weight) / 2, atol=1e-6)


def test_styles_are_mixed_in_the_panel(bent):
    gan, run = bent
    panel = StylePanel(run.gan, gan)
    before = panel.picture.value
    panel.style.value, panel.mix_from.value, panel.dial.value = 9, 1, 0.5
    assert panel.picture.value != before and panel.describe() == "content 1, style 9 from 1 on, dial 0.50"
    pictures = [np.array(style_picture(run.gan, gan, 3, 4, at, samples=2)) for at in (0, run.gan.generator.num_ws)]
    assert not np.array_equal(*pictures)


def test_figures_of_modulations(bent):
    found = {"G2 conv0": torch.randn(4, 4), "G2 conv1": torch.randn(4, 4)}
    figure = box_plots({"gamma": {"a": found, "b": found}, "beta": {"a": found}})
    assert len(figure.axes) == 2 and len(figure.axes[0].get_xticklabels()) == 2
    assert len(bars({"one": {"x": 0.1}, "two": {"x": 0.2, "y": 0.3}}, "share").axes[1].patches) == 2
    picture = kernels_picture({"before": torch.zeros(5, 3, 3), "after": torch.ones(5, 3, 3)}, zoom=4)
    assert picture.width == 300 and picture.getpixel((1, 29)) == (128, 128, 128)
