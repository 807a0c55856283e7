"""A new owner reads from the oldest event that somebody is owed."""

from __future__ import annotations

from streamproc.logic.pending_offsets import PendingOffsets


def test_reading_begins_with_the_oldest_that_is_owed() -> None:
    owed = PendingOffsets()
    assert owed.first == 0
    owed.add(3, "s", 0, ["hook", "folder"])
    owed.add(4, "s", 1, ["hook"])
    owed.add(5, "t", 0, ["hook"])
    owed.settle("hook", "s", 1)
    assert owed.first == 3, "the folder is owed it"
    owed.settle("folder", "s", 7)
    assert owed.first == 5
    owed.settle("hook", "t", 0)
    assert owed.first == 5, "nothing is owed: from the newest on"
    owed.add(9, "t", 1, [])
    assert owed.first == 9, "an event that no output takes"
