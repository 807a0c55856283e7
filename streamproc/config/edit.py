"""Changing one list of a processor's YAML text, and nothing else in it. Text in, text out.

Everything outside of the list stays byte for byte, so do entries that did not change; no comment is dropped.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from streamproc.core.errors import InputError

Entry = Mapping[str, Any]
_COMMENT = re.compile(r"(?<=\s)#.*$")
_WIDTH = 4096
"""Lines are not folded."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Lines of a file that hold a key with its value: ``first`` up to, not including, ``end``; 0-based."""

    first: int
    end: int
    items: tuple[int, ...]
    """First line of each entry, where it is a list with an entry a line; empty in ``[...]`` form."""
    flow: bool


def replace_list(text: str, key: str, entries: Sequence[Entry]) -> str:
    """``text`` with the list ``key`` of its top level made of ``entries``; an entry is known again by its ``name``.

    Raises InputError where the file is not laid out so that only this list can be changed.
    """
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    place = _find(text, key, lines)
    if place is None:
        return "".join(lines) + _fresh(key, entries) if entries else text
    old = [_plain(entry) for entry in _value(lines, place, key)]
    if old == [_plain(entry) for entry in entries]:
        return text
    if place.flow or not place.items:
        changed = _flow(lines[place.first : place.end], key, entries)
    else:
        changed = _block(lines, place, entries)
    return "".join(lines[: place.first]) + changed + "".join(lines[place.end :])


