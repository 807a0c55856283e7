"""A document's text as people may see it, and their changed text with what was hidden put back. Text in, text out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from streamproc.logic.redact import HIDDEN, redact_loosely, without_secrets

Path_ = tuple[str | int, ...]


class NotKnown(ValueError):
    """A value is hidden and nobody knows what it was. ``line`` is 1-based."""

    def __init__(self, line: int) -> None:
        super().__init__("the value is hidden and was not found in the file as it is; write it out")
        self.line = line


@dataclass(frozen=True, slots=True)
class _Scalar:
    where: Path_
    begin: int
    end: int
    line: int
    value: str
    shown: str
    """``value`` as it may be seen."""


def hide(text: str) -> str:
    """``text`` with what may be secret as ``***``; comments stay. Of a text that is no YAML whatever looks like a token is hidden."""
    found = _scalars(text)
    if found is None:
        return redact_loosely(text)
    return _replaced(text, [(each, json.dumps(each.shown)) for each in found if each.shown != each.value])


def put_back(text: str, before: str) -> str:
    """``text``, which somebody made out of ``hide(before)``, with what was hidden. Raises NotKnown.

    A value is known again by its place, else by its key and how it looked, where only one value looked so.
    """
    now, old = _scalars(text), _scalars(before) or []
    if now is None:
        return text
    at = {each.where: each for each in old}
    looks = Counter((each.where[-1:], each.shown) for each in old)
    by_look = {(each.where[-1:], each.shown): each for each in old}
    changes = []
    for each in now:
        if HIDDEN not in each.value:
            continue
        known = at.get(each.where)
        look = (each.where[-1:], each.value)
        if known is None or known.shown != each.value:
            known = by_look.get(look) if looks[look] == 1 else None
        if known is None:
            raise NotKnown(each.line)
        changes.append((each, before[known.begin : known.end].rstrip()))
    return _replaced(text, changes)


def _replaced(text: str, changes: list[tuple[_Scalar, str]]) -> str:
    for each, new in sorted(changes, key=lambda change: change[0].begin, reverse=True):
        piece = text[each.begin : each.end]
        text = text[: each.begin] + new + piece[len(piece.rstrip()) :] + text[each.end :]
    return text


def _scalars(text: str) -> list[_Scalar] | None:
    """Every value of the document that is no list or mapping; None where it is no YAML."""
    try:
        root = yaml.compose(text, yaml.SafeLoader)
        return [] if root is None else list(_within(root, (), set()))
    except (yaml.YAMLError, RecursionError):
        return None


def _within(node: yaml.Node, where: Path_, seen: set[int]) -> Iterator[_Scalar]:
    """``seen``: what an alias repeats stands in the text once."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _within(value, (*where, str(key.value)), seen)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _within(item, (*where, index), seen)
    elif isinstance(node, yaml.ScalarNode) and node.start_mark.index < node.end_mark.index:
        yield _Scalar(
            where,
            node.start_mark.index,
            node.end_mark.index,
            node.start_mark.line + 1,
            node.value,
            _shown(node.value, where),
        )


def _shown(value: str, where: Path_) -> str:
    """As a description of the whole document would show it."""
    document: object = value
    for part in reversed([part for part in where if isinstance(part, str)]):
        document = {part: document}
    shown = without_secrets(document)
    while isinstance(shown, dict):
        (shown,) = shown.values()
    return str(shown)
