"""``streamproc outbox``, as a stranger calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from streamproc.core.event import EventType
from streamproc.core.route import Route
from streamproc.store.database import Database
from streamproc.store.deliveries import DeliveryStore, Selection
from streamproc.store.journal import Commit, Journal, SessionRow
from tests.builders.events import START, label_event


def outbox(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from streamproc.cli import main; main()", "outbox", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    journal = Journal(Database(tmp_path / "data"))
    events = [(label_event(number, has_pictures=False), None) for number in range(3)]
    routes = [Route("door/webhook", frozenset(EventType))]
    journal.commit(Commit("door", [SessionRow("s1", "door", START)], events, routes))
    store = DeliveryStore(journal)
    store.dead("door/webhook", store.next("door/webhook", "s1", 1)[0].seq, "HTTP 422: no such chat")
    journal.database.close()
    return tmp_path / "data"


def states(data_dir: Path) -> dict[str, str]:
    store = DeliveryStore(Journal(Database(data_dir)))
    return {item.event.id: item.state for item in store.select(Selection()) if item.state != "delivered"}


def test_list_retry_and_drop(data_dir: Path) -> None:
    listed = json.loads(outbox("list", "--data-dir", data_dir, "--json").stdout)
    assert [(row["event"], row["state"]) for row in listed] == [
        ("s1-000000", "dead"),
        ("s1-000001", "waiting"),
        ("s1-000002", "waiting"),
    ]
    assert listed[0]["reason"] == "HTTP 422: no such chat"
    answer = outbox("retry", "--data-dir", data_dir, "--output", "door/webhook", "--json")
    assert json.loads(answer.stdout) == {"deliveries": 1}
    assert set(states(data_dir).values()) == {"waiting"}
    assert outbox("drop", "--data-dir", data_dir, "--event", "s1-000001").returncode == 0
    assert set(states(data_dir)) == {"s1-000000", "s1-000002"}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("drop",), 2, "--all"),
        (("retry", "--event", "nobody-000000"), 1, "nobody-000000"),
    ],
)
def test_what_is_not_said_or_not_there(data_dir: Path, arguments: tuple[str, ...], code: int, words: str) -> None:
    answer = outbox(*arguments, "--data-dir", data_dir)
    assert answer.returncode == code
    assert words in answer.stderr


def test_a_folder_without_state_is_wrong_input_and_stays_empty(tmp_path: Path) -> None:
    answer = outbox("list", "--data-dir", tmp_path)
    assert answer.returncode == 2
    assert "no streamproc state" in answer.stderr
    assert list(tmp_path.iterdir()) == []
