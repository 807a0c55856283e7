"""The labels of one picture or one sample of a video: objects and traits in the words of the taxonomy, filtered as asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from streamproc.perception.objects import SeenObject
from streamproc.perception.taxonomy import Taxonomy


@dataclass(frozen=True, slots=True)
class LabelOptions:
    """What a request for labels may say. Filters match names, other names and categories, in any case of letters."""

    min_confidence: float = 50.0
    include_labels: Sequence[str] = ()
    exclude_labels: Sequence[str] = ()
    include_categories: Sequence[str] = ()
    exclude_categories: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Trait:
    """Something told of a face, without a box of its own."""

    name: str
    """man, woman or smile."""
    confidence: float


def labels_of(
    ms: int, seen: Sequence[SeenObject], options: LabelOptions, words: Taxonomy, traits: Sequence[Trait] = ()
) -> list[dict[str, Any]]:
    """The labels of one sample, by name: what was seen with its boxes, and traits and every broader label without."""
    found: dict[str, dict[str, Any]] = {}
    for thing in seen:
        label = words.of_class(thing.name)
        if label is None:
            continue
        own = found.setdefault(label.name, {"ms": ms, "name": label.name, "confidence": 0.0, "instances": []})
        own["instances"].append(
            {"box": [round(value, 6) for value in thing.box], "confidence": round(thing.confidence, 4)}
        )
        for name in (label.name, *label.parents):
            entry = found.setdefault(name, {"ms": ms, "name": name, "confidence": 0.0, "instances": []})
            entry["confidence"] = max(entry["confidence"], round(thing.confidence, 4))
    for trait in traits:
        label = words.of_class(trait.name)
        for name in (label.name, *label.parents) if label is not None else ():
            entry = found.setdefault(name, {"ms": ms, "name": name, "confidence": 0.0, "instances": []})
            entry["confidence"] = max(entry["confidence"], round(trait.confidence, 4))
    return [found[name] for name in sorted(found) if _passes(name, options, words)]


def _passes(name: str, options: LabelOptions, words: Taxonomy) -> bool:
    """Inclusion keeps what is named by label or category; then exclusion drops."""
    label = words.labels[name]
    names = {word.casefold() for word in (name, *label.aliases)}
    categories = {word.casefold() for word in label.categories}
    wanted = names & _folded(options.include_labels) or categories & _folded(options.include_categories)
    unwanted = names & _folded(options.exclude_labels) or categories & _folded(options.exclude_categories)
    everything = not options.include_labels and not options.include_categories
    return bool(everything or wanted) and not unwanted


def _folded(words: Sequence[str]) -> set[str]:
    return {word.casefold() for word in words}
