"""The rules of sessions: what is told, once, and when a session ends. Pure: no clock, no threads, no randomness.

``session`` mode has one session from the first frame to its end. ``continuous`` mode opens a session for each visit; what happens
between visits (a gap, a face record) belongs to the run itself, which then has a summary like any other session.
"""

from __future__ import annotations

import copy
import hashlib
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Literal

from streamproc.core.classes import STILL_CLASSES
from streamproc.core.event import Event, EventType, RegionHit
from streamproc.core.media import FragmentMark, Gap, Moment, rfc3339
from streamproc.core.vision import Box
from streamproc.logic.attention import EVERYTHING, OpenNews
from streamproc.logic.session_record import OpenGap, SessionRecord


@dataclass(frozen=True, slots=True)
class SessionRules:
    """What a processor's document says about its sessions."""

    mode: Literal["session", "continuous"] = "session"
    duration: Fraction | None = None
    """Longest media time of a session; None: no limit. Not used in continuous mode."""
    gone_after: Fraction = Fraction(10)
    """continuous: out of view for so long means gone."""
    classes: tuple[str, ...] = ()
    """Classes that the summary counts even when none was seen."""


@dataclass(frozen=True, slots=True)
class Place:
    """The frame that is being looked at."""

    at: Moment
    fragment: FragmentMark | None = None
    offset: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class Sighting:
    """Something in view that could be announced: a track of a class, or a face that was decided on."""

    kind: EventType
    """LABEL_DETECTED, FACE_MATCHED or FACE_UNKNOWN."""
    name: str
    """The class; the person; the track of an unknown face."""
    confidence: float
    box: Box
    region: RegionHit | None
    ready: bool
    """Sure enough to be announced. Not ready: only keeps what was announced before in view."""
    data: Mapping[str, Any] = field(default_factory=dict)
    pictures: bool = True
    """Whether pictures of it may be kept."""

    @property
    def key(self) -> str:
        """What is announced once per session."""
        return self.name if self.kind is EventType.LABEL_DETECTED else f"{self.kind.value}:{self.name}"


def session_id(run: str, number: int) -> str:
    """The id of the run's session ``number`` (the first is 0): a UUID, the same whenever the run is."""
    return str(uuid.UUID(bytes=hashlib.sha256(f"{run}/{number}".encode()).digest()[:16], version=4))


@dataclass(frozen=True, slots=True)
class SessionsState:
    """Everything that a session machine knows beside its rules."""

    run: str
    over: bool
    last: Moment | None
    account: SessionRecord | None
    between: SessionRecord | None
    visits: int
    seen: dict[str, Fraction]
    absent: Fraction
    gap: OpenGap | None


