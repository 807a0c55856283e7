"""The labels of one picture or one sample of a video: claims in the words of the taxonomy, filtered as asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from streamproc.perception.claims import Claim
from streamproc.perception.taxonomy import Taxonomy

log = structlog.get_logger(__name__)
_SAID: set[str] = set()
"""Words of filters that this process said are unknown."""
_MOST_SAID = 1000
"""Then no more are said: clients may make up any."""


@dataclass(frozen=True, slots=True)
class LabelOptions:
    """What a request for labels may say. Filters match names, other names and categories, in any case of letters."""

    min_confidence: float = 50.0
    include_labels: Sequence[str] = ()
    exclude_labels: Sequence[str] = ()
    include_categories: Sequence[str] = ()
    exclude_categories: Sequence[str] = ()


def labels_of(ms: int, claims: Sequence[Claim], options: LabelOptions, words: Taxonomy) -> list[dict[str, Any]]:
    """The labels of one sample, by name: what is claimed with its boxes, every broader label without."""
    found: dict[str, dict[str, Any]] = {}
    for claim in claims:
        if claim.confidence < options.min_confidence:
            continue
        sure = round(claim.confidence, 4)
        for name in (claim.label, *words.labels[claim.label].parents):
            entry = found.setdefault(name, {"ms": ms, "name": name, "confidence": 0.0, "instances": []})
            entry["confidence"] = max(entry["confidence"], sure)
        if claim.box is not None:
            box = [round(value, 6) for value in claim.box]
            found[claim.label]["instances"].append({"box": box, "confidence": sure})
    return [found[name] for name in sorted(found) if _passes(name, options, words)]


def say_unknown(options: LabelOptions, words: Taxonomy, own: Iterable[str] = ()) -> list[str]:
    """Words of the filters that no label, other name or category here has; logged once each, because they would silently find nothing.

    ``own``: words of the user's banks.
    """
    asked = (*options.include_labels, *options.exclude_labels, *options.include_categories, *options.exclude_categories)
    known = words.known_words() | {"own labels", *(name.casefold() for name in own)}
    unknown = sorted({word for word in asked if word.casefold() not in known})
    new = [word for word in unknown if word.casefold() not in _SAID]
    if new and len(_SAID) < _MOST_SAID:
        _SAID.update(word.casefold() for word in new)
        log.warning(
            "label_filter_unknown", names=new, why="no model here can tell them; docs/labels.md lists what can be told"
        )
    return unknown


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
