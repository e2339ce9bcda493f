"""A fuzzer: hostile options and files for every verb of the command, in this process.

Whatever is asked, `main` returns a documented status; a refusal is one sentence of at most 240 letters and
changes no file, and nothing else is written to than what `--out` names; nothing takes more than ten seconds of the
processor. `make test` tries the same cases each time, `make fuzz MINUTES=60` others.
"""

import argparse
import copy
import io
import json
import os
import signal
import sys
import tempfile
import time
import traceback
import zipfile
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from functools import cache
from pathlib import Path
from unittest.mock import patch

import hypothesis
import numpy as np
import safetensors.torch
import torch
from helpers import tiny_gan, tiny_sngan
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from ledgers import FOREIGN, TINY, entry
from PIL import Image

from fewshotgan.bench import papers
from fewshotgan.bench.claims import Claims
from fewshotgan.bench.ledger import VARIABLE
from fewshotgan.bench.measure import metric_version
from fewshotgan.bench.table import SEEDS, cell_spec
from fewshotgan.bench.tables import TABLES
from fewshotgan.cli import main
from fewshotgan.cli.verbs import parser

SECONDS = 10  # of the processor
WAIT = 300  # seconds of the clock, on a machine that has much else to do
STATUSES = {0, 1, 2, 3, 130}
SLOW = {
    "record",
    "pretrain",
    "proximity",
    "bench",
    "claims",
}  # verbs that work for minutes, if what is asked makes sense
QUICK = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "40")),
    deadline=None,
    derandomize=__name__ != "__main__",
    database=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink][: 2 if __name__ != "__main__" else 3],
    suppress_health_check=list(HealthCheck),
)
NUMBERS = [
    "1",
    "2",
    "0",
    "-1",
    "1.5",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "9" * 25,
    "9" * 5000,
    "٣",
    "0x10",
    "1_0",
    "",
    " 2",
]
SIZES = ["1", "2", "0", "-1", "9" * 25, "x"]  # where a large number is a large job
WORDS = [
    "",
    " ",
    ".",
    "..",
    "/dev/null",
    "/dev/full",
    "/proc/self/mem",
    "a" * 300,
    "-",
    "--",
    "\x1b[2J",
    "🙂",
    "%s%n",
    "a/b",
]
TEXT = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=20)


@cache
def ground() -> Path:
    """A folder of tiny GANs, pictures, and what is neither."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    tiny_gan().refresh().save(folder / "tiny.safetensors")
    tiny_sngan(classes=3).refresh().save(folder / "classes.safetensors")
    (folder / "photos").mkdir()
    for i in range(3):
        pixels = np.random.default_rng(i).integers(0, 255, (16, 20, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "photos" / f"{i}.png")
    with zipfile.ZipFile(folder / "photos.zip", "w") as archive:
        for path in (folder / "photos").iterdir():
            archive.write(path, path.name)
    (folder / "empty").mkdir()
    (folder / "text.png").write_text("no picture")
    (folder / "loop").symlink_to(folder / "loop")
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        main(["advise", str(folder / "photos")])  # caches the features of all sources, half a minute
    return folder


@cache
def kept() -> dict[Path, bytes]:
    """The files of the ground, as they were made."""
    return {path: path.read_bytes() for path in ground().rglob("*") if path.is_file()}


def restore() -> list[Path]:
    """Make the files of the ground what they were; return those that were not."""
    changed = [path for path, content in kept().items() if not path.is_file() or path.read_bytes() != content]
    for path in changed:
        path.write_bytes(kept()[path])
    return changed


@contextmanager
def limited(seconds):
    """End what takes longer on the processor, or waits for ever."""

    def late(number: int, _frame) -> None:
        raise AssertionError(f"more than {seconds} seconds of the processor, or a wait: {signal.Signals(number).name}")

    timers = {signal.SIGPROF: (signal.ITIMER_PROF, seconds), signal.SIGALRM: (signal.ITIMER_REAL, WAIT)}
    before = {number: signal.signal(number, late) for number in timers}
    for timer, limit in timers.values():
        signal.setitimer(timer, limit)
    try:
        yield
    finally:
        for number, (timer, _) in timers.items():
            signal.setitimer(timer, 0)
            signal.signal(number, before[number])


def check(line: list[str]) -> int:
    """Run a command as a user would, and hold it to the promises of the module's docstring."""
    out, err = io.StringIO(), io.StringIO()
    where = os.getcwd()
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(out), redirect_stderr(err):
        os.chdir(folder)
        try:
            with limited(SECONDS):
                status = main(line)
        except SystemExit as leave:  # of the parser
            status = leave.code or 0
        finally:
            os.chdir(where)
            torch.set_grad_enabled(True)  # in case the time ran out under no_grad
    said, changed = err.getvalue(), restore()
    assert status in STATUSES and "Traceback" not in said, (line, status, said[-2000:])
    if status in (1, 2, 3):
        last = said.rstrip("\n").splitlines()[-1]
        assert last.startswith("fewshotgan: ") and len(last) <= 240, (line, last)
        assert last.rstrip()[-1] in ".?", (line, last)
        assert not changed, (line, last, changed)
    if changed:
        assert [str(path) for path in changed] == [line[line.index("--out") + 1]], (line, changed)
    assert "\x1b[2J" not in said + out.getvalue(), line
    return status


