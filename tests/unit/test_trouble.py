"""A line at the beginning of what lasts, one for another reason, one at its end."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from streamproc.trouble import MOST_REASONS, Trouble


@pytest.fixture
def trouble() -> Trouble:
    return Trouble("away", "back", place="here")


def test_it_is_said_once_and_at_its_end_with_how_often(trouble: Trouble) -> None:
    with capture_logs() as lines:
        trouble.over()
        for second in range(50):
            trouble.met(f"no answer since {second}.5 s")
        trouble.over()
        trouble.over()
    assert [(line["event"], line["place"]) for line in lines] == [("away", "here"), ("back", "here")]
    assert (lines[0]["reason"], lines[1]["times"]) == ("no answer since 0.5 s", 50)


def test_another_reason_is_said_and_the_next_state_begins_anew(trouble: Trouble) -> None:
    with capture_logs() as lines:
        for reason in ("refused", "silent", "refused"):
            trouble.met(reason)
        trouble.over()
        trouble.met("refused")
    assert [line.get("reason") for line in lines] == ["refused", "silent", None, "refused"]


def test_reasons_that_are_always_others_are_not_all_said(trouble: Trouble) -> None:
    with capture_logs() as lines:
        for letter in "abcdefghijklmnop":
            trouble.met(f"request {letter} failed")
    assert len(lines) == MOST_REASONS


def test_what_nobody_expected_comes_with_its_traceback(trouble: Trouble) -> None:
    error = KeyError("x")
    with capture_logs() as lines:
        trouble.met(repr(error), bug=error)
    assert (lines[0]["log_level"], lines[0]["exc_info"]) == ("error", error)
