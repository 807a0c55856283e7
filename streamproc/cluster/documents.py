"""Documents of processors that callers made, on all nodes of a cluster: a compacted topic that each writes to and follows.

Those of config files are not here: their folders are kept in step by whoever keeps files. What was shared last is remembered in a file beside the
database, so that a node which was away tells a document that was deleted meanwhile from one that nobody has seen yet.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import structlog
from pydantic import ValidationError

from connectors.context import ConnectorContext
from connectors.kafka.table import TableTopic
from streamproc.config.cluster import ClusterSettings
from streamproc.config.processor import ProcessorConfig
from streamproc.core.errors import InputError, SinkError, SourceError, StorageUnavailable, StreamprocError
from streamproc.durable import write_durably
from streamproc.live.documents import document_of
from streamproc.live.remote import want
from streamproc.live.supervisor import Supervisor
from streamproc.threads import DATABASE
from streamproc.trouble import Trouble

log = structlog.get_logger(__name__)
AGAIN_S = 2.0
FILE = "shared-processors.json"
"""In the data directory."""


class _Held:
    """What stands in the topic, by name, as this node writes it out, and what it has made its own of it."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.taken: dict[str, bytes] = {}
        self.places: dict[str, int] = {}
        """Where in the log each stands: what is read before it is older, or the echo of what this node wrote."""
        self.before: dict[str, list[str]] = {}
        """``hashes`` of the process before."""

    def keep(self, name: str, value: bytes | None, place: int) -> bool:
        """Whether it is newer than what was known."""
        if place <= self.places.get(name, -1):
            return False
        self.places[name] = place
        if value is None:
            self.values.pop(name, None)
        else:
            self.values[name] = _written_here(value)
        return True

    def take(self, name: str) -> None:
        """This node is what the topic says."""
        if name in self.values:
            self.taken[name] = self.values[name]
        else:
            self.taken.pop(name, None)

    def agrees(self, name: str, mine: bytes | None) -> bool:
        """Whether that is what stands in the topic, or stood there until a change that is about to be made here."""
        return mine == self.values.get(name) or (mine is not None and mine == self.taken.get(name))

    def is_newer(self, name: str, mine: bytes | None, *, stored: bool) -> bool:
        """Whether a caller has changed it here since this node shared or heard it last. ``stored``: there is one that cannot be read."""
        known = self.before.get(name)
        if mine is None:
            return known is not None and _hash(self.values[name]) in known and not stored
        return _hash(mine) not in known if known is not None else name not in self.values

    def hashes(self) -> dict[str, list[str]]:
        """Of what this node has, and of what it is about to make of it."""
        names = {**self.values, **self.taken}
        return {
            name: sorted({_hash(each[name]) for each in (self.values, self.taken) if name in each}) for name in names
        }


