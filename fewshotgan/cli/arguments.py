"""What the verbs share: the type of their subparsers, exit statuses, time limits, lists."""

import argparse
import math
from typing import TypeAlias

EXIT_STOPPED = 130  # by --minutes or Ctrl-C
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def minutes(text: str) -> float:
    """Parse a time limit."""
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no number of minutes")
    return value


def print_lines(lines: dict[str, str]) -> None:
    """Print names, each with its line of text."""
    print("\n".join(f"{key:<28} {text}" for key, text in lines.items()))
