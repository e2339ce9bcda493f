"""How well do criteria without a test set find the best iteration of a run? Beside always keeping the last one.

    python tests/benchmarks/stopping.py OUT [--iterations 500] [--batch 4]

Each run keeps ten GANs along its way. Of each, 272 samples are measured against held-out images, which is the truth,
and 128 others are judged by every criterion, which sees the ten shots alone. `rho` is Spearman's rank correlation of a
criterion with the truth over the ten, the regret how much farther than the best of the ten the chosen one is. A run's
features are kept in OUT, so that a second call goes on.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr

import fewshotgan as fsg
from fewshotgan.metrics.cache import real_features
from fewshotgan.metrics.extractors import features
from fewshotgan.metrics.frechet import frechet_distance
from fewshotgan.metrics.kernel import kernel_distance
from fewshotgan.stopping import moments

SHOTS, HELD, POINTS, JUDGED, SAMPLES = 10, 3, 10, 128, 400
RUNS = [
    *(
        ("fashion-stylegan2", f"fashion/{target}", "transfergan", seed)
        for target in ("sandal", "coat")
        for seed in (0, 1)
    ),
    *(("fashion-stylegan2", f"fashion/{target}", "freezed", seed) for target in ("sandal", "coat") for seed in (0, 1)),
    *(("avatars-stylegan2", "avatars/pixel-art", "transfergan", seed) for seed in (0, 1)),
]


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(0, np.square(a).sum(1)[:, None] + np.square(b).sum(1)[None] - 2 * a @ b.T))


def spread(rows: np.ndarray) -> float:
    return float(rows.var(axis=0, ddof=1).sum())


def memorisation(samples: np.ndarray, shots: np.ndarray) -> float:
    """How far samples are from their nearest shot, beside the shots from one another; the nearer to 1 the better."""
    apart = distances(shots, shots) + np.diag(np.full(len(shots), np.inf))
    return abs(float(np.log(distances(samples, shots).min(1).mean() / apart.min(1).mean())))


CRITERIA: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    'mean and spread (`keep="best"`)': moments,
    "Fréchet distance to the shots": lambda samples, shots: frechet_distance(shots, samples),
    "kernel distance to the shots": lambda samples, shots: kernel_distance(shots, samples),
    "shots from their nearest sample": lambda samples, shots: float(distances(shots, samples).min(1).mean()),
    "memorisation": memorisation,
    "spread alone": lambda samples, shots: abs(float(np.log(spread(samples) / spread(shots)))),
}


def main() -> None:
    options = parser().parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    found: dict[str, list[tuple[float, float]]] = {}
    for run in RUNS:
        kept, held = (curve(options, *run, shots) for shots in (SHOTS, SHOTS - HELD))
        truth = kept["truth"]
        ranked = {name: [rank(f, kept["shots"]) for f in kept["judged"]] for name, rank in CRITERIA.items()}
        ranked["three shots held back, of a second run"] = [moments(f, held["shots"][-HELD:]) for f in held["judged"]]
        ranked["always the last"] = list(-np.arange(len(truth)))
        for name, values in ranked.items():
            regret = truth[int(np.argmin(values))] / truth.min() - 1
            found.setdefault(name, []).append((float(spearmanr(values, truth).statistic), regret))
    print("| criterion | rho | mean regret | worst |\n| --- | --- | --- | --- |")
    for name, pairs in sorted(found.items(), key=lambda item: np.mean([regret for _, regret in item[1]])):
        rhos, regrets = np.array(pairs).T
        print(f"| {name} | {rhos.mean():.2f} | {regrets.mean():.1%} | {regrets.max():.1%} |")


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    top.add_argument("out", type=Path)
    top.add_argument("--iterations", type=int, default=500)
    top.add_argument("--batch", type=int, default=4)
    return top


def curve(options: argparse.Namespace, source: str, target: str, method: str, seed: int, used: int) -> dict:
    path = options.out / f"{target.replace('/', '-')}_{method}_{seed}_{used}.npz"
    if not path.is_file():
        shots = fsg.load_images(target, n=SHOTS, subset=seed)
        run = fsg.adapt(
            fsg.load_gan(source),
            replace(shots, pixels=shots.pixels[:used]),
            method,
            iterations=options.iterations,
            batch=options.batch,
            seed=seed,
            snapshot_every=options.iterations // POINTS,
        )
        real = real_features(fsg.load_images(target, split="held_out"), "efficientnet")
        rows = [features(run.at(iteration).sample(SAMPLES, 12_345)) for iteration in run.kept[1:]]
        truth = [frechet_distance(real, row[JUDGED:]) for row in rows]
        np.savez(path, truth=truth, judged=[row[:JUDGED] for row in rows], shots=features(shots.tensor()))
    return dict(np.load(path))


if __name__ == "__main__":
    main()
