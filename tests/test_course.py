"""The course runner leaves an index that tells the truth; profiles grow; the package documents itself."""

import ast
from pathlib import Path

import nbformat
import pytest
import torch

import fewshotgan
from fewshotgan.files import UserError
from fewshotgan.lessons import checks, course, profiles
from fewshotgan.lessons.colab import setup

PACKAGE = Path(fewshotgan.__file__).parent


def notebook(path, *cells):
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(nb, path)
    return path


def test_a_good_and_a_failing_lesson(tmp_path, capfd):
    picture = "from IPython.display import Image, display\ndisplay(Image(data=b'\\x89PNG\\r\\n\\x1a\\n', format='png'))"
    good = notebook(tmp_path / "00_good.ipynb", "print('name  value\\n----  -----\\na     1')", picture)
    bad = notebook(tmp_path / "01_bad.ipynb", "1 / 0")
    last = notebook(tmp_path / "02_last.ipynb", "print('still runs')")
    assert course.main([str(bad), str(good), str(last), "--out", str(tmp_path / "out")]) == 1
    index = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "data:image/png;base64" in index and "<pre>name  value" in index
    assert "ZeroDivisionError" in index and index.count("done,") == 2
    for path in (good, bad, last):
        assert (tmp_path / "out" / path.name).is_file() and (tmp_path / "out" / f"{path.stem}.html").is_file()
    said = capfd.readouterr()
    assert "02_last: done" in said.out and "WARNING" not in said.err  # of a kernel, which no reader needs


def test_an_absent_notebook_is_one_sentence(tmp_path, capsys):
    assert course.main([str(tmp_path / "no.ipynb"), "--out", str(tmp_path / "out")]) == 2
    assert "There is no notebook" in capsys.readouterr().err


def test_profiles_grow_and_are_chosen_by_the_environment(monkeypatch, capsys):
    sizes = list(profiles.PROFILES.values())
    assert [profile.name for profile in sizes] == ["smoke", "laptop", "gpu", "paper"]
    for small, large in zip(sizes, sizes[1:], strict=False):
        assert (
            small.iterations < large.iterations and small.batch <= large.batch and small.n_generated < large.n_generated
        )
    monkeypatch.setenv("FEWSHOTGAN_PROFILE", "paper")
    assert profiles.load().name == "paper" and profiles.load("laptop").name == "laptop"
    monkeypatch.delenv("FEWSHOTGAN_PROFILE")
    monkeypatch.setenv("CI", "1")
    assert setup().name == "smoke" and "profile smoke" in capsys.readouterr().out
    with pytest.raises(UserError, match="no profile 'huge'"):
        profiles.load("huge")


def test_exercise_checks(capsys):
    checks.check_close("one", 1.0, 1.0)
    checks.check_close("one, of tensors", torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([1.0, 2.000001]))
    checks.check_true("two", True)
    assert capsys.readouterr().out.splitlines() == ["one: passed", "one, of tensors: passed", "two: passed"]
    with pytest.raises(AssertionError, match=r"three: not yet, the result is off by 1$"):
        checks.check_close("three", 1.0, 2.0)
    with pytest.raises(AssertionError, match=r"four: not yet, the answer has shape \(\), expected \(2,\)"):
        checks.check_close("four", 1.0, torch.ones(2))
    with pytest.raises(AssertionError, match="five: not yet"):
        checks.check_true("five", False)
    assert capsys.readouterr().out == ""


def test_an_exercise_waits_for_its_answers(capsys):
    asked = []

    @checks.exercise
    def exercise_1(first, second):
        asked.append((first, second))
        checks.check_close("exercise 1", first + second, 3)

    for args, kwargs in (((..., ...), {}), ((1, ...), {}), ((1,), {"second": ...})):
        exercise_1(*args, **kwargs)
        assert capsys.readouterr().out == "exercise 1: no answer yet\n"
    assert not asked
    with pytest.raises(AssertionError, match="exercise 1: not yet"):
        exercise_1(1, 3)
    assert capsys.readouterr().out == ""
    exercise_1(1, second=2)
    assert asked == [(1, 3), (1, 2)] and capsys.readouterr().out == "exercise 1: passed\n"


def public(tree):
    kinds = (ast.FunctionDef, ast.ClassDef)
    return [node for node in ast.walk(tree) if isinstance(node, kinds) and not node.name.startswith("_")]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_are_short_documented_and_annotated(path):
    text = path.read_text()
    tree = ast.parse(text)
    assert len(text.splitlines()) <= 400
    assert ast.get_docstring(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            arguments = [a for a in (*node.args.args, *node.args.kwonlyargs) if a.arg not in ("self", "cls")]
            assert all(a.annotation for a in arguments) and (node.returns or node.name == "__init__"), node.name
    for folder in ("methods", "gans", "losses.py"):
        if (
            str(path.relative_to(PACKAGE)).startswith(folder)
            and path.parent.name != "official"
            and path.name
            not in (
                "__init__.py",
                "method.py",
                "options.py",
                "gan.py",
                "network.py",
                "stored.py",
                "sizes.py",
                "scratch.py",
            )
        ):
            assert "arXiv" in ast.get_docstring(tree), "name the paper"
