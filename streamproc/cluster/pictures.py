"""A node and the bucket of its cluster's pictures: what goes there, what is found there, and what is old there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from connectors.context import ConnectorContext
from connectors.s3.bucket import Bucket
from streamproc.cluster.picture_store import PictureStore
from streamproc.cluster.slot_store import LOGGED_S
from streamproc.config.cluster import ClusterSettings
from streamproc.core.errors import StorageUnavailable
from streamproc.core.event import Event, Pictures
from streamproc.live.supervisor import Supervisor
from streamproc.store.spool import Spool
from streamproc.threads import PICTURES
from streamproc.trouble import Trouble

log = structlog.get_logger(__name__)
SWEEP_EVERY_S = 3600.0


class PictureSweep:
    """Deletes pictures of events that nobody keeps any more. Belongs to the event loop; runs on whichever node ``in_charge`` says."""

    def __init__(self, bucket: Bucket, prefix: str, keep_s: Callable[[], float], in_charge: Callable[[], bool]) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._keep_s = keep_s
        self._in_charge = in_charge
        self._trouble = Trouble("old_pictures_stay", "old_pictures_go", bucket=bucket.place)
        self._sweeping: asyncio.Task[None] | None = None

    def open(self) -> None:
        self._sweeping = asyncio.create_task(self._sweep_always(), name="old pictures of the cluster")

    async def close(self) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)

    async def _sweep_always(self) -> None:
        while True:
            if self._in_charge():
                try:
                    gone = await PICTURES.run(self.sweep, datetime.now(UTC))
                    self._trouble.over()
                    if gone:
                        log.info("old_pictures_deleted", objects=gone)
                except StorageUnavailable as error:
                    self._trouble.met(error)
                except Exception as error:  # noqa: BLE001 - the task's boundary: one bad moment must not end it for good
                    self._trouble.met(repr(error), bug=error)
                await asyncio.sleep(SWEEP_EVERY_S)
            else:
                await asyncio.sleep(SWEEP_EVERY_S / 60)

    def sweep(self, now: datetime) -> int:
        """How many objects went. Raises StorageUnavailable."""
        gone = 0
        for keys in self._bucket.older_than(self._prefix, now - timedelta(seconds=self._keep_s())):
            self._bucket.delete(keys)
            gone += len(keys)
        return gone


class ClusterPictures:
    """What a node has to do with the bucket of its cluster; nothing where none is set. Belongs to the event loop."""

    def __init__(self, settings: ClusterSettings, context: ConnectorContext, in_charge: Callable[[], bool]) -> None:
        """``in_charge``: whether this node is to delete what is old. Raises InputError where an environment variable that is named is not set."""
        self._settings = settings.pictures
        self._in_charge = in_charge
        self._store: PictureStore | None = None
        self._sweep: PictureSweep | None = None
        if settings.pictures is not None:
            self._bucket = Bucket(settings.pictures, context)
            self._prefix = "/".join(filter(None, (settings.pictures.prefix.strip("/"), settings.name))) + "/"

    @property
    def trouble(self) -> str:
        """What of this node's pictures waits, and why; empty while nothing does."""
        return self._store.trouble if self._store is not None else ""

    def bind(self, supervisor: Supervisor) -> Callable[[Event, Pictures], str]:
        """From now on pictures that lie in the bucket are found. What ``LoggedJournal`` asks to put them there."""
        if self._settings is None:
            return lambda event, pictures: ""

        def keep_s() -> float:
            node = supervisor.node
            return max(node.history.keep, node.outbox.keep_delivered, LOGGED_S)

        waiting = Spool(supervisor.database.data_dir / "pictures-waiting")
        self._store = PictureStore(self._bucket, self._prefix, self._settings, waiting)
        self._sweep = PictureSweep(self._bucket, self._prefix, keep_s, self._in_charge)
        supervisor.journal.spool.elsewhere = self._store.read
        return self._store.keep

    def open(self) -> None:
        if self._store is not None and self._sweep is not None:
            self._store.open()
            self._sweep.open()

    async def close(self) -> None:
        if self._store is not None and self._sweep is not None:
            await self._sweep.close()
            await self._store.close()
            self._bucket.close()
