"""Every shipped file is listed in the manifest, with its checksum, and the splits are what they say."""

import io
import json
import tomllib
import zipfile

import pytest
from PIL import Image

from fewshotgan.files import data_dir, sha256
from fewshotgan.images import count_subsets

MANIFEST = {entry["path"]: entry for entry in tomllib.loads((data_dir() / "manifest.toml").read_text())["file"]}


def test_every_file_is_listed_and_meets_its_checksum():
    present = {
        p.relative_to(data_dir()).as_posix()
        for f in ("avatars", "encoders", "fashion", "gans")
        for p in (data_dir() / f).glob("*")
        if p.is_file()
    }
    assert present == MANIFEST.keys()
    for path, entry in MANIFEST.items():
        assert sha256(data_dir() / path) == entry["sha256"], path
        assert (data_dir() / path).stat().st_size == entry["bytes"]
        assert entry["licence"] in ("CC0-1.0", "CC-BY-4.0", "MIT") and entry["origin"] and entry["attribution"], path


def test_sizes_stay_within_their_budgets():
    images = sum(entry["bytes"] for path, entry in MANIFEST.items() if not path.startswith("gans/"))
    gans = sum(entry["bytes"] for path, entry in MANIFEST.items() if path.startswith("gans/"))
    assert images <= 24 * 2**20 and gans <= 20 * 2**20


@pytest.mark.parametrize("collection", ["avatars", "fashion"])
def test_zips_hold_what_the_splits_promise(collection):
    splits = json.loads((data_dir() / collection / "splits.json").read_text())
    for name, split in splits.items():
        with zipfile.ZipFile(data_dir() / collection / f"{name}.zip") as archive:
            names = json.loads(archive.read("dataset.json"))["names"]
            assert set(names) | {"dataset.json"} == set(archive.namelist())
            for part in ("train", "held_out"):
                assert sum(entry.startswith(f"{part}/") for entry in names) == split[part]
            first = Image.open(io.BytesIO(archive.read(names[0])))
        assert first.size == ((64, 64) if collection == "avatars" else (32, 32))
        assert sorted(split["order"]) == list(range(split["train"]))
        assert set(split["subsets"]) == {str(n) for n in (1, 5, 10, 25, 100, 1000) if n <= split["train"]}
        for n, count in split["subsets"].items():
            assert count == count_subsets(f"{collection}/{name}", int(n)) >= min(5, split["train"] // int(n))
    if collection == "avatars":
        assert splits["personas"]["train"] >= 4000 and len(splits) >= 8
        assert sum(split["train"] >= 1000 and split["held_out"] >= 1000 for split in splits.values()) >= 5
