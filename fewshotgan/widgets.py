"""Panels to play with, in the part of ipywidgets that versions 7 and 8 share; each has a static twin for readers without one."""

import io

import ipywidgets as widgets
import torch
from PIL import Image

from fewshotgan.gans.gan import slerp
from fewshotgan.show import grid, stack
from fewshotgan.train import Run


def panel_picture(run: Run, moment: int = -1, seed: int = 0, truncation: float = 1.0, walk: float = 0.0, samples: int = 6) -> Image.Image:
    """Return what the panel shows: snapshots of the run, fresh samples, and a point on the way to another latent.

    Args:
        run: an adaptation.
        moment: index of the snapshot.
        seed: of the fresh samples.
        truncation: 1 for none.
        walk: 0..1, from each latent to that of its neighbour.
        samples: how many.
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


class AdaptationPanel(widgets.VBox):
    """Sliders for the moment of the adaptation, the seed, truncation and a walk between latents."""

    def __init__(self, run: Run) -> None:
        self.run = run
        last = len(run.snapshots) - 1
        self.moment = widgets.IntSlider(value=last, min=0, max=last, description="moment")
        self.seed = widgets.IntSlider(value=0, min=0, max=50, description="seed")
        self.truncation = widgets.FloatSlider(value=1.0, min=0.2, max=1.0, step=0.1, description="truncation")
        self.walk = widgets.FloatSlider(value=0.0, min=0.0, max=1.0, step=0.05, description="walk")
        self.picture = widgets.Image(format="png")
        controls = [self.moment, self.seed, self.truncation, self.walk]
        for control in controls:
            control.observe(self.redraw, names="value")
        super().__init__([*controls, self.picture])
        self.redraw()

    def redraw(self, _change: object = None) -> None:
        """Draw the picture of the sliders' values."""
        picture = panel_picture(self.run, self.moment.value, self.seed.value, self.truncation.value, self.walk.value)
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        self.picture.value = buffer.getvalue()

    def describe(self) -> str:
        """Return the panel's state in words."""
        iteration = self.run.snapshots[self.moment.value][0]
        return f"moment {self.moment.value}: iteration {iteration}; seed {self.seed.value}; walk {self.walk.value:.2f}"
