"""What the cluster's topics hold of one slot: records of lanes, events, and what outputs have settled."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import structlog

from connectors.context import ConnectorContext
from connectors.kafka.log import Record
from connectors.kafka.slot_log import Entry, SlotWriter, make_topics, read_slot
from streamproc.config.cluster import ClusterSettings
from streamproc.core.errors import SourceError, StateDamaged, StateVersionUnknown
from streamproc.core.route import Route
from streamproc.store.takeover import EventRecord, LaneRecord

log = structlog.get_logger(__name__)
OWNER = "@owner"
"""Key of the record that says who writes; no processor has such a name."""
READ_S = 60.0
_DAY_MS = 24 * 3600 * 1000
_EVENTS_MS = 7 * _DAY_MS
LOGGED_S = (_EVENTS_MS - _DAY_MS) / 1000
"""What was decided within so long is surely still in the log of events."""
_TABLE = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.1", "segment.ms": str(_DAY_MS // 24)}
TOPICS: Mapping[str, Mapping[str, str]] = {
    "processors": _TABLE,
    "lanes": _TABLE,
    "events": {"cleanup.policy": "delete", "retention.ms": str(_EVENTS_MS)},
    "owed": _TABLE,
    "jobs": _TABLE,
    "checkpoints": _TABLE,
}
"""By name without the cluster's, each with as many partitions as there are slots."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Who writes a slot's records, and how many transactions of it there were."""

    node: str = ""
    incarnation: str = ""
    """Another for each time that a node takes the slot."""
    commit: int = 0
    released: bool = False
    """It has committed everything and writes no more."""
    owed_from: int = 0
    """Offset in the topic of events before which every output has everything."""

    def entry(self, topic: str) -> Entry:
        return Entry(topic, OWNER, json.dumps(asdict(self)).encode())

    @classmethod
    def read(cls, value: bytes) -> Owner:
        """Keys of a later version are left alone. Raises ValueError, TypeError."""
        document = json.loads(value)
        return cls(**{key: document[key] for key in cls.__slots__ if key in document})


@dataclass(slots=True)
class SlotContents:
    """Everything that is committed in a slot."""

    owner: Owner = Owner()
    lanes: dict[str, LaneRecord] = field(default_factory=dict)
    """By processor."""
    events: dict[str, list[EventRecord]] = field(default_factory=dict)
    """By processor, in the order of the log, from the first that an output is owed."""
    offsets: dict[str, int] = field(default_factory=dict)
    """Of each event, by id."""
    routes: dict[str, Sequence[Route]] = field(default_factory=dict)
    """Outputs of the processors that this node knows; whoever adopts the contents adds them."""
    settled: dict[tuple[str, str], int] = field(default_factory=dict)
    """Sequence of the last event that an output has confirmed or refused for good, by output and session."""


class SlotStore:
    """Reads and writes slots. Use in one event loop."""

    def __init__(self, settings: ClusterSettings, context: ConnectorContext) -> None:
        self.settings = settings
        self.context = context
        self.ready = asyncio.Event()
        """Set once the topics are there, with their partitions: brokers make one of their own way for whoever asks for it earlier."""
        self.lanes, self.events, self.owed = (settings.connection(name).topic for name in ("lanes", "events", "owed"))

    async def make_topics(self) -> None:
        """Where they are missing. Raises SourceError."""
        wanted = {self.settings.connection(name).topic: configs for name, configs in TOPICS.items()}
        await make_topics(self.settings.connection("lanes"), self.context, wanted, self.settings.partitions)
        self.ready.set()

    def writer(self, slot: int) -> SlotWriter:
        return SlotWriter(self.settings.connection("lanes"), self.context, self.settings.name, slot)

    async def read(self, slot: int) -> SlotContents:
        """Raises SourceError."""
        found = SlotContents()
        lanes, owed = await asyncio.gather(*(self._read(name, slot) for name in ("lanes", "owed")))
        for record in {
            record.key: record for record in lanes
        }.values():  # one that was replaced may be in a form that is not known here
            self._take_lane(found, record)
        events = await self._read("events", slot, found.owner.owed_from)
        for record in events:
            try:
                event = EventRecord.read(record.value or b"", record.headers)
            except StateVersionUnknown as error:
                raise SourceError(str(error)) from None
            except StateDamaged as error:
                log.error("event_unreadable", slot=slot, offset=record.offset, reason=str(error))
            else:
                found.events.setdefault(event.event.processor, []).append(event)
                found.offsets[event.event.id] = record.offset
        for record in owed:
            output, _, session = (record.key or b"").decode().partition("\0")
            if record.value is not None:
                found.settled[output, session] = int(record.value)
            else:
                found.settled.pop((output, session), None)
        return found

    async def records(self, name: str, slot: int) -> dict[str, bytes | None]:
        """The newest value of each key of a topic of the cluster, in the order of the log. Raises SourceError."""
        found: dict[str, bytes | None] = {}
        for record in await self._read(name, slot):
            key = (record.key or b"").decode(errors="replace")
            found.pop(key, None)
            found[key] = record.value
        return found

    async def owner(self, slot: int) -> Owner:
        """Raises SourceError."""
        found = SlotContents()
        for record in await self._read("lanes", slot):
            if record.key == OWNER.encode():
                self._take_lane(found, record)
        return found.owner

    def settlement(self, settled: Mapping[tuple[str, str], int | None]) -> list[Entry]:
        """None: it is known no more."""
        return [
            Entry(self.owed, "\0".join(key), str(sequence).encode() if sequence is not None else None)
            for key, sequence in settled.items()
        ]

    def _take_lane(self, found: SlotContents, record: Record) -> None:
        key = (record.key or b"").decode()
        try:
            if record.value is None:
                found.lanes.pop(key, None)
            elif key == OWNER:
                found.owner = Owner.read(record.value)
            else:
                found.lanes[key] = LaneRecord.decode(record.value)
        except StateVersionUnknown as error:
            raise SourceError(f"{key}: {error}") from None
        except (StateDamaged, ValueError, TypeError) as error:
            log.error("lane_unreadable", processor=key, offset=record.offset, reason=str(error))

    async def _read(self, topic: str, slot: int, begin: int = 0) -> list[Record]:
        try:
            async with asyncio.timeout(READ_S):
                return await read_slot(self.settings.connection(topic), self.context, slot, begin)
        except TimeoutError:
            raise SourceError(f"{self.settings.bootstrap_servers}: nothing came within {READ_S:.0f} s") from None
