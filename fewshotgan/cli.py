"""The command `fewshotgan`: adapt, sample, pretrain, record, and print what there is."""

import argparse
import contextlib
import dataclasses
import inspect
import io
import json
import math
import re
import sys
from importlib.metadata import version
from pathlib import Path

import torch

from fewshotgan import papers, proximity
from fewshotgan.files import UserError, atomic_write
from fewshotgan.gans import GAN, combine, gans, load_gan
from fewshotgan.images import Images, domains, load_images
from fewshotgan.methods import create_method, methods
from fewshotgan.metrics import evaluate
from fewshotgan.pretrain import RECIPES, pretrain, publish
from fewshotgan.record import record
from fewshotgan.session import BATCH, ITERATIONS, adapt
from fewshotgan.show import domains_picture, grid, result_figure, save_film, save_picture
from fewshotgan.tables import TABLES
from fewshotgan.tables.table import SEEDS
from fewshotgan.train import CollapseError, Run

EXIT_USER, EXIT_STOPPED, EXIT_PIPE = 2, 130, 141
LEAST_FOR_METRICS = 8


def main(arguments: list[str] | None = None) -> int:
    """Run a command; a fault of the user's is one sentence on stderr and exit status 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that a terminal can't show is no reason to stop
    options = parser().parse_args(arguments)
    try:
        return options.run(options) or 0
    except UserError as error:
        print(f"fewshotgan: {error}", file=sys.stderr)
        return EXIT_USER
    except BrokenPipeError:
        return EXIT_PIPE
    except OSError as error:
        print(f"fewshotgan: {error.filename or 'a file'}: {error.strerror or error}; give another name or folder.", file=sys.stderr)
        return EXIT_USER
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error):
            print("fewshotgan: there is not enough memory for this; give fewer images at a time (--batch, --n).", file=sys.stderr)
            return EXIT_USER
        raise
    except KeyboardInterrupt:
        print("fewshotgan: stopped.", file=sys.stderr)
        return EXIT_STOPPED


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    top = argparse.ArgumentParser(prog="fewshotgan", description="Adapt a pretrained GAN to a few images.")
    top.add_argument("--version", action="version", version=f"fewshotgan {version('fewshotgan')}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)

    new = commands.add_parser("adapt", help="adapt a GAN to a folder or zip of images", description=_adapt.__doc__)
    either = "a shipped GAN or a file; several are mined together (default: avatars-stylegan2)"
    new.add_argument("--gan", nargs="+", action="extend", help=either)
    new.add_argument("--images", required=True, help="a folder, a zip, one image, or a shipped domain, see `fewshotgan domains`")
    new.add_argument("--n", type=int, help="only the first N images (of a shipped domain: the published subset)")
    new.add_argument("--method", default="freezed", help="see `fewshotgan methods` (default: %(default)s)")
    new.add_argument("--iterations", type=int, default=ITERATIONS, help="training steps (default: %(default)s)")
    new.add_argument("--batch", type=int, default=BATCH, help="images per step (default: %(default)s)")
    new.add_argument("--seed", type=int, default=0, help="of everything random (default: %(default)s)")
    new.add_argument("--augment", default="diffaugment", choices=["diffaugment", "ada", "none"], help="what D sees (default: %(default)s)")
    new.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="of the method, e.g. learning_rate=0.001")
    new.add_argument("--minutes", type=minutes, help="stop after so long; the same command goes on later")
    new.add_argument("--device", help="cpu, cuda, ... (default: a GPU where there is one)")
    new.add_argument("--out", type=Path, required=True, help="folder for the GAN, pictures and figures")
    new.set_defaults(run=_adapt)

    new = commands.add_parser("sample", help="draw images from a GAN", description=_sample.__doc__)
    new.add_argument("gan", help="a shipped GAN or a file")
    new.add_argument("--n", type=int, default=32, help="how many, on a sheet (default: %(default)s)")
    new.add_argument("--seed", type=int, default=0, help="of the latents (default: %(default)s)")
    new.add_argument("--truncation", type=float, default=1.0, help="1 for none, towards 0 for less diverse (default: %(default)s)")
    new.add_argument("--out", type=Path, required=True, help="a .png for a sheet, a .gif for a walk through the latents")
    new.set_defaults(run=_sample)

    new = commands.add_parser("pretrain", help="make a source GAN by its recipe", description=_pretrain.__doc__)
    new.add_argument("recipe", help=f"one of {', '.join(RECIPES)}")
    new.add_argument("--images", help="a folder or zip of more images of the recipe's domain (default: those shipped)")
    new.add_argument("--minutes", type=minutes, help="stop after so long; the same command goes on later")
    new.add_argument("--thousands", type=int, help="of images to see in all (default: the recipe's)")
    new.add_argument("--start", metavar="GAN", help="begin with the weights of this GAN (default: fresh weights)")
    new.add_argument("--device", help="cpu, cuda, ... (default: a GPU where there is one)")
    new.add_argument("--out", type=Path, default=Path("runs/pretrain"), help="(default: %(default)s)")
    new.set_defaults(run=_pretrain)

    new = commands.add_parser("record", help="run the missing cells of a table", description=_record.__doc__)
    new.add_argument("table", help=f"one of {', '.join(TABLES)}")
    new.add_argument("--missing", action=argparse.BooleanOptionalAction, default=True, help="only what the ledger lacks")
    new.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS), help="which, not how many (default: 0 1 2)")
    new.add_argument("--minutes", type=minutes, help="begin nothing that would not end by then")
    new.add_argument("--jobs", type=int, default=1, help="processes (default: %(default)s)")
    new.set_defaults(run=_record)

    new = commands.add_parser("tables", help="print tables: published, ours, verdicts")
    new.add_argument("name", nargs="?", help="a table; without one, the list")
    new.set_defaults(run=_tables)
    new = commands.add_parser("claims", help="print every claim and its verdict")
    new.add_argument("--json", action="store_true", help="as JSON: a list of {paper, claim, verdict, seeds}")
    new.set_defaults(run=_claims)
    new = commands.add_parser("proximity", help="print how far each domain is from a source domain")
    new.add_argument("source", nargs="?", default="avatars/personas", help="(default: %(default)s)")
    new.add_argument("--picture", type=Path, metavar="FILE", help="also write a PNG with images of each domain, nearest first")
    new.set_defaults(run=_proximity)
    new = commands.add_parser("methods", help="list the methods, or the options of one", description=_methods.__doc__)
    new.add_argument("name", nargs="?", help="a method; without one, the list")
    new.set_defaults(run=_methods)
    for name, listing in (("gans", gans), ("domains", domains)):
        new = commands.add_parser(name, help=f"list the {name}")
        new.set_defaults(run=lambda _options, listing=listing: _print(listing()))
    return top


def _print(lines: dict[str, str]) -> None:
    print("\n".join(f"{key:<28} {text}" for key, text in lines.items()))


def minutes(text: str) -> float:
    """Parse a time limit."""
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no number of minutes")
    return value


def _methods(options: argparse.Namespace) -> None:
    """List the methods, or one and its options with their defaults."""
    if options.name is None:
        _print(methods())
        return
    method = create_method(options.name)
    print(f"{options.name}: {method.summary} ({method.paper})\n\n{inspect.getdoc(type(method))}\n\noptions, as --option NAME=VALUE:")
    print("\n".join(f"  {field.name} (default: {json.dumps(getattr(method, field.name))})" for field in dataclasses.fields(method)))


def _proximity(options: argparse.Namespace) -> None:
    """Print the distances, and draw the domains."""
    print(proximity.proximity_table(options.source))
    if options.picture:
        save_picture(domains_picture(options.source), options.picture)


def _adapt(options: argparse.Namespace) -> int | None:
    """Adapt a GAN, or several together, to images and write the GAN, a sample sheet, a metrics file and an interpolation GIF."""
    named, place = _options(options.option), Path(options.images)
    if place.is_dir() and options.out.resolve().is_relative_to(place.resolve()):
        raise UserError(f"--out {options.out} lies inside --images {place}, and would be trained on next time; choose another.")
    create_method(options.method, **named)  # refuses what is no option of the method, were it one of adapt's own
    loaded = [load_gan(name) for name in options.gan or ["avatars-stylegan2"]]
    gan = combine(loaded)
    source = gan if len(loaded) == 1 else combine([one.unconditional() for one in loaded])  # to be drawn, without labels
    images = load_images(options.images, n=options.n, resolution=gan.resolution, channels=gan.channels)
    if images.note:
        print(images.note)
    arguments = {key: getattr(options, key) for key in ("iterations", "batch", "seed", "minutes", "device", "out")}
    augment = None if options.augment == "none" else options.augment
    try:
        run = adapt(gan, images, options.method, augment=augment, **arguments, **named)
    except CollapseError as collapse:
        _write(collapse.run, source, images, options, str(collapse))
        raise
    _write(run, source, images, options)
    if not run.finished:
        print(f"stopped at iteration {run.iterations}; the same command goes on from there")
        return EXIT_STOPPED
    return None


def _options(pairs: list[str]) -> dict[str, object]:
    """Parse NAME=VALUE pairs; values are JSON where they can be."""
    parsed: dict[str, object] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise UserError(f"--option {pair} is no NAME=VALUE.")
        try:
            parsed[name] = json.loads(value)
        except ValueError:
            parsed[name] = None if value.lower() == "none" else value
            with contextlib.suppress(ValueError):
                parsed[name] = float(value)  # .001, which JSON does not know
    return parsed


def _write(run: Run, source: GAN, images: Images, options: argparse.Namespace, collapse: str | None = None) -> None:
    """Write what a run gave."""
    out, place = options.out, Path(options.images)
    stem = (place.stem if place.is_file() else place.name) if place.exists() or options.images in domains() else options.images
    name = f"{re.sub('[/%, ]+', '-', stem)[:100] or 'images'}-{options.method}"
    run.gan.name = name
    run.gan.save(out / f"{name}.safetensors")
    latent = run.spec["seed"] ^ 1  # another seed than that of the run, and as possible
    save_picture(result_figure(source.sample(10, latent), images, run.gan.sample(10, latent)), out / "result.png")
    save_picture(grid(run.gan.sample(32, latent), 8), out / "samples.png")
    save_film(run.gan.interpolate(4, 12, latent), out / "interpolation.gif")
    with atomic_write(out / "metrics.json") as temporary:
        made = {"iterations_made": run.iterations, "finished": run.finished, **({"collapse": collapse} if collapse else {})}
        temporary.write_text(json.dumps({"spec": run.spec, **made, "seconds": run.seconds, **_scores(run, images, options)}, indent=2))
    print(f"{out}: {name}.safetensors, result.png, samples.png, interpolation.gif, metrics.json")


def _scores(run: Run, images: Images, options: argparse.Namespace) -> dict[str, object]:
    """Return metrics against held-out images, or, for images of one's own, against those that were trained on, and say so."""
    if options.images in domains() or images.labels is not None:  # a domain, or a blend of some
        return evaluate(run.gan, options.images, n=500, train=images)
    if len(images) < LEAST_FOR_METRICS:
        return {"metrics": f"none: {len(images)} images are too few"}
    return {**evaluate(run.gan, images, n=200), "note": "against the training images themselves: small distances may be memorisation"}


