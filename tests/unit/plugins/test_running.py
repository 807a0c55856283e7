"""What the end of a run says of missing things, and who waits for whom when tests run side by side."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.plugins.missing import lines
from tests.plugins.parallel import turn


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
