"""From a result as it is kept to the list that is asked for: order and aggregation are chosen when results are fetched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from enum import StrEnum
from itertools import pairwise
from typing import Any

from streamproc.jobs.model import JobKind
from streamproc.perception.taxonomy import taxonomy


class Sort(StrEnum):
    TIMESTAMP = "TIMESTAMP"
    NAME = "NAME"
    INDEX = "INDEX"


class Aggregate(StrEnum):
    TIMESTAMPS = "TIMESTAMPS"
    SEGMENTS = "SEGMENTS"


SORTS: Mapping[JobKind, tuple[Sort, ...]] = {
    JobKind.LABELS: (Sort.TIMESTAMP, Sort.NAME),
    JobKind.PERSONS: (Sort.TIMESTAMP, Sort.INDEX),
    JobKind.FACE_SEARCH: (Sort.TIMESTAMP, Sort.INDEX),
    JobKind.FACES: (Sort.TIMESTAMP,),
    JobKind.SEGMENTS: (Sort.TIMESTAMP,),
}
Item = dict[str, Any]
BRIDGED = 1
"""Samples without a label that its span goes on over: at two samples a second a detector misses what is there now and then."""


def items_of(kind: JobKind, result: Mapping[str, Any], sort: Sort, aggregate: Aggregate) -> list[Item]:
    """The elements of one kind's answer, in the asked order.

    Labels: by time, names in order within a time; or by name, surest first. Persons: by time and index; or by index, surest first.
    Segments: technical cues, then shots, each by time.
    """
    match kind:
        case JobKind.LABELS:
            labels = spans(result) if aggregate is Aggregate.SEGMENTS else list(result["labels"])
            words = taxonomy().labels
            labels = [item | {"entry": words[item["name"]]} for item in labels]
            if sort is Sort.NAME:
                return sorted(labels, key=lambda item: (item["name"], -item["confidence"], _when(item)))
            return sorted(labels, key=lambda item: (_when(item), item["name"]))
        case JobKind.PERSONS | JobKind.FACE_SEARCH:
            persons: Sequence[Item] = result["persons"]
            if sort is Sort.INDEX:
                return sorted(persons, key=lambda item: (item["index"], -item["confidence"], item["ms"]))
            return sorted(persons, key=lambda item: (item["ms"], item["index"]))
        case JobKind.FACES:
            return sorted(result["faces"], key=lambda item: item["ms"])
        case JobKind.SEGMENTS:
            shots = [{"index": index, **item} for index, item in enumerate(result["shots"])]
            return [*result["cues"], *shots]


def spans(result: Mapping[str, Any]) -> list[Item]:
    """Each label's spans of uninterrupted sight, with the highest confidence of each.

    A span lasts to the sample at which the label was not seen any more, or to the video's end; a single missed sample does not end it.
    """
    times = list(result["sampled_ms"])
    sampled = {ms: index for index, ms in enumerate(times)}
    ends = [*times[1:], max(result.get("duration_ms", 0), times[-1] if times else 0)]
    seen: defaultdict[str, list[Item]] = defaultdict(list)
    for item in sorted(result["labels"], key=_when):
        seen[item["name"]].append(item)
    out: list[Item] = []
    for name, items in seen.items():
        breaks = [i for i, (a, b) in enumerate(pairwise(items), 1) if sampled[b["ms"]] - sampled[a["ms"]] > 1 + BRIDGED]
        for start, end in pairwise([0, *breaks, len(items)]):
            part = items[start:end]
            best = max(item["confidence"] for item in part)
            end = ends[sampled[part[-1]["ms"]]]
            out.append({"name": name, "start_ms": part[0]["ms"], "end_ms": end, "confidence": best})
    return out


def _when(item: Item) -> int:
    return int(item["ms"] if "ms" in item else item["start_ms"])
