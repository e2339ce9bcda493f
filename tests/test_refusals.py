"""Every refusal of the package is one sentence of at most 240 letters, whatever names stand in it."""

import ast
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import noise_images, tiny_gan

import fewshotgan as fsg
from fewshotgan.files import UserError

PACKAGE = Path(fsg.__file__).parent
RAISED = {"UserError", "MachineError", "CollapseError", "Unreadable", "Misfit"}
VALUE, LIST, NUMBER = 25, 80, 6  # letters that a value, a list and a number take at most in a message


def constant(node, function):
    """How many letters a message has, with each value at its longest."""
    if isinstance(node, ast.Constant):
        return len(str(node.value))
    if isinstance(node, ast.JoinedStr | ast.BinOp | ast.IfExp):
        parts = {ast.JoinedStr: lambda: node.values, ast.BinOp: lambda: [node.left, node.right]}
        if isinstance(node, ast.IfExp):
            return max(constant(node.body, function), constant(node.orelse, function))
        return sum(constant(part, function) for part in parts[type(node)]())
    if isinstance(node, ast.FormattedValue):
        return widest(node.value)
    return widest(node)


def widest(node):
    text = ast.unparse(node)
    if isinstance(node, ast.Call) and text.startswith("clip("):
        return node.args[1].value if len(node.args) > 1 else 80
    if text.startswith("shown("):
        return 60
    if any(word in text for word in ("len(", "resolution", "channels", "iteration", "size", "batch", "least", "most")):
        return NUMBER
    return LIST if "join" in text else VALUE


def messages():
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in RAISED and node.args:
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}", node.args[0]


def test_every_refusal_in_the_code_is_short():
    found = {place: constant(message, None) for place, message in messages()}
    assert len(found) > 150
    assert {place: letters for place, letters in found.items() if letters > 240} == {}


LONG = "x" * 3000
WRONG = {
    "load_gan(None)": lambda: fsg.load_gan(None),
    "load_gan(long)": lambda: fsg.load_gan(LONG),
    "load_gan(NUL)": lambda: fsg.load_gan("a\0b"),
    "save(int8)": lambda: tiny_gan().save("x.safetensors", torch.int8),
    "save(long)": lambda: tiny_gan().save(LONG + ".pt"),
    "sample(n='3')": lambda: tiny_gan().sample("3"),
    "sample(n=1e9)": lambda: tiny_gan().sample(10**30),
    "sample(seed=1.5)": lambda: tiny_gan().sample(1, seed=1.5),
    "sample(truncation='1')": lambda: tiny_gan().sample(1, truncation="1"),
    "sample(truncation=1e308)": lambda: tiny_gan().sample(1, truncation=1e308),
    "adapt(minutes=nan)": lambda: fsg.adapt(tiny_gan(), noise_images(), minutes=float("nan")),
    "adapt(minutes='5')": lambda: fsg.adapt(tiny_gan(), noise_images(), minutes="5"),
    "adapt(seed='0')": lambda: fsg.adapt(tiny_gan(), noise_images(), seed="0"),
    "adapt(seed=-1)": lambda: fsg.adapt(tiny_gan(), noise_images(), seed=-1),
    "adapt(iterations=2.0)": lambda: fsg.adapt(tiny_gan(), noise_images(), iterations=2.0),
    "adapt(batch=True)": lambda: fsg.adapt(tiny_gan(), noise_images(), batch=True),
    "adapt(batch=10**5000)": lambda: fsg.adapt(tiny_gan(), noise_images(), batch=10**5000),
    "adapt(method=long)": lambda: fsg.adapt(tiny_gan(), noise_images(), LONG),
    "adapt(method=3)": lambda: fsg.adapt(tiny_gan(), noise_images(), 3),
    "adapt(option)": lambda: fsg.adapt(tiny_gan(), noise_images(), "freezed", learning_rate=LONG),
    "adapt(other option)": lambda: fsg.adapt(tiny_gan(), noise_images(), "freezed", **{LONG: 1}),
    "adapt(device=3.5)": lambda: fsg.adapt(tiny_gan(), noise_images(), device=3.5),
    "adapt(device)": lambda: fsg.adapt(tiny_gan(), noise_images(), device="privateuseone"),
    "adapt(out=NUL)": lambda: fsg.adapt(tiny_gan(), noise_images(), out="a\0b"),
    "adapt(out='')": lambda: fsg.adapt(tiny_gan(), noise_images(), out=""),
    "adapt(snapshot_every=0)": lambda: fsg.adapt(tiny_gan(), noise_images(), snapshot_every=0),
    "adapt(keep)": lambda: fsg.adapt(tiny_gan(), noise_images(), keep=LONG),
    "adapt(log without out)": lambda: fsg.adapt(tiny_gan(), noise_images(), log=True),
    "adapt(sizes)": lambda: fsg.adapt(tiny_gan(), noise_images(resolution=32)),
    "evaluate(train of another size)": lambda: fsg.evaluate(
        tiny_gan(), noise_images(), n=8, train=noise_images(resolution=32)
    ),
    "show(gan)": lambda: fsg.show(tiny_gan()),
    "show(bytes of five channels)": lambda: fsg.show(torch.zeros(2, 5, 4, 4, dtype=torch.uint8)),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_in_python_is_refused_in_a_sentence(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        WRONG[name]()
    said = str(caught.value)
    assert len(said) <= 240 and "\n" not in said and said[-1] in ".?", said
    assert not list(tmp_path.iterdir())


def test_whole_numbers_of_other_libraries_are_whole_numbers():
    gan = tiny_gan()
    one = fsg.adapt(gan, noise_images(), iterations=np.int64(2), batch=np.int32(2), seed=np.int64(0), progress=False)
    two = fsg.adapt(gan, noise_images(), iterations=2, batch=2, seed=0, progress=False)
    assert all(map(torch.equal, one.gan.weights(), two.gan.weights()))
    assert type(one.spec["seed"]) is int and type(one.spec["iterations"]) is int
    assert torch.equal(gan.sample(np.int64(2), seed=np.int64(5)), gan.sample(2, seed=5))


def test_bytes_are_drawn_as_what_they_are():
    images = noise_images(4)
    assert list(fsg.grid(images.pixels).getdata()) == list(fsg.grid(images).getdata())


def test_a_gan_that_broke_down_is_not_saved(tmp_path):
    gan = tiny_gan()
    gan.generator.const.data[0] = float("nan")
    with pytest.raises(UserError, match=r"is not saved: generator\.const has values that are not finite"):
        gan.save(tmp_path / "a.safetensors")
    gan.generator.const.data[0] = 1e6  # beyond half precision
    with pytest.raises(UserError, match=r"not finite as torch\.float16"):
        gan.save(tmp_path / "a.safetensors", torch.float16)
    assert not list(tmp_path.iterdir())
