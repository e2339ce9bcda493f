"""Where runs are computed: in this process, in processes of this machine, on a Dask cluster, on a Ray cluster.

An engine takes jobs and gives a future for each; what comes home is written by one recorder. A job whose worker dies is
handed in again by the recorder, and nothing that was finished is lost with it.
"""

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Protocol

from fewshotgan.bench.engines.local import Here, Local
from fewshotgan.bench.runner import Job, Result, Work
from fewshotgan.files import UserError

ENGINES = ("local", "dask", "ray")


class Engine(Protocol):
    """What computes jobs.

    Attributes:
        lost: what a future raises whose worker died.
    """

    lost: tuple[type[BaseException], ...]

    def submit(self, work: Work, job: Job) -> "Future[Result]":
        """Begin a job as soon as a worker is free."""

    def close(self) -> None:
        """Stop the workers that were started here, whatever they are doing."""


@contextmanager
def open_engine(name: str, workers: int) -> Iterator[Engine]:
    """Yield an engine with so many workers.

    Raises:
        UserError: if there is no such engine, or its library isn't installed.
    """
    engine = _engine(name, workers)
    try:
        yield engine
    finally:
        engine.close()


def _engine(name: str, workers: int) -> Engine:
    if workers < 1:
        raise UserError(f"workers={workers} can't compute anything; give at least 1.")
    try:
        if name == "local":
            return Local(workers) if workers > 1 else Here()
        if name == "dask":
            from fewshotgan.bench.engines.dask import Dask

            return Dask(workers)
        if name == "ray":
            from fewshotgan.bench.engines.ray import Ray

            return Ray(workers)
    except ImportError as error:
        raise UserError(f"The engine {name} needs a package ({error}); pip install 'fewshotgan[{name}]'.") from error
    raise UserError(f"There is no engine {name!r}; there are {', '.join(ENGINES)}.")
