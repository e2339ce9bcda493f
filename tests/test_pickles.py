"""Files are read as data: nothing that a pickle asks for is ever run, and no length is believed."""

import io
import pickle
import pickletools
import struct
import sys
import zipfile
from collections import OrderedDict
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

from fewshotgan import load_gan
from fewshotgan.files import UserError
from fewshotgan.gans.official.archives import MAGIC, read
from fewshotgan.gans.official.parts import part
from fewshotgan.gans.official.pickles import Record, read_pickle


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function, *args, state=None):
        self.parts = (function, args) if state is None else (function, args, state)

    def __reduce__(self):
        return self.parts


def text(value):
    """A string as protocol 0 has it."""
    return f"V{value}\n".encode()


def zipped(stream, **storages):
    """An archive as PyTorch writes it, around a pickle of one's own."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", stream)
        for key, content in storages.items():
            archive.writestr(f"archive/data/{key}", content)
    return file.getvalue()


def tensor_of(count, size, stride=(1,), kind="FloatStorage", offset=0):
    """A pickle of a tensor whose storage is called `s`."""
    identity = (
        b"(" + text("storage") + f"ctorch\n{kind}\n".encode() + text("s") + text("cpu") + f"I{count}\ntQ".encode()
    )
    shapes = b"".join(b"(" + b"".join(f"I{n}\n".encode() for n in numbers) + b"t" for numbers in (size, stride))
    args = b"(" + identity + f"I{offset}\n".encode() + shapes + b"I00\nNt"
    return b"\x80\x02" + text("g")[:0] + b"(" + text("g") + b"ctorch._utils\n_rebuild_tensor_v2\n" + args + b"Rd."


def doubled(levels):
    """A pickle of lists within lists, each twice in the next."""
    return b"\x80\x02]" + b"q\x00" + b"".join(b"]h%cah%caq%c" % (i, i, i + 1) for i in range(levels)) + b"."


def hostile(canary):
    """{what it tries: bytes}; each that runs code makes the canary's file."""
    command, line = f"touch {canary}", f"open({str(canary)!r}, 'w')"
    evil = pickle.dumps({"g_ema": Call(eval, line)})
    code = f"import pathlib; pathlib.Path({str(canary)!r}).touch()"
    meta = {"type": "class", "version": 6, "module_src": code, "class_name": "Generator", "state": {"_parameters": {}}}
    storages = pickle.dumps({"g_ema": Call(torch.storage._load_from_bytes, evil)})
    nested = io.BytesIO()
    torch.save({"g_ema": Call(eval, line), "d": {"a": torch.zeros(2)}}, nested)
    return {
        "os.system by REDUCE": pickle.dumps({"g_ema": Call(__import__("os").system, command)}),
        "eval by GLOBAL": b"\x80\x02cbuiltins\neval\n" + text(line) + b"\x85R.",
        "eval by STACK_GLOBAL": evil,
        "eval in an archive": nested.getvalue(),
        "eval in a row of pickles": pickle.dumps(MAGIC, 2) + pickle.dumps(1001, 2) + pickle.dumps({}, 2) + evil,
        "BUILD with __setstate__": pickle.dumps(Call(Setter, state={"code": line})),
        "INST": b"(" + text(line) + b"ibuiltins\neval\n.",
        "OBJ": b"(cbuiltins\neval\n" + text(line) + b"o.",
        "NEWOBJ_EX": b"\x80\x04cbuiltins\neval\n" + text(line) + b"\x85}\x92.",
        "a persistent id": b"Pos.system\n.",
        "a persistent id of a call": b"\x80\x02cbuiltins\neval\n" + text(line) + b"\x85RQ.",
        "a registered extension": b"\x80\x02\x82\x01.",
        "an out-of-band buffer": b"\x80\x05\x97.",
        "NVIDIA's code": pickle.dumps({"G_ema": Call(persistent(), meta)}),
        "eval in a storage": storages,
        "torch.load": b"\x80\x02ctorch\nload\n" + text(canary) + b"\x85R.",
        "attributes of attributes": b"\x80\x04\x8c\x08builtins\x8c\x1bobject.__subclasses__.x.yy\x93)R.",
        "a tensor larger than its data": zipped(tensor_of(4, (10**12,)), s=bytes(16)),
        "a tensor without end": zipped(tensor_of(4, (10**12,), (0,)), s=bytes(16)),
        "a tensor before its data": zipped(tensor_of(4, (2,), offset=-2), s=bytes(16)),
        "numbers that are not there": zipped(tensor_of(10**15, (4,)), s=bytes(16)),
        "a storage of objects": zipped(tensor_of(4, (4,), kind="ObjectStorage"), s=bytes(16)),
        "bytes that are not there": b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"abc.",
        "a memo without end": b"\x80\x02]r\xff\xff\xff\xff.",
        "lists within lists": b"\x80\x02" + b"]" * 10**5 + b"a" * (10**5 - 1) + b".",
        "lists doubled a hundred times": doubled(100),
        "itself": b"\x80\x02}q\x00" + text("g_ema") + b"h\x00s.",
        "no stack": b"\x80\x02R.",
        "no end": b"\x80\x02]",
    }  # fmt: skip


