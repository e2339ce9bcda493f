"""Habits of a shell: exit statuses, signals, full disks, quiet, logs, examples, completion."""

import csv
import io
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers import adapt_photographs as arguments
from helpers import heeding, photographs, small_disk
from ledgers import TINY

from fewshotgan import load_gan, progress
from fewshotgan.bench import advice, check, nearness, papers, proximity
from fewshotgan.bench.table import Row
from fewshotgan.bench.tables import TABLES
from fewshotgan.cli import main
from fewshotgan.cli.arguments import refusal
from fewshotgan.cli.examples import EXAMPLES
from fewshotgan.cli.verbs import VERBS, parser
from fewshotgan.edit import search
from fewshotgan.gans import list_gans

WAIT = 3600  # seconds, for a process that ends by itself
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture
def ground(tmp_path):
    """A tiny GAN file and a folder of five pictures: too few to be measured."""
    return photographs(tmp_path, 5, 16, 16)


def process(ground, *more):
    line = [sys.executable, "-P", "-m", "fewshotgan", *arguments(ground, *more)]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT, preexec_fn=heeding)


def test_a_run_that_is_complete_is_not_stopped(ground, capsys):
    assert main(arguments(ground, "--iterations", "1", "--minutes", "0")) == 0
    assert "stopped" not in capsys.readouterr().out


def test_the_same_command_goes_on_with_more_iterations_from_another_folder(ground, capsys, monkeypatch):
    assert main(arguments(ground)) == 0
    monkeypatch.chdir(ground)
    line = ["adapt", "--gan", "tiny.safetensors", "--images", "photos", "--batch", "2", "--out", "out"]
    assert main([*line, "--iterations", "9"]) == 0
    assert json.loads((ground / "out" / "metrics.json").read_text())["iterations_made"] == 9
    capsys.readouterr()
    assert main([*line, "--iterations", "5"]) == 2
    assert "out holds 9 iterations already, more than 5" in capsys.readouterr().err
    assert main([*line, "--iterations", "12", "--seed", "3", "--option", "mixing=0.5"]) == 2
    said = capsys.readouterr().err
    assert "mixing=0.0, not 0.5" in said and "seed=0, not 3" in said


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_saves_says_so_and_the_same_command_goes_on(ground, stop):
    running = process(ground, "--iterations", "100000")
    checkpoint = ground / "out" / "iterations" / "000000.safetensors"
    while not checkpoint.is_file() and running.poll() is None:
        time.sleep(0.05)
    running.send_signal(stop)
    out, err = (text.decode() for text in running.communicate(timeout=WAIT))
    assert running.returncode == 130, err
    assert "stopping after this iteration, then saving" in err and "saving photos-freezed.safetensors" in err
    made = torch.load(ground / "out" / "checkpoint.pt", weights_only=True)["iteration"]
    assert f"stopped at iteration {made};" in out
    assert load_gan(ground / "out" / "photos-freezed.safetensors").sample(1).isfinite().all()
    assert main(arguments(ground, "--iterations", str(made + 2))) == 0
    assert json.loads((ground / "out" / "metrics.json").read_text())["iterations_made"] == made + 2


SLOW_IMPORT = """
import sys, types
class Slow(types.ModuleType):
    pass
import importlib.abc
class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "torch":
            print("importing", flush=True)
            while True:
                pass
sys.meta_path.insert(0, Finder())
from fewshotgan.cli import main
sys.exit(main(["gans"]))
"""


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_libraries_load_is_one_line(stop):
    line = [sys.executable, "-c", SLOW_IMPORT]
    running = subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT, preexec_fn=heeding
    )
    running.stdout.readline()
    running.send_signal(stop)
    _, err = running.communicate(timeout=WAIT)
    assert running.returncode == 130 and err == b"fewshotgan: stopped.\n"


