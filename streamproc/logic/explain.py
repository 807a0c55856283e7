"""Explanation of a span of time: what was announced, and what kept everything else from it. Pure: records in, a document out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from typing import Any

from streamproc.core.decisions import Aspect, Candidate, ConditionRecord, Fate, FrameRecord, Gate, Record, Refusal
from streamproc.core.media import rfc3339
from streamproc.core.vision import Box
from streamproc.logic.explain_words import Speaker, Wanted, nothing_found
from streamproc.logic.masked import Mask, blamed
from streamproc.logic.motion import MotionPolicy

_MOST = 60
"""Candidates of one answer."""
_REACH = {
    gate: place
    for place, gate in enumerate(
        (
            Gate.MOTION,
            Gate.CAPACITY,
            Gate.DETECTOR,
            Gate.MASK,
            Gate.EVIDENCE,
            Gate.SCORE,
            Gate.REGION,
            Gate.SCHEDULE,
            Gate.ANNOUNCED,
        )
    )
}
"""How near to being announced a candidate came, by the gate that refused it."""
_NO_BOX = Box(0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Trace:
    """Records of a span, and what held when it began."""

    before: Mapping[Aspect, ConditionRecord]
    """The last condition of each aspect that began before the span."""
    records: Sequence[Record]
    """Those within the span, in order of time."""

    @classmethod
    def cut(
        cls, earlier: Sequence[ConditionRecord], records: Sequence[Record], start: datetime, end: datetime
    ) -> Trace:
        """Out of records of a wider span. ``earlier``: conditions that held before the first of them."""
        before = {each.aspect: each for each in earlier if each.at < start}
        inside: list[Record] = []
        for record in sorted(records, key=lambda each: each.at):
            if record.at < start:
                if isinstance(record, ConditionRecord):
                    before[record.aspect] = record
            elif record.at <= end:
                inside.append(record)
        return cls(before, inside)

    @property
    def frames(self) -> list[FrameRecord]:
        return [record for record in self.records if isinstance(record, FrameRecord)]

    def held(self, aspect: Aspect) -> list[ConditionRecord]:
        """The conditions of one aspect that held at some instant of the span, in order."""
        inside = [each for each in self.records if isinstance(each, ConditionRecord) and each.aspect is aspect]
        first = self.before.get(aspect)
        return [first, *inside] if first is not None else inside


@dataclass(frozen=True, slots=True)
class _Found:
    """One candidate with one outcome: of all frames with that outcome the one in which it came nearest to being announced."""

    at: datetime
    candidate: Candidate
    frames: int = 1


@dataclass(frozen=True, slots=True)
class Span:
    """What is asked about."""

    processor: str
    start: datetime
    end: datetime
    zone: tzinfo | None = None
    """In whose time the sentences speak; None: UTC."""
    wanted: Wanted = field(default_factory=Wanted)
    """What the processor's document looks for."""


def explain(span: Span, trace: Trace) -> dict[str, Any]:
    """The answer of ``streamproc explain``: JSON-ready, its keys are fixed (docs/explain.md)."""
    frames = trace.frames
    speaker = Speaker(span.zone, span.wanted)
    found = _grouped(frames, span.wanted.masks) or _without_candidates(frames, trace)
    return {
        "processor": span.processor,
        "from": rfc3339(span.start),
        "to": rfc3339(span.end),
        "frames": {
            "decoded": sum(frame.decoded for frame in frames),
            "analysed": sum(frame.fate is Fate.ANALYSED for frame in frames),
            "gated": sum(frame.fate is Fate.GATED for frame in frames),
            "dropped": sum(frame.dropped for frame in frames),
        },
        "candidates": [_entry(each, speaker) for each in found],
        "text": _whole(span, trace, found, speaker),
    }


def _grouped(frames: Sequence[FrameRecord], masks: Sequence[Mask]) -> list[_Found]:
    best: dict[tuple[Any, ...], _Found] = {}
    for frame in frames:
        for candidate in frame.candidates:
            candidate = blamed(candidate, masks)
            key = _key(candidate)
            known = best.get(key)
            if known is None:
                best[key] = _Found(frame.at, candidate)
            elif _nearness(candidate) > _nearness(known.candidate):
                best[key] = _Found(frame.at, candidate, known.frames + 1)
            else:
                best[key] = replace(known, frames=known.frames + 1)
    ranked = sorted(best.values(), key=lambda each: _rank(each.candidate), reverse=True)[:_MOST]
    return sorted(ranked, key=lambda each: each.at)


