"""`fewshotgan methods`: list the methods, or the options of one."""

import argparse
import inspect
import json
import textwrap

from fewshotgan.cli.arguments import Commands, print_lines
from fewshotgan.files import UserError
from fewshotgan.gans import load_gan
from fewshotgan.methods import Method, create_method, list_methods, options_of
from fewshotgan.methods.options import Option

EXAMPLES = ("avatars-stylegan2", "avatars-gp-resnet", "fashion-sngan")  # sources, on the first of which a method works


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
    print(f"{options.name}: {method.summary} ({method.paper})\n\n{inspect.getdoc(type(method))}")
    source, settled = on_a_source(method)
    for owner, own in by_owner(type(method)).items():
        of = "" if owner == options.name else f" of {owner}, on which it builds"
        print(f"\noptions{of}, as --option NAME=VALUE:")
        for option in own:
            print(describe(option, settled.get(option.name), source))


def on_a_source(method: Method) -> tuple[str, dict[str, object]]:
    """Return a shipped source on which a method works, and what its options are there."""
    for name in EXAMPLES:
        try:
            return name, method.settle(load_gan(name)).options()
        except UserError:
            continue
    return "", {}


def by_owner(kind: type[Method]) -> dict[str, list[Option]]:
    """Return a method's options by the name of the method that brought them in or changed them last, its own first."""
    owners: dict[str, list[Option]] = {kind.name: []}
    for name, option in options_of(kind).items():
        owner = next(base for base in kind.__mro__ if name in inspect.get_annotations(base))
        owners.setdefault(str(owner.__dict__.get("name", kind.name)), []).append(option)
    return {owner: own for owner, own in owners.items() if own}


def describe(option: Option, settled: object, source: str) -> str:
    """Return an option's default and range on one line, and what it means below."""
    default = json.dumps(option.default)
    if option.default is None and settled is not None:
        default = f"{json.dumps(settled)} on {source}"
    line = f"  {option.name} (default: {default}): {option.values()}"
    return "\n".join([line, *textwrap.wrap(option.doc, 110, initial_indent="      ", subsequent_indent="      ")])
