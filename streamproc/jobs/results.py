"""Results of jobs as they are fetched, page by page: the last few are held in memory."""

from __future__ import annotations

import json
import threading
import zlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from streamproc.jobs.answers import Aggregate, Item, Sort, items_of
from streamproc.jobs.model import Job
from streamproc.store.jobs import JobStore

_HELD = 4


class Results:
    """Thread-safe."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._results: OrderedDict[str, Mapping[str, Any]] = OrderedDict()
        self._orders: OrderedDict[tuple[str, Sort, Aggregate], Sequence[Item]] = OrderedDict()
        self._lock = threading.Lock()

    def whole(self, job: str) -> Mapping[str, Any] | None:
        """As it is kept; None while there is none."""
        with self._lock:
            if job in self._results:
                self._results.move_to_end(job)
                return self._results[job]
        packed = self._store.result(job)
        if packed is None:
            return None
        result: Mapping[str, Any] = json.loads(zlib.decompress(packed))
        with self._lock:
            self._results[job] = result
            while len(self._results) > _HELD:
                self._results.popitem(last=False)
        return result

    def ordered(self, job: Job, result: Mapping[str, Any], sort: Sort, aggregate: Aggregate) -> Sequence[Item]:
        """Everything of a result in the asked order."""
        key = (job.id, sort, aggregate)
        with self._lock:
            if key in self._orders:
                self._orders.move_to_end(key)
                return self._orders[key]
        items = items_of(job.request.kind, result, sort, aggregate)
        with self._lock:
            self._orders[key] = items
            while len(self._orders) > _HELD:
                self._orders.popitem(last=False)
        return items
