"""Session rules: once per class per session, gaps, visits, the summary, and that a restored machine goes on as if nothing had been."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.core.event import Event, EventType, RegionHit
from streamproc.core.media import Gap, GapReason
from streamproc.core.vision import Box
from streamproc.logic.session import SessionRules, Sessions
from streamproc.logic.session_records import session_id
from streamproc.logic.sighting import Place, Sighting
from tests.builders.frames import at

BOX = Box(0.1, 0.1, 0.4, 0.9)


def sighting(name: str, ready: bool = True, region: str | None = None) -> Sighting:
    hit = RegionHit(region, 0.9 if region else 1.0)
    return Sighting(EventType.LABEL_DETECTED, name, 91.0, BOX, hit, ready)


def bounded(duration: float | None = 10, **rest: object) -> Sessions:
    limit = None if duration is None else Fraction(duration)
    return Sessions("door", SessionRules("session", limit, classes=("PERSON", "PET", "PACKAGE"), **rest), "run")  # type: ignore[arg-type]


def visits(gone_after: float = 10) -> Sessions:
    return Sessions(
        "door", SessionRules("continuous", Fraction(10), Fraction(gone_after), ("PERSON", "PACKAGE")), "run"
    )


def feed(machine: Sessions, script: dict[float, list[str]]) -> list[Event]:
    events: list[Event] = []
    for second, names in sorted(script.items()):
        events += machine.frame(Place(at(second)), [sighting(name) for name in names])
    return events


def brief(events: list[Event]) -> list[tuple[str, str | None, float]]:
    return [(event.type.value, event.label, event.at.seconds) for event in events]


def test_each_class_is_told_once_and_the_summary_is_last() -> None:
    machine = bounded()
    events = feed(machine, {0: [], 2: ["PERSON"], 3: ["PERSON"], 4: ["PET"], 5: ["PERSON"], 10: ["PACKAGE"]})
    assert brief(events) == [
        ("label_detected", "PERSON", 2.0),
        ("label_detected", "PET", 4.0),
        ("session_complete", None, 10.0),
    ]
    assert [event.sequence for event in events] == [0, 1, 2]
    assert {event.session for event in events} == {session_id("run", 0)}
    assert events[-1].data["counts"] == {"PERSON": 1, "PET": 1, "PACKAGE": 0}
    assert events[-1].data["reason"] == "duration"
    assert machine.over and machine.frame(Place(at(11)), [sighting("PET")]) == []


def test_the_session_lasts_from_its_first_frame() -> None:
    machine = bounded(5)
    assert feed(machine, {100: ["PERSON"], 104.9: []})[0].label == "PERSON"
    (end,) = feed(machine, {105: []})
    assert end.at.seconds == 105 and end.data["duration_s"] == 5.0


def test_what_is_not_ready_is_not_told() -> None:
    machine = bounded()
    assert machine.frame(Place(at(0)), [sighting("PERSON", ready=False)]) == []
    assert len(machine.frame(Place(at(1)), [sighting("PERSON")])) == 1


@pytest.mark.parametrize("reason", ["stopped", "end_of_stream", "failed: disk full"])
def test_every_end_has_its_summary(reason: str) -> None:
    machine = bounded(None)
    feed(machine, {0: ["PET"]})
    (end,) = machine.end(reason, at(3))
    assert end.type is EventType.SESSION_COMPLETE and end.data["reason"] == reason
    assert machine.end(reason) == []


def test_a_session_without_a_frame_has_its_summary() -> None:
    (end,) = bounded().end("stopped", at(0))
    assert end.data["counts"] == {"PERSON": 0, "PET": 0, "PACKAGE": 0}


def test_a_gap_is_told_when_the_feed_returns_and_is_in_the_summary() -> None:
    machine = bounded(None)
    feed(machine, {0: [], 2: ["PERSON"]})
    machine.gap(Gap(GapReason.LOST, at(2), "reset"))
    machine.gap(Gap(GapReason.STALLED, at(2), "no route"))
    events = feed(machine, {22: ["PERSON"], 23: ["PET"]})
    assert brief(events) == [("source_gap", None, 22.0), ("label_detected", "PET", 23.0)]
    assert events[0].data == {"reason": "lost", "seconds": 20.0, "detail": "no route"}
    (end,) = machine.end("stopped", at(30))
    assert end.data["gap_s"] == 20.0 and end.data["processed_s"] == 10.0 and end.data["duration_s"] == 30.0


def test_a_gap_that_does_not_end_is_told_at_the_end() -> None:
    machine = bounded(10)
    feed(machine, {0: [], 4: []})
    machine.gap(Gap(GapReason.LOST, at(4)))
    assert machine.silent_until() == 6
    events = machine.silence(at(11))
    assert brief(events) == [("source_gap", None, 10.0), ("session_complete", None, 10.0)]
    assert events[0].data["seconds"] == 6.0 and events[0].data["over"] is False


def test_regions_are_counted() -> None:
    machine = bounded()
    machine.frame(Place(at(0)), [sighting("PERSON", region="porch"), sighting("PET", region="porch")])
    (end,) = machine.end("stopped", at(1))
    assert end.data["regions"] == {"porch": 2}


def test_continuous_each_visit_is_a_session() -> None:
    machine = visits(10)
    script = {second: ["PERSON"] if 2 <= second < 6 or 30 <= second < 33 else [] for second in range(60)}
    events = feed(machine, script)
    assert brief(events) == [
        ("label_detected", "PERSON", 2.0),
        ("session_complete", None, 15.0),
        ("label_detected", "PERSON", 30.0),
        ("session_complete", None, 42.0),
    ]
    assert events[0].session == events[1].session != events[2].session == events[3].session
    assert machine.end("stopped", at(60)) == []


def test_continuous_a_short_absence_is_the_same_visit() -> None:
    machine = visits(10)
    events = feed(machine, {0: ["PERSON"], 5: [], 9: ["PERSON"], 18: ["PERSON"], 20: []})
    assert brief(events) == [("label_detected", "PERSON", 0.0)]


def test_continuous_a_class_that_returns_opens_the_next_visit() -> None:
    machine = Sessions("door", SessionRules("continuous", Fraction(10), Fraction(5), ("PERSON", "PET")), "run")
    script = {float(second): ["PET"] + (["PERSON"] if second in (1, 8) else []) for second in range(10)}
    events = feed(machine, script)
    assert brief(events) == [
        ("label_detected", "PET", 0.0),
        ("label_detected", "PERSON", 1.0),
        ("session_complete", None, 8.0),
        ("label_detected", "PERSON", 8.0),
    ]
    assert events[2].data["reason"] == "returned"


def test_continuous_a_package_that_lies_there_keeps_no_visit_open() -> None:
    machine = visits(10)
    script = {float(second): ["PACKAGE"] + (["PERSON"] if second < 4 or second >= 60 else []) for second in range(70)}
    events = feed(machine, script)
    assert brief(events) == [
        ("label_detected", "PACKAGE", 0.0),
        ("label_detected", "PERSON", 0.0),
        ("session_complete", None, 13.0),
        ("label_detected", "PERSON", 60.0),
    ]


def test_continuous_time_in_a_gap_is_not_absence() -> None:
    machine = visits(10)
    feed(machine, {0: ["PERSON"]})
    machine.gap(Gap(GapReason.LOST, at(1)))
    events = feed(machine, {31: ["PERSON"], 35: []})
    assert brief(events) == [("source_gap", None, 31.0)]


def test_continuous_a_dead_feed_closes_the_visit() -> None:
    machine = visits(10)
    feed(machine, {0: ["PERSON"]})
    machine.gap(Gap(GapReason.LOST, at(0)))
    away = machine.silence(at(12))
    assert brief(away) == [("source_gap", None, 12.0), ("session_complete", None, 12.0)]
    assert away[0].data["over"] is False
    assert machine.silent_until() is None and machine.in_view == ()
    back = feed(machine, {40: ["PERSON"]})
    assert machine.in_view == ("PERSON",)
    assert brief(back) == [("source_gap", None, 40.0)]
    assert back[0].session == "run" and "over" not in back[0].data
    assert [event.type for event in machine.end("stopped", at(50))] == [EventType.SESSION_COMPLETE]


def test_continuous_nobody_is_in_view_until_seen_again_after_a_gap_that_ended_the_visit() -> None:
    machine = visits(10)
    feed(machine, {0: ["PERSON"]})
    machine.gap(Gap(GapReason.LOST, at(0)))
    machine.silence(at(12))
    feed(machine, {40: [], 42: []})
    assert machine.in_view == ()
    feed(machine, {44: ["PERSON"]})
    assert machine.in_view == ("PERSON",)


def test_continuous_nobody_is_in_view_of_what_has_ended() -> None:
    machine = visits(10)
    feed(machine, {0: ["PERSON"]})
    machine.gap(Gap(GapReason.LOST, at(0)))
    machine.silence(at(12))
    machine.end("shutdown", at(13))
    assert machine.in_view == ()


STEPS = st.lists(
    st.tuples(
        st.integers(1, 8),
        st.one_of(st.just("gap"), st.just("silence"), st.sets(st.sampled_from(["PERSON", "PET", "PACKAGE"]))),
    ),
    max_size=40,
)


def play(machine: Sessions, steps: list[tuple[int, object]], cut: int | None = None) -> list[Event]:
    now, events = 0, []
    for index, (wait, what) in enumerate(steps):
        if index == cut:
            machine = Sessions.restore(machine.processor, machine.rules, machine.snapshot())
        now += wait
        if what == "gap":
            machine.gap(Gap(GapReason.LOST, machine.last or at(now)))
        elif what == "silence":
            limit = machine.silent_until()
            if limit is not None and (machine.last is None or now - machine.last.media >= limit):
                events += machine.silence(at(now))
        else:
            events += machine.frame(Place(at(now)), [sighting(name) for name in sorted(what)])  # type: ignore[call-overload]
    return events + machine.end("stopped", at(now + 1))


@settings(max_examples=150, deadline=None)
@given(STEPS, st.booleans(), st.integers(0, 40))
def test_promises_hold_for_any_feed(steps: list[tuple[int, object]], continuous: bool, cut: int) -> None:
    make = (lambda: visits(5)) if continuous else (lambda: bounded(20))
    events = play(make(), steps)
    by_session: dict[str, list[Event]] = {}
    for event in events:
        by_session.setdefault(event.session, []).append(event)
    for told in by_session.values():
        assert [event.sequence for event in told] == list(range(len(told)))
        labels = [event.label for event in told if event.label]
        assert len(labels) == len(set(labels)), "a class was told twice in a session"
        assert [event.type is EventType.SESSION_COMPLETE for event in told] == [False] * (len(told) - 1) + [True]
        assert {k: v for k, v in told[-1].data["counts"].items() if v} == dict.fromkeys(labels, 1)
    assert [e.at.media for e in events] == sorted(e.at.media for e in events)
    assert len({event.id for event in events}) == len(events)
    assert play(make(), steps, cut) == events, "a restored machine told something else"


def test_what_nobody_saw_before_the_time_ran_out_was_not_processed() -> None:
    """A log whose video ended after four of ten seconds."""
    sessions = Sessions("door", SessionRules("session", Fraction(10), Fraction(10), ("PERSON",)), "run")
    for second in range(5):
        sessions.frame(Place(at(second)), [])
    (end,) = sessions.silence(at(40))
    assert end.data["reason"] == "duration"
    assert (end.data["duration_s"], end.data["processed_s"], end.data["gap_s"]) == (10.0, 4.0, 0.0)


def test_a_feed_that_is_looked_at_rarely_was_processed_up_to_the_end() -> None:
    """Once its classes are told it is looked at once a second, and idle even less often."""
    sessions = Sessions("door", SessionRules("session", Fraction(10), Fraction(10), ("PERSON",)), "run")
    for second in (0, 8):
        sessions.frame(Place(at(second)), [])
    (end,) = sessions.frame(Place(at(11)), [])
    assert (end.data["duration_s"], end.data["processed_s"], end.at.media) == (10.0, 10.0, 10)


def test_of_a_feed_that_never_gave_a_frame_nothing_was_processed() -> None:
    sessions = Sessions("door", SessionRules("session", Fraction(10), Fraction(10), ("PERSON",)), "run")
    (end,) = sessions.silence(at(20))
    assert (end.data["duration_s"], end.data["processed_s"]) == (10.0, 0.0)


def test_other_rules_count_from_the_next_frame_on() -> None:
    machine = visits(gone_after=10)
    feed(machine, {0: ["PERSON"]})
    machine.rules = SessionRules("continuous", Fraction(10), Fraction(3), ("PERSON", "PET"))
    events = feed(machine, {2: [], 3: [], 4: ["PET"]})
    assert brief(events) == [("session_complete", None, 3.0), ("label_detected", "PET", 4.0)]
    assert machine.counts.keys() == {"PERSON", "PET"}
