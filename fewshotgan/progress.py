"""What takes over three seconds says so: bars of progress, and a line for what can't be counted.

Both appear on a terminal alone, and only after three seconds; `silenced` keeps them away.
"""

import sys
import threading
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from tqdm import tqdm

PATIENCE = 3.0  # seconds without a word
T = TypeVar("T")
_silent: ContextVar[bool] = ContextVar("silent", default=False)


@contextmanager
def silenced(wanted: bool = True) -> Iterator[None]:
    """Show no bars in the block, if so wished."""
    token = _silent.set(_silent.get() or wanted)
    try:
        yield
    finally:
        _silent.reset(token)


def hidden() -> bool | None:
    """Return what tells tqdm whether to draw a bar: True for never, None for on a terminal alone."""
    return True if _silent.get() else None


def delayed_bar(items: Iterable[T] | None, what: str, total: int | None = None) -> "tqdm[T]":
    """Return a bar named `what`, which appears on a terminal after three seconds, and goes at its end."""
    return tqdm(items, desc=what, total=total, delay=PATIENCE, leave=False, disable=hidden(), dynamic_ncols=True)


def watched(items: Iterable[T], what: str) -> Iterator[T]:
    """Yield the items; on a terminal a bar named `what` appears after three seconds, and goes once they are through.

    Elsewhere, in files and notebooks, nothing is drawn.
    """
    yield from delayed_bar(items, what, len(items) if isinstance(items, Sized) else None)


@contextmanager
def announced(what: str) -> Iterator[None]:
    """Say on a terminal after three seconds that the block is at work, which has no parts that could be counted."""
    timer = threading.Timer(PATIENCE, lambda: print(f"fewshotgan: {what} ...", file=sys.stderr, flush=True))
    if not _silent.get() and sys.stderr.isatty():
        timer.start()
    try:
        yield
    finally:
        timer.cancel()
