"""Interactive panels, limited to what ipywidgets 7 and 8 share; each has a static counterpart."""

import io
from collections.abc import Iterable
from dataclasses import replace
from typing import cast, get_args

import ipywidgets as widgets
import torch
from PIL import Image
from torch import nn

from fewshotgan.bench.papers import cell_text
from fewshotgan.bench.results import is_old, samples
from fewshotgan.bench.runner import SHOWN
from fewshotgan.bench.table import Column, OwnTable, Row, converted_size, load_converted
from fewshotgan.edit import resampled
from fewshotgan.gans import GAN, gp_resnet, load_gan
from fewshotgan.gans.prior import Instances, Sampling, slerp
from fewshotgan.images import Images
from fewshotgan.instances import describe
from fewshotgan.lessons.figures import groups_picture
from fewshotgan.methods.adafm import dialled
from fewshotgan.methods.adam import AdAM
from fewshotgan.methods.bsa import BSATraining
from fewshotgan.pictures import columns, grid, stack
from fewshotgan.run import Run


def panel_picture(
    run: Run, moment: int = -1, seed: int = 0, truncation: float = 1.0, walk: float = 0.0, samples: int = 6
) -> Image.Image:
    """Return what `AdaptationPanel` shows: a snapshot of the run, and samples on the way to the next latent.

    Args:
        run: an adaptation.
        moment: index of the snapshot.
        seed: seed of the samples.
        truncation: 1 for none.
        walk: interpolation from each latent to its neighbour, 0..1.
        samples: number of images.
    """
    gan = run.gan
    keys = gan.latents(samples + 1, seed)
    latents = [slerp(keys[i], keys[i + 1], walk) for i in range(samples)]
    images = gan.render(torch.stack(latents), truncation=truncation)
    iteration, snapshot = run.snapshots[moment]
    return stack({
        f"iteration {iteration}": grid(snapshot[:samples], samples),
        f"adapted, seed {seed}, truncation {truncation:.1f}, walk {walk:.2f}": grid(images, samples),
    })  # fmt: skip


class _Panel(widgets.VBox):
    """Controls above a picture, which is drawn anew whenever one of them changes."""

    def __init__(self, *controls: widgets.Widget) -> None:
        self.picture = widgets.Image(format="png")
        for control in controls:
            control.observe(self.redraw, names="value")
        super().__init__([*controls, self.picture])
        self.redraw()

    def draw(self) -> Image.Image:
        """Return what the controls ask for."""
        raise NotImplementedError

    def redraw(self, _change: object = None) -> None:
        """Draw the picture anew."""
        buffer = io.BytesIO()
        self.draw().save(buffer, "PNG")
        self.picture.value = buffer.getvalue()


class AdaptationPanel(_Panel):
    """Sliders for the snapshot, the seed, truncation and interpolation between latents."""

    def __init__(self, run: Run) -> None:
        self.run = run
        last = len(run.snapshots) - 1
        self.moment = widgets.IntSlider(value=last, min=0, max=last, description="moment")
        self.seed = widgets.IntSlider(value=0, min=0, max=50, description="seed")
        self.truncation = widgets.FloatSlider(value=1.0, min=0.2, max=1.0, step=0.1, description="truncation")
        self.walk = widgets.FloatSlider(value=0.0, min=0.0, max=1.0, step=0.05, description="walk")
        super().__init__(self.moment, self.seed, self.truncation, self.walk)

    def draw(self) -> Image.Image:
        """Draw the picture from the sliders."""
        return panel_picture(self.run, self.moment.value, self.seed.value, self.truncation.value, self.walk.value)

    def describe(self) -> str:
        """Return the panel's state in words."""
        iteration = self.run.snapshots[self.moment.value][0]
        return f"moment {self.moment.value}: iteration {iteration}; seed {self.seed.value}; walk {self.walk.value:.2f}"


def between_picture(
    training: BSATraining, first: int = 0, second: int = 1, walk: float = 0.5, steps: int = 7
) -> Image.Image:
    """Return two training images, their reconstructions, and the interpolation between their latents.

    Args:
        training: BSA, after an adaptation (`run.training`).
        first: index of a training image.
        second: index of another.
        walk: position between the first and the second, 0..1.
        steps: images along the whole interpolation.
    """
    real = training.task.pick(torch.tensor([first, second])).cpu()
    a, b = training.latents.detach()[[first, second]]
    between = training.reconstruct(torch.lerp(a, b, walk)[None])
    shares = torch.linspace(0, 1, steps)[:, None].to(a)
    rows = torch.cat([real[:1], training.reconstruct(a[None]), between, training.reconstruct(b[None]), real[1:]])
    title = f"image {first} | its latent | {walk:.2f} of the way | latent of {second} | image {second}"
    return stack(
        {title: grid(rows, len(rows)), "the whole way": grid(training.reconstruct(torch.lerp(a, b, shares)), steps)}
    )


