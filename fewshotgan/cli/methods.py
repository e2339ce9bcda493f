"""`fewshotgan methods`: list the methods, or the options of one."""

import argparse
import inspect
import json
import textwrap

from fewshotgan.cli.arguments import Commands, print_lines
from fewshotgan.methods import create_method, list_methods, options_of
from fewshotgan.methods.options import Option


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
    print(f"{options.name}: {method.summary} ({method.paper})\n\n{inspect.getdoc(type(method))}\n")
    print("options, as --option NAME=VALUE:")
    for option in options_of(type(method)).values():
        print(describe(option))


def describe(option: Option) -> str:
    """Return an option's default and range on one line, and what it means below."""
    line = f"  {option.name} (default: {json.dumps(option.default)}): {option.values()}"
    return "\n".join([line, *textwrap.wrap(option.doc, 110, initial_indent="      ", subsequent_indent="      ")])
