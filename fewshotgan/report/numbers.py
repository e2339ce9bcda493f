"""The parts of a report that show numbers and settings."""

import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from fewshotgan.gans.gan import GAN
from fewshotgan.images import Images
from fewshotgan.metrics import METRICS
from fewshotgan.metrics.extractors import VERSION
from fewshotgan.report.charts import bars, line_chart
from fewshotgan.report.html import Html, table, tag
from fewshotgan.report.licences import licences
from fewshotgan.report.scale import DISTANCE, Scale
from fewshotgan.run import Run

NO_CURVE = {"iteration", "stage", "seconds"}
STUCK = 0.9  # of the source's distance: a GAN that keeps more than that has hardly moved
OWN, SOURCE, REPEATED = "this GAN", "the source as it is", "the images, repeated"


def metrics(scores: Mapping[str, Any], scale: Scale | None) -> Html:
    """Return the scores, with the scale of the distance."""
    found = {name: METRICS[name] for name in scores if name in METRICS}
    if not found:
        why = str(scores.get("metrics", "none were measured")).removeprefix("none: ")
        return tag("section", tag("h2", "Numbers"), tag("p", f"There are none: {why}"), id="numbers")
    rows = [(name, metric.text(scores[name]), metric.words, metric.units) for name, metric in found.items()]
    protocol = scores["protocol"]
    against = f"Of {protocol['n_generated']} samples against {protocol['n_real']} real images ({protocol['real']})."
    return tag(
        "section",
        tag("h2", "Numbers"),
        tag("p", against, class_="note"),
        [] if scale is None else _scale(scale),
        table(("", "value", "", "what it counts"), rows),
        [tag("p", UNBIASED, class_="note")] if any("unbiased" in metric.range for metric in found.values()) else [],
        id="numbers",
    )


UNBIASED = (
    "A kernel distance is an unbiased estimate: where the true distance is 0, it falls below 0 as often as above."
)


def _scale(scale: Scale) -> list[Html]:
    values = {SOURCE: scale.source, OWN: scale.own, REPEATED: scale.repeated}
    text = {name: METRICS[DISTANCE].text(value) for name, value in values.items()}
    return [tag("h3", "Distance to the real images"), bars(values, text, OWN), tag("p", verdict(scale))]


def verdict(scale: Scale) -> str:
    """Return what the distance says, and what it can't."""
    if not scale.held_out:
        moved = (
            "It has hardly come nearer to your images than the source was. " if scale.own > STUCK * scale.source else ""
        )
        return (
            f"The real images are the very ones that were trained on. Copies of them score {scale.repeated:.0f}, the "
            f"source {scale.source:.0f}, this GAN {scale.own:.0f}. {moved}The number tells how far the GAN has come; "
            "it can't tell whether new images are good, since copying is what would lower it most. Look at the "
            "samples, and at the images nearest to them."
        )
    better = scale.own < min(scale.source, scale.repeated)
    said = "nearer to new images of the kind than the source and than copies" if better else (
        "no nearer to new images of the kind than "
        + " and ".join(
            name
            for name, value in (("the source as it is", scale.source), ("the images repeated", scale.repeated))
            if value <= scale.own
        )
    )  # fmt: skip
    return f"The real images were held out of training. This GAN is {said}."


def curves(run: Run) -> Html:
    """Return a chart of each loss and penalty."""
    names = dict.fromkeys(name for row in run.history for name in row if name not in NO_CURVE)
    charts = [_curve(run, name) for name in names]
    body = tag("div", charts, class_="charts") if charts else tag("p", "The run was too short to log any.")
    text = (
        "What each network minimised, and what else was logged. Losses of a GAN rise and fall against each other, so "
        "no curve says how good the images are; one that leaves its range for good is a sign of trouble."
    )
    return tag("section", tag("h2", "Losses"), tag("p", text, class_="note"), body, id="losses")


def _curve(run: Run, name: str) -> Html:
    points = [(row["iteration"], float(row[name])) for row in run.history if name in row]
    stages = {row["stage"]: row["iteration"] for row in reversed(run.history) if "stage" in row}
    marks = {first: f"stage {stage}" for stage, first in stages.items() if first != points[0][0]}
    return tag("figure", tag("figcaption", name.replace("/", ": ").replace("_", " ")), line_chart(points, marks, name))


def settings(run: Run, images: str, command: str) -> Html:
    """Return what the run was asked for, of images of that name, which iteration was kept, and how to repeat it."""
    spec = {**run.spec, "images": images}
    options, digests = spec.pop("options", {}), spec.pop("digests", {})
    rows = [(key, plain(value)) for key, value in spec.items()]
    more = [(key, plain(value)) for key, value in options.items()]
    more += [(f"digest of the {key}", plain(value)) for key, value in digests.items()]
    made = f"{run.iterations} iterations in {duration(run.seconds)}" + ("" if run.finished else ", then stopped")
    return tag(
        "section",
        tag("h2", "Settings"),
        table((), [("made", made), ("kept", kept(run)), *rows]),
        tag("details", tag("summary", "All options of the method"), table((), more)),
        tag("h3", "Repeat it"),
        tag("pre", command),
        id="settings",
    )


def kept(run: Run) -> str:
    """Return which iteration's GAN this is, and why."""
    why = f": {run.choice['why']}" if run.choice.get("why") else ", the last"
    return f"iteration {run.chosen}{why}"


def python(run: Run, images: str) -> str:
    """Return Python that repeats a run of images of that name."""
    spec = run.spec
    given = ", ".join(f"{key}={spec[key]!r}" for key in ("iterations", "batch", "seed", "augment") if key in spec)
    return (
        f"import fewshotgan as fsg\n\ngan = fsg.load_gan({spec['gan']!r})\n"
        f"images = fsg.load_images({images!r}, n={spec['n']}, resolution=gan.resolution, "
        f"channels=gan.channels)\n"
        f"run = fsg.adapt(gan, images, {spec['method']!r}, {given})"
    )


def duration(seconds: float) -> str:
    """Return a time in words."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def plain(value: object) -> str:
    """Return a setting as text."""
    return "none" if value is None else str(value)


def origins(source: GAN, images: Images) -> Html:
    """Return the licence of the source, and the versions of what ran."""
    rows = [(name, licence, makers) for name, licence, makers in licences(source)]
    versions = {
        "fewshotgan": version("fewshotgan"),
        "features": f"version {VERSION}",
        "torch": torch.__version__,
        "numpy": np.__version__,
        "Python": f"{platform.python_version()} on {platform.system()} ({platform.machine()})",
    }
    own = f"The images ({images.name}) have a licence of their own: mind it in what you publish."
    return tag(
        "section",
        tag("h2", "Licence and versions"),
        table(("source", "licence", "made by"), rows),
        tag("p", own, class_="note"),
        table((), versions.items()),
        id="origins",
    )
