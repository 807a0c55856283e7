"""The labels: names, broader labels, other names, categories. Read from ``taxonomy.yaml`` beside this file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True, slots=True)
class Label:
    """One label of the vocabulary."""

    name: str
    parents: tuple[str, ...]
    """All broader labels, by name."""
    aliases: tuple[str, ...]
    categories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Taxonomy:
    labels: Mapping[str, Label]
    models: Mapping[str, str]
    """From a model's class (common vocabulary, lower case) to the label."""

    def of_class(self, name: str) -> Label | None:
        """The label of a model's class; None for one that is no label of ours."""
        label = self.models.get(name.lower())
        return self.labels[label] if label is not None else None


@cache
def taxonomy() -> Taxonomy:
    """The vocabulary. Raises ValueError where the file contradicts itself."""
    entries = yaml.safe_load(Path(__file__).with_name("taxonomy.yaml").read_text(encoding="utf-8"))
    labels = {name: _label(name, entries) for name in entries}
    models: dict[str, str] = {}
    for name, entry in entries.items():
        for word in entry.get("from", ()):
            if models.setdefault(word, name) != name:
                raise ValueError(f"taxonomy.yaml: {word!r} leads to {models[word]} and to {name}")
    return Taxonomy(labels, models)


def _label(name: str, entries: Mapping[str, Any]) -> Label:
    entry = entries[name]
    above = _ancestors(name, entries, ())
    categories = entry.get("in") or sorted({word for parent in above for word in entries[parent].get("in", ())})
    if not categories:
        raise ValueError(f"taxonomy.yaml: {name} has no category")
    return Label(name, tuple(sorted(above)), tuple(sorted(entry.get("also", ()))), tuple(categories))


def _ancestors(name: str, entries: Mapping[str, Any], path: tuple[str, ...]) -> set[str]:
    found: set[str] = set()
    for parent in entries[name].get("under", ()):
        if parent not in entries or parent in path:
            raise ValueError(f"taxonomy.yaml: {name} is under {parent!r}, which is not there or is under {name}")
        found |= {parent} | _ancestors(parent, entries, (*path, name))
    return found
