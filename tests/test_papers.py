"""Published files have their form; verdicts follow from the ledger alone."""

import json
import re
from statistics import fmean

import pytest

from fewshotgan.bench import ledger, papers
from fewshotgan.bench.claims import best, judge, scores, weighed
from fewshotgan.bench.papers import NOT_RUN, claims, claims_json, provenance, published, render_table, tables
from fewshotgan.bench.table import Row, cell_spec
from fewshotgan.bench.tables import TABLES
from fewshotgan.bench.tables.adam import BY_ITERATIONS, BY_WEIGHT, CHOSEN, EACH_ITS_BEST, RIVALS
from fewshotgan.bench.tables.minegan import RATIOS, correlations
from fewshotgan.files import UserError

VALUE = re.compile(r"-|failed|-?\d+(\.\d+)?[KM]?(/-?\d+(\.\d+)?)?|0\.5 9")


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.setenv("FEWSHOTGAN_LEDGER", str(tmp_path / "runs.jsonl"))


def fill(table, row, value):
    """Record three seeds of a row, `value(column, seed)` each."""
    own = TABLES[table]
    for column in own.columns:
        for seed in (0, 1, 2):
            entry = {
                "spec": cell_spec(own.rows[row], column, seed),
                "metrics": {"fd_efficientnet": value(column, seed)},
                "status": "ok",
            }
            ledger.append(entry)


def test_every_published_table_has_its_form():
    assert len(papers.papers()) >= 5
    for key, paper in papers.papers().items():
        assert {"title", "authors", "venue", "arxiv", "source", "protocol"} <= paper.keys(), key
        assert re.fullmatch(r"\d{3}_[0-9a-f]{16}\.txt|https://\S+", paper["source"]), key
        for table in paper["table"]:
            assert {"id", "caption", "metrics", "better", "columns", "rows"} <= table.keys(), (key, table["id"])
            for row, cells in table["rows"].items():
                assert len(cells) == len(table["columns"]), (key, table["id"], row)
                assert all(VALUE.fullmatch(cell) for cell in cells), (key, table["id"], row)
                wanted = {len(table["metrics"])}
                assert {len(cell.split("/")) for cell in cells if cell not in ("-", "failed")} <= wanted


def test_an_empty_ledger_shows_not_run_and_decides_nothing(empty):
    text = render_table("transfergan-table2")
    assert text.count(NOT_RUN) == 24 and "published:" in text and "256.1/-33.3" in text
    assert all(claim["verdict"] == "undecided" and claim["seeds"] == 0 for claim in claims())
    assert {frozenset(claim) for claim in json.loads(claims_json())} == {
        frozenset({"paper", "claim", "verdict", "seeds"})
    }


def test_verdicts_follow_the_ledger(empty):
    fill("transfergan-table2", "From scratch", lambda column, seed: 100 + seed)
    fill(
        "transfergan-table2",
        "Pre-trained",
        lambda column, seed: (20 if column.n == 10 else 90 if column.n < 1000 else 120) + seed,
    )
    verdicts = {claim["claim"]: claim["verdict"] for claim in claims()}
    assert verdicts["pretraining beats training from scratch: fashion/sandal, 10 images"] == "holds"
    assert verdicts["pretraining beats training from scratch: fashion/sandal, 1000 images"] == "does not hold"
    assert (
        verdicts["the gain from pretraining grows as the data shrinks: fashion/sandal, 10 against 1000 images"]
        == "holds"
    )
    assert "21 ± 1 (3 seeds)" in render_table("transfergan-table2")


def test_judge():
    assert judge([1, 2, 3], [5, 6, 7]) == "holds"
    assert judge([5, 6, 7], [1, 2, 3]) == "does not hold"
    assert judge([1, 2, 9], [5, 6, 7]) == "undecided"
    assert judge([1, 2], [5, 6, 7]) == "undecided"
    assert judge([1, 2, 9], [5, 6, 7], tie=True) == "holds"
    assert judge([5, 6, 7], [1, 2, 3], tie=True) == "does not hold"
    assert judge([1, 2], [5, 6, 7], tie=True) == "undecided"
    failed = float("inf")
    assert judge([1, 2, 3], [2, 1, failed]) == "holds"  # a run that failed is lost, whatever the others gave
    assert judge([1, failed, 3], [5, 6, 7], tie=True) == "does not hold"
    assert judge([1, failed, 3], [5, 6, failed]) == judge([1, failed, 3], [5, 6, failed], tie=True) == "undecided"
    assert judge([-failed, 2, 3], [5, 6, 7]) == "holds"  # of what is good when it is large


def test_best_or_tied_needs_every_rival(empty):
    own = TABLES["adaptation-10-shot"]
    name = "AdAM is best or tied, 10 images of avatars/miniavs (close)"
    rivals = ["TransferGAN", "FreezeD", "EWC", "CDC", "DCL", "AdAM"]
    for i, row in enumerate(rivals):
        assert {claim["claim"]: claim["verdict"] for claim in claims()}[name] == "undecided"
        fill(own.name, row, lambda column, seed, i=i: 100 - 10 * i + 3 * seed)
    assert {claim["claim"]: claim["verdict"] for claim in claims()}[name] == "holds"
    assert best([own.rows[row] for row in rivals[:5]], own.columns[0]) == [60, 63, 66]


