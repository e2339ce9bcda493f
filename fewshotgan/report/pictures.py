"""The parts of a report that show pictures."""

import numpy as np
from torch import Tensor

from fewshotgan.gans.gan import GAN
from fewshotgan.images import Images
from fewshotgan.metrics.cache import real_features
from fewshotgan.metrics.extractors import features
from fewshotgan.metrics.neighbours import distances
from fewshotgan.report.html import Html, film, image, tag
from fewshotgan.run import Run

OWN, SAMPLES, IN_A_ROW, PAIRS, MOMENTS = 48, 64, 8, 12, 6
WALKS, STEPS, MILLISECONDS = 3, 16, 70  # images from one latent to the next, and how long each stays


def before_and_after(source: GAN, adapted: GAN, seed: int) -> Html:
    """Return samples of both GANs from the same latents."""
    return tag(
        "section",
        tag("h2", "Before and after"),
        tag("p", "A column is one latent: what the source makes of it, and what the adapted GAN does.", class_="note"),
        tag("h3", "The source"),
        _row(source.sample(IN_A_ROW, seed), "source sample"),
        tag("h3", "Adapted"),
        _row(adapted.sample(IN_A_ROW, seed), "adapted sample"),
        id="after",
    )


def own_images(images: Images) -> Html:
    """Return the images that were trained on, with how they were read."""
    left = len(images) - OWN
    more = [tag("p", f"The first {OWN} of {len(images)}.", class_="note")] if left > 0 else []
    return tag(
        "section",
        tag("h2", "The images"),
        tag("p", images.note or "As they are: nothing was cropped or resized.", class_="note"),
        more,
        _tiles(images.pixels[:OWN], "image"),
        id="images",
    )


def samples(made: Tensor) -> Html:
    """Return samples (N, C, H, W), -1..1."""
    text = f"{len(made)} samples, not chosen: the good, the bad and the odd ones."
    return tag("section", tag("h2", "Samples"), tag("p", text, class_="note"), _tiles(made, "sample"), id="samples")


def over_time(run: Run) -> Html:
    """Return what the same latents became on the way."""
    chosen = np.unique(np.linspace(0, len(run.snapshots) - 1, MOMENTS).round().astype(int))
    rows = []
    for number in chosen:
        iteration, images = run.snapshots[number]
        title = "Iteration 0: the source" if iteration == 0 else f"Iteration {iteration}"
        rows += [tag("h3", title), _row(images[:IN_A_ROW], f"iteration {iteration}, sample")]
    text = "The same latents all the way."
    return tag("section", tag("h2", "Over time"), tag("p", text, class_="note"), rows, id="time")


def nearest(made: Tensor, images: Images) -> Html:
    """Return those samples (N, C, H, W), -1..1, that are nearest to an image that was trained on, beside that image."""
    shots = real_features(images, "efficientnet")
    between = distances(features(made, "efficientnet"), shots)
    usual = usual_distance(shots)
    pairs = []
    for number in between.min(axis=1).argsort()[:PAIRS]:
        which = int(between[number].argmin())
        share = f": {between[number].min() / usual:.0%}" if usual else ""
        both = tag(
            "div", image(made[number], f"sample {number + 1}"), image(images.pixels[which], f"image {which + 1}")
        )
        pairs.append(tag("figure", both, tag("figcaption", f"sample and image {which + 1}{share}"), class_="pair"))
    text = f"Of {len(made)} samples the {len(pairs)} that are nearest to an image that was trained on, each beside it"
    scale = (
        ". 100% is how far an image of yours usually is from the nearest other one; far below that is a copy."
        if usual
        else "."
    )
    return tag(
        "section",
        tag("h2", "Copies?"),
        tag("p", text + scale, class_="note"),
        tag("div", pairs, class_="pairs"),
        id="nearest",
    )


def usual_distance(shots: np.ndarray) -> float:
    """Return the median distance of features (N, d) to the nearest other row; 0 for fewer than two."""
    if len(shots) < 2:
        return 0.0
    apart = distances(shots, shots) + np.diag(np.full(len(shots), np.inf))
    return float(np.median(apart.min(axis=1)))


def walk(adapted: GAN, seed: int) -> Html:
    """Return films that walk through the latents."""
    text = "Walks through four latents each. Smooth changes are a good sign; leaps between few images mean copies."
    films = [
        film(adapted.interpolate(4, STEPS, seed + i), f"walk {i + 1} through four latents", MILLISECONDS)
        for i in range(WALKS)
    ]
    return tag(
        "section", tag("h2", "In between"), tag("p", text, class_="note"), tag("div", films, class_="films"), id="walk"
    )


def _tiles(images: Tensor, what: str) -> Html:
    return tag("div", (image(one, f"{what} {i}") for i, one in enumerate(images, 1)), class_="tiles")


def _row(images: Tensor, what: str) -> Html:
    return tag("div", (image(one, f"{what} {i}") for i, one in enumerate(images, 1)), class_="row")
