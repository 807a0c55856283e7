"""Old torch.save files without PyTorch: tensors come out, nothing else is ever called."""

from __future__ import annotations

import collections
import io
import os
import pickle
import struct
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.core.errors import ModelUnavailable
from streamproc.vision.formats.torch_file import read_tensors

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
KINDS = {"f4": "FloatStorage", "i8": "LongStorage"}


class Storage:
    """What a tensor's elements lie in, as PyTorch's pickler sees it."""

    def __init__(self, key: str, array: np.ndarray) -> None:
        self.key, self.array = key, array


class Tensor:
    def __init__(self, storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self.words = (storage, offset, shape, strides, False, collections.OrderedDict())

    def __reduce__(self) -> tuple[Any, ...]:
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.words


def saved(tree: Any, storages: list[Storage]) -> bytes:
    """As PyTorch before 1.6 writes it."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for kind in KINDS.values():
        setattr(torch, kind, type(kind, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2(*words: object) -> None: ...

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2, torch._utils = _rebuild_tensor_v2, utils  # type: ignore[attr-defined]

    class Pickler(pickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            if not isinstance(value, Storage):
                return None
            kind = getattr(torch, KINDS[value.array.dtype.str[1:]])
            return "storage", kind, value.key, "cpu", value.array.size, None

    out = io.BytesIO()
    sys.modules.update({"torch": torch, "torch._utils": utils})
    try:
        for each in (MAGIC, PROTOCOL, {"little_endian": True}):
            pickle.dump(each, out, 2)
        Pickler(out, 2).dump(tree)
        pickle.dump([each.key for each in storages], out, 2)
    finally:
        del sys.modules["torch"], sys.modules["torch._utils"]
    for each in storages:
        out.write(struct.pack("<q", each.array.size) + each.array.tobytes())
    return out.getvalue()


def example() -> bytes:
    numbers, count = Storage("1", np.arange(24, dtype="<f4")), Storage("2", np.array([7], "<i8"))
    tree = collections.OrderedDict(
        {
            "weight": Tensor(numbers, 0, (2, 3), (3, 1)),
            "turned": Tensor(numbers, 6, (3, 2), (1, 3)),
            "count": Tensor(count, 0, (), ()),
        }
    )
    return saved(tree, [numbers, count])


def read(tmp_path: Path, data: bytes) -> Mapping[str, np.ndarray]:
    path = tmp_path / "old.pth"
    path.write_bytes(data)
    return read_tensors(path)


def test_tensors_are_views_of_their_storages(tmp_path: Path) -> None:
    found = read(tmp_path, example())
    assert found["weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["turned"].tolist() == [[6, 9], [7, 10], [8, 11]]
    assert found["count"] == 7 and found["count"].dtype == np.int64


def test_nothing_is_called_that_is_not_on_the_list(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "owned"),)

    for position in range(3):
        parts = [pickle.dumps(each, 2) for each in (MAGIC, PROTOCOL, {}, {}, [])]
        parts[position + 2] = pickle.dumps({"x": Evil()}, 2)
        with pytest.raises(ModelUnavailable, match=r"posix\.mkdir"):
            read(tmp_path, b"".join(parts))
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "EOFError|ValueError"),
        (b"PK\x03\x04" + bytes(100), "is no file of tensors"),
        (pickle.dumps(5, 2) * 5, "does not begin"),
        (example()[:-30], "is no file of tensors"),
        (b"\x80\x02r\xff\xff\xff\xff.", "memo index"),
        (b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00id\x85\x81.", "opcode NEWOBJ"),
        (saved(collections.OrderedDict(a=Tensor(s := Storage("1", np.zeros(4, "<f4")), 1, (4,), (1,))), [s]), "beyond"),
        (saved(collections.OrderedDict(a=Tensor(s := Storage("1", np.zeros(4, "<f4")), 0, (9, 4), (0, 1))), [s]), "larger"),
        (saved(collections.OrderedDict(a=Tensor(s := Storage("1", np.zeros(4, "<f4")), -2, (1,), (1,))), [s]), "negative"),
        (saved([1, 2], []), "something else"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_the_file(tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(ModelUnavailable, match=said) as caught:
        read(tmp_path, data)
    assert "old.pth" in str(caught.value)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_files_are_refused_or_read_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, data: Any
) -> None:
    whole = example()
    start = data.draw(st.integers(0, len(whole) - 1))
    stop = data.draw(st.integers(start, min(len(whole), start + 20)))
    damaged = whole[:start] + data.draw(st.binary(max_size=20)) + whole[stop:]
    try:
        found = read(tmp_path_factory.mktemp("torch"), damaged)
    except ModelUnavailable:
        return
    assert all(isinstance(each, np.ndarray) for each in found.values())
