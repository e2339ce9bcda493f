"""The verbs of the command, and what becomes of an error in one."""

import io
import sys
import warnings
from pathlib import Path

import torch

import fewshotgan
from fewshotgan.cli import (
    adapt,
    advise,
    bench,
    claims,
    completion,
    domains,
    evaluate,
    export,
    gans,
    methods,
    pretrain,
    project,
    proximity,
    record,
    sample,
    tables,
)
from fewshotgan.cli.arguments import (
    EXIT_COLLAPSE,
    EXIT_FAILED,
    EXIT_PIPE,
    EXIT_STOPPED,
    EXIT_USAGE,
    STATUSES,
    Parser,
    note,
    portable,
    refusal,
)
from fewshotgan.cli.examples import EXAMPLES
from fewshotgan.files import MACHINE, MachineError, UserError, clip
from fewshotgan.interrupt import stops_interrupt
from fewshotgan.progress import silenced
from fewshotgan.run import CollapseError

VERBS = (
    *(
        advise,
        adapt,
        sample,
        evaluate,
        project,
        export,
        pretrain,
        record,
        tables,
        claims,
        bench,
        proximity,
        methods,
        gans,
    ),
    *(domains, completion),
)
PACKAGE = str(Path(fewshotgan.__file__).parent)


def perform(arguments: list[str]) -> int:
    """Run a command and return its exit status; an error is one sentence on stderr."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # don't stop at a name that the terminal cannot display
    try:
        with stops_interrupt(), warnings.catch_warnings():
            warnings.showwarning = _warn
            options = parser().parse_args(arguments)
            options.typed = " ".join(map(portable, ["fewshotgan", *arguments]))
            with silenced(getattr(options, "quiet", False)):
                return options.run(options) or 0
    except KeyboardInterrupt:
        print("fewshotgan: stopped.", file=sys.stderr)
        return EXIT_STOPPED
    except BrokenPipeError:
        return EXIT_PIPE
    except Exception as error:
        if (said := explain(error)) is None:
            raise
        status, sentence = said
        print(refusal(sentence), file=sys.stderr)
        return status


def explain(error: Exception) -> tuple[int, str] | None:
    """Return the exit status and the sentence of an error; None of one that is ours."""
    if isinstance(error, CollapseError):
        return EXIT_COLLAPSE, str(error)
    if isinstance(error, UserError):
        return EXIT_FAILED if isinstance(error, MachineError) else EXIT_USAGE, str(error)
    if isinstance(error, OSError):
        status = EXIT_FAILED if error.errno in MACHINE else EXIT_USAGE
        return status, f"{clip(error.filename or 'a file')}: {error.strerror or error}; choose another name or folder."
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
        words in str(error) for words in ("allocate memory", "out of memory", "size calculation overflowed")
    ):
        return EXIT_FAILED, "out of memory; process fewer images at a time (--batch, --n)."
    return None


def parser() -> Parser:
    """Return the parser with all commands."""
    top = Parser(prog="fewshotgan", description="Adapt a pretrained GAN to a few images.", epilog=STATUSES)
    top.add_argument("--version", action="version", version=f"fewshotgan {fewshotgan.__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for verb in VERBS:
        verb.add(commands)
    for command, verb_parser in commands.choices.items():
        verb_parser.epilog = "examples:\n" + "\n".join(f"  fewshotgan {line}" for line in EXAMPLES[command])
    return top


def _warn(message: Warning | str, category: type[Warning], filename: str, *_more: object, **_others: object) -> None:
    """Show a warning of ours as a line; those of libraries, which a user can do nothing about, not at all."""
    if filename.startswith(PACKAGE):
        note(str(message))
