"""Latency by stage: each figure is the way from capture to the end of its stage, in the event, in Describe and in /metrics."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction

from streamproc.contracts import SourceTraits
from streamproc.core.event import Event, EventType
from streamproc.core.media import EndOfStream, Frame, Moment
from streamproc.logic.session import SessionRules, Sessions
from streamproc.metrics import REGISTRY
from streamproc.pipeline.lane import Lane
from streamproc.pipeline.latency import STAGES, StageTimes, Trail
from streamproc.pipeline.setup import LaneSetup
from tests.builders.frames import PICTURE
from tests.builders.lanes import NEVER, Book, Eyes, drain

EVENT_STAGES = ("decoded_ms", "detected_ms", "decided_ms")


def test_a_trail_counts_from_capture_and_is_never_negative() -> None:
    trail = Trail(datetime.now(UTC) - timedelta(seconds=2))
    trail.mark("capture", ago=1.5)
    trail.mark("decode")
    ahead = Trail(datetime.now(UTC) + timedelta(seconds=5))
    ahead.mark("decode")
    assert 0.5 <= trail.marks["capture"] < 2 <= trail.marks["decode"]
    assert ahead.marks == {"decode": 0.0}


def test_quantiles_are_of_what_was_noted() -> None:
    times = StageTimes("quantiles")
    for number in range(100):
        times.note("decode", number / 1000)
    assert times.view() == {"decode": {"p50_ms": 50.0, "p95_ms": 95.0}}
    assert times.quantile_ms("durable", 0.5) is None
    count = REGISTRY.get_sample_value(
        "streamproc_stage_latency_seconds_count", {"processor": "quantiles", "stage": "decode"}
    )
    assert count == 100


def watched(name: str, live: bool) -> tuple[Lane, Book]:
    """One frame with a person in it, captured three seconds ago."""
    book = Book()
    sessions = Sessions(name, SessionRules("session", None, classes=("PERSON",)), "run")
    lane = Lane(
        LaneSetup(name, SourceTraits(live, replayable=not live), sessions, [Eyes(person_from=0)], book, latency=live)
    )
    lane.offer(Frame(Moment(Fraction(0), datetime.now(UTC) - timedelta(seconds=3)), PICTURE), None, NEVER)
    lane.offer(EndOfStream(), None, NEVER)
    drain(lane)
    return lane, book


def test_a_live_event_says_how_long_each_stage_was_after_capture() -> None:
    lane, book = watched("stages", live=True)
    told = next(event for event in book.events if event.type is EventType.LABEL_DETECTED)
    latency = [told.data["latency"][name] for name in EVENT_STAGES]
    assert latency == sorted(latency) and latency[0] >= 3000
    view = lane.stats.view()
    assert list(view["latency"]) == ["capture", "decode", "detect", "decide", "durable"]
    ends = [view["latency"][stage]["p50_ms"] for stage in view["latency"]]
    assert ends == sorted(ends) and view["latency_p50_ms"] == ends[-1]


def test_an_event_that_an_output_confirmed_completes_the_way() -> None:
    lane, book = watched("confirmed", live=True)
    told: list[Event] = book.events
    for event in told:
        lane.stats.delivered(event)
    view = lane.stats.view()["latency"]
    assert tuple(view) == STAGES and view["delivered"]["p50_ms"] >= view["durable"]["p50_ms"]
    count = REGISTRY.get_sample_value(
        "streamproc_stage_latency_seconds_count", {"processor": "confirmed", "stage": "delivered"}
    )
    assert count == 1, "the summary has no frame, so it has no latency"


def test_a_durable_feed_has_no_latency_at_all() -> None:
    lane, book = watched("stored", live=False)
    assert all("latency" not in event.data for event in book.events)
    assert lane.stats.view()["latency"] == {}