class SharedDocuments:
    """Belongs to the event loop. The newest document in the order of the log counts."""

    supervisor: Supervisor
    """Set before anything is opened."""

    def __init__(self, settings: ClusterSettings, context: ConnectorContext) -> None:
        self._cluster = settings.name
        self._table = TableTopic(settings.connection("documents"), context)
        self._trouble = Trouble("documents_wait", "documents_shared", cluster=settings.name)
        self._held = _Held()
        self._applying: set[str] = set()
        """On its way to what the topic says: what it is meanwhile is nobody's wish."""
        self._late: set[str] = set()
        """What the disk could not take yet."""
        self._dirty: set[str] = set()
        self._complete = False
        self._read_once = asyncio.Event()
        self._news = asyncio.Event()
        self._all_shared = asyncio.Event()
        self._all_shared.set()
        self._writing = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    def open(self) -> None:
        """After all processors of this node have been loaded."""
        self._held.before = _read(self._file, self._cluster)
        self.supervisor.notices.states.append(self.changed)
        self._tasks = [
            asyncio.create_task(self._follow(), name="cluster documents"),
            asyncio.create_task(self._share(), name="cluster document"),
        ]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._table.stop()

    def changed(self, name: str) -> None:
        """A processor's document or state has changed, or it is gone."""
        if name not in self._applying and not self._held.agrees(name, self._mine(name)):
            self._dirty.add(name)
            self._all_shared.clear()
            self._news.set()

    def deleted(self, name: str) -> bool:
        """Whether there is none that a caller made: all that stands in the topic is known, and no such document is there."""
        return self._complete and name not in self._held.values

    async def caught_up(self, within_s: float) -> None:
        """Until what was said while this node was away is so here, or the time is over."""
        await _wait(self._read_once, within_s)

    async def flushed(self, within_s: float) -> None:
        """Until the cluster has all that this node was told, or the time is over: the brokers may be away."""
        await _wait(self._all_shared, within_s)

    # -- out

    async def _share(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            if not self._complete:
                continue
            values = {name: self._mine(name) for name in self._dirty if not self._held.agrees(name, self._mine(name))}
            self._dirty &= values.keys()
            try:
                places = await self._table.put(values) if values else {}
                await self._confirmed(values, places)
            except Exception as error:  # noqa: BLE001 - what was said is told until the cluster has it
                self._trouble.met(error, bug=None if isinstance(error, SinkError | OSError) else error)
                await asyncio.sleep(AGAIN_S)
            else:
                self._trouble.over()
            if self._dirty:
                self._news.set()
            else:
                self._all_shared.set()

    async def _confirmed(self, values: Mapping[str, bytes | None], places: Mapping[str, int]) -> None:
        """The cluster has these, at these places of the log; what another node wrote behind them meanwhile counts."""
        beaten = []
        for name, value in values.items():
            if self._held.keep(name, value, places[name]):
                self._held.take(name)
            if self._mine(name) == value:  # else it has been changed again, and that is still to be told
                self._dirty.discard(name)
                beaten += [name] if self._held.places[name] > places[name] else []
        if values:
            await self._take(beaten)
            await self._remember()

    def _mine(self, name: str) -> bytes | None:
        """What this node has to say of a processor; None: there is none that a caller made."""
        if not self.supervisor.known(name):
            return None
        row = self.supervisor.processor(name).row
        if row.origin != "api":
            return self._held.values.get(name)  # a file's: whoever made another one of that name keeps it
        return _encoded(row.document, row.wanted)

    # -- in

    async def _follow(self) -> None:
        while True:
            try:
                async for batch in self._table.follow():
                    news = [each.key for each in batch.changes if self._held.keep(each.key, each.value, each.place)]
                    if batch.complete and not self._complete:
                        await self._catch_up()
                    elif self._complete:
                        late, self._late = self._late, set()
                        # What a caller has changed here and the cluster does not have yet comes behind it.
                        await self._take(sorted({*news, *late} - self._dirty))
            except (SourceError, OSError) as error:
                self._trouble.met(error)
            except Exception as error:  # noqa: BLE001 - what should be followed is never given up
                self._trouble.met(repr(error), bug=error)
            await asyncio.sleep(AGAIN_S)

    async def _catch_up(self) -> None:
        """All that stands in the topic is known: what was changed here while this node was away goes out, the rest comes in."""
        if self._held.before and not self._held.places:
            log.warning("document_topic_is_empty", shared_before=len(self._held.before), now="all are handed on again")
            self._held.before = {}
        different = [
            name
            for name in sorted({*self.supervisor.names("api"), *self._held.values})
            if self._mine(name) != self._held.values.get(name)
        ]
        newer = {
            name
            for name in different
            if self._held.is_newer(name, self._mine(name), stored=self.supervisor.store.get(name) is not None)
        }
        self._dirty |= newer
        if newer:
            self._all_shared.clear()
        for name in self._held.values.keys() - set(different):
            self._held.take(name)
        await self._take([name for name in different if name not in newer])
        self._complete = True
        self._read_once.set()
        self._news.set()

    async def _take(self, names: Sequence[str]) -> None:
        """Make these what the topic says; a process that dies on the way is known to have been about to."""
        if not names:
            return
        self._applying.update(names)
        try:
            await self._remember()
            for name in names:
                await self._apply(name)
            await self._remember()
        finally:
            self._applying.difference_update(names)

    async def _apply(self, name: str) -> None:
        """Make a processor what the topic says. One document that cannot be used is no reason to follow no other."""
        value = self._held.values.get(name)
        if value == self._mine(name):
            self._held.take(name)
            self._applying.discard(name)
            return
        try:
            if value is None:
                await _delete(self.supervisor, name)
            else:
                document = json.loads(value)
                await _put(self.supervisor, name, document["document"], document["wanted"])
        except StorageUnavailable as error:
            self._trouble.met(error)
            self._late.add(name)
            return
        except Exception as error:  # noqa: BLE001 - the boundary of one document, whoever wrote it
            log.error("document_not_taken", processor=name, reason=_reason(error))
            return
        else:
            if value == self._held.values.get(name):
                self._held.take(name)
        finally:
            self._applying.discard(name)
        self.changed(name)  # somebody may have changed it meanwhile

    # -- memory

    async def _remember(self) -> None:
        async with self._writing:
            document = {"cluster": self._cluster, "shared": self._held.hashes()}
            try:
                await DATABASE.run(write_durably, self._file, json.dumps(document, indent=1).encode())
            except OSError as error:  # the next one says it all
                self._trouble.met(error)

    @property
    def _file(self) -> Path:
        return self.supervisor.database.data_dir / FILE


async def _wait(event: asyncio.Event, within_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await event.wait()


async def _delete(supervisor: Supervisor, name: str) -> None:
    if supervisor.processor(name).life.active:
        await supervisor.stop(name)
    await supervisor.delete(name)


async def _put(
    supervisor: Supervisor, name: str, document: dict[str, Any], wanted: Literal["running", "stopped"]
) -> None:
    if wanted not in ("running", "stopped"):
        raise InputError("wanted: give running or stopped")
    config = ProcessorConfig.model_validate(document)
    if not supervisor.known(name):
        await supervisor.create(name, config)
    elif supervisor.processor(name).row.document != document:
        await supervisor.update(name, config)
    if supervisor.processor(name).row.wanted != wanted:
        want(supervisor, name, wanted)


def _encoded(document: dict[str, Any], wanted: str) -> bytes:
    return json.dumps({"document": document, "wanted": wanted}, sort_keys=True).encode()


def _written_here(value: bytes) -> bytes:
    """Another version of the product may write the same otherwise. What cannot be read stays as it is."""
    try:
        found = json.loads(value)
        return _encoded(document_of(ProcessorConfig.model_validate(found["document"])), found["wanted"])
    except (ValidationError, ValueError, KeyError, TypeError):
        return value


def _hash(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()


def _reason(error: Exception) -> str:
    """For the log: without what is in the document, where a password may be."""
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
    return str(error) if isinstance(error, StreamprocError) else type(error).__name__


def _read(file: Path, cluster: str) -> dict[str, list[str]]:
    """What was shared with this very cluster; with another one, nothing was."""
    try:
        found = json.loads(file.read_bytes())
        shared = found["shared"] if found["cluster"] == cluster else {}
        return {name: hashes for name, hashes in shared.items() if isinstance(hashes, list)}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("shared_documents_forgotten", reason=str(error))
        return {}
