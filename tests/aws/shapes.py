"""Inputs made from the service model: the smallest valid one, and one at and over each constraint."""

from __future__ import annotations

import base64
import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

from botocore.model import ListShape, MapShape, Shape, StructureShape

from streamproc.aws_protocol.patterns import compile_pattern

_STEMS = (
    "a",
    "1",
    "arn:aws:kinesisvideo:us-east-1:123456789012:stream/a",
    "arn:aws:kinesis:us-east-1:123456789012:stream/a",
    "arn:aws:sns:us-east-1:123456789012:a",
    "arn:aws:iam::123456789012:role/a",
    "arn:aws:rekognition:us-east-1:123456789012:streamprocessor/a",
    "01234567-89ab-cdef-0123-456789abcdef",
)
_WRONG = ("", " ", "!\n", "ä§", "\u0001", "aws:x", "x" * 10)


class Case(NamedTuple):
    """One constraint of one member."""

    path: str
    constraint: str
    at: list[Any]
    """Whole requests that just satisfy it."""
    over: list[Any]
    """Whole requests that break it and nothing else."""


def text(shape: Shape, length: int | None = None) -> str:
    """A string that the shape allows, of that length where given."""
    meta = shape.metadata
    if meta.get("enum"):
        return str(meta["enum"][0])
    least = length if length is not None else meta.get("min", 1)
    pattern = compile_pattern(meta["pattern"]) if meta.get("pattern") else None
    for stem in _STEMS:
        value = stem + stem[-1] * (least - len(stem))
        if (length is None or len(value) == length) and (pattern is None or pattern.fullmatch(value)):
            return value
    raise AssertionError(f"no stem for {shape.name}: {meta}, {length}")


def minimal(shape: Shape) -> Any:
    """The smallest value that the shape allows."""
    if isinstance(shape, StructureShape):
        return {name: minimal(shape.members[name]) for name in shape.required_members}
    if isinstance(shape, ListShape):
        return [minimal(shape.member) for _ in range(shape.metadata.get("min", 0))]
    if isinstance(shape, MapShape):
        return {}
    return {
        "string": lambda: text(shape),
        "blob": lambda: base64.b64encode(b"x").decode(),
        "boolean": lambda: True,
        "timestamp": lambda: 1.0,
    }.get(shape.type_name, lambda: shape.metadata.get("min", 1))()


def cases(shape: Shape) -> Iterator[Case]:
    """Every constraint in an input shape."""
    root = minimal(shape)
    yield from _walk(shape, (), root)


def _with(root: Any, path: tuple[Any, ...], value: Any) -> Any:
    result = copy.deepcopy(root)
    here = result
    for step in path[:-1]:
        here = here[step]
    if isinstance(here, dict):
        here[path[-1]] = value
    else:
        here[path[-1]] = value
    return result


def _walk(shape: Shape, path: tuple[Any, ...], root: Any) -> Iterator[Case]:
    if isinstance(shape, StructureShape):
        for name in shape.required_members:
            holder = _get(root, path)
            without = {key: value for key, value in holder.items() if key != name}
            yield Case(_name((*path, name)), "required", [root], [_with(root, path, without) if path else without])
        for name, member in shape.members.items():
            here = (*path, name)
            yield from _walk(member, here, _with(root, here, minimal(member)))
        return
    yield from _of_value(shape, path, root)
    if isinstance(shape, ListShape):
        yield from _walk(
            shape.member, (*path, 0), _with(root, path, [minimal(shape.member)] * max(1, shape.metadata.get("min", 0)))
        )


def _get(root: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        root = root[step]
    return root


def _name(path: tuple[Any, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def _of_value(shape: Shape, path: tuple[Any, ...], root: Any) -> Iterator[Case]:
    def case(constraint: str, at: list[Any], over: list[Any]) -> Case:
        return Case(_name(path), constraint, [_with(root, path, v) for v in at], [_with(root, path, v) for v in over])

    meta = shape.metadata
    yield case("type", [], [{"x": 1} if shape.type_name != "map" else 7])
    if isinstance(shape, MapShape):
        for bound, step in (("min", -1), ("max", 1)):
            if meta.get(bound):
                of = lambda count: {f"k{n}": text(shape.value) for n in range(count)}  # noqa: E731
                yield case(bound, [of(meta[bound])], [of(meta[bound] + step)])
        yield case("key", [], [{"aws:x": "1"}, {"k" * 129: "1"}])
        yield case("value", [{"k": "v" * 256}], [{"k": "v" * 257}, {"k": 1}, {"k": None}])
    elif isinstance(shape, ListShape):
        for bound, step in (("min", -1), ("max", 1)):
            if meta.get(bound):
                item = minimal(shape.member)
                yield case(bound, [[item] * meta[bound]], [[item] * (meta[bound] + step)])
        yield case("null item", [], [[None] * max(1, meta.get("min", 0))])
    elif shape.type_name == "string":
        yield from _of_string(shape, case)
    elif shape.type_name in ("integer", "long", "float", "double"):
        for bound, step in (("min", -1), ("max", 1)):
            if bound in meta:
                yield case(bound, [meta[bound]], [meta[bound] + step])
        if shape.type_name in ("integer", "long"):
            yield case("whole", [], [1.5, True, 2**70])
    elif shape.type_name == "blob":
        yield case("base64", [], ["!!!", "a"])
        if "max" in meta:
            blob = lambda size: base64.b64encode(bytes(size)).decode()  # noqa: E731
            yield case("max", [blob(meta["max"])], [blob(meta["max"] + 1)])


def _of_string(shape: Shape, case: Any) -> Iterator[Case]:
    meta = shape.metadata
    if meta.get("enum"):
        yield case("enum", list(meta["enum"]), ["NO_SUCH_VALUE", "", meta["enum"][0].lower() + "x"])
        return
    if meta.get("min"):
        yield case("min", [text(shape)], [""])
    if "max" in meta:
        yield case("max", [text(shape, meta["max"])], [text(shape, meta["max"]) + "a"])
    if meta.get("pattern"):
        pattern = compile_pattern(meta["pattern"])
        wrong = [value for value in _WRONG if len(value) >= meta.get("min", 0) and not pattern.fullmatch(value)]
        assert wrong, shape.name
        yield case("pattern", [], wrong)
