"""`fewshotgan adapt`: adapt a GAN to a folder or zip of images."""

import argparse
import contextlib
import json
import re
from pathlib import Path
from typing import Any

from fewshotgan.cli.advise import head
from fewshotgan.cli.arguments import EXIT_STOPPED, Commands, add_device, add_quiet, minutes, name, note, number, place
from fewshotgan.device import choose_device
from fewshotgan.files import UserError, atomic_write, check_apart, clip
from fewshotgan.films import save_film
from fewshotgan.gans import GAN, combine, load_gan
from fewshotgan.images import Images, is_shipped, list_domains, load_images
from fewshotgan.images.squares import FITS
from fewshotgan.methods import create_method
from fewshotgan.metrics import evaluate
from fewshotgan.pictures import grid, result_figure, save_picture
from fewshotgan.report import write_report
from fewshotgan.run import CollapseError, Run
from fewshotgan.session import BATCH, ITERATIONS, KEEP, adapt

LEAST_FOR_METRICS = 8


def add(commands: Commands) -> None:
    """Add the subcommand."""
    new = commands.add_parser("adapt", help="adapt a GAN to a folder or zip of images", description=run.__doc__)
    either = "a shipped GAN or a file; several for `minegan` to mine together (default: avatars-stylegan2)"
    new.add_argument("--gan", nargs="+", type=name, action="extend", help=either)
    new.add_argument(
        "--images",
        type=name,
        required=True,
        help="a folder, a zip, an image, or a shipped domain (see `fewshotgan domains`)",
    )
    new.add_argument("--n", type=number, help="use only N images (for a shipped domain: the published subset)")
    new.add_argument("--fit", choices=FITS, default="crop", help="of images that are not square (default: %(default)s)")
    new.add_argument("--method", default="freezed", help="see `fewshotgan methods` (default: %(default)s)")
    new.add_argument("--iterations", type=number, default=ITERATIONS, help="training steps (default: %(default)s)")
    new.add_argument("--batch", type=number, default=BATCH, help="images per step (default: %(default)s)")
    new.add_argument("--seed", type=number, default=0, help="seed of all random numbers (default: %(default)s)")
    new.add_argument(
        "--augment",
        default="diffaugment",
        choices=["diffaugment", "ada", "none"],
        help="augmentation of what D sees (default: %(default)s)",
    )
    new.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the method, e.g. learning_rate=0.001; repeatable",
    )
    new.add_argument("--discriminator", choices=["fresh"], help="start one from scratch, for a GAN that came without")
    new.add_argument(
        "--keep",
        choices=KEEP,
        help="the GAN of the last iteration, or of the best by the images alone (default: best of your own images)",
    )
    new.add_argument("--minutes", type=minutes, help="stop after this long; the same command resumes")
    add_device(new)
    new.add_argument("--log", action="store_true", help="write losses.csv, and TensorBoard's events if it is installed")
    new.add_argument("--out", type=place, required=True, help="folder for the GAN, pictures and scores; goes on there")
    add_quiet(new)
    new.set_defaults(run=run)


def run(options: argparse.Namespace) -> int | None:
    """Adapt one or several GANs to images; write the GAN, a report, pictures and a metrics file.

    The same command goes on where it stopped, and with more --iterations where it ended.
    """
    named, given = _options(options.option), Path(options.images)
    if given.is_dir() and options.out.resolve().is_relative_to(given.resolve()):
        raise UserError(
            f"--out {clip(options.out, 60)} is inside --images {clip(given, 60)}, and would be trained on next time; "
            "choose another folder."
        )
    method = create_method(options.method, **named)
    check_apart(options.out / _saved(options), *options.gan or ())
    choose_device(options.device)  # refused before the images are read and compared
    loaded = [load_gan(one) for one in options.gan or ["avatars-stylegan2"]]
    gan = combine(loaded)
    # sampled for the pictures, without labels
    source = gan if len(loaded) == 1 else combine([one.unconditional() for one in loaded])
    images = load_images(options.images, n=options.n, resolution=gan.resolution, channels=gan.channels, fit=options.fit)
    advice = "\n".join(head(images, one, options) for one in loaded)
    if not options.quiet:
        print("\n".join(filter(None, [images.note, advice])))
    arguments = {
        key: getattr(options, key)
        for key in ("iterations", "batch", "seed", "minutes", "device", "out", "discriminator", "log")
    }
    arguments["keep"] = options.keep or ("last" if is_shipped(options.images) else "best")
    augment = None if options.augment == "none" else options.augment
    try:
        run = adapt(gan, images, method, augment=augment, progress=not options.quiet, **arguments)
    except CollapseError as collapse:
        _write(collapse.run, source, images, options, advice, str(collapse))
        raise
    _write(run, source, images, options, advice)
    if run.finished:
        return None
    if not options.quiet:
        print(f"stopped at iteration {run.iterations}; the same command resumes from there")
    return EXIT_STOPPED


