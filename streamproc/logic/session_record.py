"""The account of one session: what was told, the gaps, and the summary. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from streamproc.core.event import Event, EventType
from streamproc.core.media import Moment, rfc3339
from streamproc.logic.sighting import Place, Sighting


def seconds(value: Fraction) -> float:
    """A duration for people and JSON: milliseconds are exact enough, and stable from run to run."""
    return round(float(value), 3)


@dataclass(slots=True)
class OpenGap:
    """An interruption that has not ended yet."""

    reason: str
    at: Moment
    detail: str = ""


@dataclass(slots=True)
class SessionRecord:
    """One session: its id, its sequence of events, what was announced, its gaps."""

    session: str
    opened: Moment
    sequence: int = 0
    announced: dict[str, str] = field(default_factory=dict)
    """What was announced (``PERSON``, ``face:alice``) and when, RFC 3339."""
    counts: dict[str, int] = field(default_factory=dict)
    """Announcements by class."""
    persons: list[str] = field(default_factory=list)
    """Known people that were announced."""
    unknown_faces: int = 0
    regions: dict[str, int] = field(default_factory=dict)
    """Announcements by region."""
    gaps: list[dict[str, Any]] = field(default_factory=list)
    lost: Fraction = Fraction(0)
    """Media time that fell into gaps."""

    def event(self, processor: str, kind: EventType, at: Moment, data: Mapping[str, Any] | None = None) -> Event:
        """The next event of the session."""
        number = self.sequence
        self.sequence += 1
        return Event(kind, processor, self.session, number, at, data=data or {})

    def announce(self, processor: str, sighting: Sighting, place: Place) -> Event:
        """The event that tells of ``sighting``; it is counted."""
        self.announced[sighting.key] = rfc3339(place.at.wall)
        self._count(sighting)
        return replace(
            self.event(processor, sighting.kind, place.at, sighting.data),
            label=sighting.name if sighting.kind is EventType.LABEL_DETECTED else None,
            person=sighting.name if sighting.kind is EventType.FACE_MATCHED else None,
            confidence=sighting.confidence,
            box=sighting.box,
            region=sighting.region,
            fragment=place.fragment,
            offset_s=float(place.offset),
            has_pictures=sighting.pictures,
        )

    def _count(self, sighting: Sighting) -> None:
        if sighting.kind is EventType.LABEL_DETECTED:
            self.counts[sighting.name] = self.counts.get(sighting.name, 0) + 1
        elif sighting.kind is EventType.FACE_MATCHED:
            self.persons.append(sighting.name)
        else:
            self.unknown_faces += 1
        if sighting.region is not None and sighting.region.name is not None:
            self.regions[sighting.region.name] = self.regions.get(sighting.region.name, 0) + 1

    def close_gap(self, processor: str, gap: OpenGap, at: Moment, back: bool) -> Event:
        """The feed is back, or the session ends without it: the gap's length is known."""
        length = max(Fraction(0), at.media - max(gap.at, self.opened, key=lambda moment: moment.media).media)
        self.lost += length
        entry = {"reason": gap.reason, "seconds": seconds(length), "media_time_s": seconds(gap.at.media)}
        self.gaps.append(entry)
        data = {"reason": gap.reason, "seconds": seconds(length), "detail": gap.detail} | (
            {} if back else {"over": False}
        )
        return self.event(processor, EventType.SOURCE_GAP, at, data)

    def _unseen(self, at: Moment, reason: str, last: Moment | None) -> Fraction:
        """Media time behind the last frame, where the session's time ran out while nothing came and no gap says so."""
        if reason != "duration":
            return Fraction(0)
        seen = self.opened.media if last is None else max(last.media, self.opened.media)
        told = self.gaps and self.gaps[-1]["media_time_s"] + self.gaps[-1]["seconds"] >= seconds(at.media) - 0.001
        return Fraction(0) if told else max(Fraction(0), at.media - seen)

    def summary(self, at: Moment, reason: str, last: Moment | None = None) -> dict[str, Any]:
        """What the session's last event says. ``last``: the last frame."""
        whole = max(Fraction(0), at.media - self.opened.media)
        told = sum(self.counts.values()) + len(self.persons) + self.unknown_faces
        return {
            "reason": reason,
            "counts": dict(self.counts),
            "persons": list(self.persons),
            "unknown_faces": self.unknown_faces,
            "regions": dict(self.regions),
            "started": rfc3339(self.opened.wall),
            "duration_s": seconds(whole),
            "processed_s": seconds(max(Fraction(0), whole - self.lost - self._unseen(at, reason, last))),
            "gaps": list(self.gaps),
            "gap_s": seconds(self.lost),
            "message": f"{told} notification{'' if told == 1 else 's'} in {seconds(whole):g} s; ended: {reason}",
        }
