"""Camera health through the lane: events of the session, and of the run between visits."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from fractions import Fraction
from typing import Literal

import numpy as np

from streamproc.config.health import HealthSettings
from streamproc.contracts import SourceTraits
from streamproc.core.event import Event, EventType
from streamproc.core.media import EPOCH, FragmentMark, Frame, Gap, GapReason, Moment
from streamproc.logic.session import SessionRules, Sessions
from streamproc.media.picture import ArrayPicture
from streamproc.pipeline.lane import Lane
from streamproc.pipeline.setup import LaneSetup
from tests.builders.lanes import Book, Eyes
from tests.builders.streets import street

NEVER = threading.Event()


def made(
    live: bool, mode: Literal["session", "continuous"] = "session", health: HealthSettings | None = None
) -> tuple[Lane, Book]:
    book = Book()
    sessions = Sessions("door", SessionRules(mode=mode), "run")
    settings = health or HealthSettings(offline_after=1)
    setup = LaneSetup("door", SourceTraits(live=live), sessions, [Eyes()], book, health=settings)
    return Lane(setup), book


def show(lane: Lane, seconds: float, dark_from: float = 1e9, mark: FragmentMark | None = None) -> None:
    for at, grey in street(seconds):
        picture = np.repeat((grey * (at < dark_from))[:, :, None], 3, axis=2).astype(np.uint8)
        moment = Moment(Fraction(round(at * 5), 5), EPOCH + timedelta(seconds=at))
        lane.offer(Frame(moment, ArrayPicture(picture), mark), None, NEVER)
        serve(lane)


def serve(lane: Lane) -> None:
    while not lane.over and lane.urgency() is not None:
        lane.step()


def told(book: Book) -> list[Event]:
    return [event for event, _ in book.told if event.type is EventType.CAMERA_HEALTH]


def test_a_covered_camera_is_an_event_of_its_session() -> None:
    lane, book = made(live=True)
    show(lane, 30, dark_from=15)
    (event,) = told(book)
    assert event.session == lane.sessions.session and 15 < event.at.seconds < 30
    assert dict(event.data) == {
        "condition": "covered",
        "active": True,
        "measured": 0.0,
        "detail": "the picture shows nothing any more",
    }
    assert lane.frames.health.active == ("covered",)


def test_between_visits_it_belongs_to_the_run() -> None:
    lane, book = made(live=True, mode="continuous")
    show(lane, 30, dark_from=15)
    assert [event.session for event in told(book)] == ["run"]


def test_a_feed_that_stays_away_is_offline_once_and_back_once() -> None:
    lane, book = made(live=True)
    show(lane, 2)
    lane.offer(Gap(GapReason.LOST, Moment(Fraction(2), EPOCH), "connection refused"), None, NEVER)
    serve(lane)
    lane.check_silence()
    assert lane.urgency() is None
    time.sleep(1.1)
    lane.check_silence()
    serve(lane)
    lane.check_silence()
    assert lane.urgency() is None and lane.frames.health.active == ("offline",)
    show(lane, 1)
    facts = [(event.data["condition"], event.data["active"], event.data["detail"]) for event in told(book)]
    assert facts == [
        ("offline", True, "lost: connection refused"),
        ("offline", False, "the camera gives pictures again"),
    ]


def test_a_recording_has_no_health_but_its_producers_clock() -> None:
    lane, book = made(live=False)
    show(lane, 30, dark_from=15)
    assert told(book) == []
    lane, book = made(live=False)
    show(lane, 20, mark=FragmentMark("1", EPOCH + timedelta(hours=1), EPOCH))
    assert [(event.data["condition"], event.data["measured"]) for event in told(book)] == [("clock", 3600.0)]


def test_it_can_be_switched_off() -> None:
    lane, book = made(live=True, health=HealthSettings(enabled=False))
    show(lane, 30, dark_from=15)
    assert told(book) == [] and lane.frames.health.active == ()
