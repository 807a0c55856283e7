"""Claimed jobs know their run: what two runs save must never meet."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from streamproc.store.database import Database
from streamproc.store.jobs import JobRow, JobStore


def _row(job: str) -> JobRow:
    return JobRow(
        id=job,
        kind="labels",
        owner="box",
        request={"video": {"url": job}},
        fingerprint=job,
        token=None,
        state="queued",
        created=1.0,
        run="",
    )


def test_a_claimed_job_has_its_run(tmp_path: Path) -> None:
    store = JobStore(Database(tmp_path))
    for job in ("a", "b"):
        store.start(_row(job), since=0.0, most=None)
    (first,), (second,) = store.claim("box", "run-1"), store.claim("box", "run-2")
    assert (first.run, first.state, second.run) == ("run-1", "running", "run-2")
    assert [[row.run for row in rows] for rows in store.resume("box")] == [["run-1"], ["run-2"]]


def test_a_token_finds_its_owners_newest_job_while_it_is_fresh(tmp_path: Path) -> None:
    store = JobStore(Database(tmp_path))
    rows = [
        replace(_row(job), token="t", owner=owner, created=at)
        for job, owner, at in (("a", "box", 1.0), ("b", "me", 2.0))
    ]
    for row in rows:
        assert store.start(row, since=0.0, most=None) == row
    assert store.start(replace(rows[0], id="c"), since=0.0, most=None) == rows[0]
    found = store.by_token("labels", "t", "box", since=1.0)
    assert found == rows[0]
    for kind, token, owner, since in [
        ("labels", "t", "box", 1.5),
        ("faces", "t", "box", 0.0),
        ("labels", "u", "box", 0.0),
    ]:
        assert store.by_token(kind, token, owner, since=since) is None


def test_why_a_job_failed_is_kept(tmp_path: Path) -> None:
    store = JobStore(Database(tmp_path))
    for job in ("a", "b"):
        store.start(_row(job), since=0.0, most=None)
    store.end("a", "failed", message="cannot be decoded", bad_video=True)
    store.end("b", "failed", message="no models")
    assert [(store.get(job).message, store.get(job).bad_video) for job in ("a", "b")] == [
        ("cannot be decoded", True),
        ("no models", False),
    ]
