"""The ledger outlives crashes, other writers, bad lines and new versions of a metric."""

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from ledgers import FOREIGN, TINY, entry, raise_versions, recorded

from fewshotgan.bench import ledger
from fewshotgan.bench.papers import claims, provenance, render_own
from fewshotgan.bench.record import record
from fewshotgan.bench.results import OLD, is_old, runs, samples, scores
from fewshotgan.bench.runner import commit
from fewshotgan.bench.schema import OldRun, Spec
from fewshotgan.bench.table import CONTROLS, NOT_ADAPTED, SEEDS, Row, cell_spec, shots_text
from fewshotgan.bench.tables import TABLES
from fewshotgan.files import UserError

ROW, COLUMN = TINY.rows["tuned"], TINY.columns[0]


@pytest.fixture(autouse=True)
def own_ledger(tmp_path, monkeypatch):
    monkeypatch.setenv("FEWSHOTGAN_LEDGER", str(tmp_path / "runs.jsonl"))
    monkeypatch.setenv("FEWSHOTGAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "runs.jsonl"


def test_the_key_knows_what_trains_and_nothing_else():
    spec = cell_spec(ROW, COLUMN, 0)
    assert len(spec.key) == 16 and not {"metric", "metrics", "protocol", "version"} & spec.model_dump().keys()
    for change in (
        {"gan_sha256": "0"},
        {"images_sha256": "0"},
        {"method": "freezed"},
        {"options": {**spec.options, "mixing": 0.5}},
        {"iterations": 4},
        {"batch": 4},
        {"augment": None},
        {"seed": 1},
        {"threads": 2},
        {"precision": "float16"},
    ):
        assert Spec(**{**spec.model_dump(), **change}).key != spec.key, change
    for name in ({"gan": "renamed"}, {"images": "renamed"}, {"options": {**spec.options, "path_length": 0}}):
        assert Spec(**{**spec.model_dump(), **name}).key == spec.key, name


def test_every_option_has_the_value_that_it_has_for_this_source():
    assert cell_spec(ROW, COLUMN, 0).options == {
        "learning_rate": 0.0005, "loss": "wgan_gp", "r1_gamma": 0.0, "r2_gamma": 0.0, "r1_every": 16,
        "path_length": 0.0, "path_length_every": 4, "mixing": 0.0, "transfer": "GD",
    }  # fmt: skip
    assert cell_spec(Row("transfergan"), COLUMN, 0) == cell_spec(ROW, COLUMN, 0)  # the default of an unequalised source
    assert cell_spec(Row("freezed"), COLUMN, 0).options["frozen_down_to"] == 32
    assert cell_spec(Row(NOT_ADAPTED), COLUMN, 0).options == {}


def test_a_seed_has_its_own_shots():
    found = [cell_spec(ROW, COLUMN, seed) for seed in SEEDS]
    assert [spec.subset for spec in found] == list(SEEDS) and len({spec.images_sha256 for spec in found}) == len(SEEDS)
    whole = replace(COLUMN, n=1000)
    assert {cell_spec(ROW, whole, seed).subset for seed in SEEDS} == {0}
    assert "1,000 images have 1" in shots_text(replace(TINY, columns=(COLUMN, whole)))
    assert "as far as" not in shots_text(TINY)


def test_a_new_version_of_a_metric_leaves_every_run_valid(monkeypatch):
    recorded(ROW, COLUMN, 0, {"fd_efficientnet": 3.0})
    assert scores(ROW, COLUMN) == {0: 3.0}
    raise_versions(monkeypatch)
    assert scores(ROW, COLUMN) == {} and list(runs(ROW, COLUMN)) == [0]
    recorded(ROW, COLUMN, 0, {"fd_efficientnet": 4.0})
    assert scores(ROW, COLUMN) == {0: 4.0}


def test_lines_of_another_kind_cost_one_warning_each(own_ledger, monkeypatch):
    monkeypatch.setitem(TABLES, "tiny", TINY)
    foreign = [json.dumps(line) for line in FOREIGN]
    swapped = entry(cell_spec(ROW, COLUMN, 0)).model_dump() | {"key": "0" * 16}
    own_ledger.write_text("\n".join([*foreign, json.dumps(swapped), "", '{"cut', ""]))
    bad = [{"run": 3}, {"run": "a", "metric": "fd", "version": 2, "value": None}]
    own_ledger.with_name("scores.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in bad))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(2):
            assert all(claim["verdict"] == "undecided" for claim in claims())
            assert "not run" in render_own(TINY)
        assert record("tiny", minutes=0) == 0
        recorded(ROW, COLUMN, 0, {"fd_efficientnet": 3.0})
        assert scores(ROW, COLUMN) == {0: 3.0}
    lines = [str(warning.message) for warning in told]
    assert len(lines) == len(set(lines)) == len(FOREIGN) + 2 + len(bad), lines
    assert any("its key is not that of its spec" in line for line in lines)


def test_a_line_cut_in_half_costs_only_itself(own_ledger):
    for seed in (0, 1, 2):
        recorded(ROW, COLUMN, seed, {"fd_efficientnet": seed})
    for file in (own_ledger, own_ledger.with_name("scores.jsonl")):
        file.write_text(file.read_text()[:-20])
    with pytest.warns(UserWarning, match="line 3 is skipped"):
        assert scores(ROW, COLUMN) == {0: 0.0, 1: 1.0}
    recorded(ROW, COLUMN, 3, {"fd_efficientnet": 3})
    assert scores(ROW, COLUMN) == {0: 0.0, 1: 1.0, 3: 3.0}


def test_of_two_lines_of_a_run_the_later_counts():
    for value, date in ((1.0, "2026-01-01T00:00:00"), (2.0, "2026-02-01T00:00:00")):
        recorded(ROW, COLUMN, 0, {"fd_efficientnet": value}, date=date)
    assert scores(ROW, COLUMN) == {0: 2.0} and runs(ROW, COLUMN)[0].date.startswith("2026-02")


def append_many(start):
    spec = cell_spec(ROW, COLUMN, 0)
    for seed in range(start, start + 200):
        ledger.add_run(entry(spec.model_copy(update={"seed": seed})))


def test_processes_append_whole_lines():
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=append_many, args=(start,)) for start in (0, 1000)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(ledger.read_runs()) == 400


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "is a folder; name a file"),
        ("missing/runs.jsonl", "in a folder that isn't there"),
        ("file/runs.jsonl", "in a folder that isn't there"),
        ("scores.jsonl", "not the file of the runs"),
    ],
)
def test_a_mistyped_ledger_is_told_before_anything_runs(tmp_path, monkeypatch, name, says):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FEWSHOTGAN_LEDGER", str(tmp_path / name))
    for call in (lambda: record("transfergan-table2", work=None), claims):
        with pytest.raises(UserError, match=says) as refusal:
            call()
        assert len(str(refusal.value)) - str(refusal.value).count(str(tmp_path)) * len(str(tmp_path)) <= 240


