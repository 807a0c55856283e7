"""State documents: nothing is lost, and whatever the bytes are, reading them ends in a value or in an error of our own."""

import contextlib
import json
import math
import struct
import tracemalloc
import zlib
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from streamproc.core.errors import StateDamaged, StateError, StateVersionUnknown
from streamproc.logic import state_codec
from streamproc.logic.state_codec import FORMAT, MAGIC, pack, unpack

DTYPES = ["bool", "uint8", "int16", "int32", "int64", "float16", "float32", "float64"]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.text()
    | st.binary()
    | st.fractions()
    | st.datetimes(timezones=st.just(UTC))
)
ARRAYS = st.sampled_from(DTYPES).flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0)))
VALUES = st.recursive(
    SCALARS | ARRAYS, lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("$array"), inner)
)


def same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray | np.generic):
        return type(a) is type(b) and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return type(a) is type(b) and (a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b)))


def framed(header: bytes, blobs: bytes = b"", length: int | None = None) -> bytes:
    whole = struct.pack("<I", len(header) if length is None else length) + header + blobs
    return MAGIC + bytes([FORMAT]) + zlib.compress(whole)


@given(VALUES)
def test_what_was_packed_is_read(value: Any) -> None:
    assert same(value, unpack(pack("test", 3, value), "test", 3))


@pytest.mark.parametrize("value", [np.float32(0.1), np.int16(-3), np.bool_(True), np.float64("nan"), np.uint8(255)])
def test_a_number_of_numpy_keeps_its_type(value: Any) -> None:
    assert same(value, unpack(pack("test", 1, [value]), "test", 1)[0])


def test_arrays_in_any_order_of_memory_are_kept_and_may_be_written_to() -> None:
    array = np.arange(24, dtype=">i4").reshape(4, 6)[::2, ::-1].T
    again = unpack(pack("test", 1, array), "test", 1)
    assert np.array_equal(array, again)
    again[0, 0] = 7


def test_an_instant_keeps_its_offset() -> None:
    instant = datetime(2024, 2, 29, 12, 0, 0, 5, timezone(timedelta(hours=5, minutes=30)))
    assert unpack(pack("test", 1, instant), "test", 1).isoformat() == instant.isoformat()


@pytest.mark.parametrize(
    "value", [object(), {1: 2}, {1, 2}, datetime(2024, 1, 1), np.array(["a"]), np.array([None]), np.complex64(1)]
)
def test_what_cannot_be_kept_is_refused_at_once(value: Any) -> None:
    with pytest.raises(TypeError):
        pack("test", 1, value)


def test_a_value_that_holds_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(TypeError, match="nested"):
        pack("test", 1, value)


def test_another_version_kind_or_format_is_told_from_damage() -> None:
    data = pack("lane", 2, {"a": 1})
    with pytest.raises(StateVersionUnknown, match="version 2, this streamproc reads version 1"):
        unpack(data, "lane", 1)
    with pytest.raises(StateVersionUnknown, match="format"):
        unpack(MAGIC + bytes([FORMAT + 1]) + data[len(MAGIC) + 1 :], "lane", 2)
    with pytest.raises(StateDamaged, match="not the state of job"):
        unpack(data, "job", 2)


def test_a_pickle_is_never_read() -> None:
    planted = b"\x80\x05\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x8c\x06system\x93\x94\x8c\x04true\x85R."
    for data in (planted, zlib.compress(planted)):
        with pytest.raises(StateDamaged, match="no state document"):
            unpack(data, "lane", 2)


