"""Published files have their form; verdicts follow from the ledger alone."""

import json
import re
from dataclasses import dataclass
from statistics import fmean

import pytest
from ledgers import entry

from fewshotgan.bench import ledger, papers
from fewshotgan.bench.claims import losses
from fewshotgan.bench.controls import CONTROL_ROWS, LEGEND, marks
from fewshotgan.bench.papers import (
    NOT_RUN,
    claims,
    claims_json,
    provenance,
    published,
    render_own,
    render_table,
    tables,
)
from fewshotgan.bench.results import scores
from fewshotgan.bench.schema import Score
from fewshotgan.bench.statistics import ENOUGH
from fewshotgan.bench.table import CONTROLS, SEEDS, Column, Row, cell_spec, is_here
from fewshotgan.bench.tables import CLAIMS, TABLES
from fewshotgan.bench.tables.adam import BY_ITERATIONS, BY_WEIGHT, CHOSEN, EACH_ITS_BEST, RIVALS
from fewshotgan.bench.tables.minegan import RATIOS, correlations
from fewshotgan.bench.tables.transfer_sources import SOURCES
from fewshotgan.bench.tables.transfer_sources import TABLE as SOURCES_TABLE
from fewshotgan.files import UserError
from fewshotgan.gans import list_gans
from fewshotgan.metrics import METRICS

VALUE = re.compile(r"-|failed|-?\d+(\.\d+)?[KM]?(/-?\d+(\.\d+)?)?|0\.5 9")


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.setenv("FEWSHOTGAN_LEDGER", str(tmp_path / "runs.jsonl"))


@dataclass(frozen=True)
class Run:
    """A recorded run, and what was measured of it; it collapsed if that is nothing."""

    row: Row
    column: Column
    seed: int
    metrics: dict[str, float] | None

    def entry(self):
        status, date = "failed" if self.metrics is None else "ok", f"2026-11-26T06:{self.seed:02}:10+00:00"
        return entry(cell_spec(self.row, self.column, self.seed), status, date)

    def scores(self):
        fixed = {"run": self.entry().key, "n_generated": self.column.generated, "n_real": 9, "sample_seed": self.seed}
        for name, value in (self.metrics or {}).items():
            yield Score(metric=name, version=METRICS[name].version, value=value, **fixed)


def record(runs):
    """Add runs to the ledger."""
    runs = list(runs)
    ledger.add_scores(score for run in runs for score in run.scores())
    ledger._append(ledger.ledger_path(), [run.entry() for run in runs])


def fill(own, label, value, columns=None):
    """Record all seeds of a row, `value(column, seed)` each; None where the run collapsed."""
    cells = [(column, seed) for column in columns or own.columns for seed in SEEDS]
    found = ((column, seed, value(column, seed)) for column, seed in cells)
    record(
        Run(own.rows[label], column, seed, None if one is None else {"fd_efficientnet": one})
        for column, seed, one in found
    )


def verdict(statement):
    """Return the verdict on the one claim that says so, or begins so."""
    found = {claim["claim"]: claim["verdict"] for claim in claims() if claim["claim"].startswith(statement)}
    (word,) = [found[statement]] if statement in found else found.values()
    return word


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
    assert text.count(NOT_RUN) == 32 and "published:" in text and "256.1/-33.3" in text
    assert all(claim["verdict"] == "undecided" and claim["pairs"] == 0 and claim["p"] == 1 for claim in claims())
    assert {frozenset(claim) for claim in json.loads(claims_json())} == {
        frozenset({"paper", "claim", "table", "verdict", "pairs", "p"})
    }


def test_verdicts_follow_the_ledger(empty):
    own = TABLES["transfergan-table2"]
    fill(own, "From scratch", lambda column, seed: 100 + seed)
    gained = {10: 20, 25: 90, 100: 99, 1000: 120}
    fill(own, "Pre-trained", lambda column, seed: gained[column.n] + seed**2 / 10)
    beats = "pretraining beats training from scratch, "
    assert verdict(f"{beats}10 images") == "holds" and verdict(f"{beats}1,000 images") == "does not hold"
    assert verdict("the gain from pretraining shrinks as the data grows") == "holds"
    control = "control: the source as it is and the shots repeated lose to pretraining, 10 to 100 images"
    fill(own, "source as it is", lambda column, seed: 300 + seed)
    assert verdict(control) == "undecided"
    fill(own, "shots repeated", lambda column, seed: 200 + seed)
    assert verdict(control) == "holds"
    text = render_table(own.name)
    assert "21 ± 1 (5 seeds)" in text and "holds           10 pairs, p 0.0" in text


