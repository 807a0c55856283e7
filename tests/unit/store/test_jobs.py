"""Claimed jobs know their run: what two runs save must never meet."""

from __future__ import annotations

from pathlib import Path

from streamproc.store.database import Database
from streamproc.store.jobs import JobRow, JobStore


def _row(job: str) -> JobRow:
    return JobRow(job, "labels", "box", {"video": {"url": job}}, job, None, "queued", None, 1.0, None, "", 0, 0, None)


def test_a_claimed_job_has_its_run(tmp_path: Path) -> None:
    store = JobStore(Database(tmp_path))
    for job in ("a", "b"):
        store.start(_row(job), since=0.0, most=None)
    (first,), (second,) = store.claim("box", "run-1"), store.claim("box", "run-2")
    assert (first.run, first.state, second.run) == ("run-1", "running", "run-2")
    assert [[row.run for row in rows] for rows in store.resume("box")] == [["run-1"], ["run-2"]]