def _find(text: str, key: str, lines: Sequence[str]) -> _Place | None:
    """Where the key stands; None where it does not. Raises InputError."""
    root = yaml.compose(text, yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        raise InputError(f"the file is written in one pair of braces; write {key} on a line of its own")
    pairs = root.value
    for number, (name, value) in enumerate(pairs):
        if name.value != key:
            continue
        first = name.start_mark.line
        following = pairs[number + 1][0].start_mark.line if number + 1 < len(pairs) else len(lines)
        end = value.end_mark.line + 1 if _flow_style(value) else following
        while end > first + 1 and _outside(lines[end - 1]):
            end -= 1
        items = () if _flow_style(value) else tuple(item.start_mark.line for item in value.value)
        return _Place(first, end, items, _flow_style(value))
    return None


def _flow_style(node: yaml.Node) -> bool:
    return not isinstance(node, yaml.SequenceNode) or bool(node.flow_style)


def _outside(line: str) -> bool:
    """Blank, a comment that is not indented, or the end of a document: what belongs to whatever follows."""
    return not line.strip() or line.startswith(("#", "...", "---"))


def _value(lines: Sequence[str], place: _Place, key: str) -> list[Any]:
    document = yaml.safe_load("".join(lines[place.first : place.end]))
    return list(document.get(key) or [])


def _plain(entry: Any) -> Any:
    """Comparable: tuples as lists, whole floats as they are."""
    if isinstance(entry, Mapping):
        return {str(key): _plain(value) for key, value in entry.items()}
    if isinstance(entry, list | tuple):
        return [_plain(value) for value in entry]
    return entry


def _block(lines: Sequence[str], place: _Place, entries: Sequence[Entry]) -> str:
    """A list with an entry a line: each entry's lines are kept, edited, or left out but for their comments."""
    starts = [_with_comments(lines, place.first, start) for start in place.items]
    ends = [*starts[1:], place.end]
    chunks = ["".join(lines[start:end]) for start, end in zip(starts, ends, strict=True)]
    indent = len(lines[place.items[0]]) - len(lines[place.items[0]].lstrip())
    known = {_name(yaml.safe_load(chunk)[0], number): chunk for number, chunk in enumerate(chunks, 1)}
    head = "".join(lines[place.first : starts[0]])
    body, used = "", set()
    for number, entry in enumerate(entries, 1):
        name = _name(entry, number)
        if name in known and name not in used:
            body += _edited(known[name], entry, indent)
            used.add(name)
        else:
            body += _indented(_dump([_made(entry)]), indent)
    dropped = "".join(_comments(chunk, indent) for name, chunk in known.items() if name not in used)
    if not entries:
        return head.rstrip("\n") + " []\n" + dropped
    return head + body + dropped


def _comments(chunk: str, indent: int) -> str:
    """The comments of an entry that is no more, a line each."""
    found = (match.group().strip() for line in chunk.splitlines() if (match := _COMMENT.search(f" {line}")))
    return "".join(" " * indent + comment + "\n" for comment in found)


def _with_comments(lines: Sequence[str], first: int, start: int) -> int:
    """The first of the comment lines that stand right above an entry."""
    while start - 1 > first and lines[start - 1].lstrip().startswith("#"):
        start -= 1
    return start


def _edited(chunk: str, entry: Entry, indent: int) -> str:
    """An entry's lines with the values of ``entry``."""
    old = _plain(yaml.safe_load(chunk)[0])
    if old == _plain(entry):
        return chunk
    leading = ""
    lines = chunk.splitlines(keepends=True)
    while lines and lines[0].lstrip().startswith("#"):
        leading += lines.pop(0)
    rest = "".join(line[indent:] if line[:indent].isspace() or not indent else line for line in lines)
    loaded = _round_trip().load(rest)
    _update(loaded[0], entry)
    made = _indented(_dump(loaded), indent)
    lost = [
        found.group().strip()
        for line in lines
        if (found := _COMMENT.search(line)) and found.group().strip() not in made
    ]
    return leading + "".join(" " * indent + comment + "\n" for comment in lost) + made


def _flow(lines: Sequence[str], key: str, entries: Sequence[Entry]) -> str:
    """A list in ``[...]`` form, or none: written anew in the same form, known entries in their own style."""
    document = _round_trip().load("".join(lines))
    old = document.get(key)
    known = {_name(item, number): item for number, item in enumerate(old or [], 1)}
    made = CommentedSeq()
    if old is not None and len(old):
        made.fa.set_flow_style()
    for number, entry in enumerate(entries, 1):
        item = known.get(_name(entry, number))
        if item is None:
            item = _made(entry)
            item.fa.set_flow_style()
        else:
            _update(item, entry)
        made.append(item)
    document[key] = made
    return _dump(document)


def _update(item: CommentedMap, entry: Entry) -> None:
    """Give a loaded entry the values of another, touching nothing that is equal."""
    for key in [key for key in item if key not in entry]:
        del item[key]
    for key, value in entry.items():
        if key not in item or _plain(item[key]) != _plain(value):
            item[key] = _made_value(value)


def _made(entry: Entry) -> CommentedMap:
    return CommentedMap({key: _made_value(value) for key, value in entry.items()})


def _made_value(value: Any) -> Any:
    """Nested lists and tables on one line, as people write corners."""
    if isinstance(value, list | tuple):
        made = CommentedSeq(_made_value(item) for item in value)
        made.fa.set_flow_style()
        return made
    if isinstance(value, Mapping):
        table = CommentedMap({key: _made_value(item) for key, item in value.items()})
        table.fa.set_flow_style()
        return table
    return value


def _name(entry: Any, number: int) -> str:
    """As ``config.regions.to_regions`` names what has no name."""
    name = entry.get("name") if isinstance(entry, Mapping) else None
    return str(name or f"region-{number}")


def _fresh(key: str, entries: Sequence[Entry]) -> str:
    return f"{key}:\n" + _indented(_dump([_made(entry) for entry in entries]), 2)


def _round_trip() -> YAML:
    dialect = YAML()
    dialect.preserve_quotes = True
    dialect.width = _WIDTH
    return dialect


def _dump(value: Any) -> str:
    target = io.StringIO()
    _round_trip().dump(value, target)
    return target.getvalue()


def _indented(text: str, indent: int) -> str:
    return "".join(" " * indent + line if line.strip() else line for line in text.splitlines(keepends=True))
