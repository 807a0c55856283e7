"""The labels: names, broader labels, other names, categories. Read from ``taxonomy.yaml`` and ``left_out.yaml`` beside this file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from streamproc.vision.names import imagenet_words


@dataclass(frozen=True, slots=True)
class Label:
    """One label of the vocabulary."""

    name: str
    parents: tuple[str, ...]
    """All broader labels, by name."""
    aliases: tuple[str, ...]
    categories: tuple[str, ...]


class _Labels(dict[str, Label]):
    """Labels by name. A name that is not there is a word of a user's own bank: it has nothing above it and a category of its own."""

    def __missing__(self, name: str) -> Label:
        return Label(name, (), (), ("Own Labels",))


@dataclass(frozen=True, slots=True)
class Taxonomy:
    labels: Mapping[str, Label]
    models: Mapping[str, str]
    """From a detector's class (common vocabulary, lower case) to the label."""
    imagenet: Mapping[str, str]
    """From a class of ImageNet (``vision.names.imagenet_words``) to the label."""
    left_out: Mapping[str, str]
    """Classes of ImageNet that lead to no label, and why."""

    def of_class(self, name: str) -> Label | None:
        """The label of a detector's class; None for one that is no label of ours."""
        label = self.models.get(name.lower())
        return self.labels[label] if label is not None else None

    def is_a(self, name: str, broader: str) -> bool:
        """Whether a label is ``broader`` or below it."""
        return name == broader or broader in self.labels[name].parents

    def known_words(self) -> frozenset[str]:
        """Every name and other name, and every category, in small letters: what a filter can ask for."""
        words = (word for label in self.labels.values() for word in (label.name, *label.aliases, *label.categories))
        return frozenset(word.casefold() for word in words)


@cache
def taxonomy() -> Taxonomy:
    """The vocabulary. Raises ValueError where the files contradict themselves."""
    folder = Path(__file__).parent
    entries, left_out = (
        yaml.safe_load((folder / name).read_text(encoding="utf-8")) for name in ("taxonomy.yaml", "left_out.yaml")
    )
    return read_taxonomy(entries, left_out, imagenet_words())


def read_taxonomy(
    entries: Mapping[str, Mapping[str, Any]], left_out: Mapping[str, str], classes: Iterable[str]
) -> Taxonomy:
    """The vocabulary out of parsed files.

    Raises ValueError for a parent that is not there or is below its own child, for a label without a category, for a word that leads to
    two labels, and for a class of ``classes`` that leads to none and is not left out with a reason.
    """
    labels = _Labels({name: _label(name, entries) for name in entries})
    models, imagenet = (_leading(entries, key) for key in ("from", "imagenet"))
    _leading({name: {"also": [name, *entry.get("also", ())]} for name, entry in entries.items()}, "also")
    known = set(classes)
    for word in sorted(imagenet.keys() | left_out.keys()):
        if word not in known:
            raise ValueError(f"taxonomy.yaml: {word!r} is no class of ImageNet")
        if word in imagenet and word in left_out:
            raise ValueError(f"left_out.yaml: {word!r} leads to {imagenet[word]}")
    for word in sorted(known):
        if word not in imagenet and not left_out.get(word):
            raise ValueError(f"taxonomy.yaml: {word!r} leads to no label, and left_out.yaml has no reason for it")
    return Taxonomy(labels, models, imagenet, left_out)


def _leading(entries: Mapping[str, Mapping[str, Any]], key: str) -> dict[str, str]:
    """From each word under ``key`` to its label."""
    found: dict[str, str] = {}
    for name, entry in entries.items():
        for word in entry.get(key, ()):
            if found.setdefault(word, name) != name:
                raise ValueError(f"taxonomy.yaml: {word!r} leads to {found[word]} and to {name}")
    return found


def _label(name: str, entries: Mapping[str, Mapping[str, Any]]) -> Label:
    entry = entries[name]
    above = _ancestors(name, entries, ())
    categories = entry.get("in") or sorted({word for parent in above for word in entries[parent].get("in", ())})
    if not categories:
        raise ValueError(f"taxonomy.yaml: {name} has no category")
    return Label(name, tuple(sorted(above)), tuple(sorted(entry.get("also", ()))), tuple(categories))


def _ancestors(name: str, entries: Mapping[str, Mapping[str, Any]], path: tuple[str, ...]) -> set[str]:
    found: set[str] = set()
    for parent in entries[name].get("under", ()):
        if parent not in entries or parent in path or parent == name:
            raise ValueError(f"taxonomy.yaml: {name} is under {parent!r}, which is not there or is under {name}")
        found |= {parent} | _ancestors(parent, entries, (*path, name))
    return found
