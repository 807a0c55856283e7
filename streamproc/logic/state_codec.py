"""State documents as bytes and back: a plain, versioned format that holds data only and never names code.

The bytes are a magic word, the format's number, and a zlib stream (whose checksum tells damage) of: the header's length (32 bits,
little-endian), the header, and the blobs one after the other. The header is JSON: ``[KIND, VERSION, BODY]``. What JSON cannot say is
written as an object with one key that begins with ``$``:

==================================  =====================================================================
``{"$array": [DTYPE, SHAPE]}``      a numpy array; its bytes (C order, little-endian) are the next blob
``{"$scalar": [DTYPE, NUMBER]}``    a numpy number, kept with its type so that arithmetic goes on the same
``{"$bytes": LENGTH}``              bytes: the next blob
``{"$fraction": "N/D"}``            a Fraction
``{"$instant": "ISO 8601"}``        a datetime with its offset from UTC
``{"$dict": [[KEY, VALUE], ...]}``  an object with a key that begins with ``$``
==================================  =====================================================================

Tuples are written as lists. NaN and infinities are kept. ``KIND`` says whose state it is, ``VERSION`` which fields its owner wrote.
"""

from __future__ import annotations

import json
import math
import re
import struct
import zlib
from datetime import datetime
from fractions import Fraction
from typing import Any

import numpy as np

from streamproc.core.errors import StateDamaged, StateVersionUnknown

MAGIC = b"SPSTATE"
FORMAT = 1
MAX_HEADER = 16 * 1024 * 1024
"""Bytes of JSON. A checkpoint of a busy camera has some 20 KB, of two seconds of a stored video some 200 KB."""
MAX_BYTES = 128 * 1024 * 1024
"""Bytes of a whole document, unpacked: the state of a camera has about 1 MB (three thumbnails), so that this is far beyond all of them."""
MAX_DEPTH = 64
_DTYPES = frozenset({"|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8"})
_LENGTH = struct.Struct("<I")
_FRACTION = re.compile(r"-?\d{1,80}(/\d{1,80})?")
"""Media times have numerators of up to about 15 digits; the limit keeps a damaged document from costing time."""


def pack(kind: str, version: int, body: Any) -> bytes:
    """The document as bytes. TypeError where ``body`` holds something else than the values above, ValueError where it is too large."""
    blobs: list[bytes] = []
    header = json.dumps([kind, version, _written(body, blobs, 0)], ensure_ascii=False, separators=(",", ":")).encode()
    if len(header) > MAX_HEADER or len(header) + sum(map(len, blobs)) > MAX_BYTES - _LENGTH.size:
        raise ValueError(f"a state document of {kind} is too large to be kept")
    squeezed = zlib.compress(b"".join([_LENGTH.pack(len(header)), header, *blobs]), 1)
    return MAGIC + bytes([FORMAT]) + squeezed


def unpack(data: bytes, kind: str, version: int) -> Any:
    """The body that ``pack`` took. Raises StateDamaged where these are not its bytes, StateVersionUnknown where another version wrote it."""
    found, body = unpack_any(data, kind)
    if found != version:
        raise StateVersionUnknown(f"the state of {kind} has version {found}, this streamproc reads version {version}")
    return body


def unpack_any(data: bytes, kind: str) -> tuple[int, Any]:
    """The version and the body that ``pack`` took. Raises StateDamaged, and StateVersionUnknown where the format itself is not known.

    Time and memory are bounded by MAX_BYTES and MAX_HEADER whatever the bytes are.
    """
    if not data.startswith(MAGIC):
        raise StateDamaged(f"the state of {kind} is no state document (written before streamproc had them, or damaged)")
    if data[len(MAGIC) : len(MAGIC) + 1] != bytes([FORMAT]):
        raise StateVersionUnknown(f"the state of {kind} is in a format that this streamproc does not know")
    try:
        found = _read(_inflated(data[len(MAGIC) + 1 :]))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError, zlib.error, struct.error) as error:
        raise StateDamaged(f"the state of {kind} is damaged: {str(error)[:200]}") from None
    if found[0] != kind:
        raise StateDamaged(f"this is not the state of {kind}")
    if type(found[1]) is not int:
        raise StateDamaged(f"the state of {kind} is damaged: its version is no number")
    return found[1], found[2]


def _inflated(data: bytes) -> bytes:
    stream = zlib.decompressobj()
    whole = stream.decompress(data, MAX_BYTES)
    if not stream.eof or stream.unused_data:
        raise ValueError("it is cut off, too large, or goes on behind its end")
    return whole