def test_a_ledger_that_can_not_be_written_is_told_before_anything_runs(own_ledger, monkeypatch):
    own_ledger.with_name("scores.jsonl").mkdir()  # root writes whatever the mode says, but no folder
    with pytest.raises(UserError, match="is no file"):
        record("transfergan-table2", work=None)


def test_a_place_that_takes_no_lock_is_refused_and_not_waited_for(monkeypatch):
    monkeypatch.setenv("FEWSHOTGAN_LEDGER", "/proc/self/mem")  # a file, in a folder where nobody can make one
    with pytest.raises(UserError, match="can't be written"):
        record("transfergan-table2", work=None)


@pytest.mark.parametrize("name", ["/dev/null", "loop", "scores"])
def test_what_is_no_file_is_not_taken_for_an_empty_ledger(own_ledger, monkeypatch, name):
    (own_ledger.parent / "loop").symlink_to(own_ledger.parent / "loop")
    if name == "scores":
        recorded(ROW, COLUMN, 0, {})
        own_ledger.with_name("scores.jsonl").unlink()
        own_ledger.with_name("scores.jsonl").mkdir()
    else:
        monkeypatch.setenv("FEWSHOTGAN_LEDGER", str(own_ledger.parent / name))
    with pytest.raises(UserError, match="is no file, as a ledger is"):
        scores(ROW, COLUMN)


def test_readers_say_once_that_a_named_ledger_is_not_there_yet(own_ledger):
    with pytest.warns(UserWarning, match="no ledger .* yet") as told:
        assert scores(ROW, COLUMN) == {} and runs(ROW, COLUMN) == {}
    assert len(told) == 1


