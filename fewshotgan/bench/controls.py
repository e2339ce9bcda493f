"""The two controls of every table, which train nothing, and the marks of the methods that lose to them."""

from collections.abc import Sequence
from statistics import fmean

from fewshotgan.bench.claims import Claim, Claims
from fewshotgan.bench.results import is_old, scores
from fewshotgan.bench.table import NOT_ADAPTED, REPLAY, Column, Row
from fewshotgan.metrics import get_metric

AS_IT_IS, REPEATED = "source as it is", "shots repeated"
CONTROL_ROWS = {AS_IT_IS: Row(NOT_ADAPTED), REPEATED: Row(REPLAY)}
MARKS = {AS_IT_IS: "*", REPEATED: "+"}
LEGEND = "; ".join(f"{MARKS[label]} farther than the {label}" for label in CONTROL_ROWS) + " (means over seeds)"


def with_controls(rows: dict[str, Row]) -> dict[str, Row]:
    """Return a table's rows with both controls beneath them."""
    return {**rows, **CONTROL_ROWS}


def controls_lose(
    write: Claims, first: str, name: str, where: str, columns: Sequence[Column], metric: str = "fd_efficientnet"
) -> Claim:
    """Return the claim that both controls lose to a row, `name` in words."""
    both = f"the {AS_IT_IS} and the {REPEATED}"
    return write.beats(f"control: {both} lose to {name}, {where}", first, CONTROL_ROWS, columns, metric)


def marks(row: Row, column: Column, metric: str) -> str:
    """Return a mark for each control that is nearer to the real images than the row, by the means over seeds.

    There is none in a metric that is no distance, nor of an old run against a new one.
    """
    if not get_metric(metric).is_distance or row in CONTROL_ROWS.values():
        return ""
    return "".join(MARKS[label] for label, control in CONTROL_ROWS.items() if _loses(row, control, column, metric))


def _loses(row: Row, control: Row, column: Column, metric: str) -> bool:
    own, other = (list(scores(each, column, metric, old=True).values()) for each in (row, control))
    alike = is_old(row, column) == is_old(control, column)
    return alike and bool(own) and bool(other) and fmean(own) > fmean(other)
