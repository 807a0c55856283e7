"""Records of shared jobs become rows: in any order, any number of times, cut into parts, from two nodes at once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from streamproc.core.errors import NotFound, StateVersionUnknown
from streamproc.store import job_records
from streamproc.store.database import Database
from streamproc.store.job_index import JobIndex
from streamproc.store.job_records import (
    Records,
    asked_record,
    checkpoint_records,
    in_parts,
    joined,
    no_parts,
    read_checkpoint,
    result_records,
    standing_record,
)
from streamproc.store.jobs import SHARED, JobRow, JobStore, Progress

JOB = "ab" * 32


def row(job: str = JOB, **changes: object) -> JobRow:
    asked = JobRow(
        id=job,
        kind="labels",
        owner=SHARED,
        request={"video": {"url": "s3://films/a.mp4"}, "channel": {"topic": "t"}},
        fingerprint="f",
        token=None,
        state="queued",
        created=1.0,
        run="",
    )
    return replace(asked, **changes)  # type: ignore[arg-type]


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path)


@pytest.fixture
def store(database: Database) -> JobStore:
    return JobStore(database)


@pytest.fixture
def index(database: Database, store: JobStore) -> JobIndex:
    return JobIndex(database)


def test_what_is_large_is_written_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_records, "PART_BYTES", 3)
    for data in (b"", b"abc", b"abcdefgh"):
        records = in_parts("key", data)
        assert joined(records, "key") == data
        assert records.keys() == no_parts("key", len(data)).keys()
    records = in_parts("key", b"abcdefgh")
    assert joined(records | {"key 1": None}, "key") is None
    # A shorter one written over it counts, whatever is left of the one before.
    assert joined(records | in_parts("key", b"xy"), "key") == b"xy"


def test_a_job_s_records_in_any_order_and_again(store: JobStore, index: JobIndex) -> None:
    running = row(state="running", run="r", revision=2, frames=40)
    over = replace(running, state="succeeded", ended=9.0, revision=3, frames=75)
    told = replace(over, told=True, revision=4)
    index.apply(asked_record(row(), "a").items())
    index.apply(standing_record(running).items())
    index.apply([*result_records(JOB, b"found").items(), *standing_record(over).items()])
    index.apply(standing_record(running).items())
    assert index.apply(standing_record(told).items()).told == {JOB}
    index.apply([*asked_record(row(), "a").items(), *result_records(JOB, b"found").items()])
    index.apply(standing_record(over).items())
    assert store.get(JOB) == told
    assert store.result(JOB) == b"found"
    assert index.undone() == []
    index.apply(dict.fromkeys(asked_record(row(), "a")).items())
    with pytest.raises(NotFound):
        store.get(JOB)
    index.apply(standing_record(told).items())
    with pytest.raises(NotFound):
        store.get(JOB)


def test_of_two_nodes_asked_the_same_at_once_the_first_counts(store: JobStore, index: JobIndex) -> None:
    first, second = asked_record(row(created=1.0), "a"), asked_record(row(created=2.0), "b")
    index.apply([*first.items(), *second.items()])
    assert store.get(JOB).created == 1.0 and index.asked_key(JOB) == f"{JOB} asked a"
    index.apply(dict.fromkeys(second).items())
    assert store.get(JOB).created == 1.0


def test_an_end_that_nobody_was_told_of_is_still_to_do(index: JobIndex) -> None:
    over = row(state="failed", ended=9.0, revision=1)
    index.apply([*asked_record(row(), "a").items(), *standing_record(over).items()])
    assert index.undone() == index.untold() == [over]
    index.apply(standing_record(replace(over, state="cancelled", revision=2)).items())
    assert index.undone() == index.untold() == []


def test_a_record_of_a_later_version_is_not_guessed_at(index: JobIndex) -> None:
    index.apply(asked_record(row(), "a").items())
    later = {f"{JOB} standing": json.dumps({"version": 2, "state": "paused"}).encode()}
    with pytest.raises(StateVersionUnknown, match="version 2, this streamproc reads 1"):
        index.apply(later.items())
    index.apply(later.items(), strict=False)
    assert index.rows() == [row()]


@pytest.mark.logs_errors("job_unreadable")
def test_a_damaged_record_is_passed_over(index: JobIndex) -> None:
    index.apply([(f"{JOB} asked a", b"{"), *asked_record(row(), "b").items()])
    assert index.rows() == [row()]


def saved(number: int, rows: bytes | None = b"rows") -> list[Progress]:
    return [Progress(job, f"{job} {number}".encode(), rows) for job in ("one", "two")]


def test_a_checkpoint_counts_only_the_rows_that_it_names() -> None:
    log: Records = checkpoint_records("run", b"place 0", saved(0), {})
    # Of this one nobody heard that it was committed: the run went on from the one before it and found less.
    log |= checkpoint_records("run", b"place 2", saved(2), {"one": 1, "two": 1})
    log |= checkpoint_records("run", b"place 1", saved(1, None), {"one": 1, "two": 1})
    found = read_checkpoint("run", ["one", "two"], log)
    assert found is not None
    assert found.place == b"place 1" and found.states == {"one": b"one 1", "two": b"two 1"}
    assert found.rows == {"one": [b"rows"], "two": [b"rows"]}


@pytest.mark.parametrize("gone", ["run place 0", "one state 0", "two rows 0 0"])
def test_of_a_checkpoint_that_is_not_whole_nothing_counts(gone: str) -> None:
    log = checkpoint_records("run", b"place", saved(0), {}) | {gone: None}
    assert read_checkpoint("run", ["one", "two"], log) is None


def test_a_takeover_goes_on_from_the_log_and_not_from_what_was_here(store: JobStore, index: JobIndex) -> None:
    for job in ("one", "two", "else"):
        running = row(job, state="running", run="run" if job != "else" else "other", revision=1)
        index.apply([*asked_record(row(job), "a").items(), *standing_record(running).items()])
    store.checkpoint("run", b"old", saved(0), 10)
    store.checkpoint("other", b"mine", [Progress("else", b"state", None)], 10)
    log = checkpoint_records("run", b"new", saved(3), {})
    index.restore(lambda job: job.run == "run", log)
    assert store.place("run") == b"new" and store.state("one") == b"one 3" and store.rows("two") == [b"rows"]
    assert store.place("other") == b"mine" and store.state("else") == b"state"
    index.restore(lambda job: job.run == "run", {})
    assert store.place("run") is None and store.rows("one") == []
