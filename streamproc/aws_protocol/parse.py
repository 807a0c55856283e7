"""Requests by shape: each input shape of the service model becomes one function, compiled once.

A compiled reader takes what ``json.loads`` gave and returns it with blobs decoded and nulls dropped. It finds every fault
and says each with its path, in the words of the service's own validation. Members that the model does not know are
ignored, as the service does.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from streamproc.aws_protocol.patterns import compile_pattern

MAX_REPORTED = 10
_SHOWN_CHARACTERS = 64
_INTEGER_RANGES = {"integer": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}


@dataclass(slots=True)
class Faults:
    """What is wrong with one request, in the order found."""

    messages: list[str] = field(default_factory=list)
    shapes: list[str] = field(default_factory=list)
    """The shape that each message is about: some shapes have error codes of their own."""

    def add(self, shape: Shape, path: str, constraint: str, value: Any = None) -> None:
        shown = "" if value is None else f" '{_shorten(value)}'"
        where = f"Value{shown} at '{path}'" if path else "The request"
        self.messages.append(f"{where} failed to satisfy constraint: Member must {constraint}")
        self.shapes.append(shape.name)

    def text(self) -> str:
        """All of it on one line, as the service words it."""
        count = len(self.messages)
        shown = "; ".join(self.messages[:MAX_REPORTED])
        more = f"; and {count - MAX_REPORTED} more" if count > MAX_REPORTED else ""
        return f"{count} validation error{'s' if count != 1 else ''} detected: {shown}{more}"


Reader = Callable[[Any, str, Faults], Any]
"""(value, path, faults) -> the value as Python has it; what it returns after adding a fault is of no use."""


def _shorten(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."


class ReaderCompiler:
    """Compiles shapes to readers. ``maxima`` lifts (or lowers) the maximum of a shape by its name."""

    def __init__(self, maxima: Mapping[str, int] | None = None) -> None:
        self._maxima = dict(maxima or {})
        self._done: dict[str, Reader] = {}

    def reader(self, shape: Shape) -> Reader:
        name = shape.name
        if name not in self._done:
            # A shape that contains itself finds this forwarder while it is being compiled.
            self._done[name] = lambda value, path, faults: self._done[name](value, path, faults)
            self._done[name] = self._compile(shape)
        return self._done[name]

    def _compile(self, shape: Shape) -> Reader:
        if isinstance(shape, StructureShape):
            return self._structure(shape)
        if isinstance(shape, ListShape):
            return self._list(shape)
        if isinstance(shape, MapShape):
            return self._map(shape)
        makers: dict[str, Callable[[Shape, tuple[float | None, float | None]], Reader]] = {
            "string": _string,
            "blob": _blob,
            "boolean": _boolean,
            "integer": _integer,
            "long": _integer,
            "float": _float,
            "double": _float,
            "timestamp": _float,
        }
        return makers[shape.type_name](shape, self._bounds(shape))

    def _bounds(self, shape: Shape) -> tuple[float | None, float | None]:
        return shape.metadata.get("min"), self._maxima.get(shape.name, shape.metadata.get("max"))

    def _structure(self, shape: StructureShape) -> Reader:
        members = {name: self.reader(member) for name, member in shape.members.items()}
        required = tuple((name, shape.members[name]) for name in shape.required_members)
        union = bool(shape.metadata.get("union"))

        def read(value: Any, path: str, faults: Faults) -> Any:
            if type(value) is not dict:
                return faults.add(shape, path, "be a structure", value)
            prefix = f"{path}." if path else ""
            result = {}
            for name, item in value.items():
                reader = members.get(name)
                if reader is not None and item is not None:
                    result[name] = reader(item, prefix + name, faults)
            for name, member in required:
                if name not in result:
                    faults.add(member, prefix + name, "not be null")
            if union and len(result) != 1:
                faults.add(shape, path, f"have exactly one of {', '.join(members)}")
            return result

        return read

    def _list(self, shape: ListShape) -> Reader:
        item_reader = self.reader(shape.member)
        check_length = _length_check(shape, self._bounds(shape))

        def read(value: Any, path: str, faults: Faults) -> Any:
            if type(value) is not list:
                return faults.add(shape, path, "be a list", value)
            if not check_length(value, path, faults):
                return value  # one fault is enough: a list far too long is not walked
            result = []
            for index, item in enumerate(value):
                if item is None:
                    faults.add(shape.member, f"{path}[{index}]", "not be null")
                else:
                    result.append(item_reader(item, f"{path}[{index}]", faults))
            return result

        return read

    def _map(self, shape: MapShape) -> Reader:
        key_reader, value_reader = self.reader(shape.key), self.reader(shape.value)
        check_length = _length_check(shape, self._bounds(shape))

        def read(value: Any, path: str, faults: Faults) -> Any:
            if type(value) is not dict:
                return faults.add(shape, path, "be a map", value)
            if not check_length(value, path, faults):
                return value
            result = {}
            for key, item in value.items():
                here = f"{path}.{_shorten(key)}"
                read_key = key_reader(key, here, faults)
                if item is None:
                    faults.add(shape.value, here, "not be null")
                else:
                    result[read_key] = value_reader(item, here, faults)
            return result

        return read


def _length_check(
    shape: Shape, bounds: tuple[float | None, float | None], show: bool = False
) -> Callable[[Any, str, Faults], bool]:
    least, most = bounds

    def check(value: Any, path: str, faults: Faults) -> bool:
        length = len(value)
        if least is not None and length < least:
            faults.add(shape, path, f"have length greater than or equal to {least}", value if show else None)
            return False
        if most is not None and length > most:
            faults.add(shape, path, f"have length less than or equal to {most}", value if show else None)
            return False
        return True

    return check


def _string(shape: Shape, bounds: tuple[float | None, float | None]) -> Reader:
    enum = frozenset(shape.metadata.get("enum") or ())
    words = ", ".join(shape.metadata.get("enum") or ())
    source: str | None = shape.metadata.get("pattern")
    pattern: re.Pattern[str] | None = compile_pattern(source) if source else None
    secret = bool(shape.metadata.get("sensitive"))
    check_length = _length_check(shape, bounds, show=not secret)

    def read(value: Any, path: str, faults: Faults) -> Any:
        if type(value) is not str:
            return faults.add(shape, path, "be a string", None if secret else value)
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            return faults.add(shape, path, "be valid Unicode text")
        shown = None if secret else value
        if not check_length(value, path, faults):
            return value
        if pattern is not None and pattern.fullmatch(value) is None:
            faults.add(shape, path, f"satisfy regular expression pattern: {source}", shown)
        if enum and value not in enum:
            faults.add(shape, path, f"satisfy enum value set: [{words}]", shown)
        return value

    return read


def _blob(shape: Shape, bounds: tuple[float | None, float | None]) -> Reader:
    check_length = _length_check(shape, bounds)

    def read(value: Any, path: str, faults: Faults) -> Any:
        if type(value) is not str:
            return faults.add(shape, path, "be a base64 string")
        try:
            decoded = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            return faults.add(shape, path, "be a base64 string")
        check_length(decoded, path, faults)
        return decoded

    return read


def _boolean(shape: Shape, bounds: tuple[float | None, float | None]) -> Reader:
    def read(value: Any, path: str, faults: Faults) -> Any:
        if type(value) is not bool:
            faults.add(shape, path, "be true or false", value)
        return value

    return read


def _range_check(shape: Shape, bounds: tuple[float | None, float | None]) -> Callable[[Any, str, Faults], None]:
    least, most = bounds

    def check(value: Any, path: str, faults: Faults) -> None:
        if least is not None and value < least:
            faults.add(shape, path, f"have value greater than or equal to {least}", value)
        elif most is not None and value > most:
            faults.add(shape, path, f"have value less than or equal to {most}", value)

    return check


def _integer(shape: Shape, bounds: tuple[float | None, float | None]) -> Reader:
    smallest, largest = _INTEGER_RANGES[shape.type_name]
    check_range = _range_check(shape, bounds)

    def read(value: Any, path: str, faults: Faults) -> Any:
        if type(value) is not int or not smallest <= value <= largest:
            return faults.add(shape, path, f"be a whole number from {smallest} to {largest}", value)
        check_range(value, path, faults)
        return value

    return read


def _float(shape: Shape, bounds: tuple[float | None, float | None]) -> Reader:
    check_range = _range_check(shape, bounds)

    def read(value: Any, path: str, faults: Faults) -> Any:
        if type(value) not in (int, float):
            return faults.add(shape, path, "be a number", value)
        if (type(value) is int and abs(value) > 2**128) or not math.isfinite(value):
            return faults.add(shape, path, "be a finite number", value)
        check_range(value, path, faults)
        return float(value)

    return read
