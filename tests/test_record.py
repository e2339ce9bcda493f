"""Recording loses nothing: stopped, run twice side by side, or with a ledger line cut in half."""

import io
import multiprocessing
import subprocess
import sys
from dataclasses import replace

import pytest

from fewshotgan import load_gan
from fewshotgan.bench import ledger, record
from fewshotgan.bench.table import BUDGET, Row, cell_spec
from fewshotgan.bench.tables import TABLES
from fewshotgan.files import UserError


@pytest.fixture(autouse=True)
def own_ledger(tmp_path, monkeypatch):
    monkeypatch.setenv("FEWSHOTGAN_LEDGER", str(tmp_path / "runs.jsonl"))
    monkeypatch.setenv("FEWSHOTGAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "runs.jsonl"


CELLS = 12 * 4  # rows and targets of the 10-shot table


def fake(spec):
    return {"spec": spec, "metrics": {"fd_efficientnet": 1.0}, "status": "ok", "seconds": {"all": 1.0}}


def test_one_seed_of_every_cell_comes_first_and_shared_cells_once():
    found = record.specs("transfergan-table2")
    assert [spec["seed"] for spec in found] == sorted(spec["seed"] for spec in found)
    assert len({ledger.spec_key(spec) for spec in found}) == len(found) == 3 * (2 * 8 + 4)
    ten = record.specs("adaptation-10-shot")
    shared = {ledger.spec_key(spec) for spec in ten} & {ledger.spec_key(spec) for spec in found}
    assert len(shared) == 9  # scratch, fine-tuned and untouched, ten images of the close target, three seeds


def test_every_method_has_the_same_budget_and_data():
    budgets = {
        tuple(spec[key] for key in BUDGET) for spec in record.specs("adaptation-10-shot") if spec["method"] != "none"
    }
    assert len(budgets) == 1


def test_an_option_makes_another_cell_and_a_default_does_not():
    column = TABLES["adam-quantile"].columns[0]
    default, other = (cell_spec(row, column, 0) for row in list(TABLES["adam-quantile"].rows.values())[2:4])
    assert "options" not in default and other["options"] == {"quantile": 75}
    assert ledger.spec_key(default) != ledger.spec_key(other)
    assert ledger.spec_key(default) in {ledger.spec_key(spec) for spec in record.specs("adaptation-10-shot")}


def test_a_row_about_augmentation_has_its_own_and_the_budget_otherwise():
    column = TABLES["adam-quantile"].columns[0]
    usual, other = (cell_spec(Row("transfergan", augment=augment), column, 0) for augment in (BUDGET["augment"], "ada"))
    assert usual == cell_spec(Row("transfergan"), column, 0)
    assert {key for key in usual if usual[key] != other[key]} == {"augment"} and other["augment"] == "ada"
    assert str(Row("transfergan", augment="ada")) == "transfergan augment=ada"


def test_a_row_may_have_a_source_of_its_own_at_the_budget_of_all():
    own = TABLES["adafm-25"]
    column = own.columns[0]
    ours, bsa = (cell_spec(own.rows[label], column, 0) for label in ("Our", "BSA (fashion-wgan)"))
    assert (ours["gan"], bsa["gan"]) == (column.gan, "fashion-wgan") and ours["gan_sha256"] != bsa["gan_sha256"]
    assert all(ours[key] == bsa[key] for key in (*BUDGET, "images", "n", "protocol"))


def test_several_gans_and_the_numbers_of_mining_are_recorded(monkeypatch):
    def evaluated(gan, images, **options):
        assert options["mining"] and options["n"] == 500 and images.startswith("10% fashion/sneaker, 90%")
        return {"kmmd_efficientnet": 0.5, "protocol": {}}

    table = TABLES["minegan-two"]
    spec = cell_spec(table.rows["MineGAN"], table.columns[0], 0)
    assert (
        spec["mining"] == 500
        and spec["gan"] == "fashion-wgan-sneaker & fashion-wgan-dress"
        and len(spec["gan_sha256"].split(" & ")) == 2
    )
    monkeypatch.setattr(record, "evaluate", evaluated)
    entry = record.run_cell({**spec, "iterations": 2})
    assert (
        entry["metrics"]["selector_0"] + entry["metrics"]["selector_1"] == pytest.approx(1) and entry["status"] == "ok"
    )
    assert ledger.samples({**spec, "iterations": 2}).shape == (10, 3, 32, 32)
    assert "mining" not in cell_spec(Row("freezed"), TABLES["transfergan-table2"].columns[0], 0)


def test_missing_cells_are_run_once(own_ledger):
    said = []
    first = record.record("adaptation-10-shot", seeds=(0,), runner=fake, say=said.append)
    assert first == CELLS == len(said) == len(ledger.read())
    assert record.record("adaptation-10-shot", seeds=(0,), runner=fake, say=said.append) == 0
    assert record.record("adaptation-10-shot", seeds=(0,), minutes=0, missing=False, runner=fake, say=said.append) == 0


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_sees_how_far_a_table_is_and_a_log_the_runs_alone(monkeypatch, capsys):
    record.record("adaptation-10-shot", seeds=(0,), runner=fake, say=lambda line: None)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys, "stderr", Terminal())
    record.record("adaptation-10-shot", missing=False, seeds=(0, 1), runner=fake, say=lambda line: None)
    shown = sys.stderr.getvalue()
    assert (
        f"{2 * CELLS} of {2 * CELLS} runs" in shown
        and "none avatars/toon-head n=10 seed 0; 01:36 left for one process" in shown
    )


