"""Close and distant are measured."""

import pytest

from fewshotgan.files import UserError
from fewshotgan.proximity import proximity, proximity_table
from fewshotgan.record import TARGETS


def test_targets_of_the_tables_are_two_close_and_two_distant():
    verdicts = {row.domain: row.verdict for row in proximity()}
    assert [verdicts[target] for target in TARGETS] == ["close", "close", "distant", "distant"]
    distances = [row.distance for row in proximity()]
    assert distances == sorted(distances) and distances[0] > 0
    assert "pixel-art" in proximity_table()


def test_an_unknown_source_is_refused():
    with pytest.raises(UserError, match="no shipped domain 'photos'"):
        proximity("photos")
