"""The lines of the ledger: what trains, what came of it, what was measured. pydantic validates each one.

A run is a pure function of its `Spec`: on one thread, equal specs give equal bits on equal processors. The key of a
spec is a digest of what trains, so that a renamed source or another metric leaves it as it is.
"""

import hashlib
import json
from functools import cached_property
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

MOST = 2**64 - 1
LARGE = 1e15  # no number that is measured is so large; means and spreads of such numbers stay finite
Option = bool | Annotated[int, Field(ge=-MOST, le=MOST)] | FiniteFloat | str | None
Count = Annotated[int, Field(ge=0, le=MOST)]
Measured = Annotated[FiniteFloat, Field(ge=-LARGE, le=LARGE)]
LABELS = {
    "gan",
    "images",
    "n",
    "subset",
    "size",
}  # of a spec: for readers and for loading; digests stand for them in the key


class Line(BaseModel):
    """A line of JSON, which nothing changes once it is made."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Spec(Line):
    """All that a training depends on; no metric is part of it.

    Attributes:
        gan: the source, or several with " & " between them; empty where there is none (shots repeated).
        gan_sha256: of its configuration and weights (`gans.version`).
        images, n, subset: the few-shot subset.
        size: side in pixels and channels that its images are converted to; None for their own.
        images_sha256: of its pixels.
        method: a name of `list_methods()`, or a control (`table.CONTROLS`).
        options: every one, with the value that it has for this source.
        iterations, batch: the budget; 0 for a control.
        augment: "diffaugment", "ada" or None.
        seed: of everything random.
        threads, precision: of the training.
    """

    gan: str
    gan_sha256: str
    images: str
    n: Count
    subset: Count
    size: tuple[int, int] | None = None
    images_sha256: str
    method: str
    options: dict[str, Option]
    iterations: Count
    batch: Count
    augment: str | None
    seed: Count
    threads: Annotated[int, Field(ge=1)]
    precision: str

    @cached_property
    def key(self) -> str:
        """Sixteen digits that stand for what trains; 1 and 1.0 are the same value of an option."""
        found = self.model_dump(exclude=LABELS)
        found["options"] = {
            name: value if isinstance(value, bool) or not isinstance(value, int) else float(value)
            for name, value in self.options.items()
        }
        return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:16]


class Seconds(Line):
    """What a run cost: its training, and with it its evaluation."""

    training: Measured
    all: Measured


class Entry(Line):
    """A recorded run, a line of runs.jsonl.

    Attributes:
        key: of the spec.
        spec: what trained.
        status: "failed" if training collapsed, for the `reason` given.
        gan_file: digest of the file of the adapted GAN, in half precision; None if there is none.
        processor, versions, commit: what it ran on; the commit only where the package lies in its own repository.
        date: of its end, ISO 8601, UTC.
        seconds: that it took.
    """

    key: str
    spec: Spec
    status: Literal["ok", "failed"]
    reason: str | None = None
    gan_file: str | None = None
    processor: str
    versions: dict[str, str]
    commit: str | None = None
    date: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d")]
    seconds: Seconds

    @model_validator(mode="after")
    def _check_key(self) -> "Entry":
        if self.key != self.spec.key:
            raise ValueError(f"its key is not that of its spec, {self.spec.key}")
        return self


class Score(Line):
    """A number that was measured of a run, a line of scores.jsonl.

    Attributes:
        run: key of the run.
        metric, version: what was measured.
        n_generated, n_real: images on either side.
        sample_seed: of the latents.
        value: the number.
    """

    run: str
    metric: str
    version: Count
    n_generated: Count
    n_real: Count
    sample_seed: Count
    value: Measured


class OldRun(Line):
    """A run of before the ledger was kept in two steps, a line of old.jsonl: to be shown, never to decide a claim.

    All seeds had one set of shots, on a source that has been replaced since; the number of threads is unknown.

    Attributes:
        gan, images, n, method, options, iterations, augment, generated, seed: the cell, options as its row names them.
        status, date, metrics: what came of it.
        samples: name of its picture, if one was kept.
    """

    gan: str
    images: str
    n: Count | None = None
    method: str
    options: dict[str, Option] = {}
    iterations: Count | None = None
    augment: str | None = None
    generated: Count = 1000
    seed: Count
    status: Literal["ok", "failed"] = "ok"
    date: str
    metrics: dict[str, Measured]
    samples: str | None = None

    @cached_property
    def cell(self) -> str:
        """What two runs of one cell have in common, the seed among it."""
        return json.dumps(self.model_dump(exclude={"status", "date", "metrics", "samples"}), sort_keys=True)
