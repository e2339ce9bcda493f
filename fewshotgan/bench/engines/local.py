"""This process, or processes of this machine by joblib's pool."""

import os
import threading
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from joblib.externals.loky import get_reusable_executor

from fewshotgan.bench.runner import Job, Result, Work

WATCH_SECONDS = 0.5


class Here:
    """This process: a job is done before `submit` returns."""

    lost: tuple[type[BaseException], ...] = ()

    def submit(self, work: Work, job: Job) -> "Future[Result]":
        """Do the job."""
        future: Future[Result] = Future()
        try:
            future.set_result(work(job))
        except Exception as error:
            future.set_exception(error)
        return future

    def close(self) -> None:
        """Nothing was started."""


class Local:
    """Processes of this machine; a broken pool is replaced by a new one."""

    lost: tuple[type[BaseException], ...] = (BrokenProcessPool,)

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def _pool(self) -> Any:  # loky has no types
        return get_reusable_executor(self.workers, initializer=end_with, initargs=(os.getpid(),))

    def submit(self, work: Work, job: Job) -> "Future[Result]":
        """Begin the job as soon as a process is free."""
        future: Future[Result] = self._pool().submit(work, job)
        return future

    def close(self) -> None:
        """End the processes."""
        self._pool().shutdown(wait=True, kill_workers=True)


def end_with(parent: int) -> None:
    """End this process, in the middle of a run too, when its parent is gone."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