class ReconstructionPanel(_Panel):
    """Sliders for two training images of BSA and the interpolation between their latents."""

    def __init__(self, training: BSATraining) -> None:
        self.training = training
        last = len(training.latents) - 1
        self.first = widgets.IntSlider(value=0, min=0, max=last, description="from image")
        self.second = widgets.IntSlider(value=1, min=0, max=last, description="to image")
        self.walk = widgets.FloatSlider(value=0.5, min=0.0, max=1.0, step=0.05, description="walk")
        super().__init__(self.first, self.second, self.walk)

    def draw(self) -> Image.Image:
        """Draw the picture from the sliders."""
        return between_picture(self.training, self.first.value, self.second.value, self.walk.value)


def blended_picture(
    gan: GAN, few: Images, first: int = 0, second: int = 1, blend: float = 0.5, sampling: Sampling = "bank"
) -> Image.Image:
    """Return what a GAN draws under a blend of the features of two images, and how its samples look by a way to draw
    features.

    Args:
        gan: with a data instance prior of its own training images.
        few: these images.
        first: number of one of them.
        second: of another.
        blend: of their features, 0 (the first's) to 1.
        sampling: how the samples' features are drawn.
    """
    prior = cast(Instances, gan.generator.prior)
    a, b = (prior.condense(describe(few.part(i, i + 1), prior.network)) for i in (first, second))
    z = gan.latents(6, seed=1)[:, : prior.z_dim]
    with torch.no_grad():
        between = gan.generator(z, labels=torch.lerp(a, b, blend).expand(len(z), -1)).clamp(-1, 1)
    pair = few.tensor()[[first, second]]
    title = f"image {first}, features {blend:.2f} of the way and six latents, image {second}"
    return stack({
        title: grid(torch.cat([pair[:1], between, pair[1:]]), 8, 2),
        f"samples, features by {sampling}": grid(resampled(gan, sampling).sample(8, seed=1), 8, 2),
    })  # fmt: skip


class InstancePanel(_Panel):
    """Sliders for two training images and the blend of their features, and a menu of ways to draw features.

    Args:
        gan: as of `blended_picture`.
        few: likewise.
    """

    def __init__(self, gan: GAN, few: Images) -> None:
        self.gan, self.few = gan, few
        last = len(few) - 1
        self.first = widgets.IntSlider(value=0, min=0, max=last, description="from image")
        self.second = widgets.IntSlider(value=1, min=0, max=last, description="to image")
        self.blend = widgets.FloatSlider(value=0.5, min=0.0, max=1.0, step=0.05, description="blend")
        self.sampling = widgets.Dropdown(options=get_args(Sampling), description="sampling")
        super().__init__(self.first, self.second, self.blend, self.sampling)

    def draw(self) -> Image.Image:
        """Draw the picture from the sliders and the menu."""
        chosen = (control.value for control in (self.first, self.second, self.blend, self.sampling))
        return blended_picture(self.gan, self.few, *chosen)


def recorded_picture(
    row: Row, column: Column, metrics: tuple[str, ...] = ("fd_efficientnet", "intra_lpips_efficientnet")
) -> Image.Image:
    """Return what the ledger kept of a cell: source samples, the few images, adapted samples, and scores."""
    kept = samples(row, column)
    began = "source GAN today (the run is of an older one)" if is_old(row, column) else "source GAN"
    scores = ", ".join(f"{metric} {cell_text(row, column, metric)}" for metric in metrics)
    rows = {
        began: load_gan(column.gan).sample(SHOWN, seed=1),
        f"{min(column.n, SHOWN)} of {column.n} images of {column.images}": load_converted(
            column.images, converted_size(column.gan, column.images), column.n
        ).tensor()[:SHOWN],
    }
    title = f"{row}: {scores}"
    return columns(
        {**rows, (title if kept is not None else f"{row}: not run"): rows[began] * 0 if kept is None else kept}
    )


class RecordedPanel(_Panel):
    """Menus for method, target, number of shots and AdAM's quantile; shows samples kept by the ledger.

    Args:
        own: the table whose methods and targets are on the menus.
        shots: numbers of images on the menu.
        quantiles: values of AdAM's quantile on the menu; a run that is not in the ledger says so.
    """

    def __init__(self, own: OwnTable, shots: tuple[int, ...], quantiles: tuple[int, ...]) -> None:
        self.rows = own.rows
        targets = {column.images: column for column in own.columns}
        self.method = widgets.Dropdown(options=list(own.rows), value=list(own.rows)[1], description="method")
        self.target = widgets.Dropdown(options=list(targets), description="target")
        self.shots = widgets.Dropdown(options=shots, value=own.columns[0].n, description="shots")
        self.quantile = widgets.Dropdown(options=quantiles, value=50, description="quantile")
        self.gan = own.columns[0].gan
        super().__init__(self.method, self.target, self.shots, self.quantile)

    def chosen(self) -> tuple[Row, Column]:
        """Return the selected cell; the quantile only applies to AdAM."""
        row = self.rows[self.method.value]
        if row.method == "adam" and self.quantile.value != AdAM.quantile:
            row = replace(row, options=(*row.options, ("quantile", self.quantile.value)))
        return row, Column("", self.gan, self.target.value, self.shots.value)

    def draw(self) -> Image.Image:
        """Draw the selected cell."""
        return recorded_picture(*self.chosen())


