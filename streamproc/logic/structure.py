"""Dataclasses as plain documents and back: what a state document (``state_codec``) holds of an object's state.

``to_document`` looks at the values, ``from_document`` at the declared types: a class is never named in the document, so that reading one can
make nothing but the type that the caller asks for. Known are dataclasses, named tuples, enums, lists, tuples, dicts, deques, unions with
None, numpy arrays and numbers, Fraction, datetime and JSON's own types; ``Any`` takes any plain value as it is.
"""

from __future__ import annotations

import types
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from enum import Enum
from fractions import Fraction
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import numpy as np

from streamproc.core.errors import StateDamaged

T = TypeVar("T")


def to_document(value: Any) -> Any:
    """A plain value that shares nothing with ``value``. TypeError where it holds something that is not known here."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, bool | int | float | str | bytes | np.generic | Fraction | datetime):
        return value
    if isinstance(value, np.ndarray):
        return value.copy()
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_document(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, deque):
        return {"maxlen": value.maxlen, "items": [to_document(each) for each in value]}
    if isinstance(value, list | tuple):
        return [to_document(each) for each in value]
    if isinstance(value, Mapping):
        if all(isinstance(key, str) for key in value):
            return {to_document(key): to_document(each) for key, each in value.items()}
        return [[to_document(key), to_document(each)] for key, each in value.items()]
    raise TypeError(f"{type(value).__name__} cannot be kept in a state document")


def from_document(kind: type[T], document: Any) -> T:
    """The value of type ``kind`` that ``to_document`` was given. Raises StateDamaged, naming the field, where it is none."""
    return cast(T, _made(kind, document, getattr(kind, "__name__", "state")))


def _made(kind: Any, value: Any, where: str) -> Any:
    if kind is Any:
        return value
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _of_union(arguments, value, where)
    if origin is not None and issubclass(origin, np.ndarray):
        return _array(arguments, value, where)
    if origin is not None:
        return _container(origin, arguments, value, where)
    if isinstance(kind, type) and issubclass(kind, Enum):
        try:
            return kind(value)
        except ValueError:
            raise StateDamaged(f"{where}: {str(value)[:40]} is no {kind.__name__}") from None
    if is_dataclass(kind):
        return _dataclass(cast(type, kind), value, where)
    if isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields"):
        hints = list(_hints(kind).values())
        return kind(*_each(hints, value, where))
    return _scalar(kind, value, where)


def _scalar(kind: Any, value: Any, where: str) -> Any:
    allowed: Any = {float: (float, int, np.floating), int: (int, np.integer), bool: (bool, np.bool_)}.get(kind, kind)
    if not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool):
        raise StateDamaged(f"{where}: expected {kind.__name__}, found {type(value).__name__}")
    return value


def _of_union(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    rest = [kind for kind in kinds if kind is not type(None)]
    if len(rest) != 1:
        raise TypeError(f"{where}: only unions with None can be kept in a state document")
    return _made(rest[0], value, where)


def _array(arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    """``arguments``: of the annotation, (shape, dtype[TYPE])."""
    (wanted,) = get_args(arguments[1]) if len(arguments) > 1 else (Any,)
    if not isinstance(value, np.ndarray):
        raise StateDamaged(f"{where}: expected an array, found {type(value).__name__}")
    if isinstance(wanted, type) and not issubclass(value.dtype.type, wanted):
        raise StateDamaged(f"{where}: expected an array of {wanted.__name__}, found {value.dtype}")
    return value


def _container(origin: Any, arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    if origin is deque:
        items = value.get("items") if isinstance(value, dict) else None
        maxlen = value.get("maxlen") if isinstance(value, dict) else None
        if not isinstance(items, list) or not (maxlen is None or (type(maxlen) is int and maxlen >= 0)):
            raise StateDamaged(f"{where}: expected a deque")
        return deque([_made(arguments[0], each, where) for each in items], maxlen)
    if issubclass(origin, Mapping):
        return _mapping(arguments, value, where)
    if not isinstance(value, list):
        raise StateDamaged(f"{where}: expected a list, found {type(value).__name__}")
    if issubclass(origin, tuple):
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_made(arguments[0], each, where) for each in value)
        return tuple(_each(list(arguments), value, where))
    if issubclass(origin, Sequence):
        return [_made(arguments[0], each, where) for each in value]
    raise TypeError(f"{where}: {origin.__name__} cannot be kept in a state document")


def _mapping(arguments: tuple[Any, ...], value: Any, where: str) -> dict[Any, Any]:
    pairs = list(value.items()) if isinstance(value, dict) else value
    if not isinstance(pairs, list) or not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
        raise StateDamaged(f"{where}: expected a table, found {type(value).__name__}")
    key, item = arguments
    return {_made(key, each, where): _made(item, said, f"{where}[{str(each)[:40]}]") for each, said in pairs}


def _each(kinds: Sequence[Any], value: Any, where: str) -> list[Any]:
    if not isinstance(value, list) or len(value) != len(kinds):
        raise StateDamaged(f"{where}: expected {len(kinds)} values")
    return [_made(kind, each, where) for kind, each in zip(kinds, value, strict=True)]


def _dataclass(kind: type, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise StateDamaged(f"{where}: expected the fields of {kind.__name__}, found {type(value).__name__}")
    hints = _hints(kind)
    known = {field.name: field for field in fields(kind)}
    for name in value.keys() - known.keys():
        raise StateDamaged(f"{where}: {kind.__name__} has no field {name[:40]}")
    for name in known.keys() - value.keys():
        if known[name].default is MISSING and known[name].default_factory is MISSING:
            raise StateDamaged(f"{where}: {kind.__name__}.{name} is missing")
    return kind(**{name: _made(hints[name], said, f"{where}.{name}") for name, said in value.items()})


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
