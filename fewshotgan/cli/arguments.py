"""What the subcommands share: argument types, exit statuses, printing of lists."""

import argparse
import math
from typing import TypeAlias

EXIT_STOPPED = 130  # by --minutes or Ctrl-C
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def minutes(text: str) -> float:
    """Parse a time limit."""
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a number of minutes")
    return value


def print_lines(lines: dict[str, str]) -> None:
    """Print a dictionary as a list of names, each followed by its description."""
    print("\n".join(f"{key:<28} {text}" for key, text in lines.items()))
