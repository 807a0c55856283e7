"""What the end of a run says of missing things, and who waits for whom when tests run side by side."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.plugins.missing import lines
from tests.plugins.parallel import turn

PROJECT = Path(__file__).resolve().parents[3]
MADE_ONCE = """
import pytest, time
from pathlib import Path

@pytest.fixture(scope="module")
def made():
    with Path(__file__).with_name("made").open("a") as file:
        file.write("x")
    time.sleep(0.1)

@pytest.mark.parametrize("number", range(6))
def test_it(made, number):
    pass
"""


def test_each_missing_thing_is_one_line() -> None:
    reasons = [
        "Skipped: Apache Kafka needs java and mvn",
        "Skipped: Apache Kafka needs java",
        "Skipped: Chromium is not installed (apt install chromium)",
        "Skipped: only some of this folder's tests run in this process",
    ]
    assert lines(reasons) == [
        "not tested: Apache Kafka (needs java and mvn): 2 tests",
        "not tested: the watch page in a browser (Chromium): 1 test",
        "not tested: only some of this folder's tests run in this process: 1 test",
    ]


@pytest.mark.parametrize("first,second,together", [(False, False, True), (False, True, False), (True, False, False)])
def test_alone_means_alone(tmp_path: Path, first: bool, second: bool, together: bool) -> None:
    inside = threading.Event()

    def other() -> None:
        with turn(tmp_path, alone=second):
            inside.set()

    with turn(tmp_path, alone=first):
        thread = threading.Thread(target=other)
        thread.start()
        assert inside.wait(5 if together else 0.2) is together
    thread.join(10)
    assert inside.is_set()


def test_what_a_module_makes_is_made_by_one_worker(tmp_path: Path) -> None:
    (tmp_path / "test_made.py").write_text(MADE_ONCE)
    (tmp_path / "conftest.py").write_text("pytest_plugins = ['tests.plugins.parallel']")
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadgroup", "--rootdir", tmp_path, tmp_path]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "made").read_text() == "x"
