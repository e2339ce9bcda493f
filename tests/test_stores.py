"""Labels that come with images, and stores of other projects: a dataset.json, an LMDB, a folder of `datasets`."""

import io
import json
import sys
import zipfile

import datasets
import lmdb
import numpy as np
import pytest
from PIL import Image

from fewshotgan.files import UserError
from fewshotgan.images import load_images


def picture(level, side=16):
    return Image.fromarray(np.full((side, side, 3), level, np.uint8))


def encoded(level, side=16):
    buffer = io.BytesIO()
    picture(level, side).save(buffer, "PNG")
    return buffer.getvalue()


def labelled(path, labels, n=4):
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(n):
            archive.writestr(f"00000/img{i:08d}.png", encoded(40 * i + 40))
        archive.writestr("dataset.json", labels if isinstance(labels, str) else json.dumps({"labels": labels}))
    return path


def rows(*labels):
    return [[f"00000/img{i:08d}.png", label] for i, label in enumerate(labels)]


def test_labels_of_a_dataset_json_are_those_of_their_images(tmp_path):
    found = load_images(labelled(tmp_path / "set.zip", rows(2, 0, 1, 0)))
    assert found.labels.tolist() == [2, 0, 1, 0] and found.classes == 3 and "Labels of 3 classes" in found.note
    few = load_images(tmp_path / "set.zip", n=2, subset=1)
    assert few.labels.tolist() == [1, 0] and few.classes == 3
    one_hot = labelled(tmp_path / "hot.zip", rows([0, 0, 1], [1, 0, 0], [0, 1, 0], [1, 0, 0]))
    assert load_images(one_hot).labels.tolist() == [2, 0, 1, 0]
    with zipfile.ZipFile(tmp_path / "set.zip") as archive:
        archive.extractall(tmp_path / "folder")
    assert load_images(tmp_path / "folder").labels.tolist() == [2, 0, 1, 0]


@pytest.mark.parametrize(
    "labels",
    [
        rows(0, 1, 2),
        rows(0, 1, 2, -1),
        rows(0, 1, 2, 10**30),
        rows(0, 1, 2, True),
        rows(0, 1, 2, [0.5, 0.5]),
        rows(0, 1, 2, [1, 1]),
        rows(0, 1, 2, []),
        rows(0, 1, 2, "cat"),
        [1, 2, 3],
        {"a": 1},
        "{",
        "[" * 100_000,
        '{"labels": [["00000/img00000000.png", ' + "9" * 5000 + "]]}",
        "\udcff".encode("utf-8", "surrogatepass").decode("latin1"),
    ],
)
def test_labels_that_can_t_be_used_are_said(tmp_path, labels):
    found = load_images(labelled(tmp_path / "set.zip", labels), resolution=16)
    assert len(found) == 4 and found.labels is None and found.classes == 0
    assert "The labels in dataset.json are not used" in found.note and len(found.note) < 400


def test_a_dataset_without_labels_has_none(tmp_path):
    found = load_images(labelled(tmp_path / "set.zip", None))
    assert found.labels is None and "labels" not in found.note


@pytest.fixture
def store(tmp_path):
    with lmdb.open(str(tmp_path / "store"), map_size=2**24) as environment, environment.begin(write=True) as change:
        for side in (16, 32):
            for i in range(12):
                change.put(f"{side}-{i:05d}".encode(), encoded(20 * i, side))
        change.put(b"length", b"12")
    return tmp_path / "store"


def test_an_lmdb_is_read_at_the_size_that_fits(store):
    found = load_images(store, resolution=16)
    assert len(found) == 12 and found.pixels[:, 0, 0, 0].tolist() == [20 * i for i in range(12)]
    assert found.names[0] == "16-00000" and "enlarged" not in found.note
    assert load_images(store, resolution=20).names[0] == "32-00000"
    assert load_images(store, resolution=64).names[0] == "32-00000"


def test_an_lmdb_of_something_else_and_a_damaged_one_are_refused(tmp_path, store, monkeypatch):
    with lmdb.open(str(tmp_path / "other"), map_size=2**20) as environment, environment.begin(write=True) as change:
        change.put(b"word", b"value")
    with pytest.raises(UserError, match="LMDB without keys such as 256-00000"):
        load_images(tmp_path / "other")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "data.mdb").write_bytes(bytes(8192))
    with pytest.raises(UserError, match="damaged LMDB"):
        load_images(tmp_path / "broken")
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(UserError, match=r"pip install 'fewshotgan\[stores\]'"):
        load_images(store)


@pytest.fixture
def saved(tmp_path):
    columns = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b", "c"])})
    table = datasets.Dataset.from_dict(
        {"image": [{"bytes": encoded(30 * i), "path": None} for i in range(6)], "label": [0, 1, 0, 1, 0, 1]},
        features=columns,
    )
    table.save_to_disk(str(tmp_path / "one"))
    split = datasets.DatasetDict({"test": table.select([0]), "train": table.select([5, 4, 3])})
    split.save_to_disk(str(tmp_path / "several"))
    return tmp_path


def test_a_folder_of_datasets_is_read_with_its_labels(saved):
    found = load_images(saved / "one", resolution=16)
    assert found.pixels[:, 0, 0, 0].tolist() == [30 * i for i in range(6)]
    assert found.labels.tolist() == [0, 1, 0, 1, 0, 1] and "Labels of 2 classes" in found.note
    train = load_images(saved / "several", resolution=16)
    assert train.pixels[:, 0, 0, 0].tolist() == [150, 120, 90] and train.labels.tolist() == [1, 0, 1]


def test_a_folder_of_datasets_without_images_or_damaged_is_refused(saved, monkeypatch):
    datasets.Dataset.from_dict({"text": ["a"]}).save_to_disk(str(saved / "text"))
    with pytest.raises(UserError, match="no column of images, but text"):
        load_images(saved / "text")
    next((saved / "one").glob("*.arrow")).write_bytes(b"nothing")
    with pytest.raises(UserError, match="damaged folder of `datasets`"):
        load_images(saved / "one")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"pip install 'fewshotgan\[stores\]'"):
        load_images(saved / "several")


def test_a_row_without_a_picture_is_named(tmp_path):
    content = {"picture": [{"bytes": encoded(9), "path": None}, None, {"bytes": b"no", "path": None}]}
    columns = datasets.Features({"picture": datasets.Image()})
    datasets.Dataset.from_dict(content, features=columns).save_to_disk(str(tmp_path / "set"))
    found = load_images(tmp_path / "set")
    assert found.left_out == ("picture 1: no picture in this row", "picture 2: not an image") and found.labels is None