def _key(candidate: Candidate) -> tuple[Any, ...]:
    refusal = candidate.refusal
    why = (refusal.gate, refusal.kind, refusal.detail) if refusal is not None else ()
    return (candidate.track, candidate.label, candidate.person, *why)


def _nearness(candidate: Candidate) -> float:
    refusal = candidate.refusal
    if refusal is None or refusal.measured is None:
        return 0.0 if refusal is None else candidate.score / 100
    return refusal.measured


def _rank(candidate: Candidate) -> tuple[int, float]:
    refusal = candidate.refusal
    return (len(_REACH), 0.0) if refusal is None else (_REACH[refusal.gate], candidate.score)


def _without_candidates(frames: Sequence[FrameRecord], trace: Trace) -> list[_Found]:
    """Where no frame had a candidate: what kept the models from looking, as one entry without a class."""
    looked = any(frame.fate is Fate.ANALYSED for frame in frames)
    gated = [frame for frame in frames if frame.fate is Fate.GATED]
    dropped = [frame for frame in frames if frame.fate is Fate.DROPPED]
    resting = [frame for frame in frames if frame.fate is Fate.RESTING]
    asleep = [each for each in trace.held(Aspect.FEED) if each.value == "asleep"]
    if resting:
        return [_nobody(resting[0].at, Refusal(Gate.SCHEDULE))]
    if dropped and not looked and not gated:
        count = float(sum(frame.dropped for frame in dropped))
        return [_nobody(dropped[0].at, Refusal(Gate.CAPACITY, dropped[0].reason, count, 0.0))]
    if gated:
        most = max(gated, key=lambda frame: frame.motion or 0.0)
        kind = "asleep" if asleep else ""
        return [_nobody(most.at, Refusal(Gate.MOTION, kind, most.motion, MotionPolicy().min_share))]
    if asleep and not frames:
        return [_nobody(asleep[-1].at, Refusal(Gate.CAPACITY, "asleep"))]
    return []


def _nobody(at: datetime, refusal: Refusal) -> _Found:
    return _Found(at, Candidate(0, "", 0.0, _NO_BOX, refusal))


def _entry(found: _Found, speaker: Speaker) -> dict[str, Any]:
    candidate, refusal = found.candidate, found.candidate.refusal
    real = bool(candidate.label)
    entry: dict[str, Any] = {
        "at": rfc3339(found.at),
        "track": candidate.track or None,
        "class": candidate.label or None,
        "score": round(candidate.score, 1) if real else None,
        "box": [round(value, 3) for value in candidate.box] if real else None,
        "outcome": "announced" if refusal is None else "refused",
        "gate": refusal.gate.value if refusal is not None else None,
        "measured": _rounded(refusal.measured) if refusal is not None else None,
        "threshold": _rounded(refusal.threshold) if refusal is not None else None,
        "text": speaker.candidate(candidate),
        "frames": found.frames,
    }
    if candidate.person:
        entry["person"] = candidate.person
    if refusal is not None and refusal.detail:
        entry["detail"] = refusal.detail
    return entry


def _whole(span: Span, trace: Trace, found: Sequence[_Found], speaker: Speaker) -> str:
    announced = [each for each in found if each.candidate.refusal is None]
    if announced:
        told = [f"{speaker.name(each.candidate)} at {speaker.time(each.at)}" for each in announced]
        return f"Announced: {', '.join(told)}."
    words = [f"Nothing was announced between {speaker.time(span.start)} and {speaker.time(span.end)}."]
    real = [each for each in found if each.candidate.label]
    if real:
        nearest = max(real, key=lambda each: _rank(each.candidate))
        words.append(speaker.candidate(nearest.candidate))
        others = len({(each.candidate.track, each.candidate.label) for each in real}) - 1
        if others > 0:
            words.append(f"{others} other candidate{'s' if others > 1 else ''} came less far.")
    elif found and found[0].candidate.refusal is not None and not _interrupted(trace):
        words.append(speaker.candidate(found[0].candidate))
    else:
        words.append(nothing_found(trace.frames, trace.held(Aspect.FEED), speaker))
    words += speaker.conditions(trace.frames, trace.held(Aspect.FEED), trace.held(Aspect.EASED))
    return " ".join(words)


def _interrupted(trace: Trace) -> bool:
    held = trace.held(Aspect.FEED)
    return bool(held) and held[-1].value in ("gap", "over") and not trace.frames


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6 if value < 0.01 else 3)
