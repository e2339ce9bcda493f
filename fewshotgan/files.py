"""Errors for the user, folders, atomic writes, checksums."""

import errno
import hashlib
import operator
import os
import re
import reprlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import SupportsFloat

from fewshotgan.wording import printable

try:
    import fcntl
except ImportError:  # not on Windows, where nobody can remove a file that is being written anyway
    fcntl = None  # type: ignore[assignment]

FAR = 10  # beyond this truncation no generator draws anything
TEMPORARY = re.compile(r"\..+(\.\w+)\.[a-z0-9_]{8}\1")  # .checkpoint.pt.k3v8_x2a.pt, as `atomic_write` names them

MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EROFS}


class UserError(Exception):
    """An error that the user can fix; its text is one sentence: what is wrong, where, and what to do."""


class MachineError(UserError):
    """A `UserError` whose cause lies with the machine and not with what was asked: a full disk, too little memory."""


def data_dir() -> Path:
    """Return the folder of shipped data: next to the package in a clone, inside it in a wheel."""
    package = Path(__file__).resolve().parent
    clone = package.parent / "data"
    return clone if (clone / "manifest.toml").is_file() else package / "_data"


def cache_dir() -> Path:
    """Return the cache folder, `$FEWSHOTGAN_CACHE` or `~/.cache/fewshotgan`; everything in it can be recreated."""
    return Path(os.environ.get("FEWSHOTGAN_CACHE") or Path.home() / ".cache" / "fewshotgan")


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path next to `path`, renamed to `path` once the block ends without an error.

    A crash, a full disk or Ctrl-C leaves the old file untouched. While it is written, the file is locked, by which
    `sweep` knows it from what a killed process left.

    Raises:
        MachineError: if the disk is full or broken.
        UserError: if the file cannot be written for another reason.
    """
    path = whole_name(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
        with os.fdopen(handle, "rb+") as file:
            temporary = Path(name)
            lock(file.fileno())
            yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise (MachineError if error.errno in MACHINE else UserError)(
            f"{clip(path)} could not be written ({error.strerror or error}); free some space or choose another folder."
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def whole_name(path: str | Path) -> Path:
    """Return a path that a file can have.

    Raises:
        UserError: if the name is blank or holds a NUL, at which systems end it.
    """
    if not str(path).strip() or "\0" in str(path):
        raise UserError(f"{str(path)!r} names no file or folder; give another name.")
    return Path(path)


def lock(descriptor: int) -> bool:
    """Lock an open file for this process; return whether nobody else had."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # locked, or on a file system without locks
        return False
    return True


def sweep(folder: str | Path) -> None:
    """Remove what killed processes left half written in a folder; what another one is writing stays."""
    for path in Path(folder).glob(".*"):
        if TEMPORARY.fullmatch(path.name) and path.is_file():
            with suppress(OSError), open(path, "rb+") as file:
                if lock(file.fileno()):
                    path.unlink()


def whole(name: str, value: object) -> int:
    """Return a whole number, of Python's or of another library's (`numpy.int64`), as Python's.

    Raises:
        UserError: if it is none.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise UserError(f"{name}={shown(value)} must be a whole number.") from None


def check_truncation(truncation: float) -> None:
    """Raise one sentence if latents can't be truncated so.

    Raises:
        UserError: if the truncation is no number from -10 to 10.
    """
    if isinstance(truncation, bool) or not isinstance(truncation, SupportsFloat) or not abs(truncation) <= FAR:
        raise UserError(
            f"truncation={shown(truncation)} is no number from -{FAR} to {FAR}; give 1 for none, towards 0 for less "
            "diverse images."
        )


def check_seed(seed: object) -> int:
    """Return a seed as Python's whole number.

    Raises:
        UserError: if it is none, or PyTorch does not accept it.
    """
    number = whole("seed", seed)
    if not 0 <= number < 2**63:
        raise UserError(f"seed={shown(number)} can't be; give a whole number from 0 to below 2^63.")
    return number


def shown(value: object) -> str:
    """Return a value as a message shows it, on one line and in at most 60 letters."""
    try:
        return clip(reprlib.repr(value), 60)
    except (ValueError, RecursionError):  # of thousands of digits, or as deep
        return f"a {type(value).__name__} too large to show"


def first_line(error: Exception) -> str:
    """Return the beginning of what a library says of an error, which often goes on for lines."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:80].rstrip(".")


def clip(name: object, most: int = 80) -> str:
    """Return a name or a value as a message shows it: its end, if it is long, and nothing that moves the cursor."""
    text = printable(str(name))
    return text if len(text) <= most else f"...{text[3 - most :]}"


def check_apart(written: str | Path, *read: str | Path) -> None:
    """Check that a file that is to be written is none of those that are read.

    Raises:
        UserError: if it is one.
    """
    for path in read:
        if os.path.exists(written) and os.path.exists(path) and os.path.samefile(written, path):
            raise UserError(f"{clip(path)} is read, and would be written over; choose another place for the result.")


def check_folder(folder: str | Path) -> None:
    """Create a folder if it does not exist, and check that it is writable before hours of work depend on it.

    Raises:
        UserError: if it is not.
    """
    folder = whole_name(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"Nothing can be written into {clip(folder)} ({error.strerror or error}); choose another folder."
        ) from error


def sha256(path: str | Path) -> str:
    """Return the hexadecimal SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
