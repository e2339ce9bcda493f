"""The log of a run: its progress bar, its losses as `losses.csv` and, where that is installed, TensorBoard's events."""

import csv
import io
import sys
import warnings
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor
from tqdm.auto import tqdm

from fewshotgan.files import UserError, atomic_write

Row = dict[str, Any]
T = TypeVar("T")
LOG_SECONDS = 10


class Log:
    """Writes into a folder; a disk that is full costs the log, not the run."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.board = folder, board(folder)

    def row(self, row: Row) -> None:
        """Hand a row of the history to TensorBoard."""
        if self.board:
            for name, value in row.items():
                if "/" in name:
                    self.board.add_scalar(name, value, row["iteration"])

    def look(self, iteration: int, images: Tensor, history: list[Row]) -> None:
        """Hand samples (N, C, H, W), -1..1, to TensorBoard, and write the history as it is now."""
        if self.board:
            self.board.add_images("samples", (images + 1) / 2, iteration)
        self.write(history)

    def write(self, history: list[Row]) -> None:
        """Write `losses.csv`: a line for each row of the history, a column for each loss of any stage."""
        columns = list(dict.fromkeys(name for row in history for name in row))
        text = io.StringIO()
        table = csv.DictWriter(text, columns or ["iteration"], lineterminator="\n")
        table.writeheader()
        table.writerows(history)
        with suppress(UserError), atomic_write(self.folder / "losses.csv") as temporary:
            temporary.write_text(text.getvalue(), encoding="utf-8")
        if self.board:
            self.board.flush()


def progress_bar(items: Iterable[T] | None = None, **options: Any) -> "tqdm[T]":
    """Return a progress bar; one that goes to a file, where nobody watches it, has a line every ten seconds."""
    watched = sys.stderr.isatty() or "ipykernel" in sys.modules
    pace = {} if watched else {"mininterval": LOG_SECONDS, "maxinterval": LOG_SECONDS}
    return tqdm(items, dynamic_ncols=True, **pace, **options)


def board(folder: Path) -> Any:
    """Return TensorBoard's writer into `tensorboard` in a folder, or None, with a warning, where it isn't installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        warnings.warn(
            "TensorBoard is not installed, so that losses.csv is the only log: pip install 'fewshotgan[log]'.",
            stacklevel=2,
        )
        return None
    return SummaryWriter(str(folder / "tensorboard"))
