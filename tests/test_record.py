"""Recording trains once and measures as often as is wanted; stopped, or run twice side by side, it loses nothing."""

import io
import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from ledgers import TINY, entry, made_up, raise_versions, recorded

from fewshotgan import list_gans, load_gan, load_images
from fewshotgan.bench import ledger, runner
from fewshotgan.bench.record import record, table_jobs
from fewshotgan.bench.results import runs, scores
from fewshotgan.bench.runner import SHOWN, Job, execute
from fewshotgan.bench.table import BUDGET, CONTROLS, NOT_ADAPTED, REPLAY, SEEDS, Row, cell_metrics, cell_spec
from fewshotgan.bench.tables import TABLES
from fewshotgan.files import UserError, cache_dir
from fewshotgan.session import adapt

TEN = "adaptation-10-shot"
CELLS = len(TABLES[TEN].rows) * len(TABLES[TEN].columns)


@pytest.fixture(autouse=True)
def own_ledger(tmp_path, monkeypatch):
    monkeypatch.setenv("FEWSHOTGAN_LEDGER", str(tmp_path / "runs.jsonl"))
    monkeypatch.setitem(TABLES, "tiny", TINY)
    return tmp_path / "runs.jsonl"


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """A cache of its own, but for the features of real images, which take long."""
    (tmp_path / "cache").mkdir()
    (cache_dir() / "features").mkdir(parents=True, exist_ok=True)
    (tmp_path / "cache" / "features").symlink_to(cache_dir() / "features")
    monkeypatch.setenv("FEWSHOTGAN_CACHE", str(tmp_path / "cache"))


def lines(path):
    return [path.read_text().count("\n"), path.with_name("scores.jsonl").read_text().count("\n")]


def test_one_seed_of_every_cell_comes_first_and_shared_cells_once():
    found = [job.spec for job in table_jobs("transfergan-table2")]
    assert [spec.seed for spec in found] == sorted(spec.seed for spec in found)
    assert {spec.seed for spec in found} == set(SEEDS) and len({spec.key for spec in found}) == len(found)
    shared = {job.spec.key for job in table_jobs(TEN)} & {spec.key for spec in found}
    assert len(shared) == 4 * len(SEEDS)  # scratch, fine-tuned and both controls, ten images of the close target


def test_every_method_has_the_same_budget_and_data():
    found = [job.spec for job in table_jobs(TEN) if job.spec.method not in CONTROLS]
    assert len({(spec.iterations, spec.batch, spec.augment) for spec in found}) == 1
    assert len({spec.images_sha256 for spec in found}) == len(TABLES[TEN].columns) * len(SEEDS)


def test_an_option_makes_another_cell_and_a_default_does_not():
    column = TABLES["adam-quantile"].columns[0]
    default, other = (cell_spec(row, column, 0) for row in list(TABLES["adam-quantile"].rows.values())[2:4])
    assert default.options["quantile"] == 50 and other.options["quantile"] == 75 and default.key != other.key
    assert cell_spec(Row("adam", (("quantile", 50.0),)), column, 0).key == default.key
    assert default.key in {job.spec.key for job in table_jobs(TEN)}


def test_images_of_another_size_are_converted_to_the_source_s():
    column, domains = TABLES["fitness-fashion-stylegan2"].columns[-1], ("avatars/lorelei", "fashion/bag")
    replayed, own = (cell_spec(Row(REPLAY), replace(column, images=images), 0) for images in domains)
    assert (column.images, replayed.size, own.size) == (domains[0], (32, 1), None)
    assert execute(Job(replayed, (), 20)).entry.status == "ok"  # its images have the digest of the spec
    as_they_are = load_images(column.images, 10)
    assert runner.digest_images(as_they_are) != replayed.images_sha256
    with pytest.raises(UserError, match="is another one on"):
        execute(Job(replayed.model_copy(update={"size": None}), (), 20))


def test_a_row_about_augmentation_has_its_own_and_the_budget_otherwise():
    column = TABLES["adam-quantile"].columns[0]
    usual, other = (
        cell_spec(Row("transfergan", augment=augment), column, 0).model_dump() for augment in (BUDGET["augment"], "ada")
    )
    assert {key for key in usual if usual[key] != other[key]} == {"augment"} and other["augment"] == "ada"
    assert str(Row("transfergan", augment="ada")) == "transfergan augment=ada"


def test_a_row_may_have_a_source_of_its_own_at_the_budget_of_all():
    own = TABLES["adafm-25"]
    column = own.columns[0]
    ours, bsa = (cell_spec(own.rows[label], column, 0) for label in ("Our", "BSA (fashion-wgan)"))
    assert (ours.gan, bsa.gan) == (column.gan, "fashion-wgan") and ours.gan_sha256 != bsa.gan_sha256
    assert (ours.iterations, ours.batch, ours.images_sha256) == (bsa.iterations, bsa.batch, bsa.images_sha256)