class Sessions:
    """The session machine of one run of a processor.

    The lane calls ``frame`` for every frame that is looked at, ``gap`` when the feed was interrupted, and ``end`` once. All return
    the events that this causes, in order. ``over`` is set when nothing more will come.
    """

    def __init__(self, processor: str, rules: SessionRules, run: str) -> None:
        self.processor = processor
        self.rules = rules
        self.run = run
        self.over = False
        self.last: Moment | None = None
        self._account: SessionRecord | None = None
        self._between: SessionRecord | None = None
        self._visits = 0
        self._seen: dict[str, Fraction] = {}
        """continuous: when each announced thing was in view last, by a clock that stands still in gaps."""
        self._gap: OpenGap | None = None
        self._absent = Fraction(0)
        """Media time spent in gaps so far; the difference is the clock of ``_seen``."""

    @property
    def session(self) -> str:
        """The id of the open session; between visits, the run's own."""
        if self._account is not None:
            return self._account.session
        return session_id(self.run, 0) if self.rules.mode == "session" else self.run

    @property
    def announced(self) -> Mapping[str, str]:
        """What the open session has announced, and when."""
        return dict(self._account.announced) if self._account else {}

    @property
    def in_view(self) -> tuple[str, ...]:
        """Keys announced and not gone; in session mode nothing goes. While the feed is interrupted between visits everything counts as gone."""
        if self.rules.mode == "session":
            return tuple(self.announced)
        return () if self._account is None and self._gap is not None else tuple(self._seen)

    @property
    def counts(self) -> Mapping[str, int]:
        return dict(self._account.counts) if self._account else {}

    @property
    def opened(self) -> Moment | None:
        return self._account.opened if self._account else None

    @property
    def in_gap(self) -> bool:
        return self._gap is not None

    @property
    def news(self) -> OpenNews:
        """What could still be told of the rules' classes."""
        classes = frozenset(self.rules.classes)
        if self._account is None:
            return EVERYTHING
        if self.rules.mode == "session":
            return OpenNews(not classes <= self._account.announced.keys())
        return OpenNews(not classes <= self._seen.keys(), classes, self.rules.gone_after)

    def frame(self, place: Place, sightings: Iterable[Sighting] = ()) -> list[Event]:
        """A frame was looked at."""
        if self.over:
            return []
        at = place.at
        events: list[Event] = []
        if self.rules.mode == "session":
            account = self._open_session(at)
            limit = self._limit(account)
            if limit is not None and at.media >= limit.media:
                return self.end("duration", limit)
        events += self._close_gap(at)
        self.last = at
        present = list(sightings)
        if self.rules.mode == "continuous":
            events += self._close_gone(at, present)
        for sighting in present:
            events += self._announce(sighting, place)
        if self.rules.mode == "continuous":
            self._remember(at, present)
        return events

    def record(self, place: Place, data: Mapping[str, Any], kind: EventType = EventType.FACE_RECORD) -> list[Event]:
        """A face search record of this frame, or a condition of the camera: what opens no visit."""
        if self.over:
            return []
        if self.rules.mode == "session":
            self._open_session(place.at)
        event = self._current(place.at).event(self.processor, kind, place.at, data)
        return [replace(event, fragment=place.fragment, offset_s=float(place.offset))]

    def gap(self, gap: Gap) -> None:
        """The feed was interrupted. Several in a row are one."""
        if self.over:
            return
        if self._gap is None:
            self._gap = OpenGap(gap.reason.value, gap.at, gap.detail)
        else:
            self._gap.detail = gap.detail or self._gap.detail

    def silent_until(self) -> Fraction | None:
        """How many seconds the feed may be silent from ``last`` on before ``silence`` is due; None: for ever."""
        if self.rules.mode == "session":
            if self.rules.duration is None:
                return None
            if self._account is None or self.last is None:
                return self.rules.duration
            return self._account.opened.media + self.rules.duration - self.last.media
        return self.rules.gone_after if self._account is not None else None

    def silence(self, now: Moment) -> list[Event]:
        """The feed was silent for longer than ``silent_until`` allows: a dead feed does not keep a session open."""
        if self.over:
            return []
        if self.rules.mode == "session":
            account = self._open_session(now)
            return self.end("duration", self._limit(account) or now)
        events = self._close_gap(now, still_open=True) if self._gap else []
        return events + self._close_visit(now, "source_lost")

    def end(self, reason: str, at: Moment | None = None) -> list[Event]:
        """Nothing more will come: Stop, the end of the source, a failure, or the duration is used up."""
        if self.over:
            return []
        self.over = True
        at = at or self.last
        if at is None:
            return []
        if self.rules.mode == "session":
            self._open_session(at)
        events = self._close_gap(at) if self._gap else []
        for account in (self._account, self._between):
            if account is not None:
                events.append(self._summary(account, at, reason))
        self._account = self._between = None
        return events

    # -- state

    def snapshot(self) -> SessionsState:
        """Its state, a value of its own; with the rules it is all there is to know."""
        return copy.deepcopy(
            SessionsState(
                self.run,
                self.over,
                self.last,
                self._account,
                self._between,
                self._visits,
                self._seen,
                self._absent,
                self._gap,
            )
        )

    @classmethod
    def restore(cls, processor: str, rules: SessionRules, state: SessionsState) -> Sessions:
        """The machine as it was when ``state`` was taken."""
        self = cls(processor, rules, state.run)
        kept = copy.deepcopy(state)
        self.over, self.last = kept.over, kept.last
        self._account, self._between, self._visits = kept.account, kept.between, kept.visits
        self._seen, self._absent, self._gap = kept.seen, kept.absent, kept.gap
        return self

    # -- inside

    def _limit(self, account: SessionRecord) -> Moment | None:
        if self.rules.duration is None:
            return None
        return account.opened.after(self.rules.duration)

    def _new_account(self, session: str, at: Moment) -> SessionRecord:
        return SessionRecord(session, at, counts=dict.fromkeys(self.rules.classes, 0))

    def _open_session(self, at: Moment) -> SessionRecord:
        """session mode: the one session there is."""
        if self._account is None:
            self._account = self._new_account(session_id(self.run, 0), at)
        return self._account

    def _current(self, at: Moment) -> SessionRecord:
        """Whom an event belongs to that opens no visit."""
        if self._account is not None:
            return self._account
        if self._between is None:
            self._between = self._new_account(self.run, at)
        return self._between

    def _close_gap(self, at: Moment, still_open: bool = False) -> list[Event]:
        gap = self._gap
        if gap is None:
            return []
        event = self._current(gap.at).close_gap(self.processor, gap, at)
        if at.media > gap.at.media:
            self._absent += at.media - gap.at.media
        self._gap = OpenGap(gap.reason, at, gap.detail) if still_open else None
        return [event]

    def _announce(self, sighting: Sighting, place: Place) -> list[Event]:
        if not sighting.ready or sighting.key in self._seen:
            return []
        if self._account is None:
            self._account = self._new_account(session_id(self.run, self._visits), place.at)
            self._visits += 1
        account = self._account
        if sighting.key in account.announced:
            return []
        account.announced[sighting.key] = rfc3339(place.at.wall)
        self._count(account, sighting)
        named = sighting.kind is EventType.FACE_MATCHED
        event = account.event(self.processor, sighting.kind, place.at, sighting.data)
        return [
            replace(
                event,
                label=sighting.name if sighting.kind is EventType.LABEL_DETECTED else None,
                person=sighting.name if named else None,
                confidence=sighting.confidence,
                box=sighting.box,
                region=sighting.region,
                fragment=place.fragment,
                offset_s=float(place.offset),
                has_pictures=sighting.pictures,
            )
        ]

    @staticmethod
    def _count(account: SessionRecord, sighting: Sighting) -> None:
        if sighting.kind is EventType.LABEL_DETECTED:
            account.counts[sighting.name] = account.counts.get(sighting.name, 0) + 1
        elif sighting.kind is EventType.FACE_MATCHED:
            account.persons.append(sighting.name)
        else:
            account.unknown_faces += 1
        if sighting.region is not None and sighting.region.name is not None:
            account.regions[sighting.region.name] = account.regions.get(sighting.region.name, 0) + 1

    # -- continuous mode

    def _clock(self, at: Moment) -> Fraction:
        return at.media - self._absent

    def _close_gone(self, at: Moment, present: list[Sighting]) -> list[Event]:
        """Forget what has been gone for long enough; end the visit that it belonged to."""
        now = self._clock(at)
        gone = {key for key, seen in self._seen.items() if now - seen >= self.rules.gone_after}
        for key in gone:
            del self._seen[key]
        account = self._account
        if account is None:
            return []
        returning = {item.key for item in present if item.ready and item.key not in self._seen}
        if returning & account.announced.keys():
            return self._close_visit(at, "returned")
        if all(self._left(key, at) for key in account.announced):
            return self._close_visit(at, "gone")
        return []

    def _left(self, key: str, at: Moment) -> bool:
        """Does ``key`` no longer keep the visit open? What stays where it was put does so only for ``gone_after``."""
        if key not in self._seen:
            return True
        account = self._account
        return key in STILL_CLASSES and account is not None and at.media - account.opened.media >= self.rules.gone_after

    def _remember(self, at: Moment, present: list[Sighting]) -> None:
        now = self._clock(at)
        for sighting in present:
            if sighting.key in self._seen or (self._account is not None and sighting.key in self._account.announced):
                self._seen[sighting.key] = now

    def _close_visit(self, at: Moment, reason: str) -> list[Event]:
        account, self._account = self._account, None
        return [] if account is None else [self._summary(account, at, reason)]

    def _summary(self, account: SessionRecord, at: Moment, reason: str) -> Event:
        return account.event(self.processor, EventType.SESSION_COMPLETE, at, account.summary(at, reason, self.last))
