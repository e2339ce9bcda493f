"""How many times as fast two workers record as one: goal 1.8 on two idle cores, one thread for each run.

    python tests/benchmarks/workers.py [local|dask|ray]

Eight runs of a hundred iterations and their evaluation, into a ledger of their own; the workers' start counts.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

from fewshotgan.bench.record import record
from fewshotgan.bench.table import Column, OwnTable, Row
from fewshotgan.bench.tables import TABLES

TABLES["workers"] = OwnTable(
    "workers", "Eight runs", "transfergan", (), {"TransferGAN": Row("transfergan"), "FreezeD": Row("freezed")},
    (Column("sandals", "fashion-stylegan2", "fashion/sandal", 10, 100, 200),),
)  # fmt: skip


def seconds(engine: str, workers: int, seeds: tuple[int, ...] = (0, 1, 2, 3)) -> float:
    """Return the time that recording takes."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FEWSHOTGAN_LEDGER"] = str(Path(folder) / "runs.jsonl")
        started = time.perf_counter()
        record("workers", engine=engine, workers=workers, seeds=seeds, say=str)
        return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    engine = sys.argv[1] if len(sys.argv) > 1 else "local"
    seconds(engine, 1, (0,))  # fills the cache of real images' features
    one, two = seconds(engine, 1), seconds(engine, 2)
    print(f"{engine}: one worker {one:.1f} s, two {two:.1f} s, {one / two:.2f} times as fast (goal 1.8)")


if __name__ == "__main__":
    main()
