"""Config files of processors and of the node, validated; every fault is said as FILE:LINE: FIELD with its fix."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from streamproc.config.faults import faults_of
from streamproc.config.node import NodeConfig
from streamproc.config.processor import ConnectorRef, ProcessorConfig
from streamproc.config.yaml_file import Document, Path_, field_name, parse, read_text
from streamproc.core.errors import ConfigError, Fault

Role = Literal["source", "sink"]
CheckConnector = Callable[[ConnectorRef, Role], Any]
"""Validates a reference's own settings; raises ValidationError, or ValueError for an unknown type."""
NAME_PATTERN = re.compile(r"[a-zA-Z0-9_.\-]{1,128}")
ModelT = TypeVar("ModelT", bound=BaseModel)


def validate(document: Document, model: type[ModelT]) -> ModelT:
    """The document as ``model``. Raises ConfigError with every fault, in file order."""
    if document.data is None and model is not NodeConfig:
        raise ConfigError(document.file, [Fault("", "the file is empty; write at least source: and labels:", 1)])
    if document.data is not None and not isinstance(document.data, dict):
        raise ConfigError(document.file, [Fault("", "write key: value lines at the top level", 1)])
    try:
        return model.model_validate(document.data or {})
    except ValidationError as error:
        raise ConfigError(document.file, faults_of(error, document, model)) from None


def processor_from_text(
    text: str, file: str, check: CheckConnector | None = None, source: Mapping[str, Any] | None = None
) -> ProcessorConfig:
    """A processor's document; with ``check`` also its connectors' own settings. ``source``: what is taken where it names none."""
    document = parse(text, file)
    if source is not None and isinstance(document.data, dict):
        document = replace(document, data={"source": source, **document.data})
    faults: list[Fault] = []
    if check is not None:
        faults = _connector_faults(document, _refs_of(document), check)
    try:
        config = validate(document, ProcessorConfig)
    except ConfigError as error:
        more = [fault for fault in faults if fault.field not in {known.field for known in error.faults}]
        raise ConfigError(file, sorted([*error.faults, *more], key=lambda fault: fault.line or 0)) from None
    if faults:
        raise ConfigError(file, faults)
    return config


def _refs_of(document: Document) -> list[tuple[Path_, ConnectorRef, Role]]:
    """The source and the outputs of a processor's document, as far as they say what they are, whatever else is wrong in it."""
    data = document.data if isinstance(document.data, dict) else {}
    outputs = data.get("outputs")
    places: list[tuple[Path_, Any, Role]] = [(("source",), data.get("source"), "source")]
    places += [
        (("outputs", index), value, "sink") for index, value in enumerate(outputs if isinstance(outputs, list) else [])
    ]
    refs: list[tuple[Path_, ConnectorRef, Role]] = []
    for where, value, role in places:
        with contextlib.suppress(ValidationError):  # the whole document's validation says so
            refs.append((where, ConnectorRef.model_validate(value), role))
    return refs


def load_processor(
    path: Path, check: CheckConnector | None = None, source: Mapping[str, Any] | None = None
) -> ProcessorConfig:
    """``NAME.yaml``, as ``processor_from_text``. Raises ConfigError, also where the file's name is no name for a processor."""
    check_name(path.stem, str(path))
    return processor_from_text(read_text(path), str(path), check, source)


def check_name(name: str, file: str) -> None:
    if not NAME_PATTERN.fullmatch(name):
        said = f"{name!r} is no processor name; use 1 to 128 letters, digits, dots, dashes or underscores"
        raise ConfigError(file, [Fault("", said, None)])


def load_node(path: Path, check: CheckConnector | None = None) -> NodeConfig:
    """``streamproc.yaml``; defaults where the file is absent."""
    if not path.exists():
        return NodeConfig()
    config = node_from_text(read_text(path), str(path), check)
    return config.model_copy(update={"models": config.models.below(path.parent)})


def node_from_text(text: str, file: str, check: CheckConnector | None = None) -> NodeConfig:
    """The node's document, with paths as they stand; with ``check`` also its connectors' own settings."""
    document = parse(text, file)
    config = validate(document, NodeConfig)
    if check is not None:
        bindings = config.bindings
        refs: list[tuple[Path_, ConnectorRef, Role]] = [
            (("outputs", index), ref, "sink") for index, ref in enumerate(config.outputs)
        ]
        tables: tuple[tuple[str, dict[str, ConnectorRef], Role], ...] = (
            ("streams", bindings.streams, "source"),
            ("data_streams", bindings.data_streams, "sink"),
            ("topics", bindings.topics, "sink"),
            ("buckets", bindings.buckets, "sink"),
        )
        for key, table, role in tables:
            refs += [(("bindings", key, name), ref, role) for name, ref in table.items()]
        if faults := _connector_faults(document, refs, check):
            raise ConfigError(document.file, faults)
    return config


def _connector_faults(
    document: Document, refs: list[tuple[Path_, ConnectorRef, Role]], check: CheckConnector
) -> list[Fault]:
    faults: list[Fault] = []
    for where, ref, role in refs:
        try:
            check(ref, role)
        except ValidationError as error:
            faults += faults_of(error, document, prefix=where)
        except ValueError as error:
            faults.append(Fault(field_name((*where, "type")), str(error), document.line((*where, "type"))))
    return faults
