"""What chaos left: what each output was told, against what it should have been told."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

Told = Mapping[str, Any]
"""An event in plain form."""
_KEPT_APART = ("frame", "crop", "tags")


def sessions_of(told: Iterable[Told]) -> dict[str, dict[int, Told]]:
    found: dict[str, dict[int, Told]] = {}
    for event in told:
        session, _, sequence = event["id"].rpartition("-")
        found.setdefault(session, {})[int(sequence)] = event
    return found


def lost(told: Iterable[Told]) -> int:
    """Numbers that are missing in a session."""
    return sum(max(numbers) + 1 - len(numbers) for numbers in sessions_of(told).values())


def repeated(told: Iterable[Told]) -> int:
    """The same event again under the same id: outputs promise at least once."""
    ids = Counter(event["id"] for event in told)
    return sum(ids.values()) - len(ids)


def without_one_summary(told: Iterable[Told]) -> int:
    kinds = [[event["type"] for event in numbers.values()] for numbers in sessions_of(told).values()]
    return sum(each.count("session_complete") != 1 for each in kinds)


def under_two_ids(told: Iterable[Told]) -> int:
    """One detection (processor, class, instant) that was told under more than one id."""
    ids: dict[tuple[str, str, str], set[str]] = {}
    for event in told:
        if event["type"] == "label_detected":
            ids.setdefault((event["processor"], event["class"], event["time"]), set()).add(event["id"])
    return sum(len(found) > 1 for found in ids.values())


def id_with_two_meanings(told: Iterable[Told]) -> int:
    meanings: dict[str, set[str]] = {}
    for event in told:
        meaning = {key: value for key, value in event.items() if key not in _KEPT_APART}
        meanings.setdefault(event["id"], set()).add(json.dumps(meaning, sort_keys=True))
    return sum(len(found) > 1 for found in meanings.values())


def detections(told: Iterable[Told], processor: str) -> set[tuple[str, str]]:
    return {(event["class"], event["time"]) for event in told if event["processor"] == processor and "class" in event}


def without_a_pair(these: set[tuple[str, str]], those: set[tuple[str, str]], within_s: float) -> int:
    """How many have no detection of the same class among the others at about that instant: after an orderly end a feed is looked at in
    another phase."""
    times = [(name, datetime.fromisoformat(at)) for name, at in those]

    def paired(name: str, at: str) -> bool:
        instant = datetime.fromisoformat(at)
        return any(name == other and abs((instant - then).total_seconds()) <= within_s for other, then in times)

    return sum(not paired(name, at) for name, at in these)


def missing(told: Iterable[Told], of: Iterable[Told]) -> int:
    return len({event["id"] for event in of} - {event["id"] for event in told})


def in_topic(bootstrap: str, topic: str) -> list[Told]:
    """Every message, decoded."""
    return asyncio.run(_in_topic(bootstrap, topic))


async def _in_topic(bootstrap: str, topic: str) -> list[Told]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        place = TopicPartition(topic, 0)
        consumer.assign([place])
        end = (await consumer.end_offsets([place]))[place]
        told: list[Told] = []
        while await consumer.position(place) < end:
            for messages in (await consumer.getmany(timeout_ms=1000)).values():
                told += [json.loads(message.value) for message in messages]
        return told
    finally:
        await consumer.stop()


def in_bucket(folder: Path) -> list[Told]:
    return [json.loads(path.read_bytes()) for path in sorted(folder.rglob("*.json"))]


def undelivered(database: Path) -> dict[str, int]:
    """``OUTPUT state`` and how many, of what is not delivered."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30) as read:
        query = "SELECT output, state, COUNT(*) FROM deliveries WHERE state <> 'delivered' GROUP BY output, state"
        return {f"{output} {state}": number for output, state, number in read.execute(query)}