def test_every_claim_is_one_sentence_with_ten_pairs_or_more(empty):
    for claim in CLAIMS:
        assert claim.table in TABLES and claim.statement[-1] not in ".,"
    statements = [claim.statement for claim in CLAIMS]
    assert len(set(statements)) == len(statements) and len(statements) < 160
    for own in (TABLES[name] for name in {claim.table for claim in CLAIMS}):
        cells = [(row, column) for row in own.rows.values() for column in own.columns if is_here(row, column)]
        values = {seed: dict.fromkeys(own.metrics, 0.1 + seed / 100) for seed in SEEDS}
        record(Run(*cell, seed, value) for cell in cells for seed, value in values.items())
    assert {claim["claim"] for claim in claims() if claim["pairs"] < ENOUGH} <= {
        claim.statement
        for claim in CLAIMS
        if not set(SOURCES.values()) <= list_gans().keys()
        if claim.table == SOURCES_TABLE.name
    }


def test_every_table_has_both_controls_and_its_paper_claims_that_they_lose():
    for own in TABLES.values():
        assert CONTROL_ROWS.items() <= own.rows.items(), own.name
    for paper in {claim.paper for claim in CLAIMS}:
        said = [claim.statement for claim in CLAIMS if claim.paper == paper]
        assert any(text.startswith("control: the source as it is and the shots repeated lose") for text in said), paper


def test_a_method_that_loses_to_a_control_is_marked(empty):
    own = TABLES["adaptation-10-shot"]
    for label, value in (("source as it is", 200), ("shots repeated", 100), ("AdAM", 90), ("EWC", 150), ("CDC", 300)):
        fill(own, label, lambda column, seed, value=value: value + seed, own.columns[:1])
    lines = {line.split("  ")[0]: line for line in render_own(own).splitlines()[:20]}
    assert "92 ± 2 (5 seeds) " in lines["AdAM"] and "152 ± 2 (5 seeds)+" in lines["EWC"]
    assert "302 ± 2 (5 seeds)*+" in lines["CDC"] and "202 ± 2 (5 seeds) " in lines["source as it is"]
    assert LEGEND in render_own(own) and "+ farther than the shots repeated" in LEGEND
    column = own.columns[0]
    diverse = {"AdAM": 0.1, "source as it is": 0.2}
    record(Run(own.rows[label], column, 0, {"intra_lpips_efficientnet": value}) for label, value in diverse.items())
    assert marks(own.rows["AdAM"], column, "intra_lpips_efficientnet") == ""


def test_every_table_says_how_many_seeds_and_what_the_deviation_covers():
    for own in TABLES.values():
        text = render_own(own)
        assert "over 5 seeds; ± covers the choice of shots: each seed has its own" in text
        assert "generated against held-out real images" in text


def test_best_or_tied_needs_every_rival_and_has_a_margin(empty):
    own, name = TABLES["adaptation-10-shot"], "AdAM is best or tied, 10 images of close targets"
    values = {"TransferGAN": 120, "FreezeD": 110, "EWC": 100, "CDC": 99, "DCL": 98, "AdAM": 101}

    def said():
        (found,) = (claim["verdict"] for claim in claims() if claim["claim"] == name)
        return found

    for row, value in values.items():
        assert said() == "undecided"
        fill(own, row, lambda column, seed, value=value: value + seed**2 / 7, own.columns[:2])
    assert said() == "holds"  # three percent worse than DCL
    fill(own, "AdAM", lambda column, seed: 150 + seed, own.columns[:2])
    assert said() == "does not hold"


