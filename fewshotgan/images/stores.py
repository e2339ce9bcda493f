"""Images in stores: an LMDB as rosinality's StyleGAN2 prepares it, and a folder of Hugging Face's `datasets`.

Both are read where their library is installed (`pip install 'fewshotgan[stores]'`); neither is unpickled.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from fewshotgan.files import UserError

LMDB = "data.mdb"
DATASET = ("state.json", "dataset_dict.json")  # of a dataset, and of one with several splits
EXTRA = "pip install 'fewshotgan[stores]'"
KEY = re.compile(rb"(\d+)-(\d+)")  # side in pixels, number


@dataclass(frozen=True)
class Entry:
    """An image of a place: its name, what reads its file, and its class if that is known with it."""

    name: str
    read: Callable[[], bytes]
    label: int | None = None


@contextmanager
def lmdb_entries(path: Path, resolution: int) -> Iterator[list[Entry]]:
    """Yield the images of an LMDB with keys "<side>-<number>": of its sides the smallest that is large enough.

    Raises:
        UserError: if lmdb is not installed, or the store is damaged or has other keys.
    """
    try:
        import lmdb
    except ImportError as error:
        raise UserError(f"{path} is an LMDB; to read it, {EXTRA}, or use a folder of images.") from error
    try:
        with lmdb.open(str(path), readonly=True, lock=False, readahead=False) as store, store.begin() as view:
            keys = [key for key in view.cursor().iternext(values=False) if KEY.fullmatch(key)]
            sides = sorted({int(key.split(b"-")[0]) for key in keys})
            if not sides:
                raise UserError(f"{path} is an LMDB without keys such as 256-00000; use a folder of images.")
            side = next((side for side in sides if side >= resolution), sides[-1])
            chosen = [key for key in keys if int(key.split(b"-")[0]) == side]
            yield [Entry(bytes(key).decode(), partial(_value, view, key)) for key in chosen]
    except lmdb.Error as error:
        raise UserError(f"{path} is a damaged LMDB ({error}); use a folder of images.") from error


def _value(view: Any, key: bytes) -> bytes:
    return bytes(view.get(key))


def dataset_entries(path: Path) -> list[Entry]:
    """Return the images of a folder that `save_to_disk` wrote: of several splits "train", or else the first.

    Raises:
        UserError: if datasets is not installed, the folder is damaged, or it has no column of images.
    """
    try:
        import datasets
    except ImportError as error:
        raise UserError(f"{path} is a folder of `datasets`; to read it, {EXTRA}, or use a folder of images.") from error
    try:
        found = datasets.load_from_disk(str(path))
    except Exception as error:  # each damage has its own
        reason = str(error).splitlines()[0][:80] if str(error) else type(error).__name__
        raise UserError(f"{path} is a damaged folder of `datasets` ({reason}); save it again.") from error
    table: Any = found
    if isinstance(found, dict):
        table = found["train"] if "train" in found else next(iter(found.values()))
    pictures = [name for name, kind in table.features.items() if isinstance(kind, datasets.Image)]
    if not pictures:
        found_names = ", ".join(table.column_names)[:80]
        raise UserError(f"{path} has no column of images, but {found_names}; use another folder.")
    labels = [name for name, kind in table.features.items() if isinstance(kind, datasets.ClassLabel)]
    rows = table.select_columns(pictures[0]).cast_column(pictures[0], datasets.Image(decode=False))
    classes = table[labels[0]][:] if len(labels) == 1 else []
    if not classes or any(label is None or label < 0 for label in classes):  # -1: of a test set, unknown
        classes = [None] * len(rows)
    return [Entry(f"{pictures[0]} {i}", partial(_content, rows, i, path), label) for i, label in enumerate(classes)]


def _content(rows: Any, number: int, path: Path) -> bytes:
    """Return the bytes of the image in a row, which lie in the table, or in a file beside it.

    Raises:
        ValueError: if there are none.
    """
    cell: dict[str, Any] = next(iter(rows[number].values())) or {}
    if cell.get("bytes") is not None:
        return bytes(cell["bytes"])
    file = path / cell["path"] if cell.get("path") else None
    if file is None or not file.is_file():
        raise ValueError("no picture in this row")
    content: bytes = file.read_bytes()
    return content
