"""Answers by shape: each output shape of the service model becomes one function, compiled once.

A member that the shape does not know, or a value of another type, is a mistake of this program and raises
``NotInModel``: botocore would silently drop it. None means absent.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape


class NotInModel(TypeError):
    """An answer that the service model does not allow."""


Writer = Callable[[Any], Any]
"""A Python value -> a JSON-ready one."""


class WriterCompiler:
    """Compiles shapes to writers."""

    def __init__(self) -> None:
        self._done: dict[str, Writer] = {}

    def writer(self, shape: Shape) -> Writer:
        name = shape.name
        if name not in self._done:
            # A shape that contains itself finds this forwarder while it is being compiled.
            self._done[name] = lambda value: self._done[name](value)
            self._done[name] = self._compile(shape)
        return self._done[name]

    def _compile(self, shape: Shape) -> Writer:
        if isinstance(shape, StructureShape):
            return self._structure(shape)
        if isinstance(shape, ListShape):
            return self._list(shape)
        if isinstance(shape, MapShape):
            return self._map(shape)
        return {
            "string": _string,
            "blob": _blob,
            "boolean": _checked(bool),
            "integer": _checked(int),
            "long": _checked(int),
            "float": _number,
            "double": _number,
            "timestamp": _timestamp,
        }[shape.type_name](shape)

    def _structure(self, shape: StructureShape) -> Writer:
        members = {name: self.writer(member) for name, member in shape.members.items()}

        def write(value: Any) -> Any:
            if not isinstance(value, dict):
                raise NotInModel(f"{shape.name} is a structure, not {type(value).__name__}")
            result = {}
            for name, item in value.items():
                if name not in members:
                    raise NotInModel(f"{shape.name} has no member {name}")
                if item is not None:
                    result[name] = members[name](item)
            return result

        return write

    def _list(self, shape: ListShape) -> Writer:
        item_writer = self.writer(shape.member)

        def write(value: Any) -> Any:
            if not isinstance(value, list | tuple):
                raise NotInModel(f"{shape.name} is a list, not {type(value).__name__}")
            return [item_writer(item) for item in value]

        return write

    def _map(self, shape: MapShape) -> Writer:
        key_writer, value_writer = self.writer(shape.key), self.writer(shape.value)

        def write(value: Any) -> Any:
            if not isinstance(value, dict):
                raise NotInModel(f"{shape.name} is a map, not {type(value).__name__}")
            return {key_writer(key): value_writer(item) for key, item in value.items()}

        return write


def _string(shape: Shape) -> Writer:
    enum = frozenset(shape.metadata.get("enum") or ())

    def write(value: Any) -> Any:
        if not isinstance(value, str) or (enum and value not in enum):
            raise NotInModel(f"{shape.name} cannot be {value!r}")
        return str(value)

    return write


def _blob(shape: Shape) -> Writer:
    def write(value: Any) -> Any:
        if not isinstance(value, bytes):
            raise NotInModel(f"{shape.name} is bytes, not {type(value).__name__}")
        return base64.b64encode(value).decode("ascii")

    return write


def _checked(kind: type) -> Callable[[Shape], Writer]:
    def make(shape: Shape) -> Writer:
        def write(value: Any) -> Any:
            if type(value) is not kind:
                raise NotInModel(f"{shape.name} is {kind.__name__}, not {type(value).__name__}")
            return value

        return write

    return make


def _number(shape: Shape) -> Writer:
    def write(value: Any) -> Any:
        if isinstance(value, bool):
            raise NotInModel(f"{shape.name} is a number, not bool")
        return float(value)

    return write


def _timestamp(shape: Shape) -> Writer:
    """Epoch seconds with milliseconds. Takes datetimes (naive ones are UTC) and epoch seconds."""

    def write(value: Any) -> Any:
        if isinstance(value, datetime):
            value = (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
        return round(float(value), 3)

    return write
