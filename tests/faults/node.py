"""What the tests of faults do to a daemon from outside, and what they ask of what it told."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

from tests.daemon import Daemon, read_lines


def document(clip: Path) -> str:
    return (
        f"source: {{type: file, path: {clip}, realtime: true, loop: true}}\n"
        "session: {mode: continuous, gone_after: 2s}\n"
        "labels: {classes: [PERSON, PET], min_confidence: 50}\n"
        "outputs: [{type: file, directory: out}]\n"
    )


def said(daemon: Daemon, words: str) -> int:
    return daemon.log.read_text().count(words)


def status_of(daemon: Daemon, path: str) -> int:
    try:
        with urllib.request.urlopen(daemon.url + path, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def posted(daemon: Daemon, path: str) -> int:
    request = urllib.request.Request(daemon.url + path, data=b"{}", headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def nothing_lost_or_doubled(folder: Path) -> None:
    """Every session has each of its numbers once and, where it is over, one summary at the end."""
    sessions: dict[str, list[dict[str, object]]] = {}
    for line in read_lines(folder):
        session, _, sequence = line["id"].rpartition("-")
        told = sessions.setdefault(session, [])
        assert int(sequence) == len(told), line
        told.append(line)
    assert sessions
    for told in sessions.values():
        assert [line["type"] for line in told].count("session_complete") == 1, told
        assert told[-1]["type"] == "session_complete", told