def general_part_picture(own: OwnTable, m: int, n: int) -> Image.Image:
    """Return a picture of a general part GmDn: which groups are frozen, the distance, and samples kept by the ledger.

    Args:
        own: the grid, with one column and a row "GmDn" per general part.
        m: frozen groups of G, counted from the image.
        n: frozen groups of D, counted from the image.
    """
    (column,) = own.columns
    general = f"G{m}D{n}"
    diagram = groups_picture(grouped(load_gan(column.gan), m, n))
    return stack({f"general part {general}": diagram, "": recorded_picture(own.rows[general], column, own.metrics)})


def grouped(gan: GAN, m: int, n: int) -> dict[str, list[tuple[str, str, bool]]]:
    """Return the groups of a GP-GAN as `groups_picture` takes them: G from latents to image, D from image to logit."""

    def box(name: str, modules: Iterable[nn.Module], frozen: bool) -> tuple[str, str, bool]:
        return name, f"{sum(p.numel() for module in modules for p in module.parameters()):,} numbers", frozen

    boxes = {}
    generator, discriminator = (
        cast(gp_resnet.Generator, gan.generator),
        cast(gp_resnet.Discriminator, gan.discriminator),
    )
    for letter, counted, general in (("G", generator.counted(), m), ("D", discriminator.counted(), n)):
        boxes[letter] = [box(name, modules, i < general) for i, (name, modules) in enumerate(counted.items())]
    g = [*boxes["G"], box("dense", [gan.generator.get_submodule("dense")], False)]
    d = [*boxes["D"], box("dense", [gan.discriminator.get_submodule("out")], False)]
    return {"z to G": g[::-1], "image to D": d}


class GeneralPartPanel(_Panel):
    """Sliders for how many groups of G and D are copied and frozen; shows what the ledger holds of that general part.

    Args:
        own: the grid, as for `general_part_picture`.
        m: frozen groups of G at the start.
        n: frozen groups of D at the start.
    """

    def __init__(self, own: OwnTable, m: int = 3, n: int = 2) -> None:
        self.own = own
        most = [max(int(label[at]) for label in own.rows if len(label) == 4) for at in (1, 3)]
        self.m = widgets.IntSlider(value=m, min=0, max=most[0], description="of G")
        self.n = widgets.IntSlider(value=n, min=0, max=most[1], description="of D")
        super().__init__(self.m, self.n)

    def draw(self) -> Image.Image:
        """Draw the selected general part."""
        return general_part_picture(self.own, self.m.value, self.n.value)

    def describe(self) -> str:
        """Return the panel's state in words."""
        network = grouped(load_gan(self.own.columns[0].gan), self.m.value, self.n.value)
        frozen = [name for boxes in network.values() for name, _, is_frozen in boxes if is_frozen]
        return f"G{self.m.value}D{self.n.value}: {len(frozen)} groups frozen: {', '.join(sorted(frozen))}"


@torch.no_grad()
def style_picture(
    adapted: GAN, source: GAN, content: int = 1, style: int = 2, mix_from: int = 0, dial: float = 1.0, samples: int = 8
) -> Image.Image:
    """Return samples of a small head with mixed styles, its filters between the source's and the target's.

    Args:
        adapted: a result of AdaFM or SmallHead.
        source: the GAN it was adapted from.
        content: seed of the latents that drive the layers before `mix_from`.
        style: seed of the latents that drive the layers from `mix_from` on.
        mix_from: index of the head's first style that the second latents drive.
        dial: 0 for the source's filters, 1 for the adapted ones.
        samples: number of images.
    """
    gan = dialled(adapted, source, dial)
    a, b = gan.latents(samples, content), gan.latents(samples, style)
    mixed = gan.generator(a, mix=b, mix_from=mix_from)
    rows = {f"content: seed {content}": gan.render(a), f"style: seed {style}": gan.render(b)}
    return columns({**rows, f"mixed from style {mix_from} on, dial {dial:.2f}": mixed})


class StylePanel(_Panel):
    """Sliders for content, style, where they are mixed, and the dial from the source's filters to the adapted ones."""

    def __init__(self, adapted: GAN, source: GAN) -> None:
        self.adapted, self.source = adapted, source
        self.content = widgets.IntSlider(value=1, min=0, max=50, description="content")
        self.style = widgets.IntSlider(value=2, min=0, max=50, description="style")
        self.mix_from = widgets.IntSlider(value=0, min=0, max=adapted.generator.num_ws - 1, description="mix from")
        self.dial = widgets.FloatSlider(value=1.0, min=0.0, max=1.5, step=0.05, description="dial")
        super().__init__(self.content, self.style, self.mix_from, self.dial)

    def draw(self) -> Image.Image:
        """Draw the picture from the sliders."""
        values = (control.value for control in (self.content, self.style, self.mix_from, self.dial))
        return style_picture(self.adapted, self.source, *values)

    def describe(self) -> str:
        """Return the panel's state in words."""
        styles = f"content {self.content.value}, style {self.style.value} from {self.mix_from.value} on"
        return f"{styles}, dial {self.dial.value:.2f}"
