"""Which iteration of a run to keep, by the few images alone: no test set, and no second training.

Each GAN along the run draws samples from the same latents; in the features of EfficientNet-Lite0 a criterion compares
them with the few images.
"""

import copy
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from fewshotgan.images import Images
from fewshotgan.metrics.extractors import features
from fewshotgan.run import Run

SAMPLES = 200  # of each GAN along the run
SEED = 20_010  # of their latents: no other seed of the package, so that nothing is chosen for what is shown


def moments(samples: np.ndarray, shots: np.ndarray) -> float:
    """Return how far samples (N, d) lie from the shots (k, d) in mean and in spread, without bias by their numbers."""
    spread, wanted = (float(rows.var(axis=0, ddof=1).sum()) for rows in (samples, shots))
    shift = float(np.square(samples.mean(axis=0) - shots.mean(axis=0)).sum())
    return shift - spread / len(samples) - wanted / len(shots) + (spread**0.5 - wanted**0.5) ** 2


def choose(run: Run, images: Images, progress: bool = False) -> Run:
    """Return a run whose `gan` is the best along it, and whose `choice` says why."""
    shots = features(images.tensor())
    kept = [iteration for iteration in run.kept if 0 < iteration <= run.iterations]
    values = {
        iteration: moments(features(run.store.load(iteration).sample(SAMPLES, SEED)), shots)
        for iteration in tqdm(kept, desc="which to keep", unit="GAN", disable=not progress)
    }
    return run


def plain(values: dict[int, float]) -> dict[str, Any]:
    return {str(k): round(v, 3) for k, v in values.items()}
