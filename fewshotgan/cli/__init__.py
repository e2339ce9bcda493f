"""The command `fewshotgan`: a file per verb; `fewshotgan.cli.verbs` lists them.

Nothing here loads a library, so that Ctrl-C while they load ends in a line, too.
"""

import os
import sys
from types import FrameType

from fewshotgan.interrupt import handled, say


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit status; an error is one sentence on stderr."""
    with handled(_leave):
        from fewshotgan.cli.verbs import perform
    return perform(sys.argv[1:] if arguments is None else arguments)


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """Leave at once: nothing has begun, and a half-loaded library would end in a traceback."""
    say("fewshotgan: stopped.")
    os._exit(130)
