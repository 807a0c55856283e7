"""``streamproc.yaml`` edited while the daemon runs: what applies at once, what waits, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import Daemon, read_lines, wait_for

pytestmark = pytest.mark.models


def said(daemon: Daemon, **wanted: Any) -> list[dict[str, Any]]:
    """Log lines that have these values."""
    lines = [json.loads(line) for line in daemon.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if all(line.get(key) == value for key, value in wanted.items())]


def write(daemon: Daemon, text: str) -> None:
    path = daemon.config / "streamproc.yaml"
    partial = path.with_name(".streamproc.yaml.partial")
    partial.write_text(text)
    partial.rename(path)


def test_the_box_s_file_is_followed(daemon: Daemon, scene: Path) -> None:
    write(daemon, "cpu_target: 80\noutputs: [{type: file, directory: first}]\n")
    daemon.put(
        "cam",
        f"source: {{type: file, path: {scene}, realtime: true, loop: true}}\n"
        "session: {mode: continuous, gone_after: 1s}\nlabels: {classes: [PERSON, PET], profile: small}\n",
    )
    daemon.start()
    wait_for(lambda: read_lines(daemon.config / "first"), 60, "an event in the first folder")
    assert not said(daemon, event="box_file_changed")

    write(daemon, "cpu_target: 0\nworkers: 3\noutputs: [{type: file, directory: second}]\n")
    (line,) = wait_for(lambda: said(daemon, event="box_file_changed"), 30, "the change")
    assert (line["applied"], line["needs_restart"]) == (["outputs", "cpu_target"], ["workers"])
    wait_for(lambda: read_lines(daemon.config / "second"), 60, "an event in the second folder")

    write(daemon, "cpu_target: 800\n")
    (line,) = wait_for(lambda: said(daemon, event="config_refused"), 30, "the refusal")
    assert "streamproc.yaml:1: cpu_target" in line["problem"] and daemon.states() == {"cam": "running"}
    assert len(said(daemon, event="box_file_changed")) == 1
