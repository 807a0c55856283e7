"""docs/configuration.md, out of the models that check the documents: it cannot say anything else than the code does."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from connectors.catalog import Role, names, settings_class
from streamproc.cli.schema import present
from streamproc.config.duration import parse_duration
from streamproc.config.node import NodeConfig
from streamproc.config.processor import ConnectorRef, ProcessorConfig
from streamproc.config.size import parse_size

INTRO = """# Configuration

<!-- Written by `make docs` out of the code. -->

    DIR/streamproc.yaml          the node: server, bindings, stores, defaults; may be absent
    DIR/processors/NAME.yaml     one processor a file; the file's name is the processor's

`streamproc serve --config-dir DIR` notices files that appear, change or go. `streamproc validate DIR` checks them, `streamproc schema
processor` and `streamproc schema box` print JSON Schemas for editors. Examples: [configs/](../configs). A duration is a number of
seconds or `500ms`, `10s`, `2m`, `1h30m`. Positions are ratios (0..1) of the upright frame. A key that is not known is refused. A setting
that ends in `_env` names an environment variable; secrets are never written into these files. A relative path starts at `DIR`.

An edit is applied with the least disturbance: `min_confidence`, `regions`, `outputs`, `fps` and tags change under a running session, a new
`source` is connected to while the session goes on, and a change of how sessions run begins a new session. `state: stopped` stops a processor,
removing its file stops and deletes it. A bad file is refused with file, line, field and the fix; the last good version keeps running.
"""
HIDDEN = {("ProcessorConfig", "aws")}


def markdown() -> str:
    """The whole page."""
    parts = [INTRO, "## A processor\n", *_model(ProcessorConfig, set())]
    for role, title in (("source", "Sources"), ("sink", "Outputs")):
        parts.append(f"## {title}\n\nSee [connectors.md](connectors.md) for what each does and guarantees.\n")
        parts += _connectors(typing.cast(Role, role))
    parts += ["## The node\n", *_model(NodeConfig, set())]
    return "\n".join(parts).rstrip() + "\n"


def _connectors(role: Role) -> Iterator[str]:
    for name in filter(present, names(role)):
        model = settings_class(name, role)
        yield f"### `type: {name}`\n"
        yield _table(model)
        for inner in _inner_models(model):
            yield from _model(inner, set(), level=4)


def _model(model: type[BaseModel], done: set[type[BaseModel]], path: str = "", level: int = 3) -> Iterator[str]:
    """A table of the model's keys, then one for each model inside."""
    if path or level > 3:
        yield f"{'#' * level} {path or model.__name__}\n"
        doc = _doc(model)
        if doc:
            yield doc + "\n"
    yield _table(model)
    for key, field in model.model_fields.items():
        for inner in _models_in(field.annotation):
            if inner not in done and inner is not ConnectorRef and (model.__name__, key) not in HIDDEN:
                done.add(inner)
                yield from _model(inner, done, f"`{path.strip('`')}{'.' if path else ''}{key}`", level)


def _inner_models(model: type[BaseModel]) -> list[type[BaseModel]]:
    found = [inner for field in model.model_fields.values() for inner in _models_in(field.annotation)]
    return list(dict.fromkeys(found))


def _table(model: type[BaseModel]) -> str:
    rows = ["| key | value | default | |", "|---|---|---|---|"]
    for key, field in model.model_fields.items():
        if (model.__name__, key) in HIDDEN:
            continue
        words = " ".join((field.description or "").replace("``", "`").split()).replace("|", "\\|")
        rows.append(f"| `{field.alias or key}` | {_kind(field)} | {_default(field)} | {words} |")
    return "\n".join(rows) + "\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.get_default(call_default_factory=True)
    if value is None or value is PydanticUndefined:
        return ""
    if isinstance(value, BaseModel):
        return "its defaults" if type(value).model_fields else ""
    if isinstance(value, tuple | list | dict):
        inside = ", ".join(map(str, value))
        return f"`[{inside}]`" if inside else ""
    if _is_duration(field):
        return f"`{value:g}s`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _is_duration(field: FieldInfo) -> bool:
    return any(getattr(item, "func", None) is parse_duration for item in field.metadata)


def _is_size(field: FieldInfo) -> bool:
    return any(getattr(item, "func", None) is parse_size for item in field.metadata)


def _kind(field: FieldInfo) -> str:
    if _is_duration(field):
        return "duration"
    if _is_size(field):
        return "size (`200MB`, `20GB` or bytes)"
    limits = {
        name: value
        for item in field.metadata
        for name in ("ge", "gt", "le", "lt")
        if (value := getattr(item, name, None)) is not None
    }
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    words = ", ".join(f"{signs[name]} {value:g}" for name, value in limits.items())
    kind = _type(field.annotation)
    return f"{kind}, {words}" if words else kind


def _type(annotation: Any) -> str:
    simple = {str: "text", int: "whole number", float: "number", bool: "true or false", type(None): "", Any: "anything"}
    if annotation in simple:
        return simple[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin is typing.Annotated:
        return _type(arguments[0])
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(kind for kind in map(_type, arguments) if kind))
    if origin in (tuple, list):
        return f"list of {_type(arguments[0])}" if len(arguments) < 2 or arguments[1] is ... else "[x, y]"
    if origin is dict:
        return f"name: {_type(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, ConnectorRef):
        return "connector"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "see below"
    return {"Path": "path", "SecretStr": "text (secret)"}.get(getattr(annotation, "__name__", ""), "text")


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _doc(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").replace("``", "`").split())
