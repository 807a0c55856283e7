"""What a camera's packets are like, kept over restarts, so that many cameras need not be decoded until each has been learnt again."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from streamproc.config.processor import ConnectorRef
from streamproc.pipeline.idle import IdleMode
from streamproc.store.database import Database


def recall(database: Database, processor: str, source: ConnectorRef, idle: IdleMode) -> None:
    """Give ``idle`` what was kept of this processor's source; of another source, or unreadable, nothing."""
    kept = database.get(_key(processor))
    if kept is None:
        return
    try:
        document: dict[str, Any] = json.loads(kept)
        if document["source"] == _fingerprint(source):
            idle.restore(document["idle"])
    except (ValueError, LookupError, TypeError, AttributeError):
        return  # of another version: the camera is learnt anew


def keep(database: Database, processor: str, source: ConnectorRef, idle: IdleMode) -> None:
    """Write down what ``idle`` knows of the source, where it knows anything."""
    state = idle.snapshot()
    if state is not None:
        database.put(_key(processor), json.dumps({"source": _fingerprint(source), "idle": state}))


def _key(processor: str) -> str:
    return f"idle:{processor}"


def _fingerprint(source: ConnectorRef) -> str:
    return hashlib.sha256(source.model_dump_json().encode()).hexdigest()[:16]
