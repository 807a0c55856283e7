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
from streamproc.core.errors import SinkError, SourceError, StreamprocError
from streamproc.durable import write_durably
from streamproc.live.remote import want
from streamproc.live.supervisor import Supervisor
from streamproc.threads import DATABASE
from streamproc.trouble import Trouble

log = structlog.get_logger(__name__)
AGAIN_S = 2.0
FILE = "shared-processors.json"
"""In the data directory."""


class _Held:
    """What stands in the topic, by name, and what this node has made its own of it."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.taken: dict[str, str] = {}
        """Hashes."""
        self.places: dict[str, int] = {}
        """Where in the log each stands: what is read before it is older, or the echo of what this node wrote."""

    def keep(self, name: str, value: bytes | None, place: int) -> bool:
        """Whether it is newer than what was known."""
        if place <= self.places.get(name, -1):
            return False
        self.places[name] = place
        if value is None:
            self.values.pop(name, None)
        else:
            self.values[name] = value
        return True

    def note_taken(self, name: str) -> None:
        value = self.values.get(name)
        if value is None:
            self.taken.pop(name, None)
        else:
            self.taken[name] = _hash(value)

    def hashes(self) -> dict[str, list[str]]:
        """Of what this node has, and of what it is about to make of it."""
        values = {name: _hash(value) for name, value in self.values.items()}
        names = {**values, **self.taken}
        return {name: sorted({each[name] for each in (values, self.taken) if name in each}) for name in names}


class SharedDocuments:
    """Belongs to the event loop. The newest document in the order of the log counts."""

    supervisor: Supervisor
    """Set before anything is opened."""

    def __init__(self, settings: ClusterSettings, context: ConnectorContext) -> None:
        self._cluster = settings.name
        self._table = TableTopic(settings.connection("documents"), context)
        self._trouble = Trouble("documents_wait", "documents_shared", cluster=settings.name)
        self._held = _Held()
        self._before: dict[str, list[str]] = {}
        """``hashes`` of the process before."""
        self._applying: set[str] = set()
        """On its way to what the topic says: what it is meanwhile is nobody's wish."""
        self._dirty: set[str] = set()
        self._complete = False
        self._news = asyncio.Event()
        self._all_shared = asyncio.Event()
        self._all_shared.set()
        self._writing = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    def open(self) -> None:
        """After all processors of this node have been loaded."""
        self._before = _read(self._file, self._cluster)
        self.supervisor.state_listeners.append(self.changed)
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
        if name not in self._applying and self._mine(name) != self._held.values.get(name):
            self._dirty.add(name)
            self._all_shared.clear()
            self._news.set()

    async def flushed(self, within_s: float) -> None:
        """Until the cluster has all that this node was told, or the time is over: the brokers may be away."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._all_shared.wait()

    # -- out

    async def _share(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            if not self._complete:
                continue
            values = {name: self._mine(name) for name in self._dirty if self._mine(name) != self._held.values.get(name)}
            self._dirty &= values.keys()
            try:
                places = await self._table.put(values) if values else {}
                await self._confirmed(values, places)
            except (SinkError, OSError) as error:
                self._trouble.met(error)
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
                self._held.note_taken(name)
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
        return json.dumps({"document": row.document, "wanted": row.wanted}, sort_keys=True).encode()

    # -- in

    async def _follow(self) -> None:
        while True:
            try:
                async for batch in self._table.follow():
                    news = [each.key for each in batch.changes if self._held.keep(each.key, each.value, each.place)]
                    if batch.complete and not self._complete:
                        await self._catch_up()
                    elif self._complete:
                        # What a caller has changed here and the cluster does not have yet comes behind it.
                        await self._take([name for name in news if name not in self._dirty])
            except (SourceError, OSError) as error:
                self._trouble.met(error)
            await asyncio.sleep(AGAIN_S)

    async def _catch_up(self) -> None:
        """All that stands in the topic is known: what was changed here while this node was away goes out, the rest comes in."""
        if self._before and not self._held.places:
            log.warning("document_topic_is_empty", shared_before=len(self._before), now="all are handed on again")
            self._before = {}
        different = [
            name
            for name in sorted({*self.supervisor.names("api"), *self._held.values})
            if self._mine(name) != self._held.values.get(name)
        ]
        newer = {name for name in different if self._is_newer(name, self._mine(name))}
        self._dirty |= newer
        if newer:
            self._all_shared.clear()
        for name in self._held.values.keys() - set(different):
            self._held.note_taken(name)
        await self._take([name for name in different if name not in newer])
        self._complete = True
        self._news.set()

    async def _take(self, names: Sequence[str]) -> None:
        """Make these what the topic says; a process that dies on the way is known to have been about to."""
        if names:
            await self._remember()
        for name in names:
            if await self._apply(name):
                self._held.note_taken(name)
        if names:
            await self._remember()

    def _is_newer(self, name: str, mine: bytes | None) -> bool:
        """Whether a caller changed it here since this node shared or heard it last."""
        known = self._before.get(name)
        if mine is None:  # gone; one that cannot be read any more is none that was deleted
            return (
                known is not None
                and _hash(self._held.values[name]) in known
                and self.supervisor.store.get(name) is None
            )
        return _hash(mine) not in known if known is not None else name not in self._held.values

    async def _apply(self, name: str) -> bool:
        """Make a processor what the topic says; whether it is. One document that cannot be used is no reason to follow no other."""
        value = self._held.values.get(name)
        if value == self._mine(name):
            return True
        self._applying.add(name)
        try:
            if value is None:
                await self._delete(name)
            else:
                document = json.loads(value)
                await self._put(name, document["document"], document["wanted"])
        except (StreamprocError, ValidationError, ValueError, KeyError, TypeError) as error:
            log.error("document_not_taken", processor=name, reason=_reason(error))
            return False
        finally:
            self._applying.discard(name)
        self.changed(name)  # somebody may have changed it meanwhile
        return True

    async def _delete(self, name: str) -> None:
        if self.supervisor.processor(name).life.active:
            await self.supervisor.stop(name)
        await self.supervisor.delete(name)

    async def _put(self, name: str, document: dict[str, Any], wanted: Literal["running", "stopped"]) -> None:
        config = ProcessorConfig.model_validate(document)
        if not self.supervisor.known(name):
            await self.supervisor.create(name, config)
        elif self.supervisor.processor(name).row.document != document:
            await self.supervisor.update(name, config)
        if self.supervisor.processor(name).row.wanted != wanted:
            want(self.supervisor, name, wanted)

    # -- memory

    async def _remember(self) -> None:
        async with self._writing:
            document = {"cluster": self._cluster, "shared": self._held.hashes()}
            await DATABASE.run(write_durably, self._file, json.dumps(document, indent=1).encode())

    @property
    def _file(self) -> Path:
        return self.supervisor.database.data_dir / FILE


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