def test_a_noisy_rival_hides_no_better_one(empty):
    column = TABLES["adaptation-10-shot"].columns[0]
    for row, found in ((Row("cdc"), (50, 100, 150)), (Row("dcl"), (100, 101, 102))):
        for seed, value in enumerate(found):
            entry = {"fd_efficientnet": value, "intra_lpips_efficientnet": -value}
            ledger.append({"spec": cell_spec(row, column, seed), "metrics": entry, "status": "ok"})
    rivals = [Row("cdc"), Row("dcl")]
    assert judge([118, 120, 122], best(rivals, column), tie=True) == "does not hold"
    assert (
        judge(best(rivals, column, "intra_lpips_efficientnet", largest=True), [-118, -120, -122], tie=True)
        == "does not hold"
    )


def test_a_picture_says_which_runs_it_shows(empty):
    own = TABLES["minegan-four"]
    assert provenance(own) == "from the ledger: minegan-four, 0 of 6 runs"
    row, column = next(iter(own.rows.values())), own.columns[0]
    for seed, date in enumerate(("2026-11-26T06:22:10+00:00", "2026-11-25T23:59:59+00:00")):
        ledger.append({"spec": cell_spec(row, column, seed), "metrics": {}, "status": "ok", "date": date})
    assert provenance(own) == "from the ledger: minegan-four, 2 of 6 runs, the last of 2026-11-26 06:22 UTC"


def test_failed_runs_are_shown_and_do_not_count(empty):
    column = TABLES["adaptation-10-shot"].columns[0]
    ledger.append({"spec": cell_spec(Row("scratch"), column, 0), "metrics": {"fd_efficientnet": 9}, "status": "failed"})
    assert papers.cell_text(Row("scratch"), column, "fd_efficientnet") == "1 failed"
    assert scores(Row("scratch"), column) == {}
    ledger.append({"spec": cell_spec(Row("scratch"), column, 1), "metrics": {"fd_efficientnet": 7}, "status": "ok"})
    assert weighed(Row("scratch"), column) == [float("inf"), 7]
    assert weighed(Row("scratch"), column, "intra_lpips_efficientnet") == [float("-inf")]


def test_mv_counts_by_its_distance_from_that_of_real_images(empty):
    column = TABLES["minegan-table1"].columns[0]
    for seed, value in enumerate((0.75, 1.0, 1.5)):
        ledger.append(
            {"spec": cell_spec(Row("bsa"), column, seed), "metrics": {"mv_efficientnet": value}, "status": "ok"}
        )
    assert weighed(Row("bsa"), column, "mv_efficientnet") == [0.25, 0.0, 0.5]


def test_each_method_has_the_iterations_that_were_its_best_on_the_development_target():
    found = {}
    for row in BY_ITERATIONS.rows.values():
        means = {
            column.iterations: fmean(scores(row, column, "fd_efficientnet").values())
            for column in BY_ITERATIONS.columns
        }
        found[row.method] = min(means, key=means.__getitem__)
    assert found == CHOSEN
    chosen = render_table(EACH_ITS_BEST.name)
    assert "control: AdAM, random filters, 250 iterations" in chosen and "125/250/500 iterations, 8 batch" in chosen


def test_each_rival_has_the_weight_that_was_its_best_on_the_development_target():
    (column,) = BY_WEIGHT.columns
    means = {}
    for row in BY_WEIGHT.rows.values():
        means.setdefault(row.method, {})[row] = fmean(scores(row, column, "fd_efficientnet").values())
    best_ones = {method: min(found, key=found.__getitem__) for method, found in means.items()}
    assert best_ones == {row.method: row for row in RIVALS.values() if row.method in means} and len(best_ones) == 3


def test_names():
    assert "transfergan/table-2" in tables() and "adaptation-10-shot" in tables()
    assert published("adafm", "table-2")["rows"]["Our"][0] == "9.90"
    for name in ("nothing", "adam/nothing", "nobody/table-1"):
        with pytest.raises(UserError):
            render_table(name)


def test_weights_of_several_gans_are_judged_by_seed(empty):
    two, four = TABLES["minegan-two"], TABLES["minegan-four"]
    for seed, slope in enumerate((1.0, 0.5, -1.0)):
        for column, ratio in zip(two.columns, RATIOS, strict=True):
            spec = cell_spec(two.rows["MineGAN"], column, seed)
            ledger.append({"spec": spec, "metrics": {"selector_0": 0.5 + slope * (ratio / 100 - 0.5)}, "status": "ok"})
        weights = {f"selector_{part}": weight for part, weight in enumerate((0.5, 0.3, 0.15, 0.05))}
        ledger.append(
            {"spec": cell_spec(four.rows["MineGAN"], four.columns[0], seed), "metrics": weights, "status": "ok"}
        )
    assert correlations(two.rows["MineGAN"]) == pytest.approx([1.0, 1.0, -1.0])
    verdicts = {
        claim["claim"]: claim["verdict"]
        for claim in claims()
        if claim["claim"].startswith("four GANs") and "sandals" in claim["claim"]
    }
    assert list(verdicts.values()) == ["holds", "holds"]
    text = render_table("minegan-two")
    assert "selector_0\n" in text and "500 generated" in text and "0.433 ± 0.416 (3 seeds)" in text


def test_a_source_has_a_variance_and_a_sharpness_too(empty):
    own = TABLES["minegan-table1"]
    spec = cell_spec(own.rows["source, not adapted"], own.columns[0], 0)
    metrics = {"kmmd_efficientnet": 0.4, "mv_efficientnet": 1.3, "sharpness": 0.9, "fd_efficientnet": 500.0}
    ledger.append({"spec": spec, "metrics": metrics, "status": "ok"})
    text = render_table("minegan-table1")
    assert all(f"{value} (1 seed)" in text for value in ("0.400", "1.300", "0.900", "500"))
    assert "kmmd_efficientnet (lower is better)" in text and "sharpness (real images have 1)" in text