def test_a_full_disk_ends_in_a_sentence_and_keeps_the_checkpoint_before(ground, capsys):
    tiny = ground / "tiny.safetensors"
    size = 4 * tiny.stat().st_size
    for room in (0.3, 1, 2):  # for nothing; for the GAN; for GANs along the run too
        with small_disk(ground / f"disk{room}", max(4096, int(size * room) // 4096 * 4096)) as disk:
            line = arguments(ground)
            line[line.index("--out") + 1] = str(disk / "o")
            assert main(line) == 1
            error = capsys.readouterr().err.strip().splitlines()[-1]
            assert "No space left on device" in error and error.startswith("fewshotgan: ") and len(error) <= 240
            assert not list(disk.rglob(".*"))
    with small_disk(ground / "disk", size * 8) as disk:
        line = arguments(ground)
        line[line.index("--out") + 1] = str(disk / "o")
        main(line)
        before = (disk / "o" / "checkpoint.pt").read_bytes()
        (disk / "filler").write_bytes(b"x")
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize
        (disk / "filler").write_bytes(bytes(free))
        assert main([*line, "--iterations", "8"]) == 1
        assert (disk / "o" / "checkpoint.pt").read_bytes() == before


def test_quiet_prints_nothing_and_a_log_holds_every_loss(ground, capfd):
    assert main(arguments(ground, "--iterations", "20", "--augment", "ada", "--log", "--quiet")) == 0
    said = capfd.readouterr()
    assert said.out == "" and "it/s" not in said.err and "saving" not in said.err
    assert list((ground / "out" / "tensorboard").glob("events.*"))
    with open(ground / "out" / "losses.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["iteration"] for row in rows] == ["10", "20"]
    assert {"generator/logistic", "discriminator/logistic", "augment/p", "seconds", "stage"} <= rows[0].keys()


def test_keep_best_says_what_it_kept(ground):
    assert main(arguments(ground, "--iterations", "24", "--keep", "best")) == 0
    kept = json.loads((ground / "out" / "metrics.json").read_text())["kept"]
    assert kept["iteration"] in {int(key) for key in kept["values"]} and "without a test set" in kept["why"]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (["adapt", "--images", "", "--out", "x"], "names no file or folder"),
        (["adapt", "--images", "avatars/thumbs", "--out", ""], "names no file or folder"),
        (["adapt", "--images", "avatars/thumbs", "--out", "x", "--batch", "9" * 25], "batch=99999"),
        (["adapt", "--images", "avatars/thumbs", "--out", "x", "--iterations", "9" * 25], "iterations=99999"),
        (["adapt", "--images", "avatars/thumbs", "--out", "x", "--batch", "9" * 5000], "is not a whole number"),
        (["adapt", "--images", "avatars/thumbs", "--out", "x", "--seed", "1.5"], "'1.5' is not a whole number"),
        (["adapt", "--images", "avatars/thumbs", "--out", "x", "--minutes", "nan"], "is not a number of minutes"),
        (["adapt", "--images", "avatars/thumbs", "--out", "x", "--option", "learning_rate=" + "[" * 10**5], "learning"),
        (["adapt", "--images", "avatars/thumbs", "--out", "x", "--option", "r1_every=" + "9" * 25], "r1_every=99999"),
        (["adapt", "--images", "avatars/thumbs", "--out", "x", "--device", "privateuseone"], "can't be used here"),
        (["adapt", "--images", "no-such", "--out", "x", "--device", "mps"], "PyTorch finds no mps here"),
        (["project", "avatars-stylegan2", "--image", "x.png", "--out", "x", "--truncation", "nan"], "no number from"),
        (["adapt", "--images", "avatars/thumbs", "--out", "x", "--method", "y" * 10**4], "There is no method"),
        (["sample", "avatars-stylegan2", "--out", "x.png", "--truncation", "1e308"], "truncation=1e+308 is no number"),
        (["sample", "avatars-stylegan2", "--out", "x.png", "--n", "9" * 25], "too many for one picture"),
        (["sample", "a" * 10**4, "--out", "x.png"], "There is no GAN"),
        (["fly"], "invalid choice"),
        ([], "required: COMMAND"),
    ],
)
def test_refusals_are_one_short_line_and_status_2(line, text, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        status = main(line)
    except SystemExit as leave:  # of the parser
        status = leave.code
    error = capsys.readouterr().err
    assert status == 2 and text in error and error.startswith("fewshotgan: ")
    assert error.count("\n") == 1 and len(error.strip()) <= 240
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_moves_no_cursor_and_keeps_its_end():
    assert refusal("\x1b[2Jbad\n") == "fewshotgan: \\x1b[2Jbad\\n"
    long = refusal(f"{'x' * 500} can't be; do that.")
    assert len(long) <= 240 and long.endswith("do that.")


def test_every_command_has_examples_that_it_understands(capsys):
    commands = {verb.__name__.rpartition(".")[2] for verb in VERBS}
    assert EXAMPLES.keys() == commands
    for command, lines in EXAMPLES.items():
        for line in lines:
            words = shlex.split(line.split(" > ")[0])
            assert words[0] == command and parser().parse_args(words).run
        with pytest.raises(SystemExit):
            parser().parse_args([command, "--help"])
        assert f"\n  fewshotgan {lines[0]}\n" in capsys.readouterr().out


def test_bash_completes_commands_options_methods_and_gans(tmp_path, capsys):
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "completion.sh"
    script.write_text(capsys.readouterr().out)
    asked = """source {script}
COMP_WORDS=(fewshotgan {words} ''); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMP_LINE='fewshotgan {words} '
_shtab_fewshotgan; echo "${{COMPREPLY[@]}}" """
    bash = shutil.which("bash")
    assert bash
    for words, expected in (
        ("", {"adapt", "sample"}),
        ("adapt --method", {"freezed", "adam"}),
        ("sample", set(list_gans())),
    ):
        done = subprocess.run(
            [bash, "-c", asked.format(script=script, words=words)], capture_output=True, text=True, cwd=Path(tmp_path)
        )
        assert expected <= set(done.stdout.split()), (words, done.stdout, done.stderr)


class Terminal(io.StringIO):
    def isatty(self):
        return True


LONG = {  # what takes over three seconds if there is more of it, and the bar or line that tells
    "advise": (["advise", "photos"], "advice"),
    "evaluate": (["evaluate", "tiny.safetensors", "--images", "photos", "--n", "16"], "efficientnet features"),
    "sample": (["sample", "tiny.safetensors", "--n", "3", "--out", "sheet.png"], "images"),
    "film": (["sample", "tiny.safetensors", "--frames", "4", "--out", "film.gif"], "frames"),
    "project": (
        ["project", "tiny.safetensors", "--image", "photos/00.png", "--iterations", "2", "--out", "me"], "project"
    ),
    "export": (["export", "tiny.safetensors", "--to", "torchscript", "--out", "tiny.pt"], "writing torchscript"),
    "tables": (["tables", "tiny"], "cells"),
    "claims": (["claims"], "claims"),
    "check": (["bench", "check"], "sources and targets"),
    "proximity": (["proximity", "fashion/bag"], "domains"),
    "record": (["record", "tiny", "--minutes", "0"], "runs ["),
}  # fmt: skip
WRITE = {"sample", "film", "project", "export", "record"}  # the others are asked for what they print


@pytest.mark.parametrize("name", LONG)
def test_what_lasts_shows_it_on_a_terminal_unless_it_is_to_be_quiet(name, ground, tmp_path, monkeypatch, capsys):
    line, told = LONG[name]
    monkeypatch.chdir(ground)
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    monkeypatch.setenv("FEWSHOTGAN_LEDGER", str(tmp_path / "runs.jsonl"))
    monkeypatch.setitem(TABLES, "tiny", replace(TINY, rows={"as it is": Row("none")}, published=()))
    monkeypatch.setattr(check, "FITNESS", {})
    monkeypatch.setattr(papers, "CLAIMS", [])
    monkeypatch.setattr(advice, "shipped_gans", lambda: (load_gan("tiny.safetensors"),))
    monkeypatch.setattr(nearness, "SAMPLES", 8)
    monkeypatch.setattr(proximity, "IMAGES", 8)
    monkeypatch.setattr(search, "CANDIDATES", 4)
    monkeypatch.setattr(nearness, "scale_domains", lambda _gan: ["fashion/bag"])
    monkeypatch.setattr(proximity, "list_domains", lambda: {"fashion/bag": "", "fashion/coat": ""})
    for quiet in ([], ["--quiet"]):
        capsys.readouterr()
        monkeypatch.setattr(sys, "stderr", Terminal())
        assert main([*line, *quiet]) == 0, sys.stderr.getvalue()
        assert (told in sys.stderr.getvalue()) is not bool(quiet), sys.stderr.getvalue()
    assert bool(capsys.readouterr().out) is (name not in WRITE)
