"""The processors that a box remembers."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamproc.core.errors import AlreadyExists, NotFound
from streamproc.store.database import Database
from streamproc.store.processors import ProcessorRow, ProcessorStore


@pytest.fixture
def store(tmp_path: Path) -> ProcessorStore:
    return ProcessorStore(Database(tmp_path))


def test_rows_come_back_as_they_were(store: ProcessorStore) -> None:
    row = store.create(ProcessorRow("door", {"labels": {}}, tags={"site": "home"}, wanted="running"))
    assert store.get("door") == row
    assert store.all() == [row]
    assert row.created is not None


def test_a_name_is_given_once(store: ProcessorStore) -> None:
    store.create(ProcessorRow("door", {}))
    with pytest.raises(AlreadyExists, match="door"):
        store.create(ProcessorRow("door", {}))


def test_update_changes_only_what_is_named(store: ProcessorStore) -> None:
    first = store.create(ProcessorRow("door", {"a": 1}))
    store.update("door", state="failed", message="no such stream")
    row = store.get("door")
    assert row is not None and (row.state, row.message, row.document) == ("failed", "no such stream", {"a": 1})
    assert row.created == first.created and row.updated is not None and first.updated is not None
    assert row.updated > first.updated
    with pytest.raises(NotFound, match="window"):
        store.update("window", state="failed")


def test_put_keeps_the_time_of_birth(store: ProcessorStore) -> None:
    first = store.put(ProcessorRow("door", {"a": 1}))
    second = store.put(ProcessorRow("door", {"a": 2}))
    assert (second.created, second.document) == (first.created, {"a": 2})
    assert first.document_hash != second.document_hash


def test_delete_says_whether_there_was_one(store: ProcessorStore) -> None:
    store.create(ProcessorRow("door", {}))
    assert store.delete("door") is True
    assert store.delete("door") is False
    assert store.all() == []
