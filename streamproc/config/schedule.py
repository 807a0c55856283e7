"""How a document says when a processor or a region is active."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from streamproc.config.base import Settings, wrong
from streamproc.logic.redact import echo
from streamproc.logic.schedule import Schedule, parse_entry
from streamproc.logic.sun import Place


class ScheduleSettings(Settings):
    """Active while any of the entries is; outside of all nothing is announced."""

    timezone: str
    """Whose clock it is: Europe/Berlin, America/New_York, UTC..."""
    location: tuple[Annotated[float, Field(ge=-90, le=90)], Annotated[float, Field(ge=-180, le=180)]] | None = None
    """[latitude, longitude] in degrees north and east, for sunrise and sunset; nobody is asked."""
    active: tuple[str, ...] = Field(min_length=1)
    """"mon-fri 18:00-06:30", "sat-sun", "sunset-30m..sunrise+15m": weekdays, times, or both."""

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"there is no time zone {echo(value)}; write one such as Europe/Berlin or UTC") from None
        return value

    @field_validator("active")
    @classmethod
    def _readable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            parse_entry(text)
        return value

    @model_validator(mode="after")
    def _a_place_for_the_sun(self) -> ScheduleSettings:
        if self.location is None and any(parse_entry(text).needs_place for text in self.active):
            raise wrong("location", "missing; sunrise and sunset need location: [LATITUDE, LONGITUDE]")
        return self

    def schedule(self) -> Schedule:
        place = Place(*self.location) if self.location is not None else None
        return Schedule(tuple(parse_entry(text) for text in self.active), ZoneInfo(self.timezone), place)
