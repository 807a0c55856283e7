"""Jobs that nodes share, over a log in memory: two nodes, terms that end, brokers that do not answer."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import pytest

from streamproc.cluster import job_store
from streamproc.cluster.job_store import SharedJobStore
from streamproc.core.errors import InUse, NotFound, OwnershipLost, StorageUnavailable
from streamproc.logic.slots import slot_of
from streamproc.store.database import Database
from streamproc.store.job_index import JobIndex
from streamproc.store.job_records import Records, read_checkpoint
from streamproc.store.jobs import JobRow, JobStore, Progress
from streamproc.store.journal import Journal

SLOTS = 4


@dataclass
class Log:
    """The topics, and who has which slot in which term."""

    jobs: list[tuple[str, bytes | None]] = field(default_factory=list)
    checkpoints: Records = field(default_factory=dict)
    owners: dict[int, str] = field(default_factory=lambda: dict.fromkeys(range(SLOTS), "a"))
    terms: dict[int, int] = field(default_factory=lambda: dict.fromkeys(range(SLOTS), 1))
    away: bool = False
    nodes: list[Node] = field(default_factory=list)

    def move(self, node: str) -> None:
        """All slots are another's."""
        self.owners = dict.fromkeys(self.owners, node)
        self.terms = {slot: term + 1 for slot, term in self.terms.items()}

    def newest(self, key: str) -> bytes | None:
        return dict(self.jobs)[key]