def values(action: argparse.Action, command: str) -> st.SearchStrategy[str]:
    """What an argument may be given: something that makes sense, or does not."""
    files = [str(path) for path in ground().iterdir()]
    if action.dest in ("batch", "n", "iterations", "thousands", "workers", "steps", "size", "frames"):
        return st.sampled_from(SIZES)
    if action.dest in ("minutes", "seed", "seeds", "truncation"):
        return st.sampled_from(NUMBERS)
    if action.dest == "option":
        named = st.sampled_from(["learning_rate", "r1_every", "mixing", "loss", "no", "", "_"])
        given_value = st.one_of(st.sampled_from(NUMBERS + WORDS + ["[" * 10**5, "null", "true", "{}"]), TEXT)
        return st.builds("{}={}".format, named, given_value)
    if action.choices and command not in SLOW:
        return st.one_of(st.sampled_from([str(choice) for choice in action.choices]), TEXT)
    if action.dest in ("table", "recipe", "source", "what", "name"):
        return st.one_of(st.sampled_from(WORDS), TEXT.map(lambda text: f"?{text}"))
    if action.dest == "gan":
        return st.one_of(st.sampled_from([f for f in files if "safetensors" in f] * 3 + files + WORDS), TEXT)
    return st.one_of(st.sampled_from(files + WORDS), TEXT)


