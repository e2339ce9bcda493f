"""Charts as SVG, drawn in the page's own colours, so that they read in its light and its dark form."""

from collections.abc import Sequence
from math import isfinite

from fewshotgan.report.html import Html, tag

WIDTH, HEIGHT = 320, 150  # of a line chart, in its own units
LEFT, RIGHT, TOP, BOTTOM = 44, 10, 8, 22  # margins
TICKS = 3  # at most so many steps between the lines across


def line_chart(points: Sequence[tuple[float, float]], marks: dict[float, str], title: str) -> Html:
    """Return a curve.

    Args:
        points: (iteration, value); a value that is not finite breaks the line.
        marks: vertical lines, and what is there.
        title: what it shows, for those who hear the page.
    """
    known = [(x, y) for x, y in points if isfinite(y)]
    if not known:
        return tag("p", "No finite value.")
    ticks = round_numbers(min(y for _, y in known), max(y for _, y in known))
    low, high = ticks[0], ticks[-1]
    last = max(max(x for x, _ in points), 1)

    def place(x: float, y: float) -> tuple[float, float]:
        across = LEFT + x / last * (WIDTH - LEFT - RIGHT)
        return round(across, 1), round(TOP + (high - y) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    parts = [_tick(tick, place(0, tick)[1]) for tick in ticks]
    parts += [_label(f"{x:g}", place(x, low)[0], HEIGHT - 6, "middle") for x in (0, last / 2, last) if x == int(x)]
    for x, text in marks.items():
        across = place(x, low)[0]
        parts.append(tag("line", tag("title", text), x1=across, x2=across, y1=TOP, y2=HEIGHT - BOTTOM, class_="mark"))
    for run in _unbroken(points):
        coordinates = " ".join(f"{a},{b}" for a, b in (place(x, y) for x, y in run))
        parts.append(tag("polyline", points=coordinates, class_="curve"))
    said = f"{title}: {known[0][1]:.3g} at iteration {known[0][0]:g}, {known[-1][1]:.3g} at {known[-1][0]:g}"
    return tag("svg", parts, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=said)


def _unbroken(points: Sequence[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if isfinite(y):
            runs[-1].append((x, y))
        else:
            runs.append([])
    return [run for run in runs if run]


def _tick(value: float, y: float) -> Html:
    line = tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid")
    return Html(line + _label(f"{value:g}", LEFT - 6, y + 4, "end"))


def _label(text: str, x: float, y: float, anchor: str) -> Html:
    return tag("text", text, x=x, y=y, text_anchor=anchor)


def round_numbers(low: float, high: float) -> list[float]:
    """Return a few round numbers, evenly spaced, that enclose a range."""
    from matplotlib.ticker import MaxNLocator  # slow to import, and most commands draw no chart

    room = (high - low or abs(high) or 1.0) / 20  # so that a flat curve has a scale too
    ticks = MaxNLocator(TICKS, steps=[1, 2, 5, 10]).tick_values(low - room, high + room)
    return [float(f"{tick:.10g}") for tick in ticks]


def bars(values: dict[str, float], text: dict[str, str], own: str) -> Html:
    """Return horizontal bars from 0, each with its name and its value; `own` is the one that the page is about."""
    largest = max(*values.values(), 1e-12)
    rows = []
    for name, value in values.items():
        width = f"width:{100 * max(value, 0) / largest:.1f}%"
        bar = tag("span", tag("span", style=width), class_="bar", aria_hidden="true")
        rows.append(
            tag("div", tag("dt", name), tag("dd", bar, tag("b", text[name])), class_="own" if name == own else None)
        )
    return tag("dl", rows, class_="bars")
