"""What a frame could still tell, and how many are worth analysing."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction

import pytest

from streamproc.core.event import EventType
from streamproc.core.media import Moment
from streamproc.core.vision import Box
from streamproc.logic.attention import EVERYTHING, OpenNews, presence_interval
from streamproc.logic.regions import EVERYWHERE
from streamproc.logic.session import SessionRules, Sessions
from streamproc.logic.sighting import Place, Sighting

BOTH = ("PERSON", "PET")


def sighting(name: str, ready: bool = True) -> Sighting:
    return Sighting(EventType.LABEL_DETECTED, name, 90.0, Box(0.1, 0.1, 0.5, 0.9), EVERYWHERE, ready)


def at(seconds: float) -> Place:
    return Place(Moment(Fraction(seconds), datetime(2026, 1, 1, tzinfo=UTC)))


@pytest.mark.parametrize(
    ("news", "in_view", "interval"),
    [
        (EVERYTHING, BOTH, None),
        (OpenNews(True, frozenset(BOTH), Fraction(10)), BOTH, None),
        (OpenNews(False), (), 1),
        (OpenNews(False, frozenset(BOTH), Fraction(10)), BOTH, 1),
        (OpenNews(False, frozenset(BOTH), Fraction(1)), BOTH, Fraction(1, 2)),
        (OpenNews(False, frozenset(BOTH), Fraction(10)), ("PET",), None),
    ],
)
def test_all_frames_count_while_something_is_open_or_may_have_left(
    news: OpenNews, in_view: tuple[str, ...], interval: Fraction | None
) -> None:
    assert presence_interval(news, in_view) == interval


def test_a_session_has_no_news_once_every_class_is_announced() -> None:
    sessions = Sessions("door", SessionRules("session", Fraction(60), classes=BOTH), "run")
    assert sessions.news.any_class
    sessions.frame(at(0), [sighting("PERSON")])
    assert sessions.news.any_class
    sessions.frame(at(1), [sighting("PET", ready=False)])
    assert sessions.news.any_class
    sessions.frame(at(2), [sighting("PET")])
    assert sessions.news == OpenNews(False)


def test_a_visit_keeps_its_classes_in_view_and_what_left_is_news_again() -> None:
    sessions = Sessions("door", SessionRules("continuous", None, Fraction(3), classes=("PERSON",)), "run")
    assert sessions.news == EVERYTHING
    sessions.frame(at(0), [sighting("PERSON")])
    assert sessions.news == OpenNews(False, frozenset({"PERSON"}), Fraction(3))
    sessions.frame(at(2), [])
    assert not sessions.news.any_class
    assert [event.type for event in sessions.frame(at(3), [])] == [EventType.SESSION_COMPLETE]
    assert sessions.news == EVERYTHING
