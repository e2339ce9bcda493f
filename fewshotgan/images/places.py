"""Where people keep images: folders, zips, single files. Every file is listed, or named with the reason why it is not.

Links to folders are followed, each folder once. Hidden files, and what macOS and Windows strew, are passed over.
"""

import lzma
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from fewshotgan.decoding import HEAD, OTHERS, SUFFIXES, recognise
from fewshotgan.files import UserError
from fewshotgan.images.labels import LABELS
from fewshotgan.images.stores import DATASET, LMDB, Entry, dataset_entries, lmdb_entries

MOST_BYTES = 256 * 2**20  # per file, compressed or not
STREWN = ("__MACOSX", "Thumbs.db", "desktop.ini", "$RECYCLE.BIN")


@dataclass
class Place:
    """What lies in a place.

    Attributes:
        entries: its images, in order: name, a function that returns the content or raises ValueError with the reason
            why it cannot, and the label if it comes with the image.
        left_out: (name, reason) of files that are no images.
        labels: the content of its `dataset.json`, if it has one.
    """

    entries: list[Entry] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    labels: bytes | None = None

    def add(self, name: str, read: Callable[[int], bytes]) -> None:
        """Enter a file under its name, unless it is none that is read; `read` returns so many bytes, -1 for all."""
        if name == LABELS:
            self.labels = read(-1)
        elif Path(name).suffix.lower() in SUFFIXES or recognise(read(HEAD)):
            self.entries.append(Entry(name, partial(read, -1)))
        else:
            self.left_out.append((name, OTHERS.get(Path(name).suffix.lower(), "not an image")))

    def try_to_add(self, name: str, read: Callable[[int], bytes]) -> None:
        """Enter a file, or the reason why it cannot be read."""
        if Path(name).suffix.lower() in OTHERS:  # a raw photo begins like a TIFF
            self.left_out.append((name, OTHERS[Path(name).suffix.lower()]))
            return
        try:
            self.add(name, read)
        except ValueError as error:
            self.left_out.append((name, str(error)))


@contextmanager
def opened(path: Path, resolution: int) -> Iterator[Place]:
    """Yield what lies in a folder, a zip, an LMDB, a `datasets` folder, or the place of a single file.

    Raises:
        UserError: if it is none of these, a damaged one, or one whose library is not installed.
    """
    if path.is_dir() and (path / LMDB).is_file():
        with lmdb_entries(path, resolution) as entries:
            yield Place(entries)
    elif path.is_dir() and any((path / name).is_file() for name in DATASET):
        yield Place(dataset_entries(path))
    elif path.is_dir():
        yield _folder(path)
    elif path.is_file() and zipfile.is_zipfile(path):
        with _archive(path) as archive:
            yield _members(archive)
    else:
        yield _single(path)


def _single(path: Path) -> Place:
    place = Place()
    if path.is_file():
        place.try_to_add(path.name, partial(_content, path))
    if not place.entries:
        why = f" ({place.left_out[0][1]})" if place.left_out else ""
        raise UserError(f"{path} is not an image, a zip or a folder{why}; use a folder of JPEG, PNG or WebP images.")
    return place


def _folder(path: Path) -> Place:
    place, seen = Place(), {_identity(path)}
    for file in sorted(_files(path, path, seen, place), key=lambda file: file.relative_to(path)):
        place.try_to_add(str(file.relative_to(path)), partial(_content, file))
    return place


def _files(top: Path, folder: Path, seen: set[tuple[int, int]], place: Place) -> Iterator[Path]:
    """Yield the files below a folder; folders that cannot be read, or were, are entered as left out."""
    try:
        children = [Path(child.path) for child in os.scandir(folder) if not _is_hidden(child.name)]
    except OSError as error:
        place.left_out.append((f"{folder.relative_to(top)}/", error.strerror or str(error)))
        return
    for child in sorted(children):
        if not child.is_dir():
            yield child
        elif _identity(child) in seen:
            place.left_out.append((f"{child.relative_to(top)}/", "a link to a folder that is read already"))
        else:
            seen.add(_identity(child))
            yield from _files(top, child, seen, place)


def _identity(folder: Path) -> tuple[int, int]:
    """Return what a folder and all links to it have in common."""
    found = folder.stat()
    return found.st_dev, found.st_ino


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in STREWN


def _content(file: Path, size: int) -> bytes:
    """Return the first bytes of a file; a pipe is not opened, as reading one may never end.

    Raises:
        ValueError: says why it cannot be read.
    """
    try:
        if not file.is_file():
            raise ValueError("not a regular file")
        if file.stat().st_size > MOST_BYTES:
            raise ValueError("the file is too big")
        with open(file, "rb") as opened_file:
            return opened_file.read(size)
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from error


def _archive(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f"The zip {path} is damaged ({error}); recreate it, or pass the folder itself.") from error


def _members(archive: zipfile.ZipFile) -> Place:
    place = Place()
    for info in sorted(archive.infolist(), key=lambda entry: entry.filename):
        parts = Path(info.filename).parts
        if ".." in parts:
            place.left_out.append((info.filename, "a path out of the zip"))
        elif not info.is_dir() and not any(map(_is_hidden, parts)):
            place.try_to_add(info.filename, partial(_member, archive, info))
    return place


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, size: int) -> bytes:
    """Return the first bytes of a member; see `_content`."""
    if info.flag_bits & 1:
        raise ValueError("password-protected")
    if info.file_size > MOST_BYTES:
        raise ValueError("the file is too big")
    try:
        with archive.open(info) as file:
            return file.read(size)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, RuntimeError, EOFError) as error:
        raise ValueError(f"the zip is damaged at this file: {error}") from error