class Node:
    """What of a node the jobs' store asks, and the store."""

    def __init__(self, name: str, log: Log, folder: Path, loop: asyncio.AbstractEventLoop) -> None:
        self.node_id = name
        self._log = log
        self._read = 0
        database = Database(folder)
        Journal(database)
        self.index = JobIndex(database)
        self.store = SharedJobStore(database, self.index, self, loop)
        log.nodes.append(self)

    def slot_of(self, job: str) -> int:
        return slot_of(job, SLOTS)

    def term_of(self, row: JobRow) -> int | None:
        if row.node:
            return -1 if row.node == self.node_id else None
        slot = self.slot_of(row.id)
        return self._log.terms[slot] if self._log.owners[slot] == self.node_id else None

    def tidies(self, job: str) -> bool:
        return self._log.owners[self.slot_of(job)] == self.node_id

    async def commit(self, row: JobRow, term: int, records: Records, checkpoint: Records) -> None:
        if self._log.away:
            raise StorageUnavailable("brokers")
        if term != self.term_of(row):
            raise OwnershipLost("another's")
        self._log.checkpoints |= checkpoint
        self._log.jobs += records.items()

    async def note(self, records: dict[str, Records]) -> None:
        if self._log.away:
            raise StorageUnavailable("brokers")
        self._log.jobs += [item for each in records.values() for item in each.items()]
        await asyncio.to_thread(self.follow)

    def follow(self) -> None:
        self.index.apply(self._log.jobs[self._read :])
        self._read = len(self._log.jobs)

    def take_over(self) -> None:
        """All slots are this node's, and it has read what they hold."""
        self._log.move(self.node_id)
        self.follow()
        self.index.restore(lambda row: not row.node, self._log.checkpoints)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    thread = threading.Thread(target=made.run_forever)
    thread.start()
    yield made
    made.call_soon_threadsafe(made.stop)
    thread.join()
    made.run_until_complete(made.shutdown_default_executor())
    made.close()


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def nodes(log: Log, tmp_path: Path, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> list[Node]:
    monkeypatch.setattr(job_store, "FOLLOWS_S", 0.0)
    monkeypatch.setattr(job_store, "CANCEL_S", 0.0)
    return [Node(name, log, tmp_path / name, loop) for name in ("a", "b")]


def row(token: str | None = None, url: str = "s3://films/a.mp4", **changes: object) -> JobRow:
    request = {"video": {"url": url}, "channel": {"topic": "t"}}
    asked = JobRow(
        id="",
        kind="labels",
        owner="box",
        request=request,
        fingerprint="f",
        token=token,
        state="queued",
        created=5.0,
        run="",
    )
    return replace(asked, **changes)  # type: ignore[arg-type]


def started(node: Node, *rows: JobRow) -> list[JobRow]:
    made = node.store.start_all(rows or [row()], since=0.0, most=None)
    assert not isinstance(made, int)
    return made


def frames(store: JobStore, run: str, job: str, number: int) -> None:
    store.checkpoint(run, f"place {number}".encode(), [Progress(job, b"state", b"rows")], number)


def test_a_job_started_anywhere_is_the_slot_owner_s_to_run(nodes: list[Node]) -> None:
    a, b = nodes
    (job,) = started(b)
    with pytest.raises(NotFound):
        a.store.get(job.id)
    a.follow()
    assert asdict(a.store.get(job.id)) == asdict(b.store.get(job.id))
    assert b.store.claim("box", "r") == []
    assert [each.id for each in a.store.claim("box", "r")] == [job.id]
    assert a.store.claim("box", "s") == []
    b.follow()
    assert b.store.get(job.id).state == "running"


def test_jobs_of_one_video_share_a_decode(nodes: list[Node]) -> None:
    a, _ = nodes
    two = [each.id for each in (*started(a, row(), row()), *started(a, row()))]
    started(a, row(url="s3://films/b.mp4", created=6.0))  # the oldest is claimed first
    assert [each.id for each in a.store.claim("box", "r")] == sorted(two)


def test_the_same_token_at_two_nodes_is_one_job(nodes: list[Node]) -> None:
    a, b = nodes
    with ThreadPoolExecutor(2) as pool:  # neither has heard of the other's
        both = list(pool.map(lambda node: started(node, row("t"))[0].id, nodes))
    assert both[0] == both[1]
    a.follow()
    b.follow()
    assert a.store.get(both[0]) == b.store.get(both[0])
    assert started(b, row("t"))[0].id == both[0]
    assert started(a, row("u"))[0].id != both[0]
    anew = a.store.start_all([row("t", created=9.0)], since=8.0, most=None)
    assert not isinstance(anew, int) and anew[0].id != both[0], "the token has expired"


def test_of_two_requests_under_one_token_the_later_is_taken_back(nodes: list[Node], log: Log) -> None:
    a, b = nodes
    (first,) = started(a, row("t"))
    (second,) = started(b, row("t", fingerprint="other", created=6.0))
    assert second == first
    assert log.newest(f"{first.id} asked b") is None


def test_more_than_are_let_in(nodes: list[Node], log: Log) -> None:
    a, b = nodes
    started(a, row("t"))
    b.follow()
    before = list(log.jobs)
    assert b.store.start_all([row(), row()], since=0.0, most=2) == 1
    assert log.jobs == before
    assert b.store.start(row("t"), since=0.0, most=1) == b.store.get(started(a, row("t"))[0].id)


def test_another_node_goes_on_from_the_checkpoint(nodes: list[Node], log: Log) -> None:
    a, b = nodes
    (job,) = started(a)
    a.store.claim("box", "r")
    assert a.store.attempt([job.id]) == 1
    frames(a.store, "r", job.id, 10)
    frames(a.store, "r", job.id, 20)
    b.take_over()
    assert a.store.is_lost("r")
    with pytest.raises(OwnershipLost):
        frames(a.store, "r", job.id, 30)
    with pytest.raises(OwnershipLost):
        a.store.end(job.id, "succeeded", result=b"a's")
    a.store.no_attempt([job.id])
    assert a.store.let_go("r")
    (mine,) = b.store.claim("box", "s")
    assert (mine.run, mine.frames, mine.attempts) == ("r", 20, 0)
    assert b.store.place("r") == b"place 20" and b.store.rows(job.id) == [b"rows", b"rows"]
    b.store.end(job.id, "succeeded", result=b"found", frames=75)
    assert read_checkpoint("r", [job.id], log.checkpoints) is None
    assert set(log.checkpoints.values()) == {None}, "nothing of it is left in the topic"
    a.follow()
    assert a.store.result(job.id) == b"found" and a.store.get(job.id).frames == 75


def test_runs_that_kill_their_node_are_counted_over_nodes(nodes: list[Node]) -> None:
    a, b = nodes
    (job,) = started(a)
    seen = []
    for number, node in enumerate((a, b, a, b)):
        if number:
            node.take_over()
        (claimed,) = node.store.claim("box", f"r{number}")
        seen.append(node.store.attempt([job.id]))
        node.store.let_go(claimed.run)  # as its death would
    assert seen == [1, 2, 3, 4]


def test_a_term_that_has_ended_is_over_for_the_same_node_too(nodes: list[Node], log: Log) -> None:
    a, _ = nodes
    (job,) = started(a)
    a.store.claim("box", "r")
    log.move("a")
    with pytest.raises(OwnershipLost):
        frames(a.store, "r", job.id, 10)
    assert a.store.at_work(a.slot_of(job.id))
    a.store.let_go("r")
    assert not a.store.at_work(a.slot_of(job.id))
    assert a.store.claim("box", "s")[0].run == "r"
    frames(a.store, "r", job.id, 10)


def test_brokers_that_do_not_answer_change_nothing(nodes: list[Node], log: Log) -> None:
    a, _ = nodes
    (job,) = started(a)
    before = a.store.get(job.id)
    log.away = True
    with pytest.raises(StorageUnavailable):
        a.store.claim("box", "r")
    with pytest.raises(StorageUnavailable):
        started(a)
    assert a.store.get(job.id) == before
    log.away = False
    assert a.store.claim("box", "s")[0].run == "s"


def test_a_video_that_only_one_node_has_is_worked_at_there(nodes: list[Node], log: Log) -> None:
    a, b = nodes
    (job,) = started(b, row(url="/videos/a.mp4", node="b"))
    a.follow()
    assert a.store.claim("box", "r") == []
    assert b.store.claim("box", "r")[0].id == job.id
    frames(b.store, "r", job.id, 10)
    assert not log.checkpoints and b.store.place("r") == b"place 10"
    b.store.end(job.id, "succeeded", result=b"found")
    a.follow()
    assert a.store.result(job.id) == b"found" and a.store.untold("box") == []


def test_a_job_is_cancelled_at_any_node(nodes: list[Node]) -> None:
    a, b = nodes
    (job,) = started(a)
    b.follow()
    assert b.store.cancel(job.id)
    a.follow()
    assert a.store.claim("box", "r") == []
    a.store.carry_out_wishes()
    b.follow()
    assert b.store.get(job.id).state == "cancelled"
    assert not b.store.cancel(job.id) and not a.store.cancel(job.id)


def test_a_command_cannot_cancel_behind_the_node_s_back(nodes: list[Node], tmp_path: Path) -> None:
    (job,) = started(nodes[0])
    with pytest.raises(InUse, match="cancel it at a running node"):
        JobStore(Database(tmp_path / "a")).cancel(job.id)


def test_a_job_that_was_cancelled_meanwhile_does_not_come_to_life_again(nodes: list[Node]) -> None:
    a, _ = nodes
    (job,) = started(a)
    a.store.claim("box", "r")
    assert a.store.cancel(job.id)
    frames(a.store, "r", job.id, 10)
    assert a.store.get(job.id).state == "cancelled"


def test_an_end_is_told_by_one_node_and_by_the_next_where_that_died(nodes: list[Node]) -> None:
    a, b = nodes
    (job,) = started(a)
    a.store.claim("box", "r")
    a.store.end(job.id, "failed", message="no")
    b.follow()
    assert b.store.untold("box") == []
    assert [each.id for each in a.store.untold("box")] == [job.id]
    a.store.told(job.id)
    assert a.store.untold("box") == [], "its outbox has it"
    b.take_over()
    assert [each.id for each in b.store.untold("box")] == [job.id]
    b.store.told(job.id)
    b.store.mark_told(job.id)
    a.take_over()
    assert a.store.untold("box") == []


def test_tokens_of_pages_hold_at_every_node(nodes: list[Node]) -> None:
    a, b = nodes
    (job,) = started(a)
    b.follow()
    assert a.store.page_secret(job.id) == b.store.page_secret(job.id)


def test_what_is_old_is_taken_out_of_the_log(nodes: list[Node], log: Log) -> None:
    a, b = nodes
    (job,) = started(a)
    (fresh,) = started(a, row(created=time.time(), url="s3://films/b.mp4"))
    a.store.claim("box", "r")
    a.store.end(job.id, "succeeded", result=b"found")
    b.follow()
    b.store.forget(10.0**12)
    assert log.newest(f"{job.id} asked a") is not None, "that is for the slot's owner to do"
    a.store.forget(a.store.get(job.id).ended + 1)  # type: ignore[operator]
    assert {log.newest(key) for key, _ in log.jobs if key.startswith(job.id)} == {None}
    assert a.store.get(fresh.id) == fresh
