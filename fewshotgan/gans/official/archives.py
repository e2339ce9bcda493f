"""Read the files that PyTorch, pickle and numpy write, as plain containers, tensors and records (`pickles.py`).

A tensor is rebuilt from its numbers, its shape and its strides, after a check that the file has that many numbers.
PyTorch's files come as a zip archive (since 1.6) or as a row of pickles with the numbers behind them; the latter also
inside a pickle, where a storage was pickled alone (NVIDIA's files).
"""

import io
import mmap
import zipfile
import zlib
from functools import reduce
from operator import mul
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import torch
from torch import Tensor

from fewshotgan.gans.official.pickles import Record, Unreadable, read_pickle

DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
MAGIC = 0x1950A86A20F9469CFC6C  # opens the row of pickles
LARGEST_RATIO = 100  # of an archive's size unpacked to its own; weights hardly shrink
REBUILT = ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2")
PARAMETERS = ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state")
NESTED = "torch.storage._load_from_bytes"


def read(path: Path) -> Any:
    """Return what a file holds, without running anything of it.

    Raises:
        Unreadable: if it is damaged, or of no known kind.
    """
    if path.stat().st_size == 0:
        raise Unreadable("it is empty")
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content[:2] == b"PK":
            return _read_zip(file)
        return _read_pickles(cast(IO[bytes], content), len(content))


# --- PyTorch's and numpy's zip archives ------------------------------------------------------------------------------


def _read_zip(file: IO[bytes]) -> Any:
    """Return what an archive holds: arrays by their names, or the value of its pickle."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            if names and all(name.endswith(".npy") for name in names):
                return _read_arrays(file, sum(entry.file_size for entry in archive.infolist()))
            return _read_torch_zip(archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        raise Unreadable("it is damaged, or no archive of weights") from error


def _read_arrays(file: IO[bytes], size: int) -> dict[str, Tensor]:
    """Return the arrays of an `.npz` of so many bytes once unpacked; numpy refuses arrays of objects."""
    if size > LARGEST_RATIO * file.seek(0, io.SEEK_END):
        raise Unreadable("it unpacks to far more than weights would")
    file.seek(0)
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(np.array(arrays[name], order="C")) for name in arrays.files}
    except (ValueError, TypeError, MemoryError) as error:
        raise Unreadable(f"it has arrays of more than numbers ({error})"[:120]) from error


def _read_torch_zip(archive: zipfile.ZipFile) -> Any:
    """Return the value of the pickle in an archive of PyTorch's."""
    names = archive.namelist()
    pickle = next((name for name in names if name.count("/") == 1 and name.endswith("/data.pkl")), None)
    if pickle is None:
        raise Unreadable("it is a zip archive without weights")
    folder = pickle.removesuffix("data.pkl")
    if f"{folder}byteorder" in names and _member(archive, f"{folder}byteorder") != b"little":
        raise Unreadable("its numbers are big-endian; save it again on another machine")
    storages: dict[str, Tensor] = {}

    def persistent(identity: Any) -> Tensor:
        dtype, key, count = _storage(identity)
        if key not in storages:
            storages[key] = _numbers(_member(archive, f"{folder}data/{key}"), dtype, count)
        return storages[key]

    return read_pickle(io.BytesIO(_member(archive, pickle)), persistent, _rebuild)


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return a file of an archive, which PyTorch stores without compression."""
    try:
        entry = archive.getinfo(name)
    except KeyError as error:
        raise Unreadable(f"it lacks its part {name[-40:]}") from error
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
        raise Unreadable("its parts are compressed, which PyTorch never does")
    return archive.read(entry)


# --- rows of pickles -------------------------------------------------------------------------------------------------


def _read_pickles(file: IO[bytes], size: int, nested: bool = False) -> Any:
    """Return the value of a pickle, or of PyTorch's row of them: magic number, protocol, system, value, storages."""
    rebuild = _rebuild if nested else _rebuild_nested
    value = read_pickle(file, rebuild=rebuild)
    if not isinstance(value, int) or value != MAGIC:
        return value
    storages: dict[str, Tensor] = {}

    def persistent(identity: Any) -> Any:
        if identity[0] == "module":  # the class, its file and its code
            return identity[1]
        dtype, key, count = _storage(identity)
        if key not in storages:
            if sum(map(_bytes, storages.values())) + count * dtype.itemsize > size:
                raise Unreadable("it has fewer numbers than it says")
            storages[key] = torch.empty(count, dtype=dtype)
        view = identity[5] if len(identity) > 5 else None
        return storages[key] if view is None else storages[key].narrow(0, view[1], view[2])

    for _ in range(2):
        read_pickle(file)
    value, order = read_pickle(file, persistent, rebuild), read_pickle(file)
    if not isinstance(order, list) or not storages.keys() <= set(map(str, order)):
        raise Unreadable("it lacks some of its parts")
    for key in order:
        count = int.from_bytes(file.read(8), "little")
        storage = storages.get(str(key), torch.empty(0))
        if count != storage.numel():
            raise Unreadable("its parts have other sizes than it says")
        storage.copy_(_numbers(file.read(_bytes(storage)), storage.dtype, count))
    return value


def _bytes(storage: Tensor) -> int:
    return storage.numel() * storage.itemsize


def _storage(identity: Any) -> tuple[torch.dtype, str, int]:
    """Return (type, key, how many numbers) of a storage's identity."""
    match identity:
        case ("storage", Record(name=name), str(key), _, int(count), *_) if name.rpartition(".")[2] in DTYPES:
            if count >= 0:
                return DTYPES[name.rpartition(".")[2]], key, count
    raise Unreadable("it points to data of an unknown kind")


# --- tensors ---------------------------------------------------------------------------------------------------------


def _numbers(data: bytes, dtype: torch.dtype, count: int) -> Tensor:
    """Return the numbers of a storage, (count,)."""
    if len(data) != count * dtype.itemsize:
        raise Unreadable("it has fewer numbers than it says")
    return torch.frombuffer(bytearray(data), dtype=dtype) if count else torch.empty(0, dtype=dtype)


def _rebuild(record: Record) -> Any:
    """Return the tensor or dictionary that a call stands for; of any other, the record of it."""
    args = record.args or ()
    if record.name in REBUILT:
        return _tensor(*args[:4])
    if record.name in PARAMETERS and isinstance(args[0], Tensor):
        return args[0]
    if record.name == "collections.OrderedDict":
        return dict(*args)
    return record


def _rebuild_nested(record: Record) -> Any:
    """As `_rebuild`, and read the storage that a call has among its arguments as bytes."""
    match record:
        case Record(name=name, args=(bytes(content),)) if name == NESTED:
            return _read_pickles(io.BytesIO(content), len(content), nested=True)
    return _rebuild(record)


def _tensor(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    """Return a tensor as a view of a storage; never of more numbers than that has."""
    least, count = min((offset, *size, *stride)), reduce(mul, size, 1)
    end = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if least < 0 or count > storage.numel() or (count and end >= storage.numel()):
        raise Unreadable("it has a tensor that is larger than its data")
    return storage.as_strided(size, stride, offset)
