"""Sentences of an explanation: one for each candidate, and those about the span as a whole. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from streamproc.core.decisions import FACE, Candidate, ConditionRecord, Fate, FrameRecord, Gate, Refusal
from streamproc.logic.masked import Mask


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a processor's document looks for, as far as sentences speak of it."""

    classes: tuple[str, ...] = ()
    continuous: bool = False
    """Each visit has its own session, so what was announced is announced again after it was gone."""
    masks: tuple[Mask, ...] = ()
    """Its privacy masks."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """Says what happened, in one time zone."""

    zone: tzinfo | None
    """None: UTC."""
    wanted: Wanted

    def time(self, instant: datetime) -> str:
        """``21:14:03``; with ``Z`` in UTC."""
        return instant.astimezone(self.zone or UTC).strftime("%H:%M:%S") + ("" if self.zone is not None else "Z")

    def name(self, candidate: Candidate) -> str:
        """``PERSON (87.2 %)``."""
        if candidate.label == FACE:
            return f"the face of {candidate.person} ({candidate.score:.1f} %)" if candidate.person else "a face"
        return f"{candidate.label} ({candidate.score:.1f} %)"

    def candidate(self, candidate: Candidate) -> str:
        """What became of one candidate and why."""
        if candidate.refusal is None:
            return f"{_capital(self.name(candidate))} was announced."
        return _SENTENCES[candidate.refusal.gate](self, candidate, candidate.refusal)

    def conditions(
        self, frames: Sequence[FrameRecord], feed: Sequence[ConditionRecord], eased: Sequence[ConditionRecord]
    ) -> list[str]:
        """Sentences about what else limited the span: dropped frames, lowered quality, an interruption, masks."""
        words = []
        dropped = sum(frame.dropped for frame in frames)
        if dropped and any(frame.fate is not Fate.DROPPED for frame in frames):
            words.append(f"{dropped} due frame{_s(dropped)} of the span {_were(dropped)} dropped for want of capacity.")
        steps = list(dict.fromkeys(each.value for each in eased if each.value))
        if steps:
            words.append(f"The node had too much to do and had given up: {'; '.join(steps)} (docs/performance.md).")
        if frames and any(each.value == "gap" for each in feed):
            words.append("The feed was interrupted for a part of it.")
        if frames and self.wanted.masks:
            words.append(self.masks())
        return words

    def masks(self) -> str:
        """A sentence about the masks; empty where there are none."""
        if not self.wanted.masks:
            return ""
        named = ", ".join(name for name, _ in self.wanted.masks if name)
        return f"What is behind the masks{f' ({named})' if named else ''} is never seen."

    # -- one sentence a gate

    def _motion(self, candidate: Candidate, refusal: Refusal) -> str:
        measured, needed = refusal.measured, refusal.threshold or 0.0
        size = (
            ""
            if measured is None
            else f": at most {measured:.3%} of the picture changed, {needed:.3%} in one place is needed"
        )
        sleeps = " The camera was asleep (idle mode): only its keyframes were looked at." if refusal.kind else ""
        return f"Nothing moved{size}, so no model looked.{sleeps}"

    def _detector(self, candidate: Candidate, refusal: Refusal) -> str:
        if refusal.kind == "class":
            asked = ", ".join(self.wanted.classes)
            looks_for = f"; this processor looks for {asked}" if asked else ""
            return f"{self.name(candidate)} was seen, but this class is not asked for{looks_for} (labels.classes)."
        return (
            f"Something like {candidate.label} was too faint to count: "
            f"{_percent(refusal.measured)} sure, {_percent(refusal.threshold)} is needed."
        )

    def _score(self, candidate: Candidate, refusal: Refusal) -> str:
        measured, needed = refusal.measured or 0.0, refusal.threshold or 0.0
        if refusal.kind == "similarity":
            return (
                f"A face resembled nobody of the collection enough: similarity {measured:.1f}, "
                f"{needed - measured:.1f} below the {needed:g} that is needed (faces.threshold)."
            )
        return (
            f"{candidate.label} was {measured:.1f} % sure, {needed - measured:.1f} below the {needed:g} % "
            "that is asked for (labels.min_confidence)."
        )

    def _evidence(self, candidate: Candidate, refusal: Refusal) -> str:
        who = "A face" if candidate.label == FACE else candidate.label
        if refusal.kind == "samples":
            setting = "" if candidate.label == FACE else " (labels.evidence.samples)"
            return f"{who} had {refusal.measured:g} of the {refusal.threshold:g} looks that must speak for it{setting}."
        if refusal.kind == "unseen":
            return f"{who} was followed, but not seen in this frame: its place was predicted."
        return f"{who} was not settled: the evidence spoke for something else as well."

    def _region(self, candidate: Candidate, refusal: Refusal) -> str:
        who = _capital(self.name(candidate))
        overlap = _percent(None if refusal.measured is None else 100 * refusal.measured)
        match refusal.kind:
            case "overlap":
                needed = _percent(100 * (refusal.threshold or 0.0))
                return f"{who} was in no region: {overlap} of its box is inside {refusal.detail}, more than {needed} is needed."
            case "contain":
                return f"{who} was in no region: {overlap} of its box is inside {refusal.detail}, all of it is needed."
            case "intersect":
                return f"{who} was in no region: its box does not touch {refusal.detail}."
            case "feet" | "centre":
                part = "the middle of its lower edge" if refusal.kind == "feet" else "the middle of its box"
                return (
                    f"{who} was in no region: {part} is outside of {refusal.detail} ({overlap} of the box is inside)."
                )
        return f"{who} was outside of the picture."

    def _announced(self, candidate: Candidate, refusal: Refusal) -> str:
        when = f", at {self.time(datetime.fromisoformat(refusal.detail))}" if refusal.detail else ""
        who, what = ("This person", "a person") if candidate.label == FACE else (candidate.label, "a class")
        rule = "it has not been gone since" if self.wanted.continuous else f"{what} is announced once a session"
        return f"{who} was announced already{when}: {rule}."

    def _schedule(self, candidate: Candidate, refusal: Refusal) -> str:
        if refusal.detail:
            return f"{_capital(self.name(candidate))} was in {refusal.detail}, outside of that region's schedule."
        return "It was outside of the processor's schedule, or it was paused: nothing is announced then."

    def _mask(self, candidate: Candidate, refusal: Refusal) -> str:
        who, mask = _capital(self.name(candidate)), f"the mask {refusal.detail}" if refusal.detail else "a mask"
        if refusal.kind == "cut":
            return f"{who} was not seen well enough: it ends where {mask} begins, so the rest of it may be behind that."
        covered = _percent(None if refusal.measured is None else 100 * refusal.measured)
        return f"{who} was not seen well enough: {covered} of it is behind {mask}."

    def _capacity(self, candidate: Candidate, refusal: Refusal) -> str:
        if refusal.kind == "asleep":
            return "The camera was asleep (idle mode): no keyframe fell into the span, and its packets told of nothing new."
        count = round(refusal.measured or 0)
        return f"All {count} due frame{_s(count)} {_were(count)} dropped: the node had too much to do ({refusal.kind})."


_SENTENCES: dict[Gate, Callable[[Speaker, Candidate, Refusal], str]] = {
    Gate.MOTION: Speaker._motion,
    Gate.DETECTOR: Speaker._detector,
    Gate.SCORE: Speaker._score,
    Gate.EVIDENCE: Speaker._evidence,
    Gate.REGION: Speaker._region,
    Gate.ANNOUNCED: Speaker._announced,
    Gate.SCHEDULE: Speaker._schedule,
    Gate.MASK: Speaker._mask,
    Gate.CAPACITY: Speaker._capacity,
}


def nothing_found(frames: Sequence[FrameRecord], feed: Sequence[ConditionRecord], speaker: Speaker) -> str:
    """Why there is no candidate at all."""
    last = feed[-1] if feed else None
    if frames:
        analysed = sum(frame.fate is Fate.ANALYSED for frame in frames)
        asked = ", ".join(speaker.wanted.classes) or "what is asked for"
        return f"The models looked at {analysed} frame{_s(analysed)} and found nothing like {asked}."
    if last is None:
        return "Nothing is known of that time: the processor was not running, or its trace has been overwritten."
    if last.value == "over":
        return f"The processor was not running: its session had ended at {speaker.time(last.at)}."
    if last.value == "gap":
        why = f" ({last.detail})" if last.detail else ""
        return f"The camera was offline: the feed was interrupted from {speaker.time(last.at)} on{why}."
    return "The feed gave no frame that was due."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _percent(value: float | None) -> str:
    return "an unknown share" if value is None else f"{value:.0f} %"


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
