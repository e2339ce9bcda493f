"""On every engine: a killed worker loses nothing finished and doubles nothing, and no worker outlives its parent."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter

import dask
import psutil
import pytest
from distributed import Client, LocalCluster
from ledgers import MARKS, TINY, began, die, hang_once, made_up

from fewshotgan.bench import ledger
from fewshotgan.bench.engines import ENGINES
from fewshotgan.bench.record import TRIES, record
from fewshotgan.bench.runner import Job, execute
from fewshotgan.bench.table import cell_spec
from fewshotgan.bench.tables import TABLES
from fewshotgan.files import UserError, cache_dir

PATIENCE = 300  # seconds, of a machine that has much else to do


@pytest.fixture(autouse=True)
def ground(tmp_path, monkeypatch):
    (tmp_path / "marks").mkdir()
    (tmp_path / "cache").mkdir()
    (cache_dir() / "features").mkdir(parents=True, exist_ok=True)
    (tmp_path / "cache" / "features").symlink_to(cache_dir() / "features")
    monkeypatch.setenv("FEWSHOTGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FEWSHOTGAN_LEDGER", str(tmp_path / "runs.jsonl"))
    monkeypatch.setenv(MARKS, str(tmp_path / "marks"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(os.path.abspath(path) for path in sys.path if path))
    monkeypatch.setitem(TABLES, "tiny", TINY)
    execute(Job(cell_spec(TINY.rows["as it is"], TINY.columns[0], 0), ("fd_efficientnet",), 16))  # caches features
    return tmp_path


def wait_for(what):
    """Return what is true at last."""
    until = time.monotonic() + PATIENCE
    while not (found := what()):
        assert time.monotonic() < until, "it never came"
        time.sleep(0.1)
    return found


def kill_who_began(key):
    """Kill the first worker that begins the job."""
    (worker,) = wait_for(lambda: began().get(key))
    os.kill(worker, signal.SIGKILL)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_worker_killed_in_mid_run_loses_nothing_and_doubles_nothing(engine, ground):
    seeds = (0, 1)
    hung = cell_spec(TINY.rows["tuned"], TINY.columns[0], 1)
    killer = threading.Thread(target=kill_who_began, args=(hung.key,), daemon=True)
    killer.start()
    assert record("tiny", seeds=seeds, engine=engine, workers=2, work=hang_once, say=str) == 6
    killer.join()
    assert len(began()[hung.key]) >= 2  # the killed try and the one that succeeded
    runs = Counter(line.split('"', 4)[3] for line in (ground / "runs.jsonl").read_text().splitlines())
    assert len(runs) == 6 and set(runs.values()) == {1} and runs.keys() == ledger.read_runs().keys()
    scores = [(each.run, each.metric, each.sample_seed) for found in ledger.read_scores().values() for each in found]
    assert len(scores) == len(set(scores)) and {run for run, *_ in scores} == runs.keys()
    here = execute(Job(hung, ("fd_efficientnet",), 16))
    assert here.entry.gan_file == ledger.read_runs()[hung.key].gan_file  # the same bits on every engine
    assert ledger.kept_path(hung.key).read_bytes() == here.gan


PARENT = """
import sys
from ledgers import TINY, hang
from fewshotgan.bench.record import record
from fewshotgan.bench.tables import TABLES
TABLES["tiny"] = TINY
record("tiny", engine=sys.argv[1], workers=2, work=hang)
"""


def alive(process):
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("engine", ENGINES)
def test_a_killed_parent_leaves_no_worker_behind(engine):
    parent = subprocess.Popen([sys.executable, "-c", PARENT, engine], stdout=subprocess.DEVNULL)
    wait_for(lambda: len([key for key, pids in began().items() if pids]) == 2)
    family = psutil.Process(parent.pid).children(recursive=True)
    workers = {pid for pids in began().values() for pid in pids}
    assert workers <= {process.pid for process in family} and parent.pid not in workers
    parent.kill()
    parent.wait()
    wait_for(lambda: not any(alive(process) for process in family if process.pid in workers))
    for process in family:  # Ray's agents end by themselves, a minute later
        if alive(process):
            process.kill()


def test_a_cluster_that_is_there_already_is_used_and_left_alone():
    with LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster:
        with dask.config.set({"scheduler-address": cluster.scheduler_address}):
            assert record("tiny", seeds=(0, 1), engine="dask", workers=2, work=made_up, say=str) == 6
        with Client(cluster) as client:
            assert client.submit(sum, [1, 2]).result() == 3
    assert len(ledger.read_runs()) == 6


def test_a_job_that_kills_its_worker_each_time_is_given_up():
    with pytest.raises(UserError, match=f"died {TRIES} times"):
        record("tiny", seeds=(0,), engine="local", workers=2, work=die, say=str)
    assert not ledger.read_runs()


def test_an_engine_that_is_not_installed_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "fewshotgan.bench.engines.dask", raising=False)
    with pytest.raises(UserError, match=r"pip install 'fewshotgan\[dask\]'"):
        record("tiny", engine="dask")
