"""Config files: YAML with line numbers, validated; every fault is said as FILE:LINE: FIELD with its mend."""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from streamproc.config.base import WRONG_FIELD
from streamproc.config.node import NodeConfig
from streamproc.config.processor import ConnectorRef, ProcessorConfig
from streamproc.core.errors import ConfigError, Fault
from streamproc.logic.redact import HIDDEN, echo, may_be_echoed

Path_ = tuple[str | int, ...]
Role = Literal["source", "sink"]
CheckConnector = Callable[[ConnectorRef, Role], Any]
"""Validates a reference's own settings; raises ValidationError, or ValueError for an unknown type."""
NAME_PATTERN = re.compile(r"[a-zA-Z0-9_.\-]{1,128}")
MAX_BYTES = 1_000_000
MAX_NODES = 50_000
"""Values in one file after its aliases are followed: 300 bytes of nested aliases can stand for billions."""
MAX_DEPTH = 40
ModelT = TypeVar("ModelT", bound=BaseModel)


_MERGE = "tag:yaml.org,2002:merge"
_QUOTED = re.compile(r"'([^']*)'")
"""What the YAML library repeats of the text, but for its own names of tokens: a password that begins with ``*`` is an alias to it."""


def _without_text(quoted: re.Match[str]) -> str:
    said = quoted.group(1)
    return quoted.group(0) if len(said) < 2 or said[0] in "<\\" else "'***'"


class _Loader(yaml.SafeLoader):
    """YAML as people mean it: 12:30 is no number in base 60 and a date is text until a model reads it."""


_Loader.yaml_implicit_resolvers = {
    letter: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag not in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:int")
    ]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?(0|[1-9][0-9_]*|0x[0-9a-fA-F]+|0o[0-7]+)$"), list("-+0123456789")
)


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed YAML file and where in it each thing stands."""

    file: str
    data: Any
    lines: Mapping[Path_, int]

    def line(self, where: Path_) -> int | None:
        """The 1-based line of ``where`` or of the nearest thing around it that is in the file."""
        while where not in self.lines and where:
            where = where[:-1]
        return self.lines.get(where)


def field_name(where: Path_) -> str:
    """``('regions', 0, 'polygon')`` as ``regions[0].polygon``."""
    text = ""
    for part in where:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def parse(text: str, file: str) -> Document:
    """Read YAML. Raises ConfigError for what is no YAML, for a key given twice, and for aliases or nesting without measure."""
    faults: list[Fault] = []
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        walk = _Walk(loader, faults)
        data = None if node is None else walk.value(node, ())
    except RecursionError:
        raise ConfigError(file, [Fault("", f"nested too deeply; {MAX_DEPTH} levels are allowed", None)]) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = _QUOTED.sub(_without_text, error.problem or error.context or "cannot be read")
        hint = "; indent with spaces, not tabs" if "\\t" in said else "; check the indentation, quotes and colons here"
        raise ConfigError(file, [Fault("", f"no valid YAML: {said}{hint}", mark.line + 1 if mark else None)]) from None
    except yaml.YAMLError as error:
        raise ConfigError(file, [Fault("", f"no valid YAML: {error}; save it as UTF-8 text", None)]) from None
    if faults:
        raise ConfigError(file, faults)
    return Document(file, data, walk.lines)


class _Walk:
    """Turns the nodes of one file into values and notes their lines; what cannot be is added to ``faults``."""

    def __init__(self, loader: _Loader, faults: list[Fault]) -> None:
        self.lines: dict[Path_, int] = {(): 1}
        self._loader = loader
        self._faults = faults
        self._count = 0

    def value(self, node: yaml.Node, where: Path_) -> Any:
        """The value of ``node``, which stands at ``where``."""
        line = node.start_mark.line + 1
        self._count += 1
        if self._count > MAX_NODES:
            if self._count == MAX_NODES + 1:
                self._faults.append(
                    Fault("", f"more than {MAX_NODES:,} values; remove the aliases that repeat others", line)
                )
            return None
        if len(where) > MAX_DEPTH:
            self._faults.append(Fault("", "nested too deeply; remove the alias that contains itself", line))
            return None
        self.lines.setdefault(where, line)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*where, index)) for index, item in enumerate(node.value)]
        return self._mapping(node, where) if isinstance(node, yaml.MappingNode) else self._scalar(node, where)

    def _mapping(self, node: yaml.MappingNode, where: Path_) -> dict[str, Any]:
        """Its own keys, then what it merges (``<<``) where it has no such key itself. Each merge is walked, so that its values are counted."""
        result: dict[str, Any] = {}
        merged: list[yaml.Node] = []
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == _MERGE:
                merged += value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self._faults.append(Fault(field_name(where), "a key must be a plain word", line))
                continue
            key = str(key_node.value)
            inner = (*where, key)
            if key in result:
                said = f"given twice, first on line {self.lines[inner]}; keep one"
                self._faults.append(Fault(field_name(inner), said, line))
                continue
            self.lines.setdefault(inner, line)
            result[key] = self.value(value_node, inner)
        for each in merged:
            if not isinstance(each, yaml.MappingNode):
                said = "<< takes an alias of a mapping, or a list of them"
                self._faults.append(Fault(field_name(where), said, each.start_mark.line + 1))
            elif self._count <= MAX_NODES:
                result = (self.value(each, where) or {}) | result
        return result

    def _scalar(self, node: yaml.Node, where: Path_) -> Any:
        try:
            return self._loader.construct_object(node, deep=True)
        except (yaml.YAMLError, ValueError):
            said = "the value cannot be read; put it in quotes if it is text"
            self._faults.append(Fault(field_name(where), said, node.start_mark.line + 1))
            return None


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


def faults_of(
    error: ValidationError, document: Document, model: type[BaseModel] | None = None, prefix: Path_ = ()
) -> list[Fault]:
    """Pydantic's errors as faults with field and line, in file order."""
    faults = []
    items = error.errors(include_url=False, include_input=True)
    for item in items:
        if item["type"] == "too_short" and any(_inside(other["loc"], item["loc"]) for other in items):
            continue  # short only because the wrong ones were left out
        at = (item["ctx"]["field"],) if item["type"] == WRONG_FIELD else ()
        where = prefix + tuple(part for part in item["loc"] if _in_document(part)) + at
        line = document.line(where) if (where in document.lines or not where) else document.line(where[:-1])
        fault = Fault(field_name(where), _words(item, model if not prefix else None), line)
        if fault not in faults:
            faults.append(fault)
    return sorted(faults, key=lambda fault: fault.line or 0)


