"""Schedules of a processor and its regions, with an override over them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from streamproc.logic.hours import Hours, Override
from streamproc.logic.schedule import Change, Schedule, parse_entry

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def evenings() -> Schedule:
    return Schedule((parse_entry("18:00-22:00"),), ZoneInfo("UTC"))


def test_without_a_schedule_it_is_always_active() -> None:
    hours = Hours()
    assert hours.active(NOON)
    assert hours.next_change(NOON) is None
    assert hours.next_opening(NOON) is None


def test_the_schedule_rules() -> None:
    hours = Hours(evenings())
    assert not hours.active(NOON)
    assert hours.active(NOON + 7 * HOUR)
    assert hours.next_change(NOON) == Change(NOON + 6 * HOUR, True)
    assert hours.next_opening(NOON) == NOON + 6 * HOUR
    assert hours.next_opening(NOON + 7 * HOUR) is None or hours.next_opening(NOON + 7 * HOUR) > NOON + 24 * HOUR


@pytest.mark.parametrize(("mode", "active"), [("home", False), ("away", True), ("pause", False)])
def test_an_override_holds_until_its_time_is_over(mode: str, active: bool) -> None:
    hours = Hours(evenings())
    hours.override = Override(mode, NOON + 7 * HOUR)  # type: ignore[arg-type]
    assert hours.active(NOON) == hours.active(NOON + 6.5 * HOUR) == active
    assert hours.active(NOON + 7 * HOUR)
    expected = Change(NOON + 10 * HOUR, False) if active else Change(NOON + 7 * HOUR, True)
    assert hours.next_change(NOON) == expected


def test_an_override_without_an_end_has_no_next_change() -> None:
    hours = Hours(evenings())
    hours.override = Override("home")
    assert hours.next_change(NOON) is None
    assert hours.next_opening(NOON) is None
    hours.override = None
    assert hours.next_opening(NOON) == NOON + 6 * HOUR


def test_regions_have_hours_of_their_own() -> None:
    hours = Hours(None, {"porch": evenings()})
    assert hours.active(NOON)
    assert hours.closed(NOON) == {"porch"}
    assert hours.closed(NOON + 7 * HOUR) == frozenset()
    assert hours.next_opening(NOON) == NOON + 6 * HOUR
    hours.override = Override("away")
    assert hours.closed(NOON) == frozenset()


def test_another_document_keeps_the_override() -> None:
    hours = Hours(evenings())
    hours.override = Override("away")
    hours.adopt(Hours())
    assert hours.active(NOON)
    hours.override = None
    assert hours.active(NOON)


def test_an_override_survives_as_json() -> None:
    for override in (Override("home"), Override("pause", NOON)):
        assert Override.from_json(override.to_json()) == override
