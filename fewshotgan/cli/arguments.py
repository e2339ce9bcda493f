"""What the subcommands share: argument types, exit statuses, printing of lists."""

import argparse
import math
from pathlib import Path
from typing import TypeAlias

EXIT_STOPPED = 130  # by --minutes or Ctrl-C
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def minutes(text: str) -> float:
    """Parse a time limit."""
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a number of minutes")
    return value


def place(text: str) -> Path:
    """Parse the name of a file or a folder."""
    return Path(name(text))


def name(text: str) -> str:
    """Parse a name or a path, which is never empty."""
    if not text.strip():
        raise argparse.ArgumentTypeError("an empty name is no file or folder")
    return text


def print_lines(lines: dict[str, str]) -> None:
    """Print a dictionary as a list of names, each followed by its description."""
    print("\n".join(f"{key:<28} {text}" for key, text in lines.items()))
