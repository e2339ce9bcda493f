"""Pages of the site that nobody writes by hand: the reference, the lessons, and files at the root of the repository.

MkDocs calls the functions named `on_...`. Every page is made in memory, so `docs/` holds only what people wrote.
"""

import argparse
import base64
import os
import re
from pathlib import Path

import nbformat
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import fewshotgan
from fewshotgan.cli.verbs import parser

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "fewshotgan"
LESSONS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
ROOT_PAGES = ("CONTRIBUTING.md", "CHANGELOG.md")
WINGS = {
    "Library": "Networks, methods, metrics, images, training and pictures.",
    "Bench": "Recipes, tables, claims, the papers' numbers and the ledger of our own runs.",
    "Lessons": "What only the notebooks use.",
}
BADGE = re.compile(r"\[!\[Open In Colab\]\([^)]*\)\]\((?P<colab>[^)]*)\)")
NOTEBOOK = re.compile(r"\]\((?P<name>[^):]+)\.ipynb\)")
MATH = re.compile(r"\$\$(?P<block>.+?)\$\$|(?<![\\$])\$(?P<inline>[^$\n]+?)\$(?!\d)", re.DOTALL)
CODE = re.compile(r"(```.*?```|`[^`\n]+`)", re.DOTALL)
WIDGET = "application/vnd.jupyter.widget-view+json"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fill the sections of the navigation that follow from the repository."""
    reference: list[object] = ["reference/index.md", "reference/command.md"]
    for wing in WINGS:
        reference.append({wing: [{_short(name): _page(name)} for name in modules(wing)]})
    filled = {
        "Lessons": ["lessons/index.md", *({title(path): f"lessons/{path.stem}.md"} for path in LESSONS)],
        "Reference": reference,
    }
    config.nav = [{title: filled.get(title, pages) for title, pages in section.items()} for section in config.nav or []]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made here."""
    pages: dict[str, str | bytes] = {name: (ROOT / name).read_text(encoding="utf-8") for name in ROOT_PAGES}
    pages |= {"reference/index.md": _reference_index(), "reference/command.md": _command()}
    pages["lessons/index.md"] = _lessons_index()
    for wing in WINGS:
        pages |= {_page(name): f"# `{_short(name)}`\n\n::: {name}\n" for name in modules(wing)}
    for path in LESSONS:
        pages |= {f"lessons/{name}": content for name, content in lesson(path).items()}
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))
    return files


def modules(wing: str) -> list[str]:
    """Return the dotted names of a wing's public modules that define something."""
    folders = {"bench": "Bench", "lessons": "Lessons", "cli": "Command"}
    found = []
    for path in sorted(PACKAGE.rglob("*.py"), key=lambda path: path.with_suffix("").parts):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if not parts or parts[-1].startswith("_") or folders.get(parts[0], "Library") != wing:
            continue
        if re.search(r"^(def|class) [A-Za-z]", path.read_text(encoding="utf-8"), re.MULTILINE):
            found.append(".".join(("fewshotgan", *parts)))
    return found


def title(path: Path) -> str:
    """Return the title of a notebook."""
    first = nbformat.read(path, as_version=4).cells[0].source
    return first.split("# ", 1)[1].split("\n")[0]


def lesson(path: Path) -> dict[str, str | bytes]:
    """Return the files of a notebook's page: its Markdown and its pictures. It is shown as committed, not executed."""
    notebook = nbformat.read(path, as_version=4)
    files: dict[str, str | bytes] = {}
    parts = []
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            source = NOTEBOOK.sub(r"](\g<name>.md)", mathml(cell.source))
            parts.append(BADGE.sub(r"[Open in Colab](\g<colab>)", source))
            continue
        shown = [_fenced(cell.source, "python")]
        for k, output in enumerate(cell.outputs):
            data = output.get("data", {})
            if "image/png" in data:
                name = f"{path.stem}-{number}-{k}.png"
                files[name] = base64.b64decode(data["image/png"])
                shown.append(f"![Output of the cell above]({name})")
            elif output.output_type == "stream" and output.name == "stdout":
                shown.append(_fenced(output.text.rstrip(), "{ .text .output }"))
            elif (
                "text/plain" in data and WIDGET not in data
            ):  # a widget needs a kernel; its static twin stands beside it
                shown.append(_fenced(data["text/plain"], "{ .text .output }"))
        folded = "solution" in cell.metadata.get("tags", [])
        parts.append(_details("Solutions", shown) if folded else "\n\n".join(shown))
    return {f"{path.stem}.md": "\n\n".join(parts) + "\n", **files}


def mathml(text: str) -> str:
    """Return Markdown with its $formulas$ as MathML, which browsers draw without a script."""

    def drawn(match: re.Match[str]) -> str:
        block = match["block"]
        return convert(block or match["inline"], display="block" if block else "inline")

    parts = CODE.split(text)
    return "".join(part if part.startswith("`") else MATH.sub(drawn, part) for part in parts)


def _fenced(text: str, language: str) -> str:
    return f"````{language}\n{text}\n````"


def _details(title: str, parts: list[str]) -> str:
    inner = "\n\n".join(parts).replace("\n", "\n    ")
    return f'??? success "{title}"\n    {inner}'


def _short(name: str) -> str:
    return name.removeprefix("fewshotgan.")


def _page(name: str) -> str:
    return f"reference/{_short(name)}.md"


def _summary(name: str) -> str:
    """Return the first sentence of a module's docstring."""
    path = PACKAGE.parent.joinpath(*name.split("."))
    text = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")
    return " ".join(text.split('"""')[1].split("\n\n")[0].split())


def _reference_index() -> str:
    """Return the page that lists the surface, and every module with its first sentence."""
    surface = fewshotgan.__all__
    places = {name: getattr(fewshotgan, name).__module__ for name in surface}
    rows = [f"| [`fsg.{name}`][{places[name]}.{name}] | `{_short(places[name])}` |" for name in surface]
    parts = ["# Reference\n", "## `import fewshotgan as fsg`\n", "| name | module |", "| --- | --- |", *rows]
    for wing, text in WINGS.items():
        rows = [f"| [`{_short(name)}`]({_short(name)}.md) | {_summary(name)} |" for name in modules(wing)]
        parts += [f"\n## {wing}\n\n{text}\n", "| module | what it holds |", "| --- | --- |", *rows]
    return "\n".join(parts) + "\n"


def _command() -> str:
    """Return the page with the help of every verb of the command."""
    os.environ["COLUMNS"] = "100"  # the width that argparse wraps at
    top = parser()
    (verbs,) = (action for action in top._actions if isinstance(action, argparse._SubParsersAction))
    helps = {"fewshotgan": top.format_help()} | {
        f"fewshotgan {name}": verb.format_help() for name, verb in verbs.choices.items()
    }
    return "# Command line\n\n" + "\n".join(f"## `{name}`\n\n{_fenced(text, 'text')}\n" for name, text in helps.items())


def _lessons_index() -> str:
    """Return the page that lists the lessons."""
    rows = "\n".join(f"- [{title(path)}]({path.stem}.md)" for path in LESSONS)
    return f"# Lessons\n\nThe notebooks with their committed outputs. `make lab` opens them to run.\n\n{rows}\n"
