"""Pretraining: follow the recipe of a source GAN, phase by phase, measure its curve, keep the best.

`fewshotgan pretrain RECIPE --minutes 9` goes on from where the last call stopped: run it again until it says that it is
done. `--start GAN` begins with the weights of a published GAN, whose images then count as seen.
"""

import time
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fewshotgan.bench.curve import Curve
from fewshotgan.bench.publication import card
from fewshotgan.bench.recipes import RECIPES, Phase, Recipe
from fewshotgan.checkpoint import digest
from fewshotgan.device import choose_device
from fewshotgan.files import UserError, check_folder, shown
from fewshotgan.gans.gan import GAN
from fewshotgan.gans.growing import grow
from fewshotgan.images import Images, load_images, resized
from fewshotgan.methods import Conditional, TransferGAN
from fewshotgan.run import Run, Viewer
from fewshotgan.train import Loop, make_task

MEASURED = 1000
SPACING = 1.1  # images seen at a point of a curve over those at the point before: even on a logarithmic axis
SNAPSHOTS = 50  # of a phase, at most, unless
LONGEST = 1000  # iterations lie between two


def pretrain(
    recipe: str | Recipe,
    out: str | Path,
    *,
    images: Images | None = None,
    minutes: float | None = None,
    thousands: int | None = None,
    start: GAN | None = None,
    batch: int | None = None,
    mixed: bool = False,
    measured: int = MEASURED,
    seed: int = 0,
    device: str | None = None,
    progress: bool = True,
    viewer: Viewer | None = None,
) -> Run:
    """Follow a recipe, or go on following it; write the best GAN so far as `<name>.safetensors` into `out`.

    Beside it lie `checkpoint-<resolution>.pt`, from which the next call goes on, and `curve.json`. The best GAN is that
    of the curve's lowest point at full resolution.

    Args:
        recipe: its name, or one for images of your own (`own.own_recipe`).
        out: folder of the checkpoints, the curve and the GAN.
        images: what is trained on; by default the shipped images of the recipe's domain. The card names them: more
            images of that domain bear its name, as `load_pool` gives it.
        minutes: stop after so long, resumably.
        thousands: of images to see in all; the recipe's number by default.
        start: a GAN with the recipe's networks to begin with; its card says how many images it has seen.
        batch: images per step; the recipe's by default, more to fill a GPU.
        mixed: compute in bfloat16 where torch's autocast takes it, in all but the penalties: twice as fast on a CPU
            with AVX-512 BF16 or AMX.
        measured: samples, and training images, that each point of the curve compares.
        seed: of everything random.
        device: a GPU where there is one by default; a GPU replays its steps as CUDA graphs.
        progress: show a progress bar.
        viewer: called with (iteration, images) at each snapshot.

    Returns:
        The run of the last phase; its GAN is the newest, which is not always the best.

    Raises:
        UserError: if there is no such recipe, `start` has other networks or classes, or images lack the labels that a
            class-conditional source needs.
    """
    recipe = find_recipe(recipe) if isinstance(recipe, str) else recipe
    sizes = recipe.config["generator"]
    images = resized(images or load_images(recipe.images), sizes["resolution"], sizes["channels"])
    images = share_of(images, recipe.share)
    check_classes(recipe, images, start)
    recipe = replace(
        recipe, batch=batch or recipe.batch, thousands=recipe.thousands if thousands is None else thousands
    )
    seen = check_start(start, recipe) if start else 0
    if recipe.thousands * 1000 - seen < recipe.batch:
        raise UserError(f"{recipe.name} has seen {seen} images; ask for more than that with --thousands.")
    check_folder(out)
    training = Pretraining(
        recipe,
        images,
        Path(out),
        start,
        mixed,
        measured,
        seed,
        choose_device(device),
        viewer,
    )
    return training.run(minutes, progress)


