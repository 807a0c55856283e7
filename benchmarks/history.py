"""Pages of a long history, and what keeping one costs a commit, beside the journal as it was before there was a history.

A data directory is filled with ``--events`` events of 30 cameras over 30 days. Every question is asked for its first page, for one in the middle
and for its last. Then single events with pictures are committed and their delivery noted, one with history and one without in turn, in
two data directories of that size, so that whatever else the machine does hits both alike.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any, cast
from unittest import mock

from benchmarks.common import parser, percentile, progress, report
from streamproc.core.event import Event, EventType, Pictures, RegionHit
from streamproc.core.media import Moment
from streamproc.core.route import Route
from streamproc.core.vision import Box
from streamproc.logic.event_query import EventQuery
from streamproc.store import journal as journal_module
from streamproc.store.database import Database
from streamproc.store.deliveries import DeliveryStore
from streamproc.store.history import HISTORY_STEP, enter
from streamproc.store.journal import JOURNAL_SCHEMA, Commit, Journal, SessionRow

START = datetime(2026, 5, 1, tzinfo=UTC)
DAYS = 30
CAMERAS = 30
PEOPLE = 50
PAGE = 50
BATCH = 500
PICTURES = Pictures(bytes(120_000), bytes(12_000))
"""About what a hero frame of 1280x720 and a crop take."""
ROUTES = (Route("camera-0/file", frozenset(EventType)),)
BEFORE = JOURNAL_SCHEMA[: JOURNAL_SCHEMA.index(HISTORY_STEP)]


def event_of(number: int, total: int, chance: random.Random) -> Event:
    """One event of a busy month: mostly people and pets, some faces, some gaps and summaries."""
    kind = chance.choices(
        [
            EventType.LABEL_DETECTED,
            EventType.FACE_MATCHED,
            EventType.FACE_UNKNOWN,
            EventType.SOURCE_GAP,
            EventType.SESSION_COMPLETE,
        ],
        [60, 10, 10, 2, 18],
    )[0]
    detection = kind not in (EventType.SOURCE_GAP, EventType.SESSION_COMPLETE)
    camera = chance.randrange(CAMERAS)
    wall = START + timedelta(seconds=DAYS * 86400 * number / total + chance.uniform(-30, 30))
    evidence = {"samples": 5, "score": 4.25, "looks": [{"at": 0.25 * look, "score": 0.8} for look in range(6)]}
    return Event(
        kind,
        f"camera-{camera}",
        f"session-{number // 3}",
        number % 3,
        Moment(Fraction(number % 3, 4), wall),
        label=chance.choices(["PERSON", "PET", "PACKAGE"], [70, 25, 5])[0]
        if kind is EventType.LABEL_DETECTED
        else None,
        person=f"person {int(chance.paretovariate(0.8)) % PEOPLE}" if kind is EventType.FACE_MATCHED else None,
        confidence=chance.uniform(50, 100) if detection else None,
        box=Box(0.1, 0.2, 0.3, 0.4) if detection else None,
        region=RegionHit(chance.choice([None, "gate", "lawn", "street"]), 0.8) if detection else None,
        has_pictures=detection,
        data={"evidence": evidence}
        if detection
        else {"reason": chance.choice(["lost: refused", "stalled", "duration", "end"])},
    )


def fill(journal: Journal, total: int) -> None:
    chance = random.Random(1)
    for first in range(0, total, BATCH):
        made = [event_of(number, total, chance) for number in range(first, min(total, first + BATCH))]
        rows = [
            SessionRow(session, "camera-0", START, closed=START) for session in dict.fromkeys(e.session for e in made)
        ]
        journal.commit(Commit("camera-0", rows, [(event, None) for event in made]))


@contextmanager
def as_before() -> Iterator[None]:
    """The journal without a history."""
    with (
        mock.patch.object(journal_module, "JOURNAL_SCHEMA", BEFORE),
        mock.patch.object(journal_module, "enter", _enter_nowhere),
    ):
        yield


def _enter_nowhere(*_: object) -> None:
    """What a commit did for a history when there was none."""


QUERIES: dict[str, EventQuery] = {
    "everything": EventQuery(),
    "one camera": EventQuery(processors=("camera-3",)),
    "one class": EventQuery(labels=("PACKAGE",)),
    "a rare person": EventQuery(persons=("person 37",)),
    "a region at one camera": EventQuery(processors=("camera-7",), regions=("gate",)),
    "words": EventQuery(text="gate person"),
    "words that nothing has": EventQuery(text="no such thing"),
    "gaps": EventQuery(types=("source_gap",)),
    "without faces": EventQuery(faces=False),
    "an hour three weeks ago": EventQuery(since=START + timedelta(days=9), until=START + timedelta(days=9, hours=1)),
    "pets in the first week": EventQuery(labels=("PET",), until=START + timedelta(days=7)),
}


def time_pages(journal: Journal) -> list[dict[str, Any]]:
    rows = []
    for name, query in QUERIES.items():
        befores: list[int | None] = [None]
        page = journal.history.page(query, None, 1000)
        found = len(page.kept)
        while page.next is not None:
            befores.append(page.next)
            page = journal.history.page(query, page.next, 1000)
            found += len(page.kept)
        asked = [befores[0], befores[len(befores) // 2], befores[-1]]
        walls, cpus = [], []
        for before in asked * 5:
            wall, cpu = time.perf_counter(), time.thread_time()
            journal.history.page(query, before, PAGE)
            walls.append((time.perf_counter() - wall) * 1000)
            cpus.append((time.thread_time() - cpu) * 1000)
        rows.append(
            {
                "question": name,
                "matching": found,
                "median_ms": round(statistics.median(walls), 2),
                "max_ms": round(max(walls), 2),
                "cpu_ms": round(statistics.median(cpus), 2),
            }
        )
        progress(f"{name}: {rows[-1]['median_ms']} ms")
    return rows


def time_writes(after: Journal, before: Journal, number: int) -> dict[str, float]:
    """Single events, by turns."""
    stores = {"with": (after, DeliveryStore(after)), "without": (before, DeliveryStore(before))}
    walls: dict[str, list[float]] = {name: [] for name in stores}
    cpus: dict[str, list[float]] = {name: [] for name in stores}
    chance = random.Random(2)
    for index in range(number):
        event = event_of(index * 3, number * 3, chance)
        for name in list(stores) if index % 2 else list(stores)[::-1]:
            journal, deliveries = stores[name]
            row = SessionRow(f"write-{index}", "camera-0", START)
            told = Event(
                event.type,
                event.processor,
                row.id,
                0,
                event.at,
                event.label,
                event.person,
                event.confidence,
                event.box,
                event.region,
                has_pictures=True,
                data=event.data,
            )

            def work(
                journal: Journal = journal,
                deliveries: DeliveryStore = deliveries,
                told: Event = told,
                row: SessionRow = row,
            ) -> None:
                journal.commit(Commit("camera-0", [row], [(told, PICTURES)], ROUTES))
                deliveries.delivered(
                    "camera-0/file", [item.seq for item in deliveries.next("camera-0/file", row.id, 1)]
                )

            journal_module.enter = cast(Any, enter if name == "with" else _enter_nowhere)  # type: ignore[attr-defined]
            wall, cpu = _timed(work)
            walls[name].append(wall)
            cpus[name].append(cpu)
    journal_module.enter = enter  # type: ignore[attr-defined]
    return {
        "commit_ms": statistics.median(walls["with"]),
        "commit_without_ms": statistics.median(walls["without"]),
        "commit_ratio": statistics.median(walls["with"]) / statistics.median(walls["without"]),
        "commit_mean_ratio": _trimmed(walls["with"]) / _trimmed(walls["without"]),
        "commit_cpu_ms": statistics.median(cpus["with"]),
        "commit_cpu_without_ms": statistics.median(cpus["without"]),
    }


def _timed(work: Callable[[], None]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.thread_time()
    work()
    return (time.perf_counter() - wall) * 1000, (time.thread_time() - cpu) * 1000


def _trimmed(values: list[float]) -> float:
    """Mean without the slowest and fastest tenth."""
    low, high = percentile(values, 0.1) or 0.0, percentile(values, 0.9) or 0.0
    return statistics.fmean([value for value in values if low <= value <= high])


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--events", type=int, default=100_000, help="how long the history is")
    made.add_argument("--writes", type=int, default=400, help="how many single commits are timed on each side")
    made.add_argument(
        "--folder", type=Path, help="where the data directories are made; the temporary folder where left out"
    )
    options = made.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        after = Journal(Database(Path(folder) / "after"))
        with as_before():
            before = Journal(Database(Path(folder) / "before"))
            fill(before, options.events)
        progress("filled without history")
        fill(after, options.events)
        progress("filled with history")
        rows = time_pages(after)
        writes = time_writes(after, before, options.writes)
        sizes = {name: (Path(folder) / name / "streamproc.db").stat().st_size for name in ("after", "before")}
    figures = {
        "events": options.events,
        "page_median_ms": round(statistics.median(row["median_ms"] for row in rows), 2),
        "page_worst_median_ms": max(row["median_ms"] for row in rows),
        "page_max_ms": max(row["max_ms"] for row in rows),
        "database_mb": round(sizes["after"] / 1e6, 1),
        "database_without_mb": round(sizes["before"] / 1e6, 1),
    } | {key: round(value, 3) for key, value in writes.items()}
    report(options, figures=figures, rows=rows)


if __name__ == "__main__":
    main()