def _inside(inner: tuple[str | int, ...], outer: tuple[str | int, ...]) -> bool:
    return len(inner) > len(outer) and inner[: len(outer)] == outer


def _in_document(part: str | int) -> bool:
    """Pydantic names union members and validators within a location; those are no keys of the file."""
    return isinstance(part, int) or bool(re.fullmatch(r"[A-Za-z0-9_.\-:/*]+", part))


def _words(item: Any, model: type[BaseModel] | None) -> str:
    kind, said = item["type"], item["msg"]
    if kind == "missing":
        return "missing; add it"
    if kind == "extra_forbidden":
        key = str(item["loc"][-1])
        known = _known_keys(model, item["loc"][:-1]) if model else []
        close = difflib.get_close_matches(key, known, 1)
        if close:
            return f"unknown key; did you mean {close[0]}?"
        return f"unknown key; remove it{' or use one of ' + ', '.join(known) if known else ''}"
    if kind == WRONG_FIELD:
        return str(said)
    echoed = may_be_echoed(item["loc"]) and not isinstance(item["input"], dict | list | tuple)
    repeated = echo(item["input"]) if echoed else HIDDEN
    shown = "" if repeated == HIDDEN else f", not {repeated}"
    if kind in ("tuple_type", "list_type"):
        return f"write a list, such as [first, second]{shown}"
    if kind == "too_short" and item["ctx"]["actual_length"] == 0:
        return "the list is empty; write something into it or leave the key out"
    if kind in ("too_short", "too_long") and item["ctx"]["field_type"] in ("Tuple", "List"):
        least, most = item["ctx"].get("min_length"), item["ctx"].get("max_length")
        words = f"the list needs at least {least}" if kind == "too_short" else f"the list may have at most {most}"
        return f"{words} entries, not {item['ctx']['actual_length']}"
    if kind in ("model_type", "model_attributes_type"):
        return f"write keys and their values, such as {{name: value}}{shown}"
    if kind == "value_error":
        return str(said).removeprefix("Value error, ")
    return f"{said[:1].lower()}{said[1:]}{shown}"


def _known_keys(model: type[BaseModel] | None, where: tuple[str | int, ...]) -> list[str]:
    """The keys that may stand at ``where``; empty where that is not known."""
    for part in where:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part) if model is not None else None
        model = _model_in(field.annotation) if field is not None else None
    return sorted(model.model_fields) if model is not None else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _model_in(inner)
        if found is not None:
            return found
    return None


def read_text(path: Path) -> str:
    """The file's text. Raises ConfigError where it cannot be read."""
    try:
        if path.exists() and not path.is_file():  # reading a pipe or a device might never end
            raise ConfigError(str(path), [Fault("", "no plain file; put the text itself there", None)])
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(str(path), [Fault("", f"cannot be read: {error.strerror or error}", None)]) from None
    if len(raw) > MAX_BYTES:
        raise ConfigError(str(path), [Fault("", "larger than 1 MB; this is no config file", None)])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigError(str(path), [Fault("", "no UTF-8 text; save it as UTF-8", line)]) from None


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
