"""The site builds without a warning or a download, its links lead somewhere, and the code of its guides runs."""

import importlib
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
WRITTEN = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
GUIDES = [path for path in WRITTEN if "```python" in path.read_text(encoding="utf-8")]
LOADED = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src")}


def name(path):
    return str(path.relative_to(ROOT))


class Loaded(HTMLParser):
    """What a browser fetches for a page."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found += [value for key, value in attributes if (tag, key) in LOADED and value]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built where no host can be reached."""
    out = tmp_path_factory.mktemp("site")
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    environment = {**os.environ, **nowhere, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"}
    line = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(out)]
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def test_a_page_fetches_nothing_from_elsewhere(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 50
    for page in pages:
        for address in Loaded(page.read_text(encoding="utf-8")).found:
            assert not re.match(r"(https?:)?//", address), (page.name, address)
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import )[\"']?(https?:)?//", sheet.read_text(encoding="utf-8")), sheet


def test_every_lesson_is_a_page_with_its_pictures_and_formulas(site):
    for notebook in (ROOT / "notebooks").glob("[0-9]*.ipynb"):
        page = (site / "lessons" / f"{notebook.stem}.html").read_text(encoding="utf-8")
        assert page.count("<img") >= notebook.read_text(encoding="utf-8").count('"image/png"')
        assert "Open in Colab" in page and "<summary>Solutions</summary>" in page
        assert ("<math" in page) == (notebook.stem != "00_start_here")


def test_the_surface_is_in_the_reference(site):
    index = (site / "reference" / "index.html").read_text(encoding="utf-8")
    surface = importlib.import_module("fewshotgan").__all__
    assert all(f"fsg.{public}</code>" in index for public in surface)
    parts = (site / "reference" / "session.html").read_text(encoding="utf-8")
    assert all(f"{title}:" in parts for title in ("Parameters", "Returns", "Raises"))


def anchor(heading):
    return re.sub(r"[^\w\- ]", "", heading.strip().lower().replace("`", "")).replace(" ", "-")


@pytest.mark.parametrize("path", WRITTEN, ids=name)
def test_relative_links_lead_somewhere(path):
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        target, _, part = link.partition("#")
        if link.startswith(("http://", "https://", "mailto:")) or "reference/" in target or "lessons/" in target:
            continue  # pages that are built are the strict build's to check
        to = path if not target else (path.parent / target).resolve()
        if not to.exists() and to.parent == ROOT / "docs":
            to = ROOT / to.name  # files at the root are pages of the site
        assert to.exists(), link
        if part:
            headings = re.findall(r"^#+ (.+)$", to.read_text(encoding="utf-8"), re.MULTILINE)
            assert part in [anchor(heading) for heading in headings], link


@pytest.mark.parametrize("path", GUIDES, ids=name)
def test_the_code_of_a_guide_runs(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-photos").mkdir()
    for i in range(10):
        pixels = np.random.default_rng(i).integers(0, 255, (40, 50, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "my-photos" / f"{i}.png")
    scope = {"__name__": "guide"}
    text = path.read_text(encoding="utf-8")
    for skipped, block in re.findall(r"^(<!-- not run -->\n)?```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        assert "adapt(" not in block or "iterations=" in block, "as many as an example may take"
        if not skipped:
            exec(compile(re.sub(r"iterations=\d+", "iterations=2", block), name(path), "exec"), scope)
