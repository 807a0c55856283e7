"""One processor's row in the store, and what could not be written of it yet."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import structlog

from streamproc.core.errors import StorageUnavailable
from streamproc.store.processors import ProcessorRow, ProcessorStore

log = structlog.get_logger(__name__)


class ProcessorRecord:
    """Belongs to the event loop. ``row`` is what counts, on disk or not."""

    def __init__(self, row: ProcessorRow, store: ProcessorStore) -> None:
        self.row = row
        self._store = store
        self._unsaved: dict[str, Any] = {}

    @property
    def unsaved(self) -> bool:
        """Something has changed that the disk could not take."""
        return bool(self._unsaved)

    def save(self, **changes: Any) -> None:
        """A change that is asked for: on disk before it counts. Raises StorageUnavailable, NotFound."""
        self.row = self._store.update(self.row.name, **{**self._unsaved, **changes})
        self._unsaved.clear()

    def note(self, **changes: Any) -> None:
        """A change that has happened: it counts even where the disk cannot take it, and is written with the next one."""
        try:
            self.save(**changes)
        except Exception as error:  # whatever is broken, what has happened has happened
            if not isinstance(error, StorageUnavailable):
                log.exception("state_not_saved", processor=self.row.name)
            self._unsaved |= changes
            self.row = replace(self.row, **changes)