def test_missing_cells_are_run_once():
    said = []
    assert record(TEN, seeds=(0,), work=made_up, say=said.append) == CELLS == len(said) == len(ledger.read_runs())
    assert record(TEN, seeds=(0,), work=made_up, say=said.append) == 0
    assert record(TEN, seeds=(0,), minutes=0, missing=False, work=made_up, say=said.append) == 0


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_sees_how_far_a_table_is_and_a_log_the_runs_alone(monkeypatch, capsys):
    record(TEN, seeds=(0,), work=made_up, say=lambda line: None)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys, "stderr", Terminal())
    record(TEN, missing=False, seeds=(0, 1), work=made_up, say=lambda line: None)
    shown = sys.stderr.getvalue()
    assert f"{2 * CELLS} of {2 * CELLS} runs" in shown
    assert "scratch avatars/toon-head n=10 seed 0; 01:44 left for one worker" in shown


def test_one_slow_run_does_not_keep_later_ones_from_their_minutes():
    own = TABLES["minegan-table1"]
    row, column = next(iter(own.rows.values())), own.columns[0]
    every = dict.fromkeys(cell_metrics(own, row, column), 1.0)
    recorded(row, column, 0, every, seconds=5000.0)
    # one run is all that is known of its kind
    assert record(own.name, seeds=(0,), minutes=1, work=made_up, say=str) == 0
    for seed in (1, 2):
        recorded(row, column, seed, every)
    assert record(own.name, seeds=(0,), minutes=1, work=made_up, say=str) == len(table_jobs(own.name, (0,))) - 1


def test_a_stop_in_the_middle_loses_no_finished_run():
    def stop_at_fourth(job):
        if len(ledger.read_runs()) == 3:
            raise KeyboardInterrupt
        return made_up(job)

    with pytest.raises(KeyboardInterrupt):
        record(TEN, seeds=(0,), work=stop_at_fourth, say=str)
    assert len(ledger.read_runs()) == 3
    assert record(TEN, seeds=(0,), work=made_up, say=str) == CELLS - 3


def test_a_run_that_fails_for_another_reason_ends_recording_with_it():
    def breaks(job):
        raise UserError("this machine has other images")

    with pytest.raises(UserError, match="other images"):
        record("tiny", work=breaks, say=str)
    assert record("tiny", work=made_up, say=str) == 3 * len(SEEDS)  # nothing is held by the recorder that broke


SIDE = """
import time
from ledgers import made_up
from fewshotgan.bench.record import record
def slow(job):
    time.sleep(0.02)
    return made_up(job)
print(record("adaptation-10-shot", seeds=(0,), work=slow, say=str))
"""


