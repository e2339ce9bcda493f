"""`fewshotgan completion`: what a shell completes, as a script for it."""

import argparse

import shtab

from fewshotgan.bench.recipes import RECIPES
from fewshotgan.bench.tables import TABLES
from fewshotgan.cli.arguments import Commands, Parser, place
from fewshotgan.gans import list_gans
from fewshotgan.images import list_domains
from fewshotgan.methods import METHODS


def add(commands: Commands) -> None:
    """Add the subcommand."""
    new = commands.add_parser("completion", help="print the script by which a shell completes", description=run.__doc__)
    new.add_argument("shell", choices=shtab.SUPPORTED_SHELLS, help="whose script")
    new.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print a shell's completion script: commands, options, their choices, methods, shipped GANs and domains, files."""
    from fewshotgan.cli.verbs import parser

    print(shtab.complete(completed(parser()), shell=options.shell))


def completed(top: Parser) -> Parser:
    """Return the parser, whose arguments say what completes them."""
    (commands,) = (action for action in top._actions if isinstance(action, argparse._SubParsersAction))
    for command, verb in commands.choices.items():
        words = {
            "method": " ".join(METHODS), "gan": " ".join(list_gans()), "source": " ".join(list_domains()),
            "recipe": " ".join(RECIPES), "table": " ".join(TABLES),
            "name": " ".join(METHODS if command == "methods" else TABLES),
        }  # fmt: skip
        for action in verb._actions:
            if action.dest == "gan":
                action.complete = shtab.cmd(f"ls *.safetensors 2>/dev/null; echo {words['gan']}")
            elif action.dest in words:
                action.complete = shtab.cmd(f"echo {words[action.dest]}")
            elif action.type is place or action.dest == "images":
                action.complete = shtab.FILE
    return top
