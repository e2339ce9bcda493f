"""Bars of progress for what may take over three seconds: on a terminal, and only once it does."""

from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from tqdm import tqdm

PATIENCE = 3.0  # seconds without a word
T = TypeVar("T")


def watched(items: Iterable[T], what: str) -> Iterator[T]:
    """Yield the items; on a terminal a bar named `what` appears after three seconds, and goes once they are through.

    Elsewhere, in files and notebooks, nothing is drawn.
    """
    total = len(items) if isinstance(items, Sized) else None
    yield from tqdm(items, desc=what, total=total, delay=PATIENCE, leave=False, disable=None, dynamic_ncols=True)
