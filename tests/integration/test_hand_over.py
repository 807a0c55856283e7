"""SIGHUP: the daemon takes its own place; sessions go on as if nothing had been."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import Daemon, read_lines, wait_for

pytestmark = pytest.mark.models
LABELS = (
    "labels: {classes: [PERSON, PET], profile: small, min_confidence: 50}\noutputs: [{type: file, directory: out}]\n"
)


def logged(daemon: Daemon, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in daemon.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


def announced(daemon: Daemon) -> list[str]:
    events = read_lines(daemon.config / "out")
    return [event["class"] for event in events if event["type"] == "label_detected"]


def reload(daemon: Daemon) -> None:
    """SIGHUP, until a new program under the same process id is ready (``ready`` fails where that process is gone)."""
    before = len(logged(daemon, "ready"))
    os.kill(daemon.pid, signal.SIGHUP)
    wait_for(lambda: len(logged(daemon, "ready")) > before and daemon.ready(), 60, "readiness of the next process")


def test_sessions_go_on_under_their_ids(daemon: Daemon, scene: Path, rtsp: Any) -> None:
    camera = rtsp({"/cam": scene}).url("/cam")
    endless = f"session: {{duration: 0s, allow_long: true}}\n{LABELS}"
    daemon.put("camera", f"source: {{type: rtsp, url: '{camera}'}}\n{endless}")
    daemon.put("film", f"source: {{type: file, path: {scene}, realtime: true, loop: true}}\n{endless}")
    daemon.start()
    wait_for(lambda: sorted(announced(daemon)) == ["PERSON", "PERSON", "PET", "PET"], 90, "everything of both feeds")
    sessions = {name: daemon.get(f"/api/processors/{name}")["session"]["id"] for name in ("camera", "film")}

    reload(daemon)
    for name, session in sessions.items():
        daemon.until(name, "running")
        assert daemon.get(f"/api/processors/{name}")["session"]["id"] == session
    gap = wait_for(
        lambda: [event for event in read_lines(daemon.config / "out") if event["type"] == "source_gap"], 60, "the gap"
    )
    time.sleep(9)  # the scene's length: everybody has been seen again
    assert daemon.terminate() == 0

    events = read_lines(daemon.config / "out")
    assert {(event["processor"], event["session"]) for event in events} == set(sessions.items())
    assert sorted(announced(daemon)) == ["PERSON", "PERSON", "PET", "PET"]
    summaries = [event for event in events if event["type"] == "session_complete"]
    assert {(event["processor"], event["reason"]) for event in summaries} == {(name, "shutdown") for name in sessions}
    assert [event["processor"] for event in gap] == ["camera"] and 0 < gap[0]["seconds"] < 60
    assert not logged(daemon, "stopping")[:-1], "only SIGTERM stops"


def test_a_config_that_the_next_process_would_refuse_changes_nothing(daemon: Daemon, scene: Path) -> None:
    daemon.put(
        "film",
        f"source: {{type: file, path: {scene}, realtime: true, loop: true}}\nsession: {{duration: 120s}}\n{LABELS}",
    )
    daemon.start()
    daemon.until("film", "running")
    session = daemon.get("/api/processors/film")["session"]["id"]
    node_file = daemon.config / "streamproc.yaml"
    refused = [
        "cpu_target: 800\n",
        "server: {tokens: [{name: phone, token_env: NOT_SET_ANYWHERE, may: [watch]}]}\n",
        "server: {tls_cert: missing.pem}\n",
    ]
    for count, text in enumerate(refused, start=1):
        node_file.write_text(text)
        os.kill(daemon.pid, signal.SIGHUP)
        wait_for(lambda count=count: len(logged(daemon, "reload_refused")) == count, 30, "the refusal")
        assert daemon.states() == {"film": "running"} and len(logged(daemon, "ready")) == 1

    node_file.write_text("cpu_target: 75\n")
    reload(daemon)
    daemon.until("film", "running")
    assert daemon.get("/api/processors/film")["session"]["id"] == session
    assert daemon.terminate() == 0


def test_the_service_manager_hears_of_a_reload_and_not_of_a_stop(tmp_path: Path) -> None:
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(address))
        manager.settimeout(60)
        daemon = Daemon(tmp_path, environ={"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "60000000"})
        try:
            daemon.start()
            assert heard(manager) == "READY=1"
            asked = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            os.kill(daemon.pid, signal.SIGHUP)
            reloading, instant = heard(manager).split("\nMONOTONIC_USEC=")
            assert reloading == "RELOADING=1"
            assert asked <= int(instant) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            assert heard(manager) == "READY=1"
            assert daemon.terminate() == 0
            assert heard(manager) == "STOPPING=1"
        finally:
            daemon.close()


def heard(manager: socket.socket) -> str:
    """The next message that is no sign of life."""
    while (message := manager.recv(4096).decode()) == "WATCHDOG=1":
        continue
    return message
