"""The command: what it writes, how it refuses, how it resumes."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
import torch
from helpers import adapt_photographs as arguments
from helpers import heeding, photographs, tiny_gan, tiny_sngan
from PIL import Image

from fewshotgan import load_gan
from fewshotgan.cli import main
from fewshotgan.cli.verbs import VERBS, parser

WAIT = 3600  # seconds, for a process that ends by itself
# newer versions of Python don't ask the system
TOO_LONG = "File name too long" if sys.version_info < (3, 14) else "There is no folder, zip or shipped domain"


@pytest.fixture
def ground(tmp_path):
    """A tiny GAN file and a folder of twelve photographs, one of them broken."""
    photographs(tmp_path, 12, 30, 40)
    (tmp_path / "photos" / "broken.png").write_text("no image")
    return tmp_path


def test_adapt_writes_everything_and_says_how_it_cropped(ground, capsys):
    assert main(arguments(ground, "--method", "freezed", "--option", "frozen_down_to=8")) == 0
    said = capsys.readouterr().out
    assert "12 of them centre-cropped" in said and "Left out: broken.png (not an image)" in said
    out = ground / "out"
    assert {p.name for p in out.iterdir()} == {
        "checkpoint.pt", "interpolation.gif", "iterations", "metrics.json", "photos-freezed.safetensors", "report.html",
        "result.png",
        "samples.png",
    }  # fmt: skip
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["spec"]["options"]["frozen_down_to"] == 8 and "memorisation" in metrics["note"]
    assert metrics["fd_efficientnet"] > 0 and metrics["protocol"]["n_real"] == 12
    assert "12 of them centre-cropped" in metrics["protocol"]["real"]
    assert load_gan(out / "photos-freezed.safetensors").sample(1).shape == (1, 3, 16, 16)
    assert Image.open(out / "interpolation.gif").n_frames == 48


def test_no_verb_writes_over_what_it_reads(ground, capsys):
    gan, out = ground / "photos-freezed.safetensors", ground / "out"
    tiny_gan().refresh().save(gan)
    out.mkdir()
    linked = out / gan.name
    linked.symlink_to(gan)
    photo = out / "reconstruction.png"
    Image.new("RGB", (16, 16)).save(photo)
    before = gan.read_bytes(), photo.read_bytes()
    for line in (
        ["export", str(gan), "--to", "torchscript", "--out", str(linked)],
        ["adapt", "--gan", str(gan), "--images", str(ground / "photos"), "--iterations", "1", "--out", str(out)],
        ["project", str(gan), "--image", str(photo), "--iterations", "1", "--out", str(out)],
    ):
        assert main(line) == 2
        assert "is read, and would be written over" in capsys.readouterr().err
    assert before == (gan.read_bytes(), photo.read_bytes())


def test_a_name_that_is_written_does_not_command_the_terminal(ground, capsys, monkeypatch):
    monkeypatch.chdir(ground)
    tiny_gan().refresh().save(ground / "gan.safetensors")
    for line in (
        ["export", "gan.safetensors", "--to", "torchscript", "--out", "\x1b[2J.pt"],
        ["sample", "gan.safetensors", "--n", "2", "--out", "\x1b[2J.png"],
    ):
        assert main(line) == 0
        said = capsys.readouterr()
        assert "\x1b" not in said.out + said.err and "\\x1b[2J" in said.out


def test_several_gans_are_mined_together(ground):
    tiny_gan(seed=1).refresh().save(ground / "other.safetensors")
    assert main(arguments(ground, "--gan", str(ground / "other.safetensors"), "--method", "minegan")) == 0
    mixture = load_gan(ground / "out" / "photos-minegan.safetensors")
    assert mixture.generator.probabilities().shape == (2,) and Image.open(ground / "out" / "result.png").size[0] > 96
    assert json.loads((ground / "out" / "metrics.json").read_text())["spec"]["gan"] == "tiny & tiny"


def test_a_shipped_domain_of_another_size_is_measured_at_that_of_the_gan(ground, capsys):
    assert main(arguments(ground, "--images", "avatars/adventurer", "--n", "5", "--minutes", "0")) == 130
    said, metrics = capsys.readouterr().out, json.loads((ground / "out" / "metrics.json").read_text())
    assert "resized to 16 pixels" in said and "stopped at iteration 1;" in said
    assert (metrics["iterations_made"], metrics["finished"]) == (1, False)
    assert metrics["protocol"]["real"] == "avatars/adventurer, held out, resized to 16 pixels (Lanczos), 3 channels"


def test_gans_named_one_by_one_are_as_good_as_all_at_once(ground):
    parse = parser().parse_args
    assert parse(["adapt", "--gan", "a", "--gan", "b", "c", "--images", "x", "--out", "y"]).gan == ["a", "b", "c"]


def test_a_class_conditional_gan_is_mined_beside_another(ground):
    tiny_sngan(classes=3).refresh().save(ground / "classes.safetensors")
    assert main(arguments(ground, "--gan", str(ground / "classes.safetensors"), "--method", "minegan")) == 0
    assert Image.open(ground / "out" / "result.png").size[0] > 96


def test_what_it_wrote_is_not_trained_on(ground, capsys):
    line = arguments(ground)
    line[line.index("--out") + 1] = str(ground / "photos" / "out")
    assert main(line) == 2 and "is inside --images" in capsys.readouterr().err
    assert not (ground / "photos" / "out").exists()


def test_options_may_be_none_or_lack_the_nought(ground):
    assert main(arguments(ground, "--option", "r1_gamma=none", "--option", "learning_rate=.001")) == 0
    options = json.loads((ground / "out" / "metrics.json").read_text())["spec"]["options"]
    assert options["learning_rate"] == 0.001


def test_a_collapse_is_written_beside_what_is_left(ground, capsys):
    assert main(arguments(ground, "--option", "learning_rate=1e30")) == 3
    assert "not finite" in capsys.readouterr().err
    metrics = json.loads((ground / "out" / "metrics.json").read_text())
    assert not metrics["finished"] and "not finite" in metrics["collapse"]
    assert load_gan(ground / "out" / "photos-freezed.safetensors").sample(1).isfinite().all()


def test_one_image_works(ground):
    assert main(arguments(ground, "--images", str(ground / "photos" / "00.png"))) == 0
    assert "1 images are too few" in json.loads((ground / "out" / "metrics.json").read_text())["metrics"]


def test_sample(ground, capsys):
    gan = str(ground / "tiny.safetensors")
    assert main(["sample", gan, "--out", str(ground / "sheet.png"), "--n", "4"]) == 0
    assert Image.open(ground / "sheet.png").size[0] > 96
    assert main(["sample", gan, "--out", str(ground / "walk.gif")]) == 0
    assert main(["sample", gan, "--out", str(ground / "walk.avi")]) == 2
    assert "must end in / (a folder of PNG files)" in capsys.readouterr().err


THUMBS = ["adapt", "--images", "avatars/thumbs", "--n", "2", "--out", "x"]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (["adapt", "--images", "nowhere", "--out", "x"], "There is no folder"),
        (["adapt", "--gan", "nothing", "--images", "nowhere", "--out", "x"], "There is no GAN"),
        (["sample", "avatars-stylegan", "--out", "x.png"], "did you mean avatars-stylegan2"),
        (["record", "table-9"], "no table 'table-9'"),
        (["tables", "table-9"], "no table 'table-9'"),
        (["pretrain", "cats"], "no recipe 'cats'"),
        (["proximity", "cats"], "no shipped domain"),
        (
            ["adapt", "--images", "avatars/thumbs", "--n", "2", "--out", "x", "--option", "lr"],
            "not of the form NAME=VALUE",
        ),
        (["adapt", "--images", "avatars/thumbs", "--n", "2", "--out", "x", "--method", "magic"], "no method 'magic'"),
        ([*THUMBS, "--option", "iterations=3"], "has no option 'iterations'"),
        ([*THUMBS, "--option", "learning_rate=abc"], "learning_rate='abc' must be a finite number"),
        ([*THUMBS, "--option", "learning_rate=1" + 400 * "0"], "must be a finite number"),
        ([*THUMBS, "--option", "name=3"], "has no option 'name'"),
        ([*THUMBS, "--images", "50% avatars/thumbs, 50% fashion/dress"], "differ in size or channels"),
        ([*THUMBS, "--images", 300 * "x"], TOO_LONG),
        ([*THUMBS, "--option", "learning_rate=-1"], "learning_rate=-1 must be a finite number above 0"),
        ([*THUMBS, "--option", "r1_gamma=-1"], "r1_gamma=-1 must be a finite number of at least 0 or none"),
        ([*THUMBS, "--option", "mixing=2"], "mixing=2 must be a finite number from 0 to 1"),
        ([*THUMBS, "--method", "dcl", "--option", "mixing=0.5"], "styles can't be mixed"),
        ([*THUMBS, "--method", "dcl", "--option", "temperature=0"], "temperature=0 must be a finite number above 0"),
        ([*THUMBS, "--method", "ewc", "--option", "samples=0"], "ewc: samples=0 must be a whole number of at least 1"),
        ([*THUMBS, "--option", "r1_every=0"], "r1_every=0 must be a whole number of at least 1"),
        ([*THUMBS, "--option", "r1_every=1.5"], "must be a whole number"),
        ([*THUMBS, "--device", "gpu7"], "The device 'gpu7' can't be used here"),
        ([*THUMBS, "--device", "meta"], "The device 'meta' can't be used here"),
        ([*THUMBS, "--seed", "-1"], "seed=-1 can't be"),
        (
            ["adapt", "--images", "avatars/thumbs", "--n", "2", "--out", "/dev/null/x"],
            "Nothing can be written into /dev/null/x",
        ),
        (["sample", "avatars-stylegan2", "--out", "x.png", "--n", "0"], "n=0 latents can't be drawn"),
        (["sample", "avatars-stylegan2", "--out", "x.png", "--seed", str(2**70)], "can't be; give a whole number"),
        (["sample", "avatars-stylegan2", "--out", "x.png", "--truncation", "nan"], "truncation=nan is no number"),
        (["record", "transfergan-table2", "--workers", "0"], "workers=0 can't compute"),
        (["pretrain", "avatars-stylegan2", "--thousands", "0"], "ask for more than that with --thousands"),
    ],
)
def test_refusals_are_one_line_and_status_2(line, text, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(line) == 2
    error = capsys.readouterr().err.strip()
    assert text in error and error.startswith("fewshotgan: ") and "\n" not in error
    assert list(tmp_path.iterdir()) == []


def test_lists_and_claims(capsys):
    for line, text in (
        (["methods"], "freezed"),
        (["methods", "adam"], "quantile (default: 50.0)"),
        (["gans"], "avatars-stylegan2"),
        (["domains"], "avatars/pixel-art"),
        (["tables"], "transfergan/table-2"),
    ):
        assert main(line) == 0
        assert text in capsys.readouterr().out
    assert main(["claims", "--json"]) == 0
    assert {"paper", "claim", "table", "verdict", "pairs", "p"} == set(json.loads(capsys.readouterr().out)[0])
    assert main(["tables", "adaptation-10-shot"]) == 0
    assert "published:" in capsys.readouterr().out


def test_help_of_every_command_reads(capsys):
    for verb in VERBS:
        command = verb.__name__.rpartition(".")[2]
        with pytest.raises(SystemExit) as leave:
            parser().parse_args([command, "--help"])
        assert leave.value.code == 0 and "usage: fewshotgan" in capsys.readouterr().out


def test_a_pipe_that_closes_ends_the_run_and_keeps_it(ground):
    line = [sys.executable, "-m", "fewshotgan", *arguments(ground, "--n", "5")]  # too few to be measured
    line[line.index("--iterations") + 1] = "4000"
    process = subprocess.Popen(
        line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    read = b""
    while b" 0/4000" not in read and process.poll() is None:
        read += process.stderr.read(1)
    process.stderr.close()
    assert process.wait(timeout=WAIT) == 141
    assert 0 < torch.load(ground / "out" / "checkpoint.pt", weights_only=True)["iteration"] < 4000


def test_ctrl_c_keeps_what_there_is_and_the_same_command_goes_on(ground):
    line = [sys.executable, "-m", "fewshotgan", *arguments(ground, "--n", "5")]  # too few to be measured
    line[line.index("--iterations") + 1] = "100000"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    termios, pty = pytest.importorskip("termios"), pytest.importorskip("pty")
    terminal, end = pty.openpty()  # where the bar is drawn anew every few iterations
    termios.tcsetwinsize(end, (24, 80))
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=end, text=True, env=environment, preexec_fn=heeding)
    os.close(end)
    read = b""
    while not re.search(rb" [1-9]\d*/100000", read) and process.poll() is None:
        read += os.read(terminal, 1024)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=WAIT)
    os.close(terminal)
    assert process.returncode == 130 and "the same command resumes" in said
    assert load_gan(ground / "out" / "photos-freezed.safetensors").sample(1).isfinite().all()
    stopped = torch.load(ground / "out" / "checkpoint.pt", weights_only=True)["iteration"]
    assert 0 < stopped < 100000
    again = subprocess.run([*line, "--minutes", "0"], capture_output=True, text=True, env=environment, check=False)
    assert again.returncode == 130 and f"stopped at iteration {stopped + 1};" in again.stdout, again.stderr


def test_the_progress_bar_fills_no_file(ground):
    line = [sys.executable, "-m", "fewshotgan", *arguments(ground, "--n", "5")]  # too few to be measured
    line[line.index("--iterations") + 1] = "60"
    started = time.monotonic()
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    lines = 4 + (time.monotonic() - started) / 10  # however slow: one every ten seconds
    assert done.returncode == 0 and 1 <= done.stderr.count("%|") <= lines, done.stderr


def test_a_system_without_posix_locks_and_of_another_encoding_will_do():
    code = "import sys; sys.modules['fcntl'] = None; from fewshotgan.cli import main; "
    code += "sys.exit(main(['tables', 'adam-progan-close']))"
    # as on Windows: text is no UTF-8
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": "utf-8"}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, env={**os.environ, **plain}, check=False)
    assert result.returncode == 0, result.stderr.decode()
    assert " ± " in result.stdout.decode() and "published: " in result.stdout.decode()
