"""What all viewers are told is written out once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streamproc.server.feed import Feed
from streamproc.store.database import Database
from streamproc.store.journal import Journal


async def test_a_state_is_written_once_for_all_and_once_without_people(tmp_path: Path) -> None:
    document = {"name": "door", "session": {"id": "1", "announced": {"face_matched:eve": "now"}}}

    async def snapshot() -> Mapping[tuple[str, str], Mapping[str, Any]]:
        return {("state", "door"): document, ("job", "1"): {"id": "1"}}

    journal = Journal(Database(tmp_path))
    feed = Feed(journal, [snapshot])
    seeing, again, looking = [await feed.join(faces) for faces in (True, True, False)]
    feed.look()
    await feed._compare()
    (state, job), (same, same_job), (bare,) = (viewer.take() for viewer in (seeing, again, looking))
    assert state is same and job is same_job, "one and the same bytes"
    assert b"eve" in state and b"eve" not in bare.replace(b"event", b"") and b"event: state" in bare
    assert json.loads(bare.split(b"data: ")[1])["name"] == "door"
    journal.database.close()
