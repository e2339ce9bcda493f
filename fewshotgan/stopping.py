"""Which iteration of a run to keep, by the few images alone: no test set, and no second training.

Each GAN along the run draws samples from the same latents; in the features of EfficientNet-Lite0 they are compared with
the few images. `docs/guide/adapt.md` tells how well that ranks, and what ranked worse; `tests/benchmarks/stopping.py`
measures it.
"""

import numpy as np
from torch import Tensor

from fewshotgan.images import Images
from fewshotgan.kept import Kept
from fewshotgan.logs import progress_bar
from fewshotgan.metrics.extractors import features
from fewshotgan.run import Run

SAMPLES = 128  # of each GAN along the run
SEED = 20_010  # of their latents: of no other samples in the package, so that nothing is chosen for what is shown


def moments(samples: np.ndarray, shots: np.ndarray) -> float:
    """Return how far features of samples (N, d) are from those of the shots (k, d), both at least 2, in mean and
    spread.

    It is the squared distance of the means, without its bias by the numbers of images, plus that of the overall spreads
    (the Fréchet distance of round Gaussians): ten images tell no more of a covariance than its size.
    """
    spread, wanted = (float(rows.var(axis=0, ddof=1).sum()) for rows in (samples, shots))
    shift = float(np.square(samples.mean(axis=0) - shots.mean(axis=0)).sum())
    return float(shift - spread / len(samples) - wanted / len(shots) + (spread**0.5 - wanted**0.5) ** 2)


def choose(run: Run, images: Images, progress: bool = False) -> Run:
    """Let a run's `gan` be the best along it, and its `choice` say why; returns the run.

    The last stays where there is nothing to choose from: one image, or one snapshot. Iteration 0 is the source, and
    no choice.
    """
    kept = [iteration for iteration in run.kept if 0 < iteration <= run.iterations]
    if run.store is None or len(kept) < 2 or len(images) < 2:
        return last(run, "the last: one image or one snapshot leaves no choice")
    shots = features(images.tensor())
    bar = progress_bar(kept, desc="choosing", unit="GAN", disable=not progress)
    values = {iteration: moments(features(samples_of(run.store, iteration)), shots) for iteration in bar}
    best = min(values, key=lambda iteration: values[iteration])
    if best != run.iterations:
        run.gan = run.store.load(best)
    run.choice = {
        "iteration": best,
        "why": "nearest to the images in mean and spread of features, without a test set",
        "values": {str(iteration): round(value, 2) for iteration, value in values.items()},
    }
    return run


def samples_of(kept: Kept, iteration: int) -> Tensor:
    """Return the samples by which the GAN of an iteration is judged."""
    return kept.load(iteration).sample(SAMPLES, SEED)


def last(run: Run, why: str = "the last, as asked for") -> Run:
    """Let a run keep its last iteration; returns the run."""
    run.choice = {"iteration": run.iterations, "why": why}
    return run
