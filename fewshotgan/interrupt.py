"""Signals that stop a run: Ctrl-C, SIGTERM and SIGHUP end no iteration halfway, and each says at once what happens."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

STOPS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
Handler = Callable[[int, FrameType | None], Any]


@contextmanager
def deferred_interrupt() -> Iterator[threading.Event]:
    """Yield an event that the first signal sets, so that it ends no iteration halfway; the second one interrupts at
    once.

    A signal that nobody handles otherwise ends the process at the end of the block, when all is saved.
    """
    interrupted = threading.Event()
    received: list[int] = []

    def first(stop: int, _frame: FrameType | None) -> None:
        received.append(stop)
        interrupted.set()
        say("\nstopping after this iteration, then saving (once more: at once)")
        for each, handler in before.items():
            signal.signal(each, handler)

    with handled(first) as before:
        yield interrupted
    if received and before[received[0]] is signal.SIG_DFL:
        signal.raise_signal(received[0])


@contextmanager
def stops_interrupt() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise KeyboardInterrupt, as Ctrl-C does."""
    with handled(_interrupt):
        yield


@contextmanager
def handled(handler: Handler) -> Iterator[dict[int, Any]]:
    """Handle the signals that stop a run, and yield who handled them before; what is ignored (`nohup`) stays so.

    Nothing changes outside the main thread, which alone receives signals.
    """
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {stop: signal.getsignal(stop) for stop in STOPS}
        before = {stop: old for stop, old in before.items() if old not in (signal.SIG_IGN, None)}
        for stop in before:
            signal.signal(stop, handler)
    try:
        yield before
    finally:
        for stop, old in before.items():
            signal.signal(stop, old)


def say(text: str) -> None:
    """Write a line to stderr from a signal's handler, in the middle of whatever is being written."""
    with suppress(OSError, ValueError, AttributeError):  # no file, as in a notebook
        os.write(sys.stderr.fileno(), f"{text}\n".encode())


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
