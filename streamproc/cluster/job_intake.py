"""Taking in jobs at any node of a cluster: what was asked stands in the log before it is answered."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import secrets
from collections.abc import Sequence
from dataclasses import replace

from streamproc.cluster.job_writer import JobLog, JobWriter
from streamproc.core.errors import StorageUnavailable
from streamproc.store.job_index import JobIndex
from streamproc.store.job_records import asked_record
from streamproc.store.jobs import SHARED, JobRow


class JobIntake:
    """Not to be called in the event loop, nor by two threads at once: the second would not know what the first asks for."""

    def __init__(self, index: JobIndex, log: JobLog, writer: JobWriter) -> None:
        self._index = index
        self._log = log
        self._writer = writer

    def take(self, rows: Sequence[JobRow], since: float) -> list[JobRow]:
        """These jobs as the log has them, which may have taken in others of the same tokens before. ``since``: tokens of jobs that were made before
        this no longer count. Raises StorageUnavailable: then they may be there."""
        named = [self._named(replace(row, owner=SHARED), since) for row in rows]
        self._writer.wait(self._log.note({row.id: asked_record(row, self._log.node_id) for row in named}))
        return [self._taken_in(row) for row in named]

    def _named(self, row: JobRow, since: float) -> JobRow:
        """With an id that says its slot. The same token gives the same one on every node; without one, jobs of one video share a slot, so that one
        node decodes it once."""
        if not row.token:
            wanted = self._log.slot_of(str(row.request["video"]["url"]))
            made = (secrets.token_hex(32) for _ in itertools.count())
            return replace(row, id=next(each for each in made if self._log.slot_of(each) == wanted))
        words = (f"{row.kind}\0{row.token}\0{number}" for number in itertools.count())
        names = (hashlib.sha256(each.encode()).hexdigest() for each in words)
        return replace(row, id=next(name for name in names if self._is_free(name, since)))

    def _is_free(self, job: str, since: float) -> bool:
        known = self._writer.shared(job)
        return known is None or known.created >= since

    def _taken_in(self, row: JobRow) -> JobRow:
        found, mine = self._writer.shared(row.id), asked_record(row, self._log.node_id)
        if found is None:
            raise StorageUnavailable("the job was forgotten at once; is this node's clock right?")
        if found.created != row.created and self._index.asked_key(row.id) not in mine:
            with contextlib.suppress(StorageUnavailable):  # it is passed over for all that
                self._writer.wait(self._log.note({row.id: dict.fromkeys(mine)}))
        return found
