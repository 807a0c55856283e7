"""The rules of sessions: what is told, once, and when a session ends. Pure: no clock, no threads, no randomness.

``session`` mode has one session from the first frame to its end. ``continuous`` mode opens a session for each visit; what happens
between visits (a gap, a face record) belongs to the run itself, which then has a summary like any other session.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal

from streamproc.core.event import Event, EventType
from streamproc.core.media import Gap, Moment
from streamproc.logic.attention import EVERYTHING, OpenNews
from streamproc.logic.presence import Presence
from streamproc.logic.session_record import OpenGap, SessionRecord
from streamproc.logic.session_records import SessionRecords
from streamproc.logic.sighting import Place, Sighting


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

    def ends(self, opened: Moment) -> Moment | None:
        """When a session that began then has used up its duration; None: it has none, as visits have none."""
        if self.mode == "continuous" or self.duration is None:
            return None
        return opened.after(self.duration)


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
        self._rules = rules
        self.run = run
        self.over = False
        self.last: Moment | None = None
        self._records = SessionRecords(run, rules.classes, single=rules.mode == "session")
        self._presence = Presence(rules.gone_after)
        """continuous: what keeps the visit open. Empty in session mode, where nothing goes."""
        self._gap: OpenGap | None = None

    @property
    def rules(self) -> SessionRules:
        """May be replaced between frames; the mode stays."""
        return self._rules

    @rules.setter
    def rules(self, rules: SessionRules) -> None:
        self._rules = rules
        self._presence.gone_after, self._records.classes = rules.gone_after, rules.classes

    @property
    def session(self) -> str:
        """The id of the open session; between visits, the run's own."""
        return self._records.session

    @property
    def announced(self) -> Mapping[str, str]:
        """What the open session has announced, and when."""
        return dict(self._records.open.announced) if self._records.open else {}

    @property
    def in_view(self) -> tuple[str, ...]:
        """Keys announced and not gone; in session mode nothing goes. What was in view as a feed was interrupted counts as gone when that ended
        the visit, until it is seen again."""
        if self.rules.mode == "session":
            return tuple(self.announced)
        nobody = self.over or (self._records.open is None and self._gap is not None)
        return () if nobody else self._presence.in_view

    @property
    def counts(self) -> Mapping[str, int]:
        return dict(self._records.open.counts) if self._records.open else {}

    @property
    def opened(self) -> Moment | None:
        return self._records.open.opened if self._records.open else None

    @property
    def in_gap(self) -> bool:
        return self._gap is not None

    @property
    def news(self) -> OpenNews:
        """What could still be told of the rules' classes."""
        classes, record = frozenset(self.rules.classes), self._records.open
        if record is None:
            return EVERYTHING
        if self.rules.mode == "session":
            return OpenNews(not classes <= record.announced.keys())
        return OpenNews(not classes <= self._presence.seen.keys(), classes, self.rules.gone_after)

    def frame(self, place: Place, sightings: Iterable[Sighting] = ()) -> list[Event]:
        """A frame was looked at."""
        if self.over:
            return []
        at = place.at
        record = self._records.at_work(at)
        limit = self.rules.ends(record.opened) if record is not None else None
        if limit is not None and at.media >= limit.media:
            self.last = limit  # the feed went on, however rarely it was looked at: what lies before is no silence
            return self.end("duration", limit)
        events = self._close_gap(at)
        self.last = at
        present = list(sightings)
        if self.rules.mode == "continuous":
            events += self._close_gone(at, present)
        for sighting in present:
            events += self._announce(sighting, place)
        if self.rules.mode == "continuous":
            self._presence.remember(at, present, self._records.open.announced if self._records.open else ())
        return events

    def record(self, place: Place, data: Mapping[str, Any], kind: EventType = EventType.FACE_RECORD) -> list[Event]:
        """A face search record of this frame, or a condition of the camera: what opens no visit."""
        if self.over:
            return []
        self._records.at_work(place.at)
        event = self._records.for_incident(place.at).event(self.processor, kind, place.at, data)
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
        record = self._records.open
        if self.rules.mode == "continuous":
            return self.rules.gone_after if record is not None else None
        if self.rules.duration is None or record is None or self.last is None:
            return self.rules.duration
        return record.opened.media + self.rules.duration - self.last.media

    def silence(self, now: Moment) -> list[Event]:
        """The feed was silent for longer than ``silent_until`` allows: a dead feed does not keep a session open."""
        if self.over:
            return []
        record = self._records.at_work(now)
        if record is not None and self.rules.mode == "session":
            return self.end("duration", self.rules.ends(record.opened) or now)
        events = self._close_gap(now, back=False) if self._gap else []
        return events + self._close_visit(now, "source_lost")

    def end(self, reason: str, at: Moment | None = None) -> list[Event]:
        """Nothing more will come: Stop, the end of the source, a failure, or the duration is used up."""
        if self.over:
            return []
        self.over = True
        at = at or self.last
        if at is None:
            return []
        self._records.at_work(at)
        events = self._close_gap(at, back=False) if self._gap else []
        return [*events, *(self._summary(record, at, reason) for record in self._records.close_all())]

    # -- state

    def snapshot(self) -> SessionsState:
        """Its state, a value of its own; with the rules it is all there is to know."""
        records, presence = self._records, self._presence
        told = (records.open, records.between, records.visits)
        return copy.deepcopy(
            SessionsState(self.run, self.over, self.last, *told, presence.seen, presence.absent, self._gap)
        )

    @classmethod
    def restore(cls, processor: str, rules: SessionRules, state: SessionsState) -> Sessions:
        """The machine as it was when ``state`` was taken."""
        self = cls(processor, rules, state.run)
        kept = copy.deepcopy(state)
        self.over, self.last = kept.over, kept.last
        records = self._records
        records.open, records.between, records.visits = kept.account, kept.between, kept.visits
        self._presence = Presence(rules.gone_after, kept.seen, kept.absent)
        self._gap = kept.gap
        return self

    # -- inside

    def _close_gap(self, at: Moment, back: bool = True) -> list[Event]:
        gap = self._gap
        if gap is None:
            return []
        event = self._records.for_incident(gap.at).close_gap(self.processor, gap, at, back)
        self._presence.interrupted(at.media - gap.at.media, unseen=self._records.open is None)
        self._gap = None if back else OpenGap(gap.reason, at, gap.detail)
        return [event]

    def _announce(self, sighting: Sighting, place: Place) -> list[Event]:
        """Nothing where it is not sure, or has been told of already."""
        if not sighting.ready or sighting.key in self._presence.seen:
            return []
        record = self._records.for_news(place.at)
        return [] if sighting.key in record.announced else [record.announce(self.processor, sighting, place)]

    # -- continuous mode

    def _close_gone(self, at: Moment, present: list[Sighting]) -> list[Event]:
        """Forget what has been gone for long enough; end the visit that it belonged to."""
        self._presence.forget_gone(at)
        record = self._records.open
        reason = self._presence.visit_over(record, at, present) if record is not None else None
        return [] if reason is None else self._close_visit(at, reason)

    def _close_visit(self, at: Moment, reason: str) -> list[Event]:
        record = self._records.close()
        return [] if record is None else [self._summary(record, at, reason)]

    def _summary(self, record: SessionRecord, at: Moment, reason: str) -> Event:
        return record.event(self.processor, EventType.SESSION_COMPLETE, at, record.summary(at, reason, self.last))