def test_numbers_beyond_all_measure_are_skipped(own_ledger):
    recorded(ROW, COLUMN, 0, {"fd_efficientnet": 1.0})
    lines = own_ledger.with_name("scores.jsonl")
    with lines.open("a") as file:
        for value in ("1e308", "-1e308", "1e400", "NaN"):  # the mean of two of the first is no float
            file.write(lines.read_text().splitlines()[0].replace(":1.0", f":{value}") + "\n")
    run = json.loads(own_ledger.read_text())
    run["spec"]["options"]["r1_every"] = 10**400  # no float either
    own_ledger.write_text(own_ledger.read_text() + json.dumps(run) + "\n")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert scores(ROW, COLUMN) == {0: 1.0}
    assert len(told) == 5


def old_run(**fields) -> str:
    base = {
        "gan": "fashion-wgan", "images": "fashion/sandal", "n": 5, "method": "transfergan",
        "options": {"learning_rate": 0.0005}, "iterations": 3, "augment": "diffaugment", "generated": 16, "seed": 0,
        "date": "2026-11-25T00:00:00+00:00", "metrics": {"fd_efficientnet": 9.0}, "samples": "picture",
    }  # fmt: skip
    return OldRun(**{**base, **fields}).model_dump_json() + "\n"


def test_old_runs_are_shown_until_there_is_a_new_one_and_decide_nothing(own_ledger, monkeypatch):
    control = {"n": 5, "method": "none", "options": {}, "iterations": None, "augment": None}
    failed = old_run(seed=1, status="failed")
    own_ledger.with_name("old.jsonl").write_text(old_run() + failed + old_run(**control))
    assert scores(ROW, COLUMN) == {} and runs(ROW, COLUMN) == {}
    assert scores(ROW, COLUMN, old=True) == {0: 9.0} and is_old(ROW, COLUMN)
    assert scores(Row(NOT_ADAPTED), COLUMN, old=True) == {0: 9.0}
    text = render_own(TINY)
    assert "9 (1 seed), 1 failed (old)" in text and f"(old): {OLD}" in text and f"({OLD})" in provenance(TINY)
    ledger.save_samples("picture", load_pixels())
    assert samples(ROW, COLUMN).shape == (2, 3, 32, 32)
    recorded(ROW, COLUMN, 2, {"fd_efficientnet": 5.0})
    assert scores(ROW, COLUMN, old=True) == {2: 5.0} and not is_old(ROW, COLUMN)


def load_pixels():
    from fewshotgan import load_images

    return load_images("fashion/sandal", 2).tensor()


def test_the_shipped_old_runs_are_found_for_the_tables_that_lessons_show(monkeypatch):
    monkeypatch.delenv("FEWSHOTGAN_LEDGER")
    own = TABLES["layer-grid"]
    trained = [row for row in own.rows.values() if row.method not in CONTROLS]
    assert all(scores(row, own.columns[0], old=True) or runs(row, own.columns[0]) for row in trained)
    picture = next(iter(own.rows.values())), own.columns[0]
    assert is_old(*picture) and samples(*picture).shape == (10, 3, 32, 32)


def git(folder, *arguments):
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", folder, *arguments], check=True, capture_output=True
    )


def test_the_commit_is_that_of_the_project_alone(tmp_path):
    inside = tmp_path / "other" / "site-packages"
    inside.mkdir(parents=True)
    git(tmp_path / "other", "init")
    git(tmp_path / "other", "commit", "--allow-empty", "-m", "theirs")
    assert commit(inside) is None and commit(tmp_path / "other") is None
    (tmp_path / "other" / "pyproject.toml").write_text('[project]\nname = "theirs"\n')
    commit.cache_clear()
    assert commit(tmp_path / "other") is None
    own = tmp_path / "own"
    (own / "fewshotgan").mkdir(parents=True)
    (own / "pyproject.toml").write_text('[project]\nname = "fewshotgan"\n')
    git(own, "init")
    git(own, "add", ".")
    git(own, "commit", "-m", "ours")
    found = commit(own)
    assert found and not found.endswith("+")
    (own / "fewshotgan" / "new.py").write_text("")
    commit.cache_clear()
    assert commit(own) == f"{found}+"


def test_an_installed_package_does_not_write_into_itself(tmp_path):
    root = Path(__file__).resolve().parent.parent
    shutil.copytree(root / "fewshotgan", tmp_path / "fewshotgan", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(root / "data" / "ledger", tmp_path / "fewshotgan" / "_data" / "ledger")
    code = "from fewshotgan.bench.ledger import check_ledger; check_ledger()"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "FEWSHOTGAN_LEDGER": ""}
    command = [sys.executable, "-c", code]
    refused = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert "set FEWSHOTGAN_LEDGER to a file of your own" in refused.stderr
