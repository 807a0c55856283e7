"""The table of connectors. A connector's code is imported when it is first used."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Literal, cast

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from connectors.context import ConnectorContext
from streamproc.config.base import Settings
from streamproc.config.processor import ConnectorRef
from streamproc.contracts import Sink, Source
from streamproc.logic.redact import echo

Role = Literal["source", "sink"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One connector: ``MODULE:NAME`` of its settings and its classes; None where it has no such side."""

    source_settings: str | None = None
    source: str | None = None
    sink_settings: str | None = None
    sink: str | None = None


def _both(folder: str, name: str) -> Entry:
    return Entry(
        f"connectors.{folder}.settings:{name}SourceSettings",
        f"connectors.{folder}.source:{name}Source",
        f"connectors.{folder}.settings:{name}SinkSettings",
        f"connectors.{folder}.sink:{name}Sink",
    )


def _source(folder: str, name: str) -> Entry:
    return Entry(f"connectors.{folder}.settings:{name}SourceSettings", f"connectors.{folder}.source:{name}Source")


def _sink(folder: str, name: str) -> Entry:
    return Entry(None, None, f"connectors.{folder}.settings:{name}SinkSettings", f"connectors.{folder}.sink:{name}Sink")


TABLE: dict[str, Entry] = {
    "file": _both("file", "File"),
    "kafka": _both("kafka", "Kafka"),
    "kinesis": _sink("kinesis", "Kinesis"),
    "kvs": _source("kvs", "Kvs"),
    "mqtt": _sink("mqtt", "Mqtt"),
    "rtsp": _source("rtsp", "Rtsp"),
    "s3": _sink("s3", "S3"),
    "sns": _sink("sns", "Sns"),
    "stdout": _sink("stdout", "Stdout"),
    "unbound": _source("unbound", "Unbound"),
    "webhook": _sink("webhook", "Webhook"),
    "webrtc": _source("webrtc", "Webrtc"),
}


def names(role: Role) -> list[str]:
    """Connectors that have that side and that a user may choose."""
    return sorted(name for name, entry in TABLE.items() if name != "unbound" and _class_of(entry, role) is not None)


def settings_class(kind: str, role: Role) -> type[Settings]:
    """The settings model of a connector's side. Raises pydantic's ValidationError on field ``type`` where there is none."""
    entry = TABLE.get(kind)
    path = None if entry is None else entry.source_settings if role == "source" else entry.sink_settings
    if path is None:
        article = "a source" if role == "source" else "an output"
        raise _type_error(kind, f"{echo(kind)} is not {article}; choose one of {', '.join(names(role))}")
    try:
        return cast(type[Settings], _load(path))
    except ModuleNotFoundError:
        raise _type_error(kind, f"{kind} is not part of this installation") from None


def check(ref: ConnectorRef, role: Role) -> Settings:
    """The connector's own settings out of a reference. Raises pydantic's ValidationError, with field paths within the reference."""
    return settings_class(ref.type, role).model_validate(ref.options)


def make_source(ref: ConnectorRef, context: ConnectorContext) -> Source:
    """A source that has not been opened yet. Raises ValidationError, or InputError where a secret is missing."""
    settings = check(ref, "source")
    return cast(Source, _load(_path(ref, "source"))(settings, context))


def make_sink(ref: ConnectorRef, context: ConnectorContext) -> Sink:
    """An output that has not been connected yet. Raises as ``make_source``."""
    settings = check(ref, "sink")
    return cast(Sink, _load(_path(ref, "sink"))(settings, context))


def _class_of(entry: Entry, role: Role) -> str | None:
    return entry.source if role == "source" else entry.sink


def _path(ref: ConnectorRef, role: Role) -> str:
    path = _class_of(TABLE[ref.type], role)
    assert path is not None
    return path


def _load(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def _type_error(kind: str, message: str) -> ValidationError:
    error = InitErrorDetails(
        type=PydanticCustomError("unknown_connector", "{why}", {"why": message}), loc=("type",), input=kind
    )
    return ValidationError.from_exception_data("connector", [error])