def _sample(options: argparse.Namespace) -> None:
    """Draw images from a GAN: a sheet (.png) or a walk through the latents (.gif)."""
    gan = load_gan(options.gan)
    if options.out.suffix == ".gif":
        save_film(gan.interpolate(4, 12, options.seed, truncation=options.truncation), options.out)
    elif options.out.suffix == ".png":
        save_picture(grid(gan.sample(options.n, options.seed, truncation=options.truncation)), options.out)
    else:
        raise UserError(f"{options.out} must end in .png (a sheet) or .gif (a walk through the latents).")
    print(options.out)


def _pretrain(options: argparse.Namespace) -> int | None:
    """Make a source GAN by its recipe; stops at --minutes or Ctrl-C, and goes on when called again."""
    recipe = RECIPES.get(options.recipe)
    size = recipe.config["generator"] if recipe else {}
    images = load_images(options.images, resolution=size.get("resolution"), channels=size.get("channels")) if options.images else None
    out, start = options.out / options.recipe, load_gan(options.start) if options.start else None
    run = pretrain(
        options.recipe, out, images=images, minutes=options.minutes, thousands=options.thousands, start=start, device=options.device
    )
    if not run.finished:
        print(f"{run.gan.card['images_seen']} images seen; the same command goes on. So far: {out / options.recipe}.safetensors")
        return None
    publish(run.gan, RECIPES[options.recipe], out)
    print(f"done: {out / options.recipe}.safetensors, {run.gan.card['quality']}")
    return None


def _record(options: argparse.Namespace) -> None:
    """Run cells of a table, one seed of every cell first, and append each to the ledger as it finishes."""
    done = record(options.table, missing=options.missing, seeds=tuple(options.seeds), minutes=options.minutes, jobs=options.jobs)
    print(f"{done} runs recorded")


def _tables(options: argparse.Namespace) -> None:
    if options.name:
        print(papers.render_table(options.name))
    else:
        print("\n".join(f"{name:<32} {caption}" for name, caption in papers.tables().items()))


def _claims(options: argparse.Namespace) -> None:
    if options.json:
        print(papers.claims_json())
    else:
        print("\n".join(f"{row['verdict']:<14} {row['seeds']} seeds  {row['paper']:<12} {row['claim']}" for row in papers.claims()))
