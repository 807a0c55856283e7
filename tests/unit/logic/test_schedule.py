"""Active times against an independent computation: dateutil's clocks, read every five minutes, and astral's sun."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import astral
import astral.sun
import pytest
from dateutil.zoneinfo import get_zonefile_instance

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


class Walls:
    """Clocks on the walls of a place, by dateutil and its own copy of the zones, read every five minutes around an instant."""

    def __init__(self, zone: str, middle: datetime) -> None:
        self.zone = get_zonefile_instance().get(zone)
        self.start, self.stop = middle - DAY, middle + 2 * DAY
        steps = range((self.stop - self.start + 3 * DAY) // MINUTE)
        self.readings = [(at, self.shows(at)) for at in (self.start - 2 * DAY + step * MINUTE for step in steps)]

    def shows(self, at: datetime) -> datetime:
        return at.astimezone(self.zone).replace(tzinfo=None)

    def active(self, begin: str, end: str) -> set[datetime]:
        """Active readings: an interval begins with the first that shows its beginning or later, and ends with the last that shows less
        than its end."""
        found: set[datetime] = set()
        opens, closes = (timedelta(hours=int(text[:2]), minutes=int(text[3:])) for text in (begin, end))
        closes += DAY if closes <= opens else timedelta(0)
        for midnight in {datetime(wall.year, wall.month, wall.day) for _, wall in self.readings[: -DAY // MINUTE]}:
            first = next(at for at, wall in self.readings if wall >= midnight + opens)
            last = next((at for at, wall in reversed(self.readings) if wall < midnight + closes), self.start - 3 * DAY)
            found |= {first + step * MINUTE for step in range((last - first) // MINUTE + 1)}
        return {at for at in found if self.start <= at < self.stop}


def changed_days(zone: str) -> list[datetime]:
    """Midnights (UTC) of ten years after which the clocks of a zone are put forward or back, by dateutil."""
    found, midnights = get_zonefile_instance().get(zone), (utc(2016, 1, 1) + number * DAY for number in range(3653))
    return [at for at in midnights if at.astimezone(found).utcoffset() != (at + DAY).astimezone(found).utcoffset()]


CLOCKS = {
    "Europe/Berlin": (52.52, 13.405),
    "America/New_York": (40.71, -74.01),
    "Australia/Lord_Howe": (-31.55, 159.08),  # half an hour
    "America/Santiago": (-33.45, -70.67),  # at midnight, and on another date in some years
    "Europe/Oslo": (70.0, 25.0),
}


@pytest.mark.parametrize("zone", CLOCKS)
def test_each_change_of_the_clocks_in_ten_years_as_the_wall_shows_it(zone: str) -> None:
    days = changed_days(zone)
    assert len(days) == 20
    spans = ("18:00-06:30", "02:30-03:30", "01:30-02:15", "00:00-00:30", "23:00-02:10")
    for day in days:
        walls = Walls(zone, day)
        for span in spans:
            mine, expected, got = schedule(span, zone=zone), walls.active(*span.split("-")), set[datetime]()
            for start, end in mine.intervals(walls.start, walls.stop):
                got |= {start + step * MINUTE for step in range((end - start) // MINUTE)}
            got = {at for at in got if walls.start <= at < walls.stop}
            assert got == expected, (day, span, sorted(got ^ expected)[:3])
            for at in (at for at in expected if at - MINUTE not in expected and at > walls.start):
                assert mine.active(at)
                assert not mine.active(at - MINUTE)


@pytest.mark.parametrize("zone", CLOCKS)
def test_from_sunset_until_an_hour_of_the_clock_over_each_change_of_the_clocks(zone: str) -> None:
    """When the sun sets does not depend on clocks: astral's height of it says when it begins, dateutil's wall when it ends."""
    place = CLOCKS[zone]
    observer, mine = astral.Observer(*place), schedule("sunset..02:30", zone=zone, place=place)
    for day in changed_days(zone):
        walls = Walls(zone, day)
        for start, end in mine.intervals(walls.start + DAY / 2, walls.stop - DAY):
            if not walls.start + DAY / 2 <= start < walls.stop - DAY / 2:
                continue
            before, after = (
                astral.sun.elevation(observer, start + side * MINUTE, with_refraction=False) for side in (-1, 1)
            )
            assert before > -0.833 > after, (day, start)
            night = [at for at, wall in walls.readings if start < at < start + DAY and wall.time() < time(2, 30)]
            assert end == next(at for at in reversed(night) if at - MINUTE in night) + MINUTE, (day, end)


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
