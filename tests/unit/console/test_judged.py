"""What regions would have let through of what was told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from streamproc.console.regions import entry_of, judged, regions_of
from streamproc.console.settings import faults_in
from streamproc.core.errors import InputError
from streamproc.core.event import Event, EventType, RegionHit
from streamproc.core.media import Moment
from streamproc.core.vision import Box

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
LEFT_HALF = {"name": "left", "polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}


def told(sequence: int, box: Box | None, hours_ago: float = 1.0) -> Event:
    at = Moment(Fraction(sequence), NOW - timedelta(hours=hours_ago))
    return Event(
        EventType.LABEL_DETECTED, "door", "s", sequence, at, label="PERSON", box=box, region=RegionHit("all", 1.0)
    )


def test_each_event_of_the_time_is_judged_by_the_rule_of_live_feeds() -> None:
    events = [
        told(1, Box(0.1, 0.1, 0.3, 0.5)),
        told(2, Box(0.3, 0.1, 0.6, 0.5)),  # two thirds inside: more than half
        told(3, Box(0.4, 0.1, 0.6, 0.5)),  # exactly half is not more than half
        told(4, Box(0.7, 0.1, 0.9, 0.5)),
        told(5, None),
        told(6, Box(0.1, 0.1, 0.3, 0.5), hours_ago=30),
    ]
    found = judged(events, regions_of([LEFT_HALF]), NOW - timedelta(days=1))
    assert [(row["id"], row["kept"]) for row in found["events"]] == [
        ("s-000001", True),
        ("s-000002", True),
        ("s-000003", False),
        ("s-000004", False),
    ]
    assert (found["kept"], found["dropped"]) == (2, 2)
    assert found["events"][1]["overlap"] == pytest.approx(0.667, abs=1e-3)
    assert {row["was"] for row in found["events"]} == {"all"}


def test_without_regions_everything_is_kept() -> None:
    assert judged([told(1, Box(0.1, 0.1, 0.3, 0.5))], (), NOW - timedelta(days=1))["kept"] == 1


def test_regions_of_a_request_are_those_of_a_file() -> None:
    sent = LEFT_HALF | {"points": [[9, 9]]}
    assert [entry_of(region) for region in regions_of([sent])] == [
        {"name": "left", "polygon": [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]}
    ]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "send a list"),
        ([1], "keys and their values"),
        ([{"polygon": [[0, 0], [1, 1]]}], "needs at least 3 entries, not 2"),
        ([{"polygon": [[0.05 * corner, 0] for corner in range(11)]}], "at most 10 entries, not 11"),
        ([LEFT_HALF, LEFT_HALF], "two are called 'left'"),
        ([{"polygon": [[0, 0], [1, 1], [1, 0], [0, 1]]}], "crosses"),
        ([{"polygon": [[0, 0], [0.01, 0], [0, 0.01]]}], "1 %"),
        ([{"polygon": [[0, 0], [2, 0], [0, 1]]}], "polygon"),
        ([LEFT_HALF | {"rule": "any"}], "rule"),
    ],
)
def test_what_cannot_be_a_region_is_refused_in_words(value: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        regions_of(value)


def test_faults_of_a_document_have_line_and_field() -> None:
    text = "source: {type: file, path: a.mp4}\nlabels:\n  min_confidence: 300\n"
    (fault,) = faults_in("processors/door.yaml", text)
    assert (fault["line"], fault["field"]) == (3, "labels.min_confidence")
    assert faults_in("streamproc.yaml", "server: {listen: 127.0.0.1:1}\n") == []
    (wrong,) = faults_in("streamproc.yaml", "sever: {}\n")
    assert wrong["line"] == 1 and "server" in wrong["message"]