def test_one_slow_run_does_not_keep_later_ones_from_their_minutes():
    first = record.specs("minegan-table1", (0,))[0]
    ledger.append({**fake(first), "seconds": {"all": 5000.0}})
    # one run is all that is known of its kind
    assert record.record("minegan-table1", seeds=(0,), minutes=1, runner=fake, say=str) == 0
    for seed in (1, 2):
        ledger.append(fake({**first, "seed": seed}))
    assert (
        record.record("minegan-table1", seeds=(0,), minutes=1, runner=fake, say=str)
        == len(record.specs("minegan-table1", (0,))) - 1
    )


def test_a_stop_in_the_middle_loses_no_finished_run():
    def stop_at_fourth(spec):
        if len(ledger.read()) == 3:
            raise KeyboardInterrupt
        return fake(spec)

    with pytest.raises(KeyboardInterrupt):
        record.record("adaptation-10-shot", seeds=(0,), runner=stop_at_fourth, say=str)
    assert len(ledger.read()) == 3
    assert record.record("adaptation-10-shot", seeds=(0,), runner=fake, say=str) == CELLS - 3


def test_a_line_cut_in_half_costs_only_itself(own_ledger):
    specs = record.specs("adaptation-10-shot", (0,))
    for spec in specs[:3]:
        ledger.append(fake(spec))
    own_ledger.write_text(own_ledger.read_text()[:-20])
    with pytest.warns(UserWarning, match="line 3 is no whole entry"):
        assert len(ledger.read()) == 2
    ledger.append(fake(specs[3]))
    with pytest.warns(UserWarning, match="line 3"):
        assert len(ledger.read()) == 3


SIDE = """
import sys, time
from fewshotgan.bench import record
def slow(spec):
    time.sleep(0.02)
    return {"spec": spec, "metrics": {"fd_efficientnet": 1.0}, "status": "ok", "seconds": {"all": 1.0}}
print(record.record("adaptation-10-shot", seeds=(0,), runner=slow, say=str))
"""


def test_two_recorders_side_by_side_run_each_cell_once(own_ledger):
    both = [subprocess.Popen([sys.executable, "-c", SIDE], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    counts = [int(process.communicate()[0]) for process in both]
    assert sum(counts) == CELLS == len(own_ledger.read_text().splitlines())


def append_many(start):
    for i in range(start, start + 200):
        ledger.append({"spec": {"i": i}, "text": "x" * 500})


def test_processes_append_whole_lines(own_ledger):
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=append_many, args=(start,)) for start in (0, 1000)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(ledger.read()) == 400


def test_an_unwritable_ledger_and_an_unknown_table_are_one_sentence(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="no table 'table-9'"):
        record.record("table-9")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FEWSHOTGAN_LEDGER", str(tmp_path / "file" / "runs.jsonl"))
    with pytest.raises(UserError, match="not recorded"):
        ledger.append({"spec": {}})


def test_a_run_is_a_function_of_its_spec(monkeypatch):
    column = replace(TABLES["transfergan-table2"].columns[4], iterations=2)
    spec = cell_spec(Row("adam", (("quantile", 75),)), column, 0)

    def evaluate(gan, domain, seed, train, diversity):
        assert (domain, len(train), diversity) == (column.images, column.n, column.n <= record.FEW)
        return {"sum": float(gan.sample(2).sum()), "protocol": {}}

    monkeypatch.setattr(record, "evaluate", evaluate)
    first, second = record.run_cell(spec), record.run_cell(spec)
    assert first["metrics"] == second["metrics"] and first["status"] == "ok"
    kept, drawn = ledger.samples(spec), load_gan(column.gan).sample(record.SHOWN, seed=1)
    assert kept.shape == (record.SHOWN, 3, drawn.shape[2], drawn.shape[3])
    assert (kept - drawn).abs().mean() < 0.2  # two iterations from the source, slightly compressed
    assert ledger.samples(cell_spec(Row("scratch"), column, 0)) is None
    assert {"device", "commit", "seconds", "date", "protocol"} <= first.keys()