def _read(whole: bytes) -> tuple[str, int, Any]:
    (length,) = _LENGTH.unpack_from(whole)
    if length > min(MAX_HEADER, len(whole) - _LENGTH.size):
        raise ValueError("its header is longer than itself")
    start = _LENGTH.size + length
    blobs = _Blobs(memoryview(whole)[start:])
    header = json.loads(whole[_LENGTH.size : start], object_hook=lambda value: _object(value, blobs))
    match header:
        case [str(kind), int(version), body] if not isinstance(version, bool):
            blobs.end()
            return kind, version, body
    raise ValueError("its header is not [kind, version, body]")


class _Blobs:
    """Gives out the bytes behind the header, each once and in order, so that no reference can multiply them."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0

    def take(self, length: int) -> memoryview:
        if not 0 <= length <= len(self._data) - self._at:
            raise ValueError("a blob is longer than what is left")
        self._at += length
        return self._data[self._at - length : self._at]

    def end(self) -> None:
        if self._at != len(self._data):
            raise ValueError("bytes are left over")


def _written(value: Any, blobs: list[bytes], depth: int) -> Any:
    """``value`` in JSON's own types; bytes of arrays are appended to ``blobs``."""
    if depth > MAX_DEPTH:
        raise TypeError("a state document is nested too deeply, or holds itself")
    if isinstance(value, np.ndarray | np.generic):
        return _written_array(value, blobs)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bytes):
        blobs.append(value)
        return {"$bytes": len(value)}
    if isinstance(value, Fraction):
        return {"$fraction": str(value)}
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise TypeError("a state document holds a datetime without its offset from UTC")
        return {"$instant": value.isoformat()}
    if isinstance(value, list | tuple):
        return [_written(each, blobs, depth + 1) for each in value]
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("a state document holds a dict whose keys are not all text")
        pairs = [[str(key), _written(each, blobs, depth + 1)] for key, each in value.items()]
        return {"$dict": pairs} if any(key.startswith("$") for key, _ in pairs) else dict(pairs)
    raise TypeError(f"a state document cannot hold a {type(value).__name__}")


def _written_array(value: np.ndarray[Any, Any] | np.generic, blobs: list[bytes]) -> dict[str, Any]:
    dtype = value.dtype.newbyteorder("<")
    if dtype.str not in _DTYPES:
        raise TypeError(f"a state document cannot hold an array of {value.dtype}")
    if isinstance(value, np.generic):
        return {"$scalar": [dtype.str, value.item()]}
    blobs.append(np.ascontiguousarray(value, dtype).tobytes())
    return {"$array": [dtype.str, list(value.shape)]}


def _object(value: dict[str, Any], blobs: _Blobs) -> Any:
    """What an object of the header stands for."""
    if len(value) != 1:
        return value
    ((key, said),) = value.items()
    match key, said:
        case "$array", [str(dtype), list(shape)]:
            return _array(dtype, shape, blobs)
        case "$scalar", [str(dtype), bool() | int() | float()] if dtype in _DTYPES:
            return np.dtype(dtype).type(said[1])
        case "$bytes", int(length):
            return bytes(blobs.take(length))
        case "$fraction", str(text) if _FRACTION.fullmatch(text) and not text.endswith("/0"):
            return Fraction(text)
        case "$instant", str(text):
            instant = datetime.fromisoformat(text)
            if instant.tzinfo is None:
                raise ValueError("an instant has no offset from UTC")
            return instant
        case "$dict", list(pairs):
            return _dict(pairs)
    if key.startswith("$"):
        raise ValueError(f"{key[:20]} is not known, or not so")
    return value


def _dict(pairs: list[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in pairs:
        match pair:
            case [str(key), value]:
                found[key] = value
            case _:
                raise ValueError("a pair is not [key, value]")
    return found


def _array(dtype: str, shape: list[Any], blobs: _Blobs) -> np.ndarray[Any, Any]:
    if dtype not in _DTYPES or len(shape) > 8:
        raise ValueError("an array has a type or a shape that is not known")
    if not all(type(side) is int and 0 <= side <= MAX_BYTES for side in shape):
        raise ValueError("an array's sides are not whole numbers")
    length = math.prod(shape) * np.dtype(dtype).itemsize
    return np.frombuffer(blobs.take(length), dtype).reshape(shape).copy()