@st.composite
def lines(draw: st.DrawFn) -> list[str]:
    """A command line: a verb, its required arguments mostly, some of its options."""
    (commands,) = (action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    command = draw(st.sampled_from(sorted(commands.choices)))
    line = [command]
    places = {"--gan": str(ground() / "tiny.safetensors"), "--iterations": "1", "--batch": "1"}
    for action in commands.choices[command]._actions:
        if isinstance(action, argparse._HelpAction) or action.dest == "power":
            continue
        wanted = action.required or not action.option_strings or draw(st.integers(0, 3)) == 0
        option = action.option_strings[:1]
        if option and option[0] in places and not wanted:
            line += [option[0], places[option[0]]]
        elif wanted and draw(st.integers(0, 15)):
            line += option + ([] if action.nargs == 0 else [draw(values(action, command))])
    if command in SLOW and line[1:2] != ["?"]:  # never what makes sense
        line.insert(1, "?")
    return line


@QUICK
@given(lines())
def test_no_command_line_ends_in_a_traceback_or_never(line):
    check(line)


@st.composite
def mutations(draw: st.DrawFn, content: bytes) -> bytes:
    """Bytes with a few of them changed, cut off, or doubled."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        kind, at = draw(st.integers(0, 3)), draw(st.integers(0, max(0, len(data) - 1)))
        if kind == 0:
            data[at : at + 1] = draw(st.binary(min_size=1, max_size=4))
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            del data[at : at + draw(st.integers(1, 64))]
        else:
            data[at:at] = data[max(0, at - 32) : at]
    return bytes(data)


JSONS = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(),
        TEXT,
        st.sampled_from([10**400, 10**7, 16, 8]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=5,
)


@st.composite
def gan_files(draw: st.DrawFn) -> bytes:
    """A GAN file of ours: its bytes damaged, or its configuration changed."""
    path = ground() / draw(st.sampled_from(["tiny.safetensors", "classes.safetensors"]))
    if draw(st.booleans()):
        return draw(mutations(path.read_bytes()))
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = json.loads(file.metadata()["fewshotgan"])
    part = draw(st.sampled_from([metadata, metadata["config"], metadata["config"]["generator"]]))
    key = draw(st.sampled_from([*part, "parts", "attention", "prior"]))
    part[key] = draw(JSONS)
    text = json.dumps(metadata)
    return safetensors.torch.save(safetensors.torch.load_file(path), {"fewshotgan": text})


@QUICK
@given(gan_files())
def test_no_gan_file_ends_in_a_traceback_or_never(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hostile.safetensors"
        path.write_bytes(content)
        check(["sample", str(path), "--n", "1", "--out", str(Path(folder) / "sheet.png")])


def picture(form: str) -> bytes:
    """A small picture as a file of that form."""
    memory = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)).save(memory, form)
    return memory.getvalue()


@QUICK
@given(st.data())
def test_no_picture_or_zip_ends_in_a_traceback_or_never(data):
    form = data.draw(st.sampled_from(["png", "jpeg", "webp", "gif", "bmp", "tiff", "zip"]))
    content = (ground() / "photos.zip").read_bytes() if form == "zip" else picture(form)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"hostile.{form}"
        path.write_bytes(data.draw(mutations(content)))
        line = ["adapt", "--images", str(path), "--gan", str(ground() / "tiny.safetensors"), "--iterations", "1"]
        check([*line, "--batch", "1", "--quiet", "--out", str(Path(folder) / "out")])


BAGS = replace(TINY.columns[0], label="bags", images="fashion/bag")
JUDGED = replace(TINY, columns=(*TINY.columns, BAGS), published=(), metrics=("fd_efficientnet", "recall"))
_WRITE = Claims(JUDGED.paper, JUDGED.name, JUDGED.rows)
DECIDED = [
    _WRITE.ties("tuning ties with the source", "tuned", "as it is", JUDGED.columns),
    _WRITE.beats("tuning beats both", "tuned", ["as it is", "shots"], JUDGED.columns, "recall"),
]
# numbers that a file of numbers may hold
EXTREMES = st.one_of(st.sampled_from([0.0, -0.0, 1e308, -1e308, 1e-320, 5.0]), st.floats(width=64))
PLACES = ["runs.jsonl", "", "absent/runs.jsonl", "loop", "/dev/null", "/dev/full", "/proc/self/mem", "scores.jsonl"]


@cache
def rows_of_ledgers() -> tuple[tuple[dict, ...], tuple[dict, ...]]:
    """The runs of every cell of a table, and a score of each metric of each run."""
    cells = [(row, column, seed) for column in JUDGED.columns for row in JUDGED.rows.values() for seed in SEEDS]
    runs = [entry(cell_spec(*cell)).model_dump() for cell in cells]
    scores = [
        {"run": run["key"], "metric": metric, "version": metric_version(metric), "n_generated": column.generated,
         "n_real": 1000, "sample_seed": seed}
        for run, (_, column, seed) in zip(runs, cells, strict=True) for metric in JUDGED.metrics
    ]  # fmt: skip
    return tuple(runs), tuple(scores)


@st.composite
def damaged(draw: st.DrawFn, rows: list[dict]) -> bytes:
    """Lines of a ledger, some of another kind or with a field of another kind, the file damaged or not."""
    lines = copy.deepcopy(rows)
    for _ in range(draw(st.integers(0, 3))):
        row = lines[draw(st.integers(0, len(lines) - 1))]
        part = draw(st.sampled_from([row, *(value for value in row.values() if isinstance(value, dict))]))
        key = draw(st.sampled_from([*part, "more"]))
        part[key] = draw(st.one_of(JSONS, EXTREMES, st.sampled_from([*row.values()]).map(copy.deepcopy)))
    texts = [json.dumps(line) for line in [*lines, *draw(st.lists(st.sampled_from(FOREIGN), max_size=2))]]
    odd = st.one_of(st.sampled_from(["[" * 10**5, "9" * 5000, '{"key":' * 3000, "\ufeff", "\0" * 9]), TEXT)
    content = "\n".join([*texts, *draw(st.lists(odd, max_size=2)), ""]).encode(errors="surrogatepass")
    return draw(st.one_of(st.just(content), mutations(content), st.binary(max_size=64)))


@st.composite
def ledgers(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Files of runs and of scores, whose values are of one extreme kind or of several."""
    runs, scores = rows_of_ledgers()
    values = draw(st.one_of(EXTREMES.map(st.just), st.just(EXTREMES)))
    failed = draw(st.sets(st.integers(0, len(runs) - 1), max_size=4))
    run_rows = [{**run, "status": "failed"} if i in failed else run for i, run in enumerate(runs)]
    return draw(damaged(run_rows)), draw(damaged([{**score, "value": draw(values)} for score in scores]))


READERS = [
    ["claims"],
    ["claims", "--json"],
    ["tables", JUDGED.name],
    ["record", JUDGED.name, "--minutes", "0"],
    ["advise", "photos", "--json"],
]


def read_ledger(content: tuple[bytes, bytes], where: str, line: list[str]) -> None:
    """Run a command that reads the ledger on hostile files, at a place where a ledger may or may not lie."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in zip(("runs.jsonl", "scores.jsonl"), content, strict=True):
            (Path(folder) / name).write_bytes(data)
        (Path(folder) / "loop").symlink_to(Path(folder) / "loop")
        path = str(Path(folder) / where)
        with (
            patch.dict(os.environ, {VARIABLE: path}),
            patch.dict(TABLES, {JUDGED.name: JUDGED}, clear=True),
            patch.object(papers, "CLAIMS", DECIDED),
        ):
            check([str(ground() / word) if word == "photos" else word for word in line])


@QUICK
@given(ledgers(), st.sampled_from(["runs.jsonl"] * 20 + PLACES), st.sampled_from(READERS[:4] * 5 + READERS))
def test_no_ledger_ends_in_a_traceback_or_never(content, where, line):
    read_ledger(content, where, line)


TESTS = [
    test_no_command_line_ends_in_a_traceback_or_never,
    test_no_gan_file_ends_in_a_traceback_or_never,
    test_no_picture_or_zip_ends_in_a_traceback_or_never,
    test_no_ledger_ends_in_a_traceback_or_never,
]


def hunt(minutes: float) -> int:
    """Try other cases than the tests until the time is up; print each fault, and return how many there were."""
    start = clean = time.monotonic()
    round_, cases, faults, longest = int(time.time()), 0, 0, 0.0
    while time.monotonic() < start + 60 * minutes:
        for test in TESTS:
            try:
                hypothesis.seed(round_)(test)()
            except Exception:
                traceback.print_exc()
                faults, clean = faults + 1, time.monotonic()
            cases += QUICK.max_examples
            longest = max(longest, time.monotonic() - clean)
        round_ += 1
        print(f"{cases} cases, {faults} faults, longest clean stretch {longest / 60:.0f} minutes", flush=True)
    return faults


if __name__ == "__main__":
    sys.exit(min(1, hunt(float(sys.argv[1]))))
