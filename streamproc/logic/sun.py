"""When the sun rises and sets, from a place and a date alone. Pure.

The equations are those of NOAA's solar calculator (https://gml.noaa.gov/grad/solcalc/calcdetails.html, after Jean Meeus, Astronomical Algorithms);
they hold to about a minute between 72 degrees north and south, and to ten beyond, for the years 1800 to 2100.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, NamedTuple

HORIZON = -0.833
"""Degrees above the horizon of the sun's centre at sunrise: 34' of refraction and 16' of radius."""
_J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)
_ROUNDS = 4
"""Each round takes the sun where the last one put it; after the third nothing changes by a second."""

Kind = Literal["ordinary", "midnight_sun", "polar_night"]


class Place(NamedTuple):
    """Degrees: latitude north, longitude east."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class SunDay:
    """Sunrise and sunset around the solar noon of one day, UTC.

    On a day without them they are what they would tend to: in a polar night both are the solar noon, under the midnight sun they
    are 12 hours before and after it. ``rises`` and ``sets`` say so.
    """

    noon: datetime
    sunrise: datetime
    sunset: datetime
    rises: Kind
    sets: Kind


def sun_day(place: Place, day: date, utc_offset: timedelta) -> SunDay:
    """The day whose solar noon falls on ``day`` by a clock that is ``utc_offset`` before UTC at that time."""
    middle = datetime.combine(day, time(12), UTC) - utc_offset
    noon = middle
    for _ in range(_ROUNDS):
        noon += timedelta(minutes=_minutes_to_noon(place, noon))
    # A place that keeps another time than its longitude has (beyond the date line, say) may have been moved to the next day.
    noon -= timedelta(days=round((noon - middle) / timedelta(days=1)))
    sunrise, rises = _crossing(place, noon, -1)
    sunset, sets = _crossing(place, noon, 1)
    return SunDay(noon, sunrise, sunset, rises, sets)


def elevation(place: Place, at: datetime) -> float:
    """Degrees of the sun's centre above the horizon, without refraction."""
    declination, equation = _sun(at)
    minutes = (at - at.replace(hour=0, minute=0, second=0, microsecond=0)) / timedelta(minutes=1)
    angle = math.radians((minutes + equation + 4 * place.longitude) / 4 - 180)
    latitude = math.radians(place.latitude)
    sine = math.sin(latitude) * math.sin(declination) + math.cos(latitude) * math.cos(declination) * math.cos(angle)
    return math.degrees(math.asin(max(-1.0, min(1.0, sine))))


def _crossing(place: Place, noon: datetime, side: int) -> tuple[datetime, Kind]:
    """The instant before (-1) or after (1) ``noon`` at which the sun is at the horizon."""
    at, kind = noon, "ordinary"
    for _ in range(_ROUNDS):
        angle, kind = _hour_angle(place, at)
        # The sun's own time runs on: its noon as seen from here, not the one that was found first.
        at = noon + timedelta(minutes=_drift(noon, at)) + side * timedelta(minutes=4 * angle)
    return at, kind  # type: ignore[return-value]


def _drift(noon: datetime, at: datetime) -> float:
    """Minutes by which the solar noon is later for the sun as it stands at ``at``."""
    return _sun(noon)[1] - _sun(at)[1]


def _hour_angle(place: Place, at: datetime) -> tuple[float, Kind]:
    """Degrees between noon and the horizon for the sun as it stands at ``at``."""
    declination, _ = _sun(at)
    latitude = math.radians(place.latitude)
    depth = math.cos(math.radians(90 - HORIZON)) - math.sin(latitude) * math.sin(declination)
    cosine = depth / max(1e-12, math.cos(latitude) * math.cos(declination))
    if cosine >= 1:
        return 0.0, "polar_night"
    if cosine <= -1:
        return 180.0, "midnight_sun"
    return math.degrees(math.acos(cosine)), "ordinary"


def _minutes_to_noon(place: Place, at: datetime) -> float:
    """How far the next or last solar noon is from ``at``, -720 to 720."""
    minutes = (at - at.replace(hour=0, minute=0, second=0, microsecond=0)) / timedelta(minutes=1)
    return (720 - 4 * place.longitude - _sun(at)[1] - minutes + 720) % 1440 - 720


def _sun(at: datetime) -> tuple[float, float]:
    """(declination in radians, equation of time in minutes)."""
    t = (at - _J2000) / timedelta(days=36525)
    longitude = math.radians((280.46646 + t * (36000.76983 + t * 0.0003032)) % 360)
    anomaly = math.radians(357.52911 + t * (35999.05029 - 0.0001537 * t))
    eccentricity = 0.016708634 - t * (0.000042037 + 0.0000001267 * t)
    centre = (
        math.sin(anomaly) * (1.914602 - t * (0.004817 + 0.000014 * t))
        + math.sin(2 * anomaly) * (0.019993 - 0.000101 * t)
        + math.sin(3 * anomaly) * 0.000289
    )
    node = math.radians(125.04 - 1934.136 * t)
    apparent = longitude + math.radians(centre - 0.00569 - 0.00478 * math.sin(node))
    mean = 23 + (26 + (21.448 - t * (46.815 + t * (0.00059 - t * 0.001813))) / 60) / 60
    obliquity = math.radians(mean + 0.00256 * math.cos(node))
    declination = math.asin(math.sin(obliquity) * math.sin(apparent))
    y = math.tan(obliquity / 2) ** 2
    equation = (
        y * math.sin(2 * longitude)
        - 2 * eccentricity * math.sin(anomaly)
        + 4 * eccentricity * y * math.sin(anomaly) * math.cos(2 * longitude)
        - 0.5 * y * y * math.sin(4 * longitude)
        - 1.25 * eccentricity * eccentricity * math.sin(2 * anomaly)
    )
    return declination, 4 * math.degrees(equation)
