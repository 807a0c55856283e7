"""Active times against an independent computation: a clock on the wall that is read every five minutes, and astral's sun."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import astral
import astral.sun
import pytest

from streamproc.logic.schedule import DAYS, Change, Schedule, instant, parse_entry
from streamproc.logic.sun import Place

MINUTE, DAY = timedelta(minutes=5), timedelta(days=1)
"""How often the clock on the wall is read; every time below is a multiple of it."""


def schedule(*entries: str, zone: str = "Europe/Berlin", place: tuple[float, float] | None = None) -> Schedule:
    return Schedule(tuple(map(parse_entry, entries)), ZoneInfo(zone), Place(*place) if place else None)


def utc(*when: int) -> datetime:
    return datetime(*when, tzinfo=UTC)  # type: ignore[misc,arg-type]


# -- words


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("sat-sun", "sat sun"),
        ("fri-mon 22:00-06:00", "fri sat sun mon"),
        ("mon,wed,sat 1:00-2:00", "mon wed sat"),
        ("18:00-06:30", "mon tue wed thu fri sat sun"),
        ("Sunset-30m..Sunrise+15m", "mon tue wed thu fri sat sun"),
        ("sun sunset..24:00", "sun"),
    ],
)
def test_what_can_be_written(text: str, days: str) -> None:
    assert {DAYS[day] for day in parse_entry(text).days} == set(days.split())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no active time"),
        ("always", "neither a clock time"),
        ("mon-fry 18:00-19:00", "no weekdays"),
        ("mon 18:00", "neither"),
        ("mon 18:00-25:00", "neither"),
        ("18:61-19:00", "neither"),
        ("24:30-02:00", "later than 24:00"),
        ("sunset-30x..sunrise", "neither"),
        ("sunset+8h..sunrise", "more than 6 hours"),
        ("08:00-08:00", "begins where it ends"),
        ("mon tue 18:00-19:00", "no active time"),
    ],
)
def test_what_cannot_be_written_says_what_can(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=r"write|leave") as caught:
        parse_entry(text)
    assert words in str(caught.value)


# -- clocks


def wall_minutes(zone: str, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """(UTC, what the clock on the wall shows) at each reading."""
    tz = ZoneInfo(zone)
    at = start
    while at < end:
        yield at, at.astimezone(tz).replace(tzinfo=None)
        at += MINUTE


def by_the_wall(zone: str, days: set[int], begin: str, end: str, start: datetime, stop: datetime) -> list[datetime]:
    """Active minutes, by reading the clock: an interval begins at the first minute that shows its beginning or later, and ends after
    the last that shows less than its end."""
    tz, found = ZoneInfo(zone), set()
    first = start.astimezone(tz).date() - 2 * DAY
    readings = list(wall_minutes(zone, start - 3 * DAY, stop + 3 * DAY))
    for number in range((stop - start).days + 5):
        day = first + number * DAY
        if day.weekday() not in days:
            continue
        opens = datetime.combine(day, datetime.strptime(begin, "%H:%M").time())
        closes = datetime.combine(day, datetime.strptime(end, "%H:%M").time())
        closes += DAY if closes <= opens else timedelta(0)
        from_here = next((at for at, wall in readings if wall >= opens), None)
        until_here = next((at for at, wall in reversed(readings) if wall < closes), None)
        if from_here is not None and until_here is not None:
            found |= {at for at, _ in readings if from_here <= at <= until_here}
    return sorted(at for at in found if start <= at < stop)


ZONES = {
    "Europe/Berlin": ((2026, 3, 29), (2026, 10, 25)),
    "America/New_York": ((2026, 3, 8), (2026, 11, 1)),
    "Australia/Lord_Howe": ((2026, 4, 5), (2026, 10, 4)),
    "America/Santiago": ((2026, 4, 5), (2026, 9, 6)),
    "Asia/Kathmandu": ((2026, 4, 5),),
}


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("span", ["18:00-06:30", "02:30-03:30", "01:30-02:15", "00:00-00:30", "23:00-02:10"])
def test_each_change_of_the_clocks_as_the_wall_shows_it(zone: str, span: str) -> None:
    begin, _, end = span.partition("-")
    mine = schedule(span, zone=zone)
    for when in ZONES[zone]:
        start = utc(*when) - DAY
        stop = start + 3 * DAY
        expected = set(by_the_wall(zone, set(range(7)), begin, end, start, stop))
        got = {at for at, _ in wall_minutes(zone, start, stop) if mine.active(at)}
        assert got == expected, sorted(got ^ expected)[:3]


def test_a_skipped_time_is_the_moment_of_the_jump_and_a_doubled_one_counts_both_times() -> None:
    zone = ZoneInfo("Europe/Berlin")
    spring, autumn = date(2026, 3, 29), date(2026, 10, 25)
    clock = timedelta(hours=2, minutes=30)
    assert (
        instant(spring, clock, zone, ending=False) == instant(spring, clock, zone, ending=True) == utc(2026, 3, 29, 1)
    )
    assert instant(autumn, clock, zone, ending=False) == utc(2026, 10, 25, 0, 30)
    assert instant(autumn, clock, zone, ending=True) == utc(2026, 10, 25, 1, 30)


def test_weekends_and_weekdays() -> None:
    mine = schedule("mon-fri 18:00-06:30", "sat-sun", zone="UTC")
    week = list(mine.changes(utc(2026, 6, 1), utc(2026, 6, 8)))  # 1 June is a Monday
    assert week[0] == Change(utc(2026, 6, 1, 18), True)
    assert week[1] == Change(utc(2026, 6, 2, 6, 30), False)
    # Friday night runs into Saturday, and Sunday ends at midnight.
    assert week[-2:] == [Change(utc(2026, 6, 5, 18), True), Change(utc(2026, 6, 8), False)]
    assert mine.next_change(utc(2026, 6, 6, 12)) == Change(utc(2026, 6, 8), False)


def test_what_never_changes_has_no_next_change() -> None:
    always = schedule("mon-sun", zone="Europe/Berlin")
    assert always.next_change(utc(2026, 6, 1)) is None
    assert always.active(utc(2026, 3, 29, 1, 30))


def test_ten_years_of_changes_alternate_and_fit_the_state() -> None:
    mine = schedule("mon-fri 18:00-06:30", "sat-sun", "sunset-30m..sunrise+15m", place=(52.5, 13.4))
    changes = list(mine.changes(utc(2020, 1, 1), utc(2030, 1, 1)))
    assert len(changes) > 5000
    for before, after in itertools.pairwise(changes):
        assert before.active != after.active
        assert before.at < after.at
    for change in changes[::97]:
        assert mine.active(change.at) == change.active
        assert mine.active(change.at - timedelta(seconds=1)) != change.active


# -- the sun

PLACES = {
    "Berlin": (52.52, 13.405, "Europe/Berlin"),
    "Sydney": (-33.87, 151.21, "Australia/Sydney"),
    "Quito": (-0.18, -78.47, "America/Guayaquil"),
    "Auckland": (-36.85, 174.76, "Pacific/Auckland"),
    "70 north": (70.0, 25.0, "Europe/Oslo"),
}


@pytest.mark.parametrize("name", PLACES)
def test_dark_hours_of_ten_years_are_those_in_which_the_sun_is_down(name: str) -> None:
    """astral gives the height of the sun; whether it is dark follows from that alone, polar days included."""
    latitude, longitude, zone = PLACES[name]
    mine = schedule("sunset..sunrise", zone=zone, place=(latitude, longitude))
    day = schedule("sunrise..sunset", zone=zone, place=(latitude, longitude))
    observer = astral.Observer(latitude, longitude)
    at, wrong, looked = utc(2020, 1, 1), 0, 0
    while at < utc(2030, 1, 1):
        height = astral.sun.elevation(observer, at, with_refraction=False)
        if abs(height + 0.833) > 0.3:  # within a few minutes of the horizon the two may differ
            looked += 1
            dark = height < -0.833
            wrong += mine.active(at) != dark
            wrong += day.active(at) == dark
        at += timedelta(hours=29, minutes=7)
    assert looked > 2700
    assert wrong == 0


def test_offsets_move_both_ends() -> None:
    plain, moved = (schedule(text, place=(52.5, 13.4)) for text in ("sunset..sunrise", "sunset-30m..sunrise+15m"))
    for (start, end), (early, late) in zip(
        plain.intervals(utc(2026, 6, 1), utc(2026, 6, 9)),
        moved.intervals(utc(2026, 6, 1), utc(2026, 6, 9)),
        strict=True,
    ):
        assert start - early == timedelta(minutes=30)
        assert late - end == timedelta(minutes=15)


def test_polar_days() -> None:
    dark = schedule("sunset-30m..sunrise+15m", zone="Europe/Oslo", place=(70, 25))
    assert not list(dark.changes(utc(2026, 6, 1), utc(2026, 7, 1)))
    assert not dark.active(utc(2026, 6, 21, 23))
    assert not list(dark.changes(utc(2026, 12, 5), utc(2027, 1, 5)))
    assert dark.active(utc(2026, 12, 21, 11))
    # Between a clock time and the sun.
    evening = schedule("18:00..sunset", zone="Europe/Oslo", place=(70, 25))
    assert evening.active(utc(2026, 6, 21, 17))


def test_the_clock_and_the_sun_in_one_interval() -> None:
    mine = schedule("22:00..sunrise", "sunset..23:00", zone="Europe/Berlin", place=(52.5, 13.4))
    assert mine.active(utc(2026, 6, 21, 20, 30))  # 22:30
    assert mine.active(utc(2026, 6, 22, 2, 0))  # 04:00, before sunrise at 04:43
    assert not mine.active(utc(2026, 6, 22, 3, 0))
    assert mine.active(utc(2026, 12, 21, 15, 30))  # 16:30, after sunset at 15:54
