"""`fewshotgan adapt`: adapt a GAN to a folder or zip of images."""

import argparse
import contextlib
import json
import re
from pathlib import Path

from fewshotgan.cli.advise import head
from fewshotgan.cli.arguments import EXIT_STOPPED, Commands, minutes
from fewshotgan.files import UserError, atomic_write
from fewshotgan.gans import GAN, combine, load_gan
from fewshotgan.images import Images, is_shipped, list_domains, load_images
from fewshotgan.images.squares import FITS
from fewshotgan.methods import create_method
from fewshotgan.metrics import evaluate
from fewshotgan.pictures import grid, result_figure, save_film, save_picture
from fewshotgan.run import CollapseError, Run
from fewshotgan.session import BATCH, ITERATIONS, adapt

LEAST_FOR_METRICS = 8


def add(commands: Commands) -> None:
    """Add the subcommand."""
    new = commands.add_parser("adapt", help="adapt a GAN to a folder or zip of images", description=run.__doc__)
    either = "a shipped GAN or a file; several for `minegan` to mine together (default: avatars-stylegan2)"
    new.add_argument("--gan", nargs="+", action="extend", help=either)
    new.add_argument(
        "--images", required=True, help="a folder, a zip, an image, or a shipped domain (see `fewshotgan domains`)"
    )
    new.add_argument("--n", type=int, help="use only N images (for a shipped domain: the published subset)")
    new.add_argument("--fit", choices=FITS, default="crop", help="of images that are not square (default: %(default)s)")
    new.add_argument("--method", default="freezed", help="see `fewshotgan methods` (default: %(default)s)")
    new.add_argument("--iterations", type=int, default=ITERATIONS, help="training steps (default: %(default)s)")
    new.add_argument("--batch", type=int, default=BATCH, help="images per step (default: %(default)s)")
    new.add_argument("--seed", type=int, default=0, help="seed of all random numbers (default: %(default)s)")
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
    new.add_argument("--minutes", type=minutes, help="stop after this long; the same command resumes")
    new.add_argument("--device", help="cpu, cuda, ... (default: a GPU if there is one)")
    new.add_argument("--out", type=Path, required=True, help="folder for the GAN, pictures and scores")
    new.set_defaults(run=run)


def run(options: argparse.Namespace) -> int | None:
    """Adapt one or several GANs to images; write the GAN, a sample sheet, a metrics file and an interpolation GIF."""
    named, place = _options(options.option), Path(options.images)
    if place.is_dir() and options.out.resolve().is_relative_to(place.resolve()):
        raise UserError(
            f"--out {options.out} is inside --images {place}, and would be trained on next time; choose another folder."
        )
    method = create_method(options.method, **named)
    loaded = [load_gan(name) for name in options.gan or ["avatars-stylegan2"]]
    gan = combine(loaded)
    # sampled for the pictures, without labels
    source = gan if len(loaded) == 1 else combine([one.unconditional() for one in loaded])
    images = load_images(options.images, n=options.n, resolution=gan.resolution, channels=gan.channels, fit=options.fit)
    if images.note:
        print(images.note)
    for one in loaded:
        print(head(images, one, options))
    arguments = {
        key: getattr(options, key)
        for key in ("iterations", "batch", "seed", "minutes", "device", "out", "discriminator")
    }
    augment = None if options.augment == "none" else options.augment
    try:
        run = adapt(gan, images, method, augment=augment, **arguments)
    except CollapseError as collapse:
        _write(collapse.run, source, images, options, str(collapse))
        raise
    _write(run, source, images, options)
    if not run.finished:
        print(f"stopped at iteration {run.iterations}; the same command resumes from there")
        return EXIT_STOPPED
    return None


def _options(pairs: list[str]) -> dict[str, object]:
    """Parse NAME=VALUE pairs; a value is read as JSON if it is valid JSON."""
    parsed: dict[str, object] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise UserError(f"--option {pair} is not of the form NAME=VALUE; add a value.")
        try:
            parsed[name] = json.loads(value)
        except ValueError:
            parsed[name] = None if value.lower() == "none" else value
            with contextlib.suppress(ValueError):
                parsed[name] = float(value)  # .001 is not valid JSON
    return parsed


def _write(run: Run, source: GAN, images: Images, options: argparse.Namespace, collapse: str | None = None) -> None:
    """Write the results of a run."""
    out, place = options.out, Path(options.images)
    stem = (
        (place.stem if place.is_file() else place.name)
        if place.exists() or options.images in list_domains()
        else options.images
    )
    name = f"{re.sub('[/%, ]+', '-', stem)[:100] or 'images'}-{options.method}"
    run.gan.name = name
    run.gan.save(out / f"{name}.safetensors")
    latent = run.spec["seed"] ^ 1  # differs from the run's seed, and is as valid
    save_picture(result_figure(source.sample(10, latent), images, run.gan.sample(10, latent)), out / "result.png")
    save_picture(grid(run.gan.sample(32, latent), 8), out / "samples.png")
    save_film(run.gan.interpolate(4, 12, latent), out / "interpolation.gif")
    with atomic_write(out / "metrics.json") as temporary:
        made = {
            "iterations_made": run.iterations,
            "finished": run.finished,
            **({"collapse": collapse} if collapse else {}),
        }
        temporary.write_text(
            json.dumps({"spec": run.spec, **made, "seconds": run.seconds, **_scores(run, images, options)}, indent=2)
        )
    print(f"{out}: {name}.safetensors, result.png, samples.png, interpolation.gif, metrics.json")


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
