"""A Dask cluster: the one that `DASK_SCHEDULER_ADDRESS` names, or one of processes on this machine."""

from concurrent.futures import Future
from logging import ERROR

import dask
from distributed import Client, KilledWorker, LocalCluster

from fewshotgan.bench.runner import Job, Result, Work


class Dask:
    """Workers of a Dask cluster, a thread each."""

    lost: tuple[type[BaseException], ...] = (KilledWorker,)

    def __init__(self, workers: int) -> None:
        self.cluster: LocalCluster | None = None
        if dask.config.get("scheduler-address", None) is None:
            self.cluster = LocalCluster(
                n_workers=workers, threads_per_worker=1, memory_limit=None, dashboard_address=None, silence_logs=ERROR
            )
        self.client = Client(self.cluster)  # without a cluster it goes to the address
        self.executor = self.client.get_executor(pure=False)

    def submit(self, work: Work, job: Job) -> "Future[Result]":
        """Begin the job as soon as a worker is free."""
        future: Future[Result] = self.executor.submit(work, job)
        return future

    def close(self) -> None:
        """Leave the cluster, and end it if it was started here."""
        self.executor.shutdown(wait=False)
        self.client.close()
        if self.cluster:
            self.cluster.close()
