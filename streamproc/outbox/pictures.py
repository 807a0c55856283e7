"""The pictures that go along with a delivery, from this node's disk or from where the cluster keeps them."""

from __future__ import annotations

import time

import structlog

from streamproc.core.errors import SinkBusy, StorageUnavailable
from streamproc.core.event import Pictures
from streamproc.store.deliveries import PendingDelivery
from streamproc.store.spool import Spool
from streamproc.threads import DATABASE, PICTURES

log = structlog.get_logger(__name__)
WAIT_S = 60.0
"""So long an event waits for pictures that lie in the cluster's bucket; what happened is told without them then."""


async def pictures_for(item: PendingDelivery, spool: Spool, wanted: bool) -> tuple[bool, Pictures | None]:
    """Whether they are still kept, and they themselves if wanted. Raises SinkBusy where it is worth waiting for them."""
    threads = DATABASE if spool.elsewhere is None else PICTURES
    return await threads.run(_find, item, spool, wanted)


def _find(item: PendingDelivery, spool: Spool, wanted: bool) -> tuple[bool, Pictures | None]:
    session, event_id = item.event.session, item.event.id
    if not wanted:
        return spool.has(session, event_id), None
    reason = "are not in the cluster's bucket yet"
    try:
        pictures = spool.read(session, event_id)
    except StorageUnavailable as error:
        pictures, reason = None, f"cannot be had now: {error}"
    if pictures is None and spool.points(session, event_id):
        if time.time() - item.stored < WAIT_S:
            raise SinkBusy(f"the pictures of {event_id} {reason}")
        log.warning("delivered_without_pictures", output=item.output, event_id=event_id, reason=reason)
    return pictures is not None, pictures
