"""`fewshotgan sample`: draw images from a GAN."""

import argparse
import re
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fewshotgan.cli.arguments import Commands, add_device, add_gan, add_quiet, name, number
from fewshotgan.device import choose_device
from fewshotgan.files import UserError, check_folder, clip
from fewshotgan.films import FILMS, FPS, check_film, save_film
from fewshotgan.gans import GAN, load_gan
from fewshotgan.pictures import FORMATS, check_sheet, grid, save_picture
from fewshotgan.pixels import RESAMPLING, enlargement, resized, to_picture
from fewshotgan.progress import watched
from fewshotgan.wording import printable

MOST_SEEDS = 1_000_000
MOST_FRAMES = 10_000
KEYS = 4  # latents that a film passes through


def add(commands: Commands) -> None:
    """Add the subcommand."""
    new = commands.add_parser(
        "sample",
        help="draw images from a GAN",
        description=run.__doc__,
    )
    add_gan(new)
    new.add_argument(
        "--out", type=name, required=True, help="DIR/ for a PNG per seed; .png, .jpg, .webp for a sheet; .gif, .mp4"
    )
    new.add_argument("--n", type=number, help="images, of a sheet by default 32, in a folder 16")
    new.add_argument("--seed", type=number, default=0, help="of sheet or film; a folder's first (default: %(default)s)")
    new.add_argument("--seeds", type=seeds, help="one image of each, such as 0-63,70; the same whatever the others")
    new.add_argument(
        "--truncation", type=float, default=1.0, help="1 for none; less diverse towards 0 (default: %(default)s)"
    )
    new.add_argument("--label", type=number, help="class, of a class-conditional GAN (default: drawn)")
    new.add_argument("--size", type=number, help="side of an image in pixels (default: the GAN's own in a folder)")
    new.add_argument("--resample", choices=RESAMPLING, help="how --size is met (default: nearest for multiples)")
    new.add_argument("--frames", type=number, default=48, help="of a film, in fours (default: %(default)s)")
    new.add_argument("--fps", type=float, default=FPS, help="frames per second (default: %(default)s)")
    add_device(new)
    add_quiet(new)
    new.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Draw images from a GAN: a sheet, a file for each seed, or a film that walks between images."""
    out, suffix = Path(options.out), Path(options.out).suffix.lower()
    folder = options.out.endswith(("/", "\\")) or out.is_dir()
    if not folder and suffix not in (*FORMATS, *FILMS):
        known = ", ".join((*FORMATS, *FILMS))
        raise UserError(f"--out {clip(out)} must end in / (a folder of PNG files) or in one of {known}.")
    if suffix in FILMS and not folder:
        check_film(out)
    gan = load_gan(options.gan).to(choose_device(options.device))
    if folder:
        write_folder(gan, out, options)
    elif suffix in FILMS:
        write_film(gan, out, options)
    else:
        write_sheet(gan, out, options)
    if not options.quiet:
        print(printable(options.out))


def seeds(text: str) -> list[int]:
    """Parse a list of seeds, such as 0-63,70."""
    parts = [re.fullmatch(r"\s*(\d{1,18})\s*(?:-\s*(\d{1,18})\s*)?", part) for part in text.split(",")]
    found = [range(int(part[1]), int(part[2] or part[1]) + 1) for part in parts if part]
    if not all(parts) or not all(part.start < part.stop for part in found):
        raise argparse.ArgumentTypeError(f"{text[:60]!r} is no list of seeds, such as 0-63,70")
    if sum(part.stop - part.start for part in found) > MOST_SEEDS:
        raise argparse.ArgumentTypeError(f"{text[:60]!r} has more than {MOST_SEEDS:,} seeds")
    return [seed for part in found for seed in part]


def image_of_seed(gan: GAN, seed: int, options: argparse.Namespace) -> Tensor:
    """Return the image (1, C, H, W) of one seed; drawn alone, since its neighbours in a batch may move the last bit."""
    return gan.sample(1, seed, truncation=options.truncation, labels=options.label)


def write_folder(gan: GAN, folder: Path, options: argparse.Namespace) -> None:
    """Write one PNG for each seed, of the GAN's own size unless asked for another."""
    count = 16 if options.n is None else options.n
    if not 1 <= count <= MOST_SEEDS:
        raise UserError(f"--n {count} can't be; give 1 to {MOST_SEEDS}.")
    wanted = options.seeds or range(options.seed, options.seed + count)
    check_folder(folder)
    for seed in watched(wanted, "images"):
        picture = to_picture(image_of_seed(gan, seed, options)[0])
        save_picture(resized(picture, options.size, options.resample), folder / f"seed-{seed:05d}.png")


def write_sheet(gan: GAN, path: Path, options: argparse.Namespace) -> None:
    """Write many images as one picture."""
    count = len(options.seeds or []) or (32 if options.n is None else options.n)
    own = gan.resolution * enlargement(gan.resolution)
    check_sheet(count, own if options.size is None else options.size)
    if options.seeds:
        images = torch.cat([image_of_seed(gan, seed, options) for seed in watched(options.seeds, "images")])
    else:
        images = gan.sample(count, options.seed, truncation=options.truncation, labels=options.label)
    if options.size is not None:
        pictures = [
            resized(to_picture(image), options.size, options.resample).convert("RGB")
            for image in watched(images, "enlarging")
        ]
        images = torch.stack([torch.from_numpy(np.array(picture)).permute(2, 0, 1) for picture in pictures])
    save_picture(grid(images, zoom=None if options.size is None else 1), path)


def write_film(gan: GAN, path: Path, options: argparse.Namespace) -> None:
    """Write a closed walk through a few latents."""
    if options.seeds:
        raise UserError("A film walks between the latents of --seed; leave out --seeds.")
    if not KEYS <= options.frames <= MOST_FRAMES:
        raise UserError(f"--frames {options.frames} can't be; give {KEYS} to {MOST_FRAMES}.")
    steps = -(-options.frames // KEYS)
    images = gan.interpolate(KEYS, steps, options.seed, truncation=options.truncation, label=options.label)
    save_film(images, path, options.fps, options.size, options.resample)