def _options(pairs: list[str]) -> dict[str, object]:
    """Parse NAME=VALUE pairs; a value is read as JSON if it is valid JSON."""
    parsed: dict[str, object] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise UserError(f"--option {clip(pair)} is not of the form NAME=VALUE; add a value.")
        try:
            parsed[key] = json.loads(value)
        except (ValueError, RecursionError):
            parsed[key] = None if value.lower() == "none" else value
            with contextlib.suppress(ValueError):
                parsed[key] = float(value)  # .001 is not valid JSON
    return parsed


def _saved(options: argparse.Namespace) -> str:
    """Return the name of the adapted GAN's file."""
    return f"{_stem(options.images)}-{options.method}.safetensors"


def _write(
    run: Run, source: GAN, images: Images, options: argparse.Namespace, advice: str, collapse: str | None = None
) -> None:
    """Write what a run leaves, the GAN first; a run that a signal stopped is not measured."""
    out, saved = options.out, _saved(options)
    if run.chosen != run.iterations:
        _say(options, f"kept iteration {run.chosen} of {run.iterations}: {run.choice['why']}")
    _say(options, f"saving {saved} and its pictures in {clip(out)} ...")
    run.gan.name = saved.removesuffix(".safetensors")
    run.gan.save(out / saved)
    latent = run.spec["seed"] ^ 1  # differs from the run's seed, and is as valid
    save_picture(result_figure(source.sample(10, latent), images, run.gan.sample(10, latent)), out / "result.png")
    save_picture(grid(run.gan.sample(32, latent), 8), out / "samples.png")
    save_film(run.gan.interpolate(4, 12, latent), out / "interpolation.gif")
    facts = {"spec": run.spec, "iterations_made": run.iterations, "finished": run.finished, "kept": run.choice}
    facts |= {"seconds": run.seconds, **({"collapse": collapse} if collapse else {})}
    scores: dict[str, Any] = {"metrics": "none: stopped before they were measured"}
    _write_metrics(out, {**facts, **scores})
    if not run.interrupted:
        _say(options, "measuring the GAN (a signal now loses its scores alone) ...")
        scores = _scores(run, images, options)
        _write_metrics(out, {**facts, **scores})
    write_report(run, source, images, out / "report.html", scores=scores, advice=advice, command=options.typed)
    if not options.quiet:
        print(f"{clip(out)}: report.html, {saved}, result.png, samples.png, interpolation.gif, metrics.json")


def _stem(given: str) -> str:
    """Return how the GAN of such images is called."""
    path, stem = Path(given), given
    if path.exists() or given in list_domains():
        stem = path.stem if path.is_file() else path.resolve().name if given in (".", "..") else path.name
    return re.sub("[/%, ]+", "-", stem)[:100] or "images"


def _write_metrics(out: Path, facts: dict[str, Any]) -> None:
    with atomic_write(out / "metrics.json") as temporary:
        temporary.write_text(json.dumps(facts, indent=2), encoding="utf-8")


def _say(options: argparse.Namespace, text: str) -> None:
    if not options.quiet:
        note(text)


def _scores(run: Run, images: Images, options: argparse.Namespace) -> dict[str, object]:
    """Return metrics against held-out images, or against the training images if they are the user's own, and say so."""
    if is_shipped(options.images):
        return evaluate(run.gan, options.images, n=500, train=images)
    if len(images) < LEAST_FOR_METRICS:
        return {"metrics": f"none: {len(images)} images are too few"}
    return {
        **evaluate(run.gan, images, n=200),
        "note": "against the training images themselves: a small distance may mean memorisation",
    }