def test_two_recorders_side_by_side_run_each_cell_once(own_ledger, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", ":".join(path for path in sys.path if path))
    both = [subprocess.Popen([sys.executable, "-c", SIDE], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    counts = [int(process.communicate()[0]) for process in both]
    assert sum(counts) == CELLS == len(own_ledger.read_text().splitlines())


def test_an_unknown_table_or_engine_is_one_sentence():
    for arguments, says in (
        ({"name": "table-9"}, "no table 'table-9'"),
        ({"name": "tiny", "engine": "spark"}, "no engine 'spark'; there are local, dask, ray"),
        ({"name": "tiny", "workers": 0}, "workers=0"),
    ):
        with pytest.raises(UserError, match=says):
            record(**arguments)


def test_training_is_recorded_once_and_measured_again(own_ledger, own_cache, monkeypatch):
    assert record("tiny", seeds=(0,), say=str) == 3
    row, column = TINY.rows["tuned"], TINY.columns[0]
    key, first = cell_spec(row, column, 0).key, scores(row, column)
    assert lines(own_ledger)[0] == 3 and record("tiny", seeds=(0,), say=str) == 0

    def no_training(*arguments, **options):
        raise AssertionError("this run was trained before")

    raise_versions(monkeypatch)
    monkeypatch.setattr(runner, "adapt", no_training)
    assert list(runs(row, column)) == [0] and scores(row, column) == {}
    assert record("tiny", seeds=(0, 1), rescore=True, say=str) == 3  # nothing of seed 1, which was never run
    assert lines(own_ledger)[0] == 3 and scores(row, column) == first

    raise_versions(monkeypatch)
    monkeypatch.setattr(runner, "adapt", adapt)
    ledger.kept_path(key).write_bytes(b"damaged")
    assert record("tiny", seeds=(0,), rescore=True, say=str) == 3
    assert lines(own_ledger)[0] == 4 and scores(row, column) == first  # that run alone was trained, to the same bits
    with open(own_ledger) as file:
        found = [line["gan_file"] for line in map(json.loads, file) if line["key"] == key]
    assert len(found) == 2 and len(set(found)) == 1
    assert record("tiny", seeds=(0,), rescore=True, missing=False, say=str) == 3 and lines(own_ledger)[0] == 4


def test_a_metric_that_another_table_wants_is_measured_without_training(own_cache, monkeypatch):
    record("tiny", seeds=(0,), say=str)
    monkeypatch.setitem(TABLES, "sharp", replace(TINY, name="sharp", metrics=("sharpness",)))
    monkeypatch.setattr(runner, "adapt", None)
    assert record("sharp", seeds=(0,), say=str) == 3
    assert scores(TINY.rows["tuned"], TINY.columns[0], "sharpness").keys() == {0}


def test_a_run_is_a_function_of_its_spec(own_cache):
    column = replace(TABLES["transfergan-table2"].columns[4], iterations=2, generated=8)
    job = Job(cell_spec(Row("adam", (("quantile", 75),)), column, 0), ("fd_efficientnet",), 8)
    before = torch.get_num_threads()
    first, second = execute(job), execute(job)
    assert torch.get_num_threads() == before
    assert first.gan == second.gan and first.scores == second.scores and first.entry.status == "ok"
    again = execute(replace(job, recorded=True, kept=first.gan))
    assert again.scores == first.scores and again.entry is again.gan is again.samples is None
    drawn = load_gan(column.gan).sample(SHOWN, seed=1)
    assert first.samples.shape == drawn.shape and (first.samples - drawn).abs().mean() < 0.2  # two iterations away
    assert execute(replace(job, spec=cell_spec(Row("adam"), column, 1))).samples is None
    ledger.save_samples(job.spec.key, first.samples)
    kept = ledger.read_samples(job.spec.key)
    assert kept.shape == (SHOWN, 3, *drawn.shape[2:]) and (kept - first.samples).abs().mean() < 0.05
    assert ledger.read_samples("nothing") is None


def test_a_machine_with_other_images_refuses_the_run():
    spec = cell_spec(TINY.rows["tuned"], TINY.columns[0], 0)
    for change in ({"images_sha256": "0" * 12}, {"gan_sha256": "0" * 12}):
        with pytest.raises(UserError, match="give both the same version"):
            execute(Job(spec.model_copy(update=change), (), 8))


def test_several_gans_and_the_numbers_of_mining_are_recorded(own_cache):
    own = TABLES["minegan-two"]
    row, column = own.rows["MineGAN"], replace(own.columns[0], iterations=2, generated=8)
    metrics = cell_metrics(own, row, column)
    assert "selector_0" in metrics and "selector_0" not in cell_metrics(own, Row(NOT_ADAPTED), column)
    spec = cell_spec(row, column, 0)
    assert spec.gan == "fashion-wgan-sneaker & fashion-wgan-dress" and len(spec.gan_sha256.split(" & ")) == 2
    result = execute(Job(spec, metrics, 8))
    assert {score.metric for score in result.scores} == set(metrics)
    again = execute(Job(spec, metrics, 8, recorded=True, kept=result.gan))
    assert again.scores == result.scores


def test_the_controls_train_nothing(own_cache):
    for row in ("as it is", "shots"):
        spec = cell_spec(TINY.rows[row], TINY.columns[0], 0)
        assert spec.options == {} and spec.iterations == 0
        result = execute(Job(spec, ("fd_efficientnet", "memorisation"), 16))
        found = {score.metric: score.value for score in result.scores}
        assert result.gan is None and result.entry.gan_file is None and len(found) == 2
        assert found["memorisation"] == (row == "shots")
    other = next(name for name in list_gans() if name not in TINY.columns[0].gan and name.startswith("fashion"))
    assert cell_spec(TINY.rows["shots"], replace(TINY.columns[0], gan=other), 0) == spec  # whatever the source


def test_a_collapsed_run_is_kept_in_sight_without_numbers(own_ledger, monkeypatch):
    rate = (("learning_rate", 1e30),)
    wild = replace(
        TINY, name="wild", rows={"wild": Row("transfergan", rate)}, columns=(replace(TINY.columns[0], iterations=20),)
    )
    monkeypatch.setitem(TABLES, "wild", wild)
    said = []
    assert record("wild", seeds=(0,), say=said.append) == 1 and "not finite" in said[0]
    (found,) = runs(wild.rows["wild"], wild.columns[0]).values()
    assert found.status == "failed" and "not finite" in found.reason and found.gan_file is None
    assert scores(wild.rows["wild"], wild.columns[0]) == {}
    assert record("wild", seeds=(0,), say=str) == record("wild", seeds=(0,), rescore=True, say=str) == 0


def test_an_interrupted_training_is_not_recorded(monkeypatch):
    run = type("Run", (), {"finished": False})
    monkeypatch.setattr(runner, "adapt", lambda *arguments, **options: run)
    with pytest.raises(KeyboardInterrupt):
        execute(Job(cell_spec(TINY.rows["tuned"], TINY.columns[0], 0), (), 8))


def test_an_entry_says_what_it_ran_on():
    spec = cell_spec(TINY.rows["shots"], TINY.columns[0], 0)
    found = execute(Job(spec, (), 16)).entry
    assert found.processor and {"fewshotgan", "python", "torch"} == found.versions.keys() and found.seconds.all >= 0
    assert found.spec == spec and found.key == entry(spec).key
