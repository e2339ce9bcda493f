"""Is the bench fit to judge methods? Plain fine-tuning by rate and iterations, beside both controls."""

from fewshotgan.bench.claims import Claim
from fewshotgan.bench.controls import with_controls
from fewshotgan.bench.table import Column, OwnTable, Row

RATES = (0.002, 0.0005)
ITERATIONS = (60, 125, 250, 500)
TARGETS = {
    "fashion-stylegan2": ("fashion/dress", "fashion/sandal", "fashion/coat", "fashion/bag", "avatars/lorelei"),
    "avatars-stylegan2": ("avatars/toon-head", "avatars/miniavs", "avatars/pixel-art", "avatars/thumbs"),
}


def row(rate: float, iterations: int) -> Row:
    """Return plain fine-tuning at a rate, for so many iterations."""
    return Row("transfergan", (("learning_rate", rate),), iterations=iterations)


FITNESS = {
    source: OwnTable(
        f"fitness-{source}",
        f"Plain fine-tuning of {source} to ten images by rate and iterations: where it beats both controls",
        "transfergan",
        (),
        with_controls(
            {
                f"TransferGAN, rate {rate:g}, {count} iterations": row(rate, count)
                for rate in RATES
                for count in ITERATIONS
            }
        ),
        tuple(Column(target, source, target, 10) for target in targets),
        ("fd_efficientnet", "recall", "memorisation"),
    )
    for source, targets in TARGETS.items()
}

TABLES = tuple(FITNESS.values())
CLAIMS: list[Claim] = []