@pytest.mark.parametrize(
    "header",
    [
        b"[" * 200_000,
        b'["test",1,' + b"[" * 100_000 + b"]" * 100_000 + b"]",
        b'["test",1,' + b"9" * 10_000 + b"]",
        b'["test",1,{"$array":["<f8",[1000000000,1000000000]]}]',
        b'["test",1,{"$array":["<f8",[0,-1]]}]',
        b'["test",1,{"$array":["<f8",[true]]}]',
        b'["test",1,{"$array":["|O",[1]]}]',
        b'["test",1,{"$array":["<f8",[1,1,1,1,1,1,1,1,1,1]]}]',
        b'["test",1,{"$bytes":-1}]',
        b'["test",1,{"$bytes":99999999999}]',
        b'["test",1,{"$scalar":["|u1",300]}]',
        b'["test",1,{"$scalar":["<f8","x"]}]',
        b'["test",1,{"$fraction":"1/0"}]',
        b'["test",1,{"$fraction":"1e999999999"}]',
        b'["test",1,{"$instant":"2024-01-01T00:00:00"}]',
        b'["test",1,{"$instant":"never"}]',
        b'["test",1,{"$dict":[["a"]]}]',
        b'["test",1,{"$pickle":"x"}]',
        b'["test",true,null]',
        b'["test",1]',
        b"{}",
        b"\xff\xfe",
        b"",
    ],
)
def test_damaged_headers_are_refused(header: bytes) -> None:
    with pytest.raises(StateDamaged):
        unpack(framed(header), "test", 1)


def test_blobs_must_be_used_up_and_once() -> None:
    twice = b'["test",1,[{"$bytes":4},{"$bytes":4}]]'
    assert unpack(framed(twice, b"12345678"), "test", 1) == [b"1234", b"5678"]
    for blobs in (b"1234", b"123456789"):
        with pytest.raises(StateDamaged):
            unpack(framed(twice, blobs), "test", 1)
    with pytest.raises(StateDamaged):
        unpack(framed(b"[]", length=2**32 - 1), "test", 1)


DOCUMENT = pack("test", 1, {"a": [1, 2.5, None, Fraction(1, 3)], "b": np.arange(100, dtype=np.float32), "c": b"raw"})


@given(st.binary(max_size=300))
def test_random_bytes_end_in_our_error(data: bytes) -> None:
    for candidate in (data, MAGIC + data, MAGIC + bytes([FORMAT]) + data, framed(data)):
        with pytest.raises(StateError):
            unpack(candidate, "test", 1)


@given(st.integers(0, len(DOCUMENT) - 1))
def test_what_is_cut_off_is_refused(length: int) -> None:
    with pytest.raises(StateError):
        unpack(DOCUMENT[:length], "test", 1)


def test_a_flipped_bit_is_noticed_or_changes_nothing() -> None:
    """Some bits of a zlib stream mean nothing, such as those that fill up its last byte."""
    whole = pack("test", 1, unpack(DOCUMENT, "test", 1))
    unnoticed = 0
    for bit in range(len(DOCUMENT) * 8):
        damaged = bytearray(DOCUMENT)
        damaged[bit // 8] ^= 1 << bit % 8
        with contextlib.suppress(StateError):
            assert pack("test", 1, unpack(bytes(damaged), "test", 1)) == whole
            unnoticed += 1
    assert unnoticed < 16


@settings(max_examples=300)
@given(st.data())
def test_headers_that_nearly_are_ones_end_in_a_value_or_in_our_error(data: st.DataObject) -> None:
    """Past the checksum: JSON of the right shape with wrong words in it."""
    marks = st.sampled_from(["$array", "$scalar", "$bytes", "$fraction", "$instant", "$dict", "$x", "a"])
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["<f4", "|u1", "1/2", "|O", ""])
    tree = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(marks, inner, max_size=2))
    header = json.dumps(["test", 1, data.draw(tree)]).encode()
    with contextlib.suppress(StateError):
        unpack(framed(header, data.draw(st.binary(max_size=64))), "test", 1)


def test_a_bomb_is_refused_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_codec, "MAX_BYTES", 1_000_000)
    bomb = MAGIC + bytes([FORMAT]) + zlib.compress(bytes(200_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(StateDamaged, match="too large"):
            unpack(bomb, "test", 1)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
    with pytest.raises(ValueError, match="too large"):
        pack("test", 1, bytes(1_000_001))
