"""Tensors out of a file that ``torch.save`` wrote before PyTorch 1.6, without PyTorch.

Such a file is five pickles (a magic number, the protocol, facts about the machine, the tree of tensors, the keys of their storages) and then,
for each key in order, the number of elements and the elements. A pickle can call anything, so nothing is unpickled before every opcode of
it was looked at, and only four names may be called: they make tensors, storages and ordered dictionaries.
"""

from __future__ import annotations

import collections
import io
import pickle
import pickletools
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from streamproc.core.errors import ModelUnavailable

Array = npt.NDArray[Any]
MAX_BYTES = 512 << 20
MAX_PICKLE_BYTES = 8 << 20
MAX_MEMO = 1 << 20
"""Highest memo index: the unpickler makes room up to it, whatever it is."""
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_KINDS = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ByteStorage": "u1",
}
_OPCODES = frozenset(
    """PROTO STOP MARK GLOBAL REDUCE BUILD TUPLE EMPTY_TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST LIST APPEND APPENDS EMPTY_DICT DICT
    SETITEM SETITEMS BINPERSID BININT BININT1 BININT2 INT LONG LONG1 BINFLOAT NONE NEWTRUE NEWFALSE BINUNICODE SHORT_BINUNICODE
    UNICODE BINSTRING SHORT_BINSTRING STRING BINPUT LONG_BINPUT PUT MEMOIZE BINGET LONG_BINGET GET""".split()  # noqa: SIM905
)
_UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, IndexError, EOFError, MemoryError, RecursionError)


@dataclass(frozen=True, slots=True)
class _Storage:
    key: str
    dtype: np.dtype[Any]
    size: int


@dataclass(frozen=True, slots=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_tensors(path: Path) -> dict[str, Array]:
    """Arrays by name. Raises ModelUnavailable, naming the file, where it is damaged or holds anything else than tensors."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES} bytes")
        return _read(io.BytesIO(path.read_bytes()))
    except (*_UNREADABLE, pickle.UnpicklingError, struct.error) as error:
        said = f"{type(error).__name__}: {error}".rstrip(": ")
        raise ModelUnavailable(f"{path} is no file of tensors that can be read ({said})") from error


def _read(stream: io.BytesIO) -> dict[str, Array]:
    if _pickled(stream) != _MAGIC or _pickled(stream) != _PROTOCOL:
        raise ValueError("it does not begin as torch.save begins a file")
    _pickled(stream)
    tree, keys = _pickled(stream), _pickled(stream)
    if not isinstance(tree, Mapping) or not all(isinstance(each, _Tensor) for each in tree.values()):
        raise ValueError("it holds something else than tensors by name")
    named = {each.storage.key: each.storage for each in tree.values()}
    storages: dict[str, Array] = {}
    for key in keys:
        (count,) = struct.unpack("<q", stream.read(8))
        storage = named[key]
        if count != storage.size:
            raise ValueError(f"storage {key} has {count} elements where {storage.size} are said")
        storages[key] = np.frombuffer(stream.read(count * storage.dtype.itemsize), storage.dtype, count)
    return {str(name): _array(each, storages[each.storage.key]) for name, each in tree.items()}


def _array(tensor: _Tensor, storage: Array) -> Array:
    """A copy of the part of the storage that the tensor is."""
    sides = list(zip(tensor.shape, tensor.strides, strict=True))
    if tensor.offset < 0 or any(side < 0 or stride < 0 for side, stride in sides):
        raise ValueError("a tensor with a negative size")
    if all(tensor.shape):
        last = tensor.offset + sum((side - 1) * stride for side, stride in sides)
        if last >= len(storage):
            raise ValueError("a tensor goes beyond its storage")
    strides = [stride * storage.itemsize for stride in tensor.strides]
    if np.prod(tensor.shape, dtype=object) > len(storage):
        raise ValueError("a tensor larger than its storage")
    return np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.shape, strides).copy()


def _pickled(stream: io.BytesIO) -> Any:
    """The next pickle's value, after a look at every opcode of it."""
    start = stream.tell()
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name not in _OPCODES:
            raise ValueError(f"the opcode {opcode.name}")
        if opcode.name.endswith("PUT") and int(argument or 0) > MAX_MEMO:
            raise ValueError(f"the memo index {argument}")
        if stream.tell() - start > MAX_PICKLE_BYTES:
            raise ValueError(f"a pickle of more than {MAX_PICKLE_BYTES} bytes")
    stop = stream.tell()
    stream.seek(start)
    return _Unpickler(io.BytesIO(stream.read(stop - start))).load()


class _Unpickler(pickle.Unpickler):
    """Calls nothing but what makes tensors."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module == "torch._utils" and name in ("_rebuild_tensor", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in _KINDS:
            return name
        raise pickle.UnpicklingError(f"it wants to call {module}.{name}")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, key, size = pid[1], pid[2], pid[4]
        return _Storage(str(key), np.dtype(_KINDS[kind]), int(size))


def _tensor(storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object) -> _Tensor:
    if not isinstance(storage, _Storage):
        raise ValueError("a tensor without a storage")
    return _Tensor(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))
