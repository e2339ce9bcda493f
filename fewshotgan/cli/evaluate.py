"""`fewshotgan evaluate`: how near a GAN's images are to real ones."""

import argparse
import json
import textwrap
from contextlib import suppress
from dataclasses import replace
from typing import Any

from fewshotgan.cli.arguments import RESULT, Commands, add_device, add_gan, add_quiet, name, number
from fewshotgan.device import choose_device
from fewshotgan.files import UserError
from fewshotgan.gans import GAN, load_gan
from fewshotgan.images import Images, is_shipped, load_images
from fewshotgan.images.labels import with_folders_as_classes
from fewshotgan.metrics import METRICS, evaluate
from fewshotgan.metrics.evaluation import default_metrics, labels_made, needs_met

SAMPLES = 1000
SAID = ("real", "n_real", "train", "n_generated", "sample_seed", "weights", "truncation", "flips", "resize", "noise",
        "extractors", "features", "versions", "torch")  # fmt: skip


def add(commands: Commands) -> None:
    """Add the subcommand."""
    new = commands.add_parser(
        "evaluate",
        help="measure a GAN against images",
        description=run.__doc__,
    )
    add_gan(new)
    new.add_argument(
        "--images", type=name, required=True, help="what it was adapted to: a folder, a zip, or a shipped domain"
    )
    new.add_argument(
        "--shots", type=number, help="only the first N of --images were trained on; the others are the reference"
    )
    new.add_argument(
        "--reference",
        type=name,
        help="other real images of the kind (default: a domain's held-out ones, else --images)",
    )
    new.add_argument("--n", type=number, default=SAMPLES, help="images to generate (default: %(default)s)")
    new.add_argument("--seed", type=number, default=0, help="of their latents (default: %(default)s)")
    new.add_argument("--metrics", help=f"comma-separated, out of: {', '.join(METRICS)}")
    new.add_argument("--json", action="store_true", help="print values and protocol as JSON")
    add_device(new)
    add_quiet(new, RESULT)
    new.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Measure a GAN: its distance to real images, precision, recall, memorisation and diversity."""
    gan = load_gan(options.gan).to(choose_device(options.device))
    reference, shots = compared(options, gan)
    names = options.metrics.split(",") if options.metrics else usual(gan, shots, reference, options)
    found = evaluate(gan, reference, metrics=names, n=options.n, seed=options.seed, train=shots)
    found |= {"note": note} if (note := caution(reference, shots)) else {}
    print(json.dumps(found, indent=2) if options.json else described(found))


def compared(options: argparse.Namespace, gan: GAN) -> tuple[str | Images, Images | None]:
    """Return the real images, or the shipped domain that they are held out of, and those trained on, where known."""

    def load(source: str, n: int | None = None) -> Images:
        images = load_images(source, n=n, resolution=gan.resolution, channels=gan.channels)
        with suppress(UserError):  # images without folders for classes are measured without classes
            images = with_folders_as_classes(images) if gan.classes else images
        return images

    own = not is_shipped(options.images)
    shots = load(options.images, options.shots) if own or options.shots is not None else None
    if options.reference:
        return options.reference if is_shipped(options.reference) else load(options.reference), shots
    if shots is None or not own:
        return options.images, shots
    everything = load(options.images)
    others = replace(everything.part(len(shots), len(everything)), name=f"the others of {shots.name}")
    return (others if len(others) else shots), shots


def usual(gan: GAN, shots: Images | None, reference: str | Images, options: argparse.Namespace) -> list[str]:
    """Return the metrics that are measured unless others are asked for."""
    real = reference if isinstance(reference, Images) else load_images(reference, split="held_out")
    labels = labels_made(gan, options.n, options.seed)
    names = default_metrics(needs_met(gan, shots, real, labels))
    if shots is None:
        return names
    return [key for key in names if key != "memorisation" or shots is not reference] + ["intra_lpips_efficientnet"]


def caution(reference: str | Images, shots: Images | None) -> str:
    """Return what the numbers can't tell, if anything."""
    if shots is not reference:
        return ""
    return (
        "The real images are those that were trained on, so copies of them would score best; distances tell nothing of "
        "new images. Give others of the same kind as --reference for that."
    )


def described(found: dict[str, Any]) -> str:
    """Return values and protocol as text."""
    protocol = found["protocol"]
    lines = []
    for key, value in found.items():
        if key in METRICS:
            metric = METRICS[key]
            words = "; ".join(filter(None, [metric.units, metric.words]))
            lines.append(f"{key:<26}{metric.text(value):>10}  {words}")
    for key in filter(lambda key: key in METRICS and "unbiased" in METRICS[key].range, found):
        error = protocol[key]["standard_error"]
        lines += ["", f"{key} is unbiased: where the true distance is 0, it falls below 0 as often as above."]
        lines.append(f"Its standard error is {error:.3f}.")
    lines += ["", "protocol:"]
    for key in SAID:
        if key in protocol:
            lines += textwrap.wrap(f"{key}: {protocol[key]}", 110, initial_indent="  ", subsequent_indent="    ")
    return "\n".join(lines + (["", *textwrap.wrap(found["note"], 110)] if "note" in found else []))