def test_a_collapsed_run_is_the_worst_of_all_and_not_infinitely_bad(empty):
    own = TABLES["adafm-table1"]
    fill(own, "(a) GP-GAN", lambda column, seed: 100 + seed)
    fill(own, "(b) GPHead", lambda column, seed: None if (column.images, seed) == ("fashion/sandal", 3) else 50 + seed)
    many, few = (f"copying filters helps: GPHead beats GP-GAN, {n} images" for n in ("1,000", "up to 100"))
    assert verdict(many) == "undecided" and verdict(few) == "holds"  # one of ten pairs is lost, and one of fifteen
    row, column = own.rows["(b) GPHead"], own.columns[0]
    assert papers.cell_text(row, column, "fd_efficientnet") == "52 ± 2 (4 seeds), 1 failed"
    assert losses(row, column)[3] == float("inf") and 3 not in scores(row, column)


def test_a_picture_says_which_runs_it_shows(empty):
    own = TABLES["minegan-four"]
    assert provenance(own) == "from the ledger: minegan-four, 0 of 30 runs"
    row, column = next(iter(own.rows.values())), own.columns[0]
    record(Run(row, column, seed, {}) for seed in (0, 1))
    assert provenance(own) == "from the ledger: minegan-four, 2 of 30 runs, the last of 2026-11-26 06:01 UTC"


def test_a_run_that_is_old_is_shown_and_decides_nothing():
    own = TABLES["adaptation-10-shot"]
    assert "(3 seeds) (old)" in render_own(own) and not scores(own.rows["AdAM"], own.columns[0])
    assert len(scores(own.rows["AdAM"], own.columns[0], old=True)) == 3
    assert all(losses(row, column) == {} for row in own.rows.values() for column in own.columns)


def test_each_method_has_the_iterations_that_were_its_best_on_the_development_target():
    found = {}
    for row in BY_ITERATIONS.rows.values():
        means = {
            column.iterations: fmean(scores(row, column, old=True).values())
            for column in BY_ITERATIONS.columns
            if row.method not in CONTROLS
        }
        found |= {row.method: min(means, key=means.__getitem__)} if means else {}
    assert found == CHOSEN
    chosen = render_table(EACH_ITS_BEST.name)
    assert "control: AdAM, random filters, 250 iterations" in chosen and "125/250/500 iterations, 8 batch" in chosen


def test_each_rival_has_the_weight_that_was_its_best_on_the_development_target():
    (column,) = BY_WEIGHT.columns
    means = {}
    for row in BY_WEIGHT.rows.values():
        if row.method not in CONTROLS:
            means.setdefault(row.method, {})[row] = fmean(scores(row, column, old=True).values())
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
    runs = []
    for seed in SEEDS:
        slope = 1.0 if seed else -1.0
        for column, ratio in zip(two.columns, RATIOS, strict=True):
            weight = {"selector_0": 0.5 + slope * (ratio / 100 - 0.5)}
            runs += [Run(two.rows[label], column, seed, weight) for label in ("MineGAN", "MineGAN (w/o FT)")]
        for column, weights in zip(four.columns, ((0.5, 0.3, 0.15, 0.05), (0.1, 0.2, 0.3, 0.4)), strict=True):
            named = {f"selector_{part}": weight for part, weight in enumerate(weights)}
            runs.append(Run(four.rows["MineGAN"], column, seed, named))
    record(runs)
    assert correlations(two.rows["MineGAN"]) == pytest.approx([-1.0, *[1.0] * 4])
    assert verdict("four GANs: the far ones get less weight") == verdict("four GANs: the far ones get more") == "holds"
    assert verdict("two GANs: weights follow the mixture") == "undecided"  # two of ten pairs go the other way
    text = render_table("minegan-two")
    assert "selector_0\n" in text and "500 generated" in text and "0.740 ± 0.358 (5 seeds)" in text
    assert re.search(r"source as it is +- ", text)


def test_a_source_has_a_variance_and_a_sharpness_too(empty):
    own = TABLES["minegan-table1"]
    metrics = {"kmmd_efficientnet": 0.4, "mv_efficientnet": 1.3, "sharpness": 0.9, "fd_efficientnet": 500.0}
    record([Run(own.rows["source as it is"], own.columns[0], 0, metrics)])
    text = render_table("minegan-table1")
    assert all(f"{value} (1 seed)" in text for value in ("0.400", "1.300", "0.900", "500"))
    assert "kmmd_efficientnet (lower is better)" in text and "sharpness (real images have 1)" in text