class Pretraining:
    """A recipe on its way through its phases; see `pretrain` for the arguments."""

    def __init__(
        self,
        recipe: Recipe,
        images: Images,
        out: Path,
        start: GAN | None,
        mixed: bool,
        measured: int,
        seed: int,
        device: torch.device,
        viewer: Viewer | None,
    ) -> None:
        self.recipe, self.images, self.out, self.start = recipe, images, out, start
        self.mixed, self.measured, self.seed, self.device, self.viewer = mixed, measured, seed, device, viewer
        known = start.card if start else {}
        self.begun_with = {
            key: known[key] for key in ("images_seen", "seconds", "recipe", "device", "data") if key in known
        }
        self.earlier = known.get("curve", [])
        self.seen: int = self.begun_with.get("images_seen", 0)  # before the phase

    def run(self, minutes: float | None, progress: bool) -> Run:
        """Train the phases that are left, until time or the user says stop."""
        phases = self.recipe.phases()[-1:] if self.start else self.recipe.phases()
        reached = max((i for i, phase in enumerate(phases) if self.checkpoint(phase).is_file()), default=0)
        end, gan = time.monotonic() + 60 * minutes if minutes is not None else None, self.start
        for index, phase in enumerate(phases):
            iterations = (phase.until - self.seen) // self.recipe.batch
            if index >= reached:
                run = self.train(
                    phase, iterations, gan, None if end is None else max(0.0, (end - time.monotonic()) / 60), progress
                )
                if not run.finished:
                    break
                gan = run.gan
            self.seen += iterations * self.recipe.batch
        return run

    def train(self, phase: Phase, iterations: int, gan: GAN | None, minutes: float | None, progress: bool) -> Run:
        """Train one phase, from fresh weights, or from those of the phase before."""
        images = shrunk(self.images, phase.resolution)
        source = GAN.create(phase.config, self.recipe.name, self.seed)
        if gan is not None:
            source = gan if gan.config == phase.config else grow(gan, phase.config, self.seed)
        method = (Conditional if source.classes else TransferGAN)(**self.recipe.options)
        task = make_task(
            source, images.pixels, self.recipe.batch, self.seed, self.recipe.augment, self.device, images.labels
        )
        training = method.build(task)
        digests = {"images": digest([images.pixels])} | ({"start": digest(self.start.weights())} if self.start else {})
        spec = {"recipe": self.recipe.name, "config": phase.config, "batch": self.recipe.batch, "seed": self.seed}
        spec |= {
            "options": training.method.options(),
            "precision": "bf16" if self.mixed else "fp32",
            "digests": digests,
        }  # the budget is no part of it, so that it may be extended
        every = max(1, min(LONGEST, iterations), iterations // SNAPSHOTS)
        graphs = self.device.type == "cuda"
        loop = Loop(training, spec, iterations, every, None, graphs, self.mixed)
        curve = Curve(self.out / "curve.json", images, self.earlier, self.measured)
        loop.viewer = lambda iteration, samples: self.look(loop, curve, iteration, samples)
        run = loop.run(self.checkpoint(phase), minutes, progress)
        if self.images_seen(loop) > curve.last:
            self.measure(loop, curve)
        run.gan = self.described(run.gan, loop, curve)
        return run

    def look(self, loop: Loop, curve: Curve, iteration: int, samples: Tensor) -> None:
        """Show a snapshot, and add a point to the curve if it is time."""
        if self.viewer:
            self.viewer(iteration, samples)
        if self.images_seen(loop) >= SPACING * curve.last and self.images_seen(loop):
            self.measure(loop, curve)

    def measure(self, loop: Loop, curve: Curve) -> None:
        """Add a point to the curve; write the GAN if it is the best at full resolution."""
        best = curve.measure(loop.gan(), self.images_seen(loop), self.elapsed(loop, curve))
        if best and curve.resolution == self.recipe.resolution:
            gan = self.described(loop.gan().copy().to("cpu").refresh(), loop, curve)
            gan.save(self.out / f"{gan.name}.safetensors")

    def described(self, gan: GAN, loop: Loop, curve: Curve) -> GAN:
        """Give a GAN of this loop its name and its card."""
        options, seconds = loop.spec["options"] | {"precision": loop.spec["precision"]}, self.elapsed(loop, curve)
        gan.name = self.recipe.name
        gan.card = card(self.recipe, gan, options, self.images, self.images_seen(loop), seconds, self.device)
        gan.card |= {"curve": curve.points} | ({"started_from": self.begun_with} if self.start else {})
        return gan

    def elapsed(self, loop: Loop, curve: Curve) -> float:
        """Seconds of training up to now, over all phases and starts."""
        return curve.seconds(self.seen, self.begun_with.get("seconds", 0)) + loop.elapsed()

    def images_seen(self, loop: Loop) -> int:
        """Images seen up to now, over all phases and starts: iterations times the batch, as a recipe counts them."""
        return self.seen + loop.iteration * self.recipe.batch

    def checkpoint(self, phase: Phase) -> Path:
        """Where a phase is kept."""
        return self.out / f"checkpoint-{phase.resolution}.pt"


def share_of(images: Images, share: float) -> Images:
    """Return a random part of images, always the same one; all of them, as they are, for a share of 1."""
    if share == 1:
        return images
    chosen = torch.from_numpy(np.random.default_rng(0).permutation(len(images))[: round(share * len(images))])
    labels = None if images.labels is None else images.labels[chosen]
    return replace(images, pixels=images.pixels[chosen], labels=labels, names=())


def find_recipe(name: str) -> Recipe:
    """Return the recipe of a shipped GAN.

    Raises:
        UserError: if there is no such recipe.
    """
    if name not in RECIPES:
        close = get_close_matches(str(name)[:60], RECIPES, n=1) or list(RECIPES)[:1]
        raise UserError(
            f"There is no recipe {shown(name)}; did you mean {close[0]}, or own? `fewshotgan pretrain --help` has all."
        )
    return RECIPES[name]


def check_classes(recipe: Recipe, images: Images, start: GAN | None) -> None:
    """Raise one sentence if a class-conditional GAN would be trained on labels of other classes.

    Raises:
        UserError: if the images have another number of classes, or a GAN to begin with has learnt others.
    """
    classes = recipe.config["generator"].get("classes")
    if classes and images.labels is not None and images.classes != classes:
        raise UserError(
            f"{recipe.name} is trained on images with labels of {classes} classes; these images have {images.classes} "
            "classes: use `pretrain own --classes`."
        )
    learnt = start.card.get("data", {}).get("domain") if start and classes else None
    if start and learnt is not None and learnt != images.name:
        raise UserError(f"{start.name} has learnt the classes of {learnt}, not of {images.name}; leave out --start.")


def check_start(start: GAN, recipe: Recipe) -> int:
    """Return how many images a GAN to begin with has seen.

    Raises:
        UserError: if it has other networks than the recipe, or its card does not say.
    """
    if start.config != recipe.config:
        raise UserError(
            f"{start.name} has other networks than the recipe {recipe.name}; leave out --start, or start with its GAN."
        )
    if not {"images_seen", "seconds", "recipe"} <= start.card.keys():
        raise UserError(
            f"{start.name} was not made by pretraining: its card doesn't say how many images it has seen; take another."
        )
    return int(start.card["images_seen"])


def shrunk(images: Images, resolution: int) -> Images:
    """Return images averaged down to a resolution that divides theirs."""
    factor = images.resolution // resolution
    if factor == 1:
        return images
    parts = [F.avg_pool2d(part.float(), factor).round().to(torch.uint8) for part in images.pixels.split(1000)]
    return replace(images, pixels=torch.cat(parts))
