"""SIGKILL before every single statement of a frame's commit: all of it was told, or nothing, and the next process tells the rest."""

from __future__ import annotations

import gc
import itertools
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import pytest

from streamproc.contracts import Position
from streamproc.core.event import Event, EventType, Pictures
from streamproc.core.media import EPOCH, Gap, GapReason, Moment
from streamproc.core.route import Route
from streamproc.core.vision import Box
from streamproc.live.commit import JournalCommitter
from streamproc.live.patience import PatientJournal
from streamproc.logic.session import SessionRules, Sessions
from streamproc.logic.sighting import Place, Sighting
from streamproc.pipeline.snapshot import LaneSnapshot, LaneState
from streamproc.store.database import Database
from streamproc.store.journal import Journal

RULES = SessionRules("continuous", None, Fraction(10), ("PERSON", "PET"))
BOX = Box(0.1, 0.1, 0.4, 0.9)
ROUTES = (Route("door/file", frozenset(EventType)), Route("door/sns", frozenset({EventType.SESSION_COMPLETE})))
STEPS: tuple[tuple[float, tuple[str, ...], bool], ...] = (
    (0, (), False),
    (1, ("PERSON",), False),
    (2, ("PET",), True),
    (4, ("PET",), False),
    (16, ("PET",), True),
    (
        17,
        ("PERSON", "PET"),
        False,
    ),  # the first visit gets its gap and its summary, and the next one opens: one frame, two sessions
    (40, ("PERSON",), False),
)
"""Seconds, what is in view, and whether the feed is lost right afterwards."""


@dataclass
class Process:
    """What a process does with the feed from where the checkpoint stands."""

    folder: Path
    live: bool = False
    """A camera shows nothing twice: what came while nobody looked is a gap."""

    def run(self, before_statement: Callable[[str], None] | None = None) -> None:
        journal = Journal(Database(self.folder))
        committer = JournalCommitter(PatientJournal(journal), "door", lambda events: None)
        committer.routes = ROUTES
        checkpoint = journal.checkpoint("door")
        sessions, done = Sessions("door", RULES, "run"), 0
        if checkpoint is not None and checkpoint.snapshot is not None and checkpoint.position is not None:
            state = LaneSnapshot.decode(checkpoint.snapshot).sessions
            assert state is not None
            sessions, done = Sessions.restore("door", RULES, state), checkpoint.position.token["done"]
            if self.live and sessions.last is not None and done < len(STEPS):
                done += 1
                sessions.gap(Gap(GapReason.LOST, sessions.last, "nobody watched"))
        journal.database.trace(before_statement)
        for number in range(done, len(STEPS)):
            events = self._frame(sessions, number)
            state_now = LaneState(LaneSnapshot(sessions.snapshot()), Position({"done": number + 1}))
            told = [(event, Pictures(b"f" * 100, b"c") if event.has_pictures else None) for event in events]
            committer.commit(told, sessions, state_now)
        if self.live:
            events = sessions.end("shutdown", sessions.last)
            committer.commit([(event, None) for event in events], sessions, None)
        journal.database.trace(None)
        journal.database.close()

    @staticmethod
    def _frame(sessions: Sessions, number: int) -> list[Event]:
        second, names, lost = STEPS[number]
        at = Moment(Fraction(second), EPOCH + timedelta(seconds=second))
        seen = [Sighting(EventType.LABEL_DETECTED, name, 91.0, BOX, None, True) for name in names]
        events = sessions.frame(Place(at), seen)
        if lost:
            sessions.gap(Gap(GapReason.LOST, at))
        return events


def told(folder: Path) -> list[tuple[str, str, int]]:
    """Ids and types in order, and how many outputs are owed each event."""
    database = Journal(Database(folder)).database
    query = "SELECT id, type, (SELECT COUNT(*) FROM deliveries WHERE event = seq) AS owed FROM events ORDER BY seq"
    rows = [(row["id"], row["type"], row["owed"]) for row in database.read().execute(query)]
    database.close()
    return rows


def in_a_child(work: Callable[[], None]) -> int:
    """The signal that ended it; 0: none did."""
    child = os.fork()
    if child == 0:
        # What earlier tests left would be torn down here, and a decoder's end waits for threads that this process does not have.
        gc.disable()
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def killing(number: int) -> Callable[[str], None]:
    """Kill this process before its statement ``number``."""
    left = [number]

    def watch(statement: str) -> None:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return watch


def kills_at_every_statement(tmp_path: Path, live: bool) -> Iterator[tuple[int, Path]]:
    """Folders in which a process was killed before its first, second... statement and a second process has gone on."""
    for number in itertools.count():
        folder = tmp_path / f"kill-{number}"
        ended = in_a_child(lambda folder=folder, number=number: Process(folder, live).run(killing(number)))  # type: ignore[misc]
        if ended == 0:
            break
        assert ended == signal.SIGKILL
        yield number, folder
    print("kills:", number)
    assert number > 3 * len(STEPS), "the hook saw too few statements to mean anything"


def test_of_a_feed_that_can_be_read_again_the_same_is_told(tmp_path: Path) -> None:
    assert in_a_child(Process(tmp_path / "undisturbed").run) == 0
    right = told(tmp_path / "undisturbed")
    assert [kind for _, kind, _ in right].count("session_complete") == 2
    for number, folder in kills_at_every_statement(tmp_path, live=False):
        Process(folder).run()
        assert told(folder) == right, f"killed before statement {number}"


def test_of_a_camera_every_session_has_one_summary_and_no_id_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, folder in kills_at_every_statement(tmp_path, live=True):
        Process(folder, live=True).run()
        assert "event_id_taken" not in capsys.readouterr().out, f"killed before statement {number}"
        sessions: dict[str, list[str]] = {}
        for event, kind, _ in told(folder):
            session, _, sequence = event.rpartition("-")
            kinds = sessions.setdefault(session, [])
            assert int(sequence) == len(kinds), f"killed before statement {number}"
            kinds.append(kind)
        for kinds in sessions.values():
            assert kinds.count("session_complete") == 1 and kinds[-1] == "session_complete", (number, kinds)
