"""`make gpu` at a tiny size on a CPU: lanes train side by side, stop in time, bring home what they made, and go on."""

import json
import subprocess
import sys

import numpy as np

from fewshotgan import load_gan
from fewshotgan.bench.pools import save_pool


def run(folder, *options):
    command = [sys.executable, "-m", "fewshotgan.bench.gpu", "--device", "cpu", "--batch", "4", "--measured", "8"]
    places = ["--pools", folder / "pools", "--runs", folder / "runs", "--out", folder / "out"]
    return subprocess.run([*command, *places, *options], capture_output=True, text=True)


def test_two_lanes_stop_come_home_and_go_on(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("fashion-trouser", "fashion-dress"):
        (tmp_path / "pools").mkdir(exist_ok=True)
        save_pool(rng.integers(0, 256, (50, 32, 32), dtype=np.uint8), tmp_path / f"pools/{name}.npy.xz")
    lanes = ["--lanes", "fashion-wgan-trouser=1", "fashion-wgan-dress=1", "--minutes", "0"]
    seen = []
    for _ in range(2):
        done = run(tmp_path, *lanes)
        assert done.returncode == 0, done.stdout + done.stderr
        gans = [load_gan(tmp_path / f"out/fashion-wgan-{name}.safetensors") for name in ("trouser", "dress")]
        seen.append([gan.card["curve"][-1]["images"] for gan in gans])
    assert all(0 < first < second for first, second in zip(*seen, strict=True))
    assert json.loads((tmp_path / "runs/fashion-wgan-dress/curve.json").read_text())[-1]["images"] == seen[1][1]


def test_a_lane_that_fails_is_told_and_the_others_come_home(tmp_path):
    (tmp_path / "pools").mkdir()
    save_pool(np.zeros((8, 32, 32), np.uint8), tmp_path / "pools/fashion-trouser.npy.xz")
    (tmp_path / "pools/fashion-dress.npy.xz").write_bytes(b"no pool")
    done = run(tmp_path, "--lanes", "fashion-wgan-trouser=1", "fashion-wgan-dress=1", "--minutes", "0")
    assert done.returncode == 1 and "is no pool of images" in done.stdout
    assert [path.stem for path in (tmp_path / "out").iterdir()] == ["fashion-wgan-trouser"]
