"""`fewshotgan methods`: list the methods, or the options of one."""

import argparse
import dataclasses
import inspect
import json

from fewshotgan.cli.arguments import Commands, print_lines
from fewshotgan.methods import create_method, list_methods


def add(commands: Commands) -> None:
    """Add the subcommand."""
    new = commands.add_parser("methods", help="list the methods, or the options of one", description=run.__doc__)
    new.add_argument("name", nargs="?", help="a method; omit it for the list")
    new.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """List the methods, or describe one with its options and their defaults."""
    if options.name is None:
        print_lines(list_methods())
        return
    method = create_method(options.name)
    print(
        f"{options.name}: {method.summary} ({method.paper})\n\n{inspect.getdoc(type(method))}\n\n"
        "options (--option NAME=VALUE):"
    )
    print(
        "\n".join(
            f"  {field.name} (default: {json.dumps(getattr(method, field.name))})"
            for field in dataclasses.fields(method)
        )
    )
