"""What the routes of replays take and tell."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from streamproc.console.recording_replay import document, seconds_of
from streamproc.core.errors import InputError
from streamproc.live.recording_replay import RecordingReplay, ReplayState


def test_how_much_is_replayed() -> None:
    assert (seconds_of(None), seconds_of("2m"), seconds_of(86400)) == (600, 120, 86400)
    for bad in ("25h", 0, "0.5s", "soon", True, [], float("nan")):
        with pytest.raises(InputError, match="for: "):
            seconds_of(bad)


def test_who_may_not_know_who_was_seen_is_told_nothing_of_faces() -> None:
    def event(kind: str) -> dict[str, Any]:
        return {"type": kind, "id": kind, "person": "ann"}

    moves = [{"before": event(kind), "after": event(kind)} for kind in ("label_detected", "face_matched")]
    found = {"same": 2, "appears": [event("face_unknown")], "vanishes": [event("label_detected")], "moves": moves}
    told = RecordingReplay("door", 0, 1000, datetime(2026, 1, 1, tzinfo=UTC), ReplayState.DONE, 1.0, found=found)
    assert document(told, faces=True)["found"] == found
    seen = document(told, faces=False)["found"]
    assert seen["appears"] == [] and len(seen["vanishes"]) == len(seen["moves"]) == 1 and seen["same"] == 2
    assert "ann" not in str(seen) and "face" not in str(seen)
