"""A Ray cluster: the one that `RAY_ADDRESS` names, or one on this machine."""

import os
from concurrent.futures import Future
from logging import ERROR
from typing import Any

import ray
from ray.exceptions import NodeDiedError, WorkerCrashedError

from fewshotgan.bench.runner import Job, Result, Work


class Ray:
    """Workers of a Ray cluster, a CPU each."""

    lost: tuple[type[BaseException], ...] = (WorkerCrashedError, NodeDiedError)

    def __init__(self, workers: int) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        own: dict[str, Any] = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": workers, "include_dashboard": False}
        ray.init(log_to_driver=False, logging_level=ERROR, **own)

    def submit(self, work: Work, job: Job) -> "Future[Result]":
        """Begin the job as soon as a worker is free."""
        future: Future[Result] = ray.remote(work).options(num_cpus=1, max_retries=0).remote(job).future()
        return future

    def close(self) -> None:
        """Leave the cluster, and end it if it was started here."""
        ray.shutdown()
