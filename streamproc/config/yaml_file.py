"""YAML files: their text, what it says as plain values, and on which line each thing stands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from streamproc.core.errors import ConfigError, Fault

Path_ = tuple[str | int, ...]
MAX_BYTES = 1_000_000
MAX_NODES = 50_000
"""Values in one file after its aliases are followed: 300 bytes of nested aliases can stand for billions."""
MAX_DEPTH = 40

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
