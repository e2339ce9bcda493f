"""The notebook contract: nothing vacuous, nothing stale, nothing that breaks elsewhere."""

import json
import re
import tomllib
from functools import cache
from pathlib import Path

import nbformat
import pytest

from fewshotgan.bench.papers import provenance, render_claims, render_own
from fewshotgan.bench.tables import TABLES

ROOT = Path(__file__).resolve().parent.parent
LESSONS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
EVERY = [*LESSONS, ROOT / "notebooks" / "_template.ipynb"]
CHECK = "nbval-check-output"
FORBIDDEN = {
    r";\s*$": "a trailing semicolon",
    r"clear_output": "clear_output",
    r"@interact": "@interact",
    r"(?<![\w.])/(home|root|tmp|work|content)/": "an absolute path",
    r"pip install.*\s-U": "pip install -U",
}


def read(path):
    return nbformat.read(path, as_version=4)


def code(path, tag=None):
    cells = [cell for cell in read(path).cells if cell.cell_type == "code"]
    return [cell for cell in cells if tag is None or tag in cell.metadata.get("tags", [])]


def name(path):
    return path.stem


@pytest.mark.parametrize("path", EVERY, ids=name)
def test_form(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert "widgets" not in notebook.metadata
    assert path.stat().st_size < 2 * 2**20
    for cell in code(path):
        for pattern, what in FORBIDDEN.items():
            assert not re.search(pattern, cell.source, re.MULTILINE), f"{what} in: {cell.source[:80]}"
        assert not (cell.outputs and cell.execution_count is None), cell.source[:80]
        assert not any(output.output_type == "error" for output in cell.outputs), cell.source[:80]


@pytest.mark.parametrize("path", LESSONS, ids=name)
def test_checked_cells_check_something(path):
    checked = code(path, CHECK)
    assert len(checked) >= 3
    for cell in checked:
        assert cell.execution_count is not None and cell.outputs, f"vacuous: {cell.source[:80]}"
        assert any(output.get("text", "").strip() for output in cell.outputs), f"no text to compare: {cell.source[:80]}"


@pytest.mark.parametrize("path", LESSONS, ids=name)
def test_sections(path):
    text = "\n".join(cell.source for cell in read(path).cells)
    for part in (
        "By the end you will have shown",
        "References",
        "Limits",
        "Exercises",
        "control",
        "render_published",
        "Panel(",
    ):
        assert part.lower() in text.lower(), part
    assert len(code(path, "parameters")) == 1


@pytest.mark.parametrize("path", EVERY, ids=name)
def test_exercises_are_open_and_their_solutions_folded(path):
    cells = code(path)
    (asked,) = (i for i, cell in enumerate(cells) if "# TODO" in cell.source)
    (solved,) = (i for i, cell in enumerate(cells) if "solution" in cell.metadata.get("tags", []))
    questions, solutions = cells[asked], cells[solved]
    assert solved == asked + 1 and CHECK in questions.metadata.tags and CHECK in solutions.metadata.tags
    asks = r"^# TODO (\d): \S.*\n(?:# .+\n)*\w+(?:, \w+)* = \.{3}(?:, \.{3})*$"
    open_ones = re.findall(asks, questions.source, re.MULTILINE)
    numbers = [str(i) for i in range(1, len(open_ones) + 1)]
    assert 2 <= len(open_ones) <= 4 and open_ones == numbers and questions.source.count("# TODO") == len(open_ones)
    assert solutions.source.startswith("# @title Solutions\n") and "hide-input" in solutions.metadata.tags
    assert solutions.metadata.jupyter.source_hidden and solutions.metadata.cellView == "form"
    for cell in (questions, solutions):
        assert re.findall(r"^exercise_(\d)\(", cell.source, re.MULTILINE) == numbers
    assert re.findall(r"^@exercise\ndef exercise_(\d)\(", questions.source, re.MULTILINE) == numbers
    for check in questions.source.split("@exercise\n")[1:]:
        assert "check_" in check
    if path in LESSONS:  # the template was never run
        for cell, says in ((questions, "no answer yet"), (solutions, "passed")):
            assert "".join(output.text for output in cell.outputs) == "".join(
                f"exercise {i}: {says}\n" for i in numbers
            )


def test_all_notebooks_share_the_set_up_cell_and_the_address():
    address = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
    setups = {code(path)[0].source for path in EVERY}
    assert len(setups) == 1 and f"git+{address}" in setups.pop()
    colab = address.replace("https://github.com", "https://colab.research.google.com/github")
    for path in EVERY:
        assert f"{colab}/blob/main/notebooks/{path.name})" in read(path).cells[0].source


@pytest.mark.parametrize("path", LESSONS, ids=name)
def test_published_numbers_are_in_the_papers(path):
    known = json.dumps([tomllib.loads(paper.read_text()) for paper in (ROOT / "data/papers").glob("*.toml")])
    for cell in code(path):
        for output in cell.outputs:
            text = output.get("text", "")
            if text.startswith("published:"):
                for number in re.findall(r"-?\d+\.\d+(?:/-?\d+\.\d+)?", text.split("\n", 2)[2]):
                    assert number in known, number


FROM_LEDGER = "from the ledger: "


def rows(text):
    """Return the lines of a text that quote runs, say which they are or give a verdict, without the spaces that
    align them.
    """
    found = rf"\d seeds?\b|^({FROM_LEDGER}|(holds|does not hold|undecided) )"
    return [" ".join(line.split()) for line in text.splitlines() if re.search(found, line)]


@cache
def recorded_now():
    """Return every line that a table or a claim prints of the ledger as it ships."""
    claims = render_claims(lambda _: True)
    printed = [text for table in TABLES.values() for text in (render_own(table), provenance(table))]
    return set(rows("\n".join([*printed, claims])))


@pytest.mark.parametrize("path", LESSONS, ids=name)
def test_ledger_rows_are_those_of_the_shipped_ledger(path):
    printed = [(cell.id, row) for cell in code(path) for output in cell.outputs for row in rows(output.get("text", ""))]
    now = recorded_now()
    stale = [line for line in printed if line[1] not in now]
    assert printed and not stale, f"the ledger has changed: execute these cells again: {stale}"


@pytest.mark.parametrize("path", LESSONS, ids=name)
def test_pictures_of_the_ledger_say_which_runs_they_show(path):
    reads = r"\bledger\b|recorded|_means\(|\bscores\(|gallery\(|general_part_picture"
    for cell in code(path):
        if any("image/png" in output.get("data", {}) for output in cell.outputs) and re.search(reads, cell.source):
            assert any(output.get("text", "").startswith(FROM_LEDGER) for output in cell.outputs), cell.source[:80]


def test_the_make_target_runs_every_lesson():
    makefile = (ROOT / "Makefile").read_text()
    assert set(LESSONS) == set((ROOT / "notebooks").glob("*.ipynb")) - {ROOT / "notebooks" / "_template.ipynb"}
    assert "$(NOTEBOOKS)" in makefile and "notebooks/[0-9]*.ipynb" in makefile
