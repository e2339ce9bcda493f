"""Put the report of a run together."""

from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from fewshotgan.files import UserError, atomic_write
from fewshotgan.gans.gan import GAN
from fewshotgan.images import Images, is_shipped
from fewshotgan.report import numbers, pictures
from fewshotgan.report.html import Html, join, tag
from fewshotgan.report.scale import find_scale, measured
from fewshotgan.run import Run
from fewshotgan.wording import counted

PARTS = {
    "after": "Before and after", "images": "The images", "advice": "Advice", "samples": "Samples", "time": "Over time",
    "nearest": "Copies?", "walk": "In between", "numbers": "Numbers", "losses": "Losses", "settings": "Settings",
    "origins": "Licence",
}  # fmt: skip


def write_report(
    run: Run,
    source: GAN,
    images: Images,
    path: str | Path,
    *,
    scores: Mapping[str, Any] | None = None,
    advice: str = "",
    command: str = "",
) -> None:
    """Write the report of a run as one HTML file that needs no network.

    Args:
        run: what `adapt` returned.
        source: the GAN that it started from.
        images: what it was adapted to.
        path: of the file, `.html`.
        scores: what `evaluate` returned of it; by default it is measured, against the held-out images of a shipped
            domain, or against the images themselves.
        advice: text from before the run.
        command: that repeats it; by default Python that does.

    Raises:
        UserError: for what is no run, or if the file can't be written.
    """
    if not isinstance(run, Run) or not isinstance(source, GAN) or not isinstance(images, Images):
        raise UserError("write_report takes a Run, the GAN that it started from, and the Images adapted to.")
    images, found = without_path(images, measured(run, images) if scores is None else scores)
    command = command or numbers.python(run, images.name)
    title = f"{images.name}: a GAN from {counted(len(images), 'image')}"
    sections = list(_sections(run, source, images, found, advice, command))
    head = tag("header", tag("h1", title), tag("p", lead(run), class_="lead"), _links(bool(advice)))
    foot = tag("footer", tag("p", "Made by fewshotgan; this page needs no network."))
    template = Template((files("fewshotgan.report") / "page.html").read_text(encoding="utf-8"))
    page = template.substitute(title=join([title]), body=head + tag("main", sections) + foot)
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def without_path(images: Images, scores: Mapping[str, Any]) -> tuple[Images, Mapping[str, Any]]:
    """Return images and scores that bear the name of the folder alone: the page is for others to read, and must not
    tell where the folder lies.
    """
    if is_shipped(images.name):
        return images, scores
    name, protocol = Path(images.name).resolve().name or images.name, dict(scores.get("protocol", {}))
    if "real" in protocol:
        protocol["real"] = protocol["real"].replace(images.name, name)
    return replace(images, name=name), {**scores, "protocol": protocol} if protocol else scores


def lead(run: Run) -> str:
    """Return the run in a sentence."""
    spec = run.spec
    return (
        f"{spec['gan']} adapted by {spec['method']}, {run.iterations} iterations in {numbers.duration(run.seconds)}, "
        f"seed {spec['seed']}."
    )


def _links(advised: bool) -> Html:
    links = (tag("a", text, href=f"#{part}") for part, text in PARTS.items() if advised or part != "advice")
    return tag("nav", links, aria_label="Parts of this page")


def _sections(
    run: Run, source: GAN, images: Images, scores: Mapping[str, Any], advice: str, command: str
) -> list[Html]:
    seed = run.spec["seed"] ^ 1  # other latents than those that training looked at
    made = run.gan.sample(pictures.SAMPLES, seed)
    advised = [tag("section", tag("h2", "Advice"), tag("pre", advice), id="advice")] if advice else []
    return [
        pictures.before_and_after(source, run.gan, seed),
        pictures.own_images(images),
        *advised,
        pictures.samples(made),
        pictures.over_time(run),
        pictures.nearest(made, images),
        pictures.walk(run.gan, seed),
        numbers.metrics(scores, find_scale(scores, source, images)),
        numbers.curves(run),
        numbers.settings(run, images.name, command),
        numbers.origins(source, images),
    ]
