"""Errors for the user, folders, atomic writes, checksums."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class UserError(Exception):
    """An error that the user can fix; its text is one sentence: what is wrong, where, and what to do."""


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

    A crash, a full disk or Ctrl-C leaves the old file untouched.

    Raises:
        UserError: if the file cannot be written (read-only folder, full disk).
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(
            f"{path} could not be written ({error.strerror or error}); free some space or choose another folder."
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def check_folder(folder: str | Path) -> None:
    """Create a folder if it does not exist, and check that it is writable before hours of work depend on it.

    Raises:
        UserError: if it is not.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"Nothing can be written into {folder} ({error.strerror or error}); choose another folder."
        ) from error


def sha256(path: str | Path) -> str:
    """Return the hexadecimal SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
