"""A stored-video job as records that the nodes of a cluster share: what was asked, how it stands, what it found and where it goes on.

Keys are ``JOB asked NODE``, ``JOB standing``, ``JOB cancel`` and ``JOB result PART``; in the topic of checkpoints ``RUN place PART``, ``JOB state
PART`` and ``JOB rows NUMBER PART``. What is larger than a message is written in parts; each part says how many there are.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from streamproc.core.errors import StateDamaged, StateVersionUnknown
from streamproc.store.jobs import SHARED, JobRow, Progress

VERSION = 1
PART_BYTES = 700_000
"""Brokers take 1 MB a message unless told otherwise."""
_PARTS = struct.Struct(">I")
_STANDING = (
    *("state", "message", "ended", "run", "frames", "expected", "facts", "bad_video", "attempts", "told", "revision"),
)
"""Fields of a row that change while the job runs."""

Records = dict[str, bytes | None]
"""By key; None: deleted."""


@dataclass(frozen=True, slots=True)
class Key:
    """Of a record, taken apart."""

    subject: str
    """The job, or the run."""
    kind: str
    rest: str = ""

    @classmethod
    def read(cls, text: str) -> Key:
        subject, _, rest = text.partition(" ")
        kind, _, rest = rest.partition(" ")
        return cls(subject, kind, rest)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where the jobs of one run go on."""

    place: bytes
    states: Mapping[str, bytes]
    """By job."""
    rows: Mapping[str, Sequence[bytes]]


def in_parts(key: str, data: bytes) -> Records:
    """The records of something large."""
    count = max(1, -(-len(data) // PART_BYTES))
    return {
        f"{key} {part}": _PARTS.pack(count) + data[part * PART_BYTES : (part + 1) * PART_BYTES] for part in range(count)
    }


def no_parts(key: str, size: int) -> Records:
    """The deletion of something that was so large."""
    return {f"{key} {part}": None for part in range(max(1, -(-size // PART_BYTES)))}


def joined(records: Mapping[str, bytes | None], key: str) -> bytes | None:
    """What was written in parts; None where it is not there, or not whole."""
    first = records.get(f"{key} 0")
    if first is None or len(first) < _PARTS.size:
        return None
    parts = [records.get(f"{key} {part}") for part in range(_PARTS.unpack_from(first)[0])]
    whole = [part[_PARTS.size :] for part in parts if part is not None]
    return b"".join(whole) if len(whole) == len(parts) else None


def asked_record(row: JobRow, node: str) -> Records:
    """What was asked of ``node``."""
    document = {
        "version": VERSION,
        "kind": row.kind,
        "request": dict(row.request),
        "fingerprint": row.fingerprint,
        "token": row.token,
        "created": row.created,
        "node": row.node,
    }
    return {f"{row.id} asked {node}": _json(document)}


def standing_record(row: JobRow) -> Records:
    document = {"version": VERSION} | {name: getattr(row, name) for name in _STANDING}
    return {f"{row.id} standing": _json(document)}


def result_records(job: str, result: bytes) -> Records:
    return in_parts(f"{job} result", result)


def read_asked(job: str, value: bytes) -> JobRow:
    """Raises StateVersionUnknown, StateDamaged."""
    said = _read(value)
    try:
        return JobRow(
            id=job,
            kind=str(said["kind"]),
            owner=SHARED,
            request=said["request"],
            fingerprint=str(said["fingerprint"]),
            token=said["token"],
            state="queued",
            created=float(said["created"]),
            run="",
            node=str(said["node"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StateDamaged(f"a job's record cannot be read: {error}") from None


def read_standing(row: JobRow, value: bytes) -> JobRow:
    """The job as it stands; keys of a later version are left alone. Raises StateVersionUnknown, StateDamaged."""
    said = _read(value)
    try:
        return replace(row, **{name: said[name] for name in _STANDING})
    except (KeyError, TypeError) as error:
        raise StateDamaged(f"a job's record cannot be read: {error}") from None


def checkpoint_records(run: str, place: bytes, progress: Sequence[Progress], before: Mapping[str, int]) -> Records:
    """What a checkpoint adds. ``before``: how many pieces of rows of each job are there already.

    The place says how many pieces count: those of a checkpoint that the log has although nobody was told so are passed over.
    """
    records: Records = {}
    counts: dict[str, int] = {}
    for each in progress:
        counts[each.job] = before.get(each.job, 0)
        records |= in_parts(f"{each.job} state", each.state)
        if each.rows is not None:
            records |= in_parts(f"{each.job} rows {counts[each.job]}", each.rows)
            counts[each.job] += 1
    document = {"version": VERSION, "place": base64.b64encode(place).decode(), "rows": counts}
    return records | in_parts(f"{run} place", _json(document))


def read_checkpoint(run: str, jobs: Sequence[str], records: Mapping[str, bytes | None]) -> Checkpoint | None:
    """Where these jobs of a run go on; None: from the beginning, because nothing or not all of it is there. Raises StateVersionUnknown,
    StateDamaged."""
    written = joined(records, f"{run} place")
    if written is None:
        return None
    said = _read(written)
    try:
        place, counts = base64.b64decode(said["place"], validate=True), {job: int(said["rows"][job]) for job in jobs}
    except KeyError:
        return None
    except (TypeError, ValueError, binascii.Error) as error:
        raise StateDamaged(f"a job's checkpoint cannot be read: {error}") from None
    states = {job: joined(records, f"{job} state") for job in jobs}
    rows = {job: [joined(records, f"{job} rows {number}") for number in range(counts[job])] for job in jobs}
    known = {job: state for job, state in states.items() if state is not None}
    whole = {job: [piece for piece in pieces if piece is not None] for job, pieces in rows.items()}
    return Checkpoint(place, known, whole) if known.keys() == states.keys() and whole == rows else None


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode()


def _read(value: bytes) -> dict[str, Any]:
    try:
        document = json.loads(value)
        version = document["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise StateDamaged(f"a job's record cannot be read: {error}") from None
    if version != VERSION:
        raise StateVersionUnknown(
            f"a job's record has version {version}, this streamproc reads {VERSION}; update this node"
        )
    found: dict[str, Any] = document
    return found
