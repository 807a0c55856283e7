"""Sunrise and sunset against another program (astral) and against published tables, for ten years and five places."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import astral
import astral.sun
import pytest

from streamproc.logic.sun import HORIZON, Place, elevation, sun_day

PLACES = {
    "Berlin": (Place(52.52, 13.405), "Europe/Berlin"),
    "Tromsø": (Place(69.65, 18.96), "Europe/Oslo"),
    "Sydney": (Place(-33.87, 151.21), "Australia/Sydney"),
    "Quito": (Place(-0.18, -78.47), "America/Guayaquil"),
    "Auckland": (Place(-36.85, 174.76), "Pacific/Auckland"),
    "70 north": (Place(70.0, 25.0), "Europe/Oslo"),
}


def offset(zone: str, day: date) -> timedelta:
    found = datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(zone)).utcoffset()
    assert found is not None
    return found


@pytest.mark.parametrize("name", PLACES)
def test_ten_years_agree_with_astral(name: str) -> None:
    place, zone = PLACES[name]
    observer = astral.Observer(place.latitude, place.longitude)
    tz = ZoneInfo(zone)
    compared = 0
    for number in range(0, 3653, 7):
        day = date(2020, 1, 1) + timedelta(days=number)
        mine = sun_day(place, day, offset(zone, day))
        for kind, theirs in (("sunrise", astral.sun.sunrise), ("sunset", astral.sun.sunset)):
            try:
                other = theirs(observer, day, tzinfo=tz)
            except ValueError:
                # Where the sun sets after midnight, or hardly at all, astral gives up on the date.
                assert abs(place.latitude) > 60
                continue
            if "ordinary" not in (mine.rises, mine.sets):
                continue
            at = getattr(mine, kind)
            if abs((at - other).total_seconds()) > 12 * 3600:
                continue  # near the polar day, sunset after midnight is told of another date
            # astral puts the sun where it is at noon; that is of use only where the day is neither very short nor very long.
            if abs(place.latitude) > 60 and not timedelta(hours=5) < mine.sunset - mine.sunrise < timedelta(hours=19):
                continue
            assert abs((at - other).total_seconds()) < (90 if abs(place.latitude) < 60 else 300), (day, kind, at, other)
            compared += 1
    assert compared > (1000 if abs(place.latitude) < 60 else 400)


@pytest.mark.parametrize("name", PLACES)
def test_the_sun_is_at_the_horizon_when_it_rises_and_sets(name: str) -> None:
    place, zone = PLACES[name]
    for number in range(0, 3653, 7):
        day = date(2020, 1, 1) + timedelta(days=number)
        found = sun_day(place, day, offset(zone, day))
        for at, kind in ((found.sunrise, found.rises), (found.sunset, found.sets)):
            if kind == "ordinary":
                assert elevation(place, at) == pytest.approx(HORIZON, abs=0.02)
            else:
                height = elevation(place, at)
                assert height > HORIZON - 0.1 if kind == "midnight_sun" else height < HORIZON + 0.1
        assert found.sunrise <= found.noon <= found.sunset
        assert (found.noon + offset(zone, day)).date() == day


@pytest.mark.parametrize(
    ("place", "zone", "day", "sunrise", "sunset"),
    [
        # US Naval Observatory, Astronomical Applications Department: rise and set, in the local time of the date.
        (Place(52.52, 13.405), "Europe/Berlin", date(2024, 6, 21), "04:43", "21:33"),
        (Place(52.52, 13.405), "Europe/Berlin", date(2024, 12, 21), "08:15", "15:54"),
        (Place(-33.87, 151.21), "Australia/Sydney", date(2024, 6, 21), "07:00", "16:54"),
        (Place(-33.87, 151.21), "Australia/Sydney", date(2024, 12, 21), "05:41", "20:05"),
    ],
)
def test_published_times(place: Place, zone: str, day: date, sunrise: str, sunset: str) -> None:
    found = sun_day(place, day, offset(zone, day))
    for at, words in ((found.sunrise, sunrise), (found.sunset, sunset)):
        told = datetime.combine(day, datetime.strptime(words, "%H:%M").time(), ZoneInfo(zone))
        assert abs((at - told).total_seconds()) <= 90


def test_polar_days_are_said() -> None:
    place, zone = PLACES["70 north"]
    summer = sun_day(place, date(2025, 6, 21), offset(zone, date(2025, 6, 21)))
    winter = sun_day(place, date(2025, 12, 21), offset(zone, date(2025, 12, 21)))
    assert (summer.rises, summer.sets) == ("midnight_sun", "midnight_sun")
    assert (winter.rises, winter.sets) == ("polar_night", "polar_night")
    assert winter.sunrise == winter.sunset == winter.noon
    assert summer.sunset - summer.sunrise == pytest.approx(timedelta(days=1), abs=timedelta(minutes=1))


def test_an_instant_of_the_equation_of_time() -> None:
    """NOAA's calculator: on 3 November the sun is 16.4 minutes early."""
    found = sun_day(Place(0, 0), date(2025, 11, 3), timedelta(0))
    assert found.noon == pytest.approx(datetime(2025, 11, 3, 11, 43, 33, tzinfo=UTC), abs=timedelta(seconds=20))
