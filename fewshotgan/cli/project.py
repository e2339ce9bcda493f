"""`fewshotgan project`: one's own photo through a GAN, and through one that was adapted from it."""

import argparse
import json
from pathlib import Path

from torch import Tensor

from fewshotgan.cli.arguments import EXIT_STOPPED, Commands, add_device, add_gan, add_quiet, name, number, place
from fewshotgan.device import choose_device
from fewshotgan.edit import Projection, project
from fewshotgan.edit.latents import Latents
from fewshotgan.edit.projection import ITERATIONS
from fewshotgan.files import UserError, atomic_write, check_apart, check_folder, check_truncation, clip
from fewshotgan.gans import load_gan
from fewshotgan.images import load_images
from fewshotgan.metrics.perceptual import BACKBONES
from fewshotgan.pictures import beside, grid, save_picture
from fewshotgan.pixels import enlargement, to_picture

TRUNCATION = 0.7  # in adapted GANs
SIDE_BY_SIDE = "side-by-side.png"
LARGE = 256  # pixels of an image beside others, at least


def add(commands: Commands) -> None:
    """Add the subcommand."""
    new = commands.add_parser(
        "project",
        help="find a photo in a GAN, and show it in an adapted one's style",
        description=run.__doc__,
    )
    add_gan(new)
    new.add_argument("--image", type=name, required=True, help="the photo; it is cropped square and resized")
    new.add_argument("--adapted", action="append", default=[], help="a GAN adapted from the first; repeatable")
    new.add_argument(
        "--truncation",
        type=float,
        default=TRUNCATION,
        help="of the latent in adapted GANs: 1 for none; towards 0 more in their style (default: %(default)s)",
    )
    new.add_argument("--space", choices=["z", "w", "w+"], help="of the latent (default: w+ where there is one, else z)")
    new.add_argument("--iterations", type=number, default=ITERATIONS, help="steps (default: %(default)s)")
    new.add_argument("--seed", type=number, default=0, help="of the search (default: %(default)s)")
    new.add_argument(
        "--perceptual",
        choices=BACKBONES,
        default="efficientnet",
        help="network of the perceptual distance; vgg is LPIPS's, fetched once (default: %(default)s)",
    )
    add_device(new)
    new.add_argument("--out", type=place, required=True, help="folder for pictures and latent")
    add_quiet(new)
    new.set_defaults(run=run)


def run(options: argparse.Namespace) -> int | None:
    """Find the latent whose image is nearest to a photo; write it, the image, and what adapted GANs make of it.

    Ctrl-C ends the search and keeps the nearest so far.
    """
    check_truncation(options.truncation)
    gan = load_gan(options.gan)
    adapted = [load_gan(path) for path in options.adapted]
    device = choose_device(options.device)
    images = load_images(options.image, resolution=gan.resolution, channels=gan.channels)
    if len(images) > 1:
        raise UserError(f"--image {clip(options.image)} has {len(images)} images; project one at a time.")
    latents = Latents(gan, options.space)
    for other in adapted:
        Latents(other, latents.space).check(latents.shape, latents.space == "z" and bool(gan.classes), gan.name)
    check_folder(options.out)
    for file in (*pictures(len(adapted)), SIDE_BY_SIDE):
        check_apart(options.out / file, options.image)
    found = project(
        gan,
        images,
        space=options.space,
        iterations=options.iterations,
        seed=options.seed,
        backbone=options.perceptual,
        device=device,
        progress=not options.quiet,
    )
    rows = {"photo": found.target, f"nearest of {gan.name}": found.images}
    rows |= {title(other.name, rows): found.through(other.to(device), options.truncation) for other in adapted}
    said = write(found, rows, options.out)
    if not options.quiet:
        print(said if found.finished else f"{said}\nstopped; the nearest so far is kept")
    return None if found.finished else EXIT_STOPPED


def pictures(adapted: int) -> list[str]:
    """Return the names of the single images: the photo, the nearest, and that of each adapted GAN."""
    names = ["adapted.png"] if adapted == 1 else [f"adapted-{i}.png" for i in range(1, adapted + 1)]
    return ["target.png", "reconstruction.png", *names]


def title(wanted: str, taken: dict[str, Tensor]) -> str:
    """Return a title that is not taken yet."""
    return wanted if wanted not in taken else title(f"{wanted}'", taken)


def write(found: Projection, rows: dict[str, Tensor], out: Path) -> str:
    """Write single images at the GAN's size, all beside each other, the latent and the history; return what there is
    to say of them.
    """
    files = pictures(len(rows) - 2)
    for file, image in zip(files, rows.values(), strict=True):
        save_picture(to_picture(image[0]), out / file)
    zoom = enlargement(found.target.shape[-1], LARGE)
    save_picture(beside({text: grid(image, zoom=zoom) for text, image in rows.items()}), out / SIDE_BY_SIDE)
    found.save(out / "latent.safetensors")
    with atomic_write(out / "history.json") as temporary:
        temporary.write_text(json.dumps({"space": found.space, "finished": found.finished, "history": found.history}))
    last = found.history[-1]
    written = f"{clip(out)}: {', '.join(files)}, {SIDE_BY_SIDE}, latent.safetensors, history.json"
    return f"{written}\nperceptual distance {last['distance']:.4f}, pixels off by {last['pixels']:.1f} of 255"
