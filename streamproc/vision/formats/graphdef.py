"""TensorFlow's GraphDef in protobuf's wire format, as far as OpenVINO's TensorFlow front end asks for it.

Field numbers are those of ``node_def.proto``, ``attr_value.proto``, ``tensor.proto`` and ``tensor_shape.proto`` (TensorFlow, Apache-2.0);
the wire format is protobuf's: a varint tag (field << 3 | kind), kinds 0 varint, 2 bytes with their length, 5 four bytes.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Attr = Mapping[str, Any]
"""An attribute as protobuf writes it in JSON: one key (``type``, ``i``, ``list``...) with its value; bytes are base64."""

DTYPES: Mapping[str, tuple[int, np.dtype[Any]]] = {
    "DT_FLOAT": (1, np.dtype(np.float32)),
    "DT_DOUBLE": (2, np.dtype(np.float64)),
    "DT_INT32": (3, np.dtype(np.int32)),
    "DT_UINT8": (4, np.dtype(np.uint8)),
    "DT_INT64": (9, np.dtype(np.int64)),
    "DT_BOOL": (10, np.dtype(np.bool_)),
}
"""Number in ``types.proto`` and numpy's type, by name."""
_PRODUCER = 1482
"""``versions.producer``: any GraphDef version of the last years; the front end only wants one."""


@dataclass(frozen=True, slots=True)
class Node:
    """One operation of a graph. ``inputs`` are names of other nodes, with ``:N`` for their Nth output."""

    name: str
    op: str
    inputs: tuple[str, ...] = ()
    attrs: Mapping[str, Attr] = field(default_factory=dict)


def encode(nodes: Iterable[Node], constants: Mapping[str, Array]) -> bytes:
    """A binary GraphDef of ``nodes`` and a Const node for each of ``constants``."""
    parts = [_constant(name, value) for name, value in constants.items()]
    parts += [_node(node.name, node.op, node.inputs, _attrs(node.attrs)) for node in nodes]
    return b"".join(parts) + _bytes(4, _number(1, _PRODUCER))


def dtype_name(value: Array) -> str:
    """TensorFlow's name of an array's type. Raises ValueError for one that has none here."""
    for name, (_, dtype) in DTYPES.items():
        if dtype == value.dtype:
            return name
    raise ValueError(f"no tensors of {value.dtype}")


def _constant(name: str, value: Array) -> bytes:
    number = DTYPES[dtype_name(value)][0]
    shape = b"".join(_bytes(2, _number(1, size)) for size in value.shape)
    tensor = _number(1, number) + _bytes(2, shape) + _bytes(4, np.ascontiguousarray(value).tobytes())
    return _node(name, "Const", (), [("dtype", _number(6, number)), ("value", _bytes(8, tensor))])


def _node(name: str, op: str, inputs: Iterable[str], attrs: Iterable[tuple[str, bytes]]) -> bytes:
    body = _bytes(1, name.encode()) + _bytes(2, op.encode())
    body += b"".join(_bytes(3, each.encode()) for each in inputs)
    body += b"".join(_bytes(5, _bytes(1, key.encode()) + _bytes(2, value)) for key, value in attrs)
    return _bytes(1, body)


def _attrs(attrs: Mapping[str, Attr]) -> list[tuple[str, bytes]]:
    return [(key, _attr(value)) for key, value in sorted(attrs.items())]


def _attr(attr: Attr) -> bytes:
    if not attr:
        return _bytes(1, b"")
    ((kind, value),) = attr.items()
    match kind:
        case "s":
            return _bytes(2, base64.b64decode(value, validate=True))
        case "i":
            return _number(3, int(value))
        case "f":
            return _varint(4 << 3 | 5) + struct.pack("<f", float(value))
        case "b":
            return _number(5, int(bool(value)))
        case "type":
            return _number(6, DTYPES[value][0])
        case "shape":
            return _bytes(7, _shape(value))
        case "list":
            return _bytes(1, _list(value))
        case _:
            raise ValueError(f"attributes of the kind {kind!r} cannot be read")


def _list(value: Mapping[str, Any]) -> bytes:
    out = b"".join(_bytes(2, base64.b64decode(each, validate=True)) for each in value.get("s", ()))
    if numbers := value.get("i"):
        out += _bytes(3, b"".join(_varint(int(each)) for each in numbers))
    if floats := value.get("f"):
        out += _bytes(4, struct.pack(f"<{len(floats)}f", *map(float, floats)))
    if types := value.get("type"):
        out += _bytes(6, b"".join(_varint(DTYPES[each][0]) for each in types))
    return out + b"".join(_bytes(7, _shape(each)) for each in value.get("shape", ()))


def _shape(value: Mapping[str, Any]) -> bytes:
    if value.get("unknownRank"):
        return _number(3, 1)
    return b"".join(_bytes(2, _number(1, int(each.get("size", 0)))) for each in value.get("dim", ()))


def _varint(number: int) -> bytes:
    if not -(1 << 63) <= number < 1 << 64:
        raise ValueError(f"{number} does not fit 64 bits")
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _number(tag: int, value: int) -> bytes:
    return _varint(tag << 3) + _varint(value)


def _bytes(tag: int, value: bytes) -> bytes:
    return _varint(tag << 3 | 2) + _varint(len(value)) + value
