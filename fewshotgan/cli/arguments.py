"""What the subcommands share: the parser, argument types, exit statuses, printing."""

import argparse
import math
import os
import shlex
import sys
from pathlib import Path
from typing import NoReturn, TypeAlias

from fewshotgan.files import UserError, clip, shown, whole_name

EXIT_FAILED, EXIT_USAGE, EXIT_COLLAPSE, EXIT_STOPPED, EXIT_PIPE = 1, 2, 3, 130, 141
STATUSES = (
    "exit status: 0 done; 1 the machine failed (disk, memory); 2 what was asked can't be; 3 the training collapsed; "
    "130 stopped by a signal or --minutes"
)
MOST_LETTERS = 240  # of a refusal
Commands: TypeAlias = "argparse._SubParsersAction[Parser]"


class Parser(argparse.ArgumentParser):
    """Refuses in one sentence, and prints examples below its help as they are."""

    def __init__(self, *args: object, **options: object) -> None:
        options.setdefault("formatter_class", Help)
        super().__init__(*args, **options)  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        """Print a refusal and leave."""
        self.exit(EXIT_USAGE, refusal(f"{message}; see `{self.prog} --help`.") + "\n")


class Help(argparse.HelpFormatter):
    """Wraps all but examples."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n  fewshotgan " in text:
            return text
        return super()._fill_text(text, width, indent)


def refusal(sentence: str) -> str:
    """Return a sentence as stderr gets it: on one line, not too long, whatever names are in it."""
    one = clip(f"fewshotgan: {sentence}", 10**6)
    return one if len(one) <= MOST_LETTERS else f"{one[:150]} ... {one[-(MOST_LETTERS - 155) :]}"


def note(text: str) -> None:
    """Say on stderr what is going on, or what should be known."""
    print(f"fewshotgan: {text}", file=sys.stderr, flush=True)


def minutes(text: str) -> float:
    """Parse a time limit."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{shown(text)} is not a number of minutes")
    return value


def number(text: str) -> int:
    """Parse a whole number."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{shown(text)} is not a whole number") from None


def place(text: str) -> Path:
    """Parse the name of a file or a folder."""
    try:
        return whole_name(text)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error).rstrip(".")) from error


def name(text: str) -> str:
    """Parse a name or a path, which is never empty."""
    place(text)
    return text


def portable(word: str) -> str:
    """Return a word of a command as a shell takes it; a path below the working or the home folder says no more of this
    machine than it must.
    """
    path = Path(word)
    for base, sign in ((Path.cwd(), ""), (Path(os.path.expanduser("~")), "~/")):
        if path.is_absolute() and path.is_relative_to(base):
            return sign + shlex.quote(path.relative_to(base).as_posix())
    return shlex.quote(word)


def add_gan(parser: argparse.ArgumentParser) -> None:
    """Add the GAN that a verb is about."""
    parser.add_argument("gan", type=name, help="a shipped GAN or a file")


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add where a verb computes."""
    parser.add_argument("--device", help="cpu, cuda, mps, ... (default: a GPU where there is one)")


def add_quiet(parser: argparse.ArgumentParser, but: str = "errors and warnings") -> None:
    """Add the option that leaves nothing on the terminal but what it names."""
    parser.add_argument("--quiet", "-q", action="store_true", help=f"print nothing but {but}")


RESULT = "the result, errors and warnings"  # what a verb prints quietly that is asked for something to read


def print_lines(lines: dict[str, str]) -> None:
    """Print a dictionary as a list of names, each followed by its description."""
    print("\n".join(f"{key:<28} {text}" for key, text in lines.items()))
