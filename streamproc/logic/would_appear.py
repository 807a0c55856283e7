"""What was refused for being in no region, and would be in one with other regions. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from streamproc.core.decisions import Candidate, FrameRecord, Gate, Record
from streamproc.core.event import RegionHit
from streamproc.logic.regions import RegionMap

_SAME_FOR_S = 600.0
"""Tracks are numbered anew with each run: one of the same number later than this is somebody else."""


@dataclass(frozen=True, slots=True)
class Appearance:
    """The first frame in which a track would have been inside."""

    at: datetime
    candidate: Candidate
    hit: RegionHit


def would_appear(records: Iterable[Record], regions: RegionMap, most: int = 200) -> list[Appearance]:
    """One a track, newest first. A track that is announced later is an event and not among them."""
    found: dict[tuple[int, str], Appearance] = {}
    told: set[tuple[int, str]] = set()
    done: list[Appearance] = []
    for record in records:
        for candidate in record.candidates if isinstance(record, FrameRecord) else ():
            key = (candidate.track, candidate.label)
            refusal = candidate.refusal
            if refusal is None or refusal.gate is Gate.ANNOUNCED:
                told.add(key)
                continue
            known = found.get(key)
            if known is not None and (record.at - known.at).total_seconds() > _SAME_FOR_S:
                done += [known] if key not in told else []
                told.discard(key)
                del found[key]
                known = None
            if known is None and refusal.gate is Gate.REGION and (hit := regions.best(candidate.box)) is not None:
                found[key] = Appearance(record.at, candidate, hit)
    done += [each for key, each in found.items() if key not in told]
    return sorted(done, key=lambda each: each.at, reverse=True)[:most]
