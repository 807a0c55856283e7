"""Explanations of a running daemon: over HTTP, on the command line, and after the daemon was killed."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.daemon import Daemon, read_lines, run_cli, wait_for

pytestmark = pytest.mark.models


def test_an_announcement_and_a_refusal_are_explained_also_after_a_kill(daemon: Daemon, scene: Path) -> None:
    daemon.put(
        "door",
        f"source: {{type: file, path: {scene}, realtime: true, loop: true}}\nsession: {{duration: 120s}}\n"
        "labels: {classes: [PERSON, PET], profile: small}\noutputs: [{type: file, directory: out}]\n",
    )
    daemon.start()
    wait_for(lambda: read_lines(daemon.config / "out"), 90, "the first event")
    (event, *_) = read_lines(daemon.config / "out")

    shown = run_cli("explain", "door", "--at", event["time"], "--json", "--url", daemon.url)
    assert shown.returncode == 0, shown.stderr
    answer = json.loads(shown.stdout)
    announced = [each for each in answer["candidates"] if each["outcome"] == "announced"]
    of_class = [datetime.fromisoformat(each["at"]) for each in announced if each["class"] == event["class"]]
    assert [at for at in of_class if abs(at - datetime.fromisoformat(event["time"])) < timedelta(seconds=0.02)]
    assert announced[0]["gate"] is None and f"Announced: {announced[0]['class']}" in answer["text"]
    assert answer["frames"]["analysed"] > 0 and answer["frames"]["decoded"] >= answer["frames"]["analysed"]

    daemon.kill()
    daemon.start()
    again = json.loads(run_cli("explain", "door", "--at", event["time"], "--json", "--url", daemon.url).stdout)
    assert announced[0]["at"] in [each["at"] for each in again["candidates"] if each["outcome"] == "announced"]

    before = run_cli("explain", "door", "--at", "2020-01-01T00:00:00Z", "--url", daemon.url)
    assert "the processor was not running" in before.stdout.splitlines()[0]
    assert run_cli("explain", "nobody", "--url", daemon.url).returncode == 1
    wrong = run_cli("explain", "door", "--window", "soon", "--url", daemon.url)
    assert wrong.returncode == 2 and "window" in wrong.stderr
    assert daemon.get("/api/processors/door")["health"] == []
    assert daemon.terminate() == 0
