"""Keeping the journal small: what nobody waits for is forgotten in time, and a full disk quota has an order of sacrifice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import structlog

from streamproc.config.node import HistorySettings, OutboxSettings
from streamproc.metrics import HISTORY_BYTES, OUTBOX_BYTES, OUTBOX_DEAD, OUTBOX_SHED, OUTBOX_WAITING
from streamproc.store.deliveries import DeliveryStore
from streamproc.store.journal import Journal
from streamproc.store.retention import Keep, Retention
from streamproc.threads import DATABASE
from streamproc.trouble import Trouble

log = structlog.get_logger()

_TICK_S = 2.0
_CLEAN_EVERY_S = 60.0
_KEEP_RECORDS_S = 300.0
"""Delivered face records are kept only as long as a restart may decide them again."""
_RELIEF = 0.9
"""Sacrifice down to this share of the quota, so that it does not happen on every event."""


class Housekeeper:
    """Looks every two seconds: quota, gauges, and deliveries that another process (the command line) woke."""

    def __init__(
        self,
        journal: Journal,
        store: DeliveryStore,
        settings: OutboxSettings,
        wake: Callable[[set[tuple[str, str]]], None],
        history: HistorySettings | None = None,
    ) -> None:
        self._journal = journal
        self._store = store
        self.settings = settings
        self.history = history or HistorySettings()
        self._retention = Retention(journal)
        self._wake = wake
        self._task: asyncio.Task[None] | None = None
        self._cleaned = 0.0
        self._full = False
        self._trouble = Trouble("outbox_housekeeping_failed", "outbox_housekeeping_goes_on")

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="outbox housekeeping")

    async def aclose(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            try:
                self._wake(await DATABASE.run(self.look, time.time()))
                self._trouble.over()
            except Exception as error:  # noqa: BLE001 - Boundary: a full disk or a locked file now must not end housekeeping for good.
                self._trouble.met(repr(error), bug=error)
            await asyncio.sleep(_TICK_S)

    def look(self, now: float) -> set[tuple[str, str]]:
        """One round; returns the (output, session) pairs with something to deliver. Blocks on the disk."""
        if abs(now - self._cleaned) >= _CLEAN_EVERY_S:  # a clock that is set back must not stop the cleaning
            self._cleaned = now
            self._retention.by_age(now, self._keep())
        self._retention.by_size(now, self._keep())
        self._hold_quota()
        self._show()
        return set(self._store.waiting_sessions())

    def _keep(self) -> Keep:
        delivered, history = self.settings.keep_delivered, self.history
        return Keep(min(_KEEP_RECORDS_S, delivered), max(delivered, history.keep), history.max_bytes)

    def _hold_quota(self) -> None:
        """Over the quota: pictures of the oldest owed events go, then new face records are not kept.

        Notifications themselves are never given up.
        """
        quota = self.settings.max_bytes
        size = self._store.bytes_kept()
        if size > quota:
            shed = self._store.shed_pictures(size - int(quota * _RELIEF))
            if shed:
                OUTBOX_SHED.labels("pictures").inc()
                log.error("outbox_full", quota=quota, gave_up="pictures of the oldest events", bytes=shed)
            size -= shed
        full = size > quota * (_RELIEF if self._full else 1.0)
        if full != self._full:
            self._full = full
            self._journal.refuse_records(full)
            if full:
                OUTBOX_SHED.labels("records").inc()
                log.error("outbox_full", quota=quota, gave_up="new face records")
        OUTBOX_BYTES.set(size)
        HISTORY_BYTES.set(self._retention.history_bytes())

    def _show(self) -> None:
        OUTBOX_WAITING.clear()
        OUTBOX_DEAD.clear()
        for (output, state), number in self._store.counts().items():
            (OUTBOX_WAITING if state == "waiting" else OUTBOX_DEAD).labels(output).set(number)
