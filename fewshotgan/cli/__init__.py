"""The command `fewshotgan`: a file per verb."""

import argparse
import io
import sys

import torch

from fewshotgan import __version__
from fewshotgan.cli import (
    adapt,
    advise,
    bench,
    claims,
    domains,
    export,
    gans,
    methods,
    pretrain,
    proximity,
    record,
    sample,
    tables,
)
from fewshotgan.cli.arguments import EXIT_STOPPED
from fewshotgan.files import UserError
from fewshotgan.wording import printable

EXIT_USER, EXIT_PIPE = 2, 141
VERBS = (advise, adapt, sample, export, pretrain, record, tables, claims, bench, proximity, methods, gans, domains)


def main(arguments: list[str] | None = None) -> int:
    """Run a command; a user error is one sentence on stderr and exit status 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # don't stop at a name that the terminal cannot display
    options = parser().parse_args(arguments)
    try:
        return options.run(options) or 0
    except UserError as error:
        print(f"fewshotgan: {printable(str(error))}", file=sys.stderr)
        return EXIT_USER
    except BrokenPipeError:
        return EXIT_PIPE
    except OSError as error:
        print(
            f"fewshotgan: {error.filename or 'a file'}: {error.strerror or error}; choose another name or folder.",
            file=sys.stderr,
        )
        return EXIT_USER
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error):
            print(
                "fewshotgan: out of memory; process fewer images at a time (--batch, --n).",
                file=sys.stderr,
            )
            return EXIT_USER
        raise
    except KeyboardInterrupt:
        print("fewshotgan: stopped.", file=sys.stderr)
        return EXIT_STOPPED


def parser() -> argparse.ArgumentParser:
    """Return the parser with all commands."""
    top = argparse.ArgumentParser(prog="fewshotgan", description="Adapt a pretrained GAN to a few images.")
    top.add_argument("--version", action="version", version=f"fewshotgan {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for verb in VERBS:
        verb.add(commands)
    return top
