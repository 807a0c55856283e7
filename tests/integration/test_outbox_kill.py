"""SIGKILL at any moment: no event is lost, none is told twice, none under another id."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

from tests.integration.outbox_child import pictures

PROJECT = Path(__file__).resolve().parents[2]
COUNT = 600
KILLS = 4


def child(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.integration.outbox_child", str(folder), str(COUNT)]
    return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)


def test_a_killed_process_neither_loses_nor_repeats(tmp_path: Path) -> None:
    dice = random.Random()
    file = tmp_path / "out" / "door.jsonl"
    seen_in_between = []
    for _ in range(KILLS):
        with child(tmp_path) as process:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
            time.sleep(dice.uniform(0, 0.25))
            process.kill()
        seen_in_between.append(file.read_bytes().count(b"\n") if file.exists() else 0)
    with child(tmp_path) as process:
        assert process.communicate(timeout=120)[0] == "ready\nleft 0\n"

    print("lines at each kill:", seen_in_between)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["id"] for line in lines] == [f"s1-{number:06d}" for number in range(COUNT)], seen_in_between
    for number, line in enumerate(lines):
        assert Path(line["frame"]).read_bytes() == pictures(number).frame
        assert Path(line["crop"]).read_bytes() == pictures(number).crop
