"""Close and distant are measured."""

import numpy as np
import pytest
from PIL import Image

from fewshotgan.bench.pictures import domains_picture
from fewshotgan.bench.proximity import plane, proximity, proximity_table
from fewshotgan.bench.tables.adam import TARGETS
from fewshotgan.cli import main
from fewshotgan.files import UserError
from fewshotgan.images import load_images
from fewshotgan.pictures import grid


def test_targets_of_the_tables_are_two_close_and_two_distant():
    verdicts = {row.domain: row.verdict for row in proximity()}
    assert [verdicts[target] for target in TARGETS] == ["close", "close", "distant", "distant"]
    distances = [row.distance for row in proximity()]
    assert distances == sorted(distances) and distances[0] > 0
    assert "pixel-art" in proximity_table()


def test_the_plane_separates_what_the_distances_separate():
    points = plane(["avatars/personas", *TARGETS])
    centres = {name: rows.mean(axis=0) for name, rows in points.items()}
    away = {name: np.linalg.norm(centre - centres["avatars/personas"]) for name, centre in centres.items()}
    assert points["avatars/personas"].shape == (150, 2)
    assert max(away[target] for target in TARGETS[:2]) < max(away[target] for target in TARGETS[2:])


def test_the_domains_are_drawn_nearest_first(tmp_path, capsys):
    assert main(["proximity", "--picture", str(tmp_path / "domains.png")]) == 0
    drawn = np.asarray(Image.open(tmp_path / "domains.png"))
    assert np.array_equal(drawn, np.asarray(domains_picture()))
    nearest = np.asarray(grid(load_images(proximity()[0].domain, n=8), 8, zoom=1))
    top = 28 + len(nearest) + 30  # below the source's own row
    assert np.array_equal(drawn[top : top + len(nearest), : nearest.shape[1]], nearest)
    assert "toon-head" in capsys.readouterr().out


def test_a_picture_is_what_its_name_says_and_a_bad_one_is_refused_before_anything_is_measured(tmp_path, capsys):
    assert main(["proximity", "--picture", str(tmp_path / "domains.jpg")]) == 0
    assert Image.open(tmp_path / "domains.jpg").format == "JPEG"
    (tmp_path / "file").write_text("x")
    capsys.readouterr()
    for picture in ("domains.txt", "domains", "file/domains.png"):
        assert main(["proximity", "fashion/sneaker", "--picture", str(tmp_path / picture)]) == 2
        assert capsys.readouterr().out == ""


def test_an_unknown_source_is_refused():
    with pytest.raises(UserError, match="no shipped domain 'photos'"):
        proximity("photos")
