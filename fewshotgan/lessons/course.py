"""Run the course without a browser: `python -m fewshotgan.lessons.course notebooks/[0-9]*.ipynb --out build/course`.

Executes the notebooks in order and writes each as .ipynb and .html, next to an index that grows as they finish.
"""

import argparse
import html
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbconvert import HTMLExporter
from tqdm import tqdm

from fewshotgan.files import UserError, atomic_write

TITLE = "fewshotgan: the course"
STYLE = (
    "body{font-family:sans-serif;max-width:70em;margin:2em auto;padding:0 1em}"
    "img{max-width:100%;display:block;margin:1em 0}pre{overflow-x:auto}"
)


@dataclass
class Lesson:
    """A notebook and the state of its execution."""

    path: Path
    status: str = "waiting"
    seconds: float = 0.0
    body: str = ""


def execute(lesson: Lesson, out: Path) -> None:
    """Run a notebook with a progress bar over its cells, and write it as .ipynb and .html, errors included."""
    notebook = nbformat.read(lesson.path, as_version=4)
    started = time.monotonic()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    bar = tqdm(total=len(code), desc=lesson.path.stem, unit="cell", dynamic_ncols=True)
    resources = {"metadata": {"path": str(lesson.path.parent)}}
    quiet = ["--log-level=ERROR"]  # the kernel warns about unencrypted sockets, which only this process uses
    client = NotebookClient(notebook, timeout=3600, kernel_name="python3", resources=resources, extra_arguments=quiet)
    client.on_cell_executed = lambda **_: bar.update()
    try:
        client.execute()
        lesson.status = "done"
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        lesson.status = f"failed: {str(error).strip().splitlines()[-1]}"
    finally:
        bar.close()
        lesson.seconds = time.monotonic() - started
        notebook.metadata.pop("widgets", None)
        with atomic_write(out / lesson.path.name) as temporary:
            nbformat.write(notebook, temporary)
        page, _ = HTMLExporter().from_notebook_node(notebook)
        with atomic_write(out / f"{lesson.path.stem}.html") as temporary:
            temporary.write_text(page, encoding="utf-8")
        lesson.body = excerpt(notebook)


def excerpt(notebook: nbformat.NotebookNode) -> str:
    """Return the pictures and tables of a notebook as HTML."""
    parts = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                parts.append(f'<img src="data:image/png;base64,{data["image/png"].strip()}">')
            elif output.get("output_type") == "stream" and output.get("name") == "stdout" and "----" in output["text"]:
                parts.append(f"<pre>{html.escape(output['text'])}</pre>")
    return "\n".join(parts)


def write_index(lessons: list[Lesson], out: Path) -> None:
    """Write index.html: the state of every lesson, with pictures and tables of those that ran."""
    sections = []
    for lesson in lessons:
        name = html.escape(lesson.path.stem)
        title = f'<a href="{name}.html">{name}</a>' if lesson.seconds else name
        state = html.escape(lesson.status) + (f", {lesson.seconds:.0f} s" if lesson.seconds else "")
        sections.append(f"<h2>{title}</h2>\n<p>{state}</p>\n{lesson.body}")
    head = f'<!doctype html><meta charset="utf-8"><title>{TITLE}</title><style>{STYLE}</style><h1>{TITLE}</h1>'
    page = head + "\n".join(sections)
    with atomic_write(out / "index.html") as temporary:
        temporary.write_text(page, encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Run the course; the exit status is the number of lessons that failed."""
    parser = argparse.ArgumentParser(
        prog="python -m fewshotgan.lessons.course", description="Execute notebooks and write them with an index.html."
    )
    parser.add_argument("notebooks", nargs="+", type=Path, help="in this order")
    parser.add_argument("--out", type=Path, default=Path("build/course"), help="output folder (default: %(default)s)")
    options = parser.parse_args(arguments)
    lessons = [Lesson(path) for path in options.notebooks]
    absent = [str(lesson.path) for lesson in lessons if not lesson.path.is_file()]
    try:
        if absent:
            raise UserError(f"There is no notebook {', '.join(absent)}; check the path.")
        for lesson in lessons:
            lesson.status = "running"
            write_index(lessons, options.out)
            execute(lesson, options.out)
            write_index(lessons, options.out)
            print(
                f"{lesson.path.stem}: {lesson.status}, {lesson.seconds:.0f} s -> {options.out / 'index.html'}",
                flush=True,
            )
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"stopped; finished lessons are in {options.out}", file=sys.stderr)
        return 130
    return sum(lesson.status != "done" for lesson in lessons)


if __name__ == "__main__":
    sys.exit(main())