class Setter:
    def __setstate__(self, state):
        eval(state["code"])


def persistent():
    """NVIDIA's function of that name, in a module of that name."""

    def _reconstruct_persistent_obj(meta):
        exec(meta["module_src"], {})

    module = ModuleType("torch_utils.persistence")
    module._reconstruct_persistent_obj = _reconstruct_persistent_obj
    _reconstruct_persistent_obj.__module__ = module.__name__
    _reconstruct_persistent_obj.__qualname__ = _reconstruct_persistent_obj.__name__
    sys.modules["torch_utils"], sys.modules["torch_utils.persistence"] = ModuleType("torch_utils"), module
    return _reconstruct_persistent_obj


@pytest.fixture
def modules():
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("torch_utils"):
            del sys.modules[name]


def test_hostile_files_run_nothing(tmp_path, modules):
    canary, path = tmp_path / "canary", tmp_path / "file.pt"
    files = hostile(canary)
    for what, content in files.items():
        path.write_bytes(content)
        with pytest.raises(UserError) as refusal:
            load_gan(path)
        assert len(str(refusal.value)) <= 240 and str(refusal.value).count("\n") == 0, what
        assert not canary.exists(), what
    assert len(files) >= 10
    pickle.loads(files["NVIDIA's code"])  # the canary is one
    assert canary.exists()


def test_a_call_is_a_record_of_it():
    module = Record("os.system")
    stream = io.BytesIO(b"\x80\x02cos\nsystem\n" + text("true") + b"\x85R.")
    found = read_pickle(stream)
    assert (found.name, found.args) == (module.name, ("true",)) and module.args is None


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_come_back_in_every_protocol(protocol):
    shared = [1, -(2**70), 2.5]
    value = {"a": (1, (2,), (3, 4), (5, 6, 7), (1, 2, 3, 4), ()), "b": [shared, shared], "c": None, "d": [True, False]}
    value |= {"é": "ü", 3: {"x": {}}}
    found = read_pickle(io.BytesIO(pickle.dumps(value, protocol)))
    assert found == value and found["b"][0] is found["b"][1]


@pytest.mark.parametrize("new", [True, False])
def test_tensors_come_back_from_both_kinds_of_files(tmp_path, new):
    whole = torch.randn(60, 40)
    state = OrderedDict(
        a=whole,
        view=whole[1:, ::2].t(),
        again=whole.flatten(),
        half=torch.randn(3).half(),
        brain=torch.randn(3).bfloat16(),
        count=torch.tensor(7),
        flags=torch.tensor([True, False]),
        none=torch.zeros(0, 3),
        parameter=nn.Parameter(torch.randn(2)),
    )
    torch.save(state, tmp_path / "x.pt", _use_new_zipfile_serialization=new)
    found = read(tmp_path / "x.pt")
    assert all(torch.equal(found[key], value) and found[key].dtype == value.dtype for key, value in state.items())


@pytest.mark.parametrize("write", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_a_whole_module_gives_its_state_and_its_settings(tmp_path, write):
    module = nn.Sequential(nn.Conv2d(2, 3, 1), nn.Sequential(nn.BatchNorm2d(3)))
    write({"netG": module}, tmp_path / "module.pt")
    found = part(read(tmp_path / "module.pt")["netG"])
    assert found.tensors.keys() == module.state_dict().keys() and found.settings["0.in_channels"] == 2
    assert all(torch.equal(found.tensors[key], value) for key, value in module.state_dict().items())


def test_archives_of_arrays_hold_numbers_alone(tmp_path):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, **{"l1/W": np.arange(6.0).reshape(2, 3)})
    assert torch.equal(read(path)["l1/W"], torch.arange(6.0, dtype=torch.float64).view(2, 3))
    np.savez(path, a=np.array([Setter()], dtype=object))
    with pytest.raises(UserError, match="more than numbers"):
        load_gan(path)
    np.savez_compressed(path, a=np.zeros(10**6))
    with pytest.raises(UserError, match="unpacks to far more"):
        load_gan(path)


def test_what_is_damaged_says_so(tmp_path):
    path = tmp_path / "gan.pt"
    torch.save({"g_ema": {"a": torch.zeros(1000)}}, path)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"PK\x03\x04", b"\x89PNG\r\n", pickletools.__doc__.encode()[:90]):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"can't be read: .*; download or copy it again\.$"):
            load_gan(path)
