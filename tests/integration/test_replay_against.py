"""``replay --against``: the same is said to be the same, and each difference by its kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import run_cli

pytestmark = [pytest.mark.models, pytest.mark.timeout(600)]


def config(folder: Path, name: str, labels: str, extra: str = "") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(f"source: {{type: file, path: clip.mp4}}\nlabels: {labels}\n{extra}")
    return path


def difference(*words: str | Path) -> tuple[int, dict[str, Any]]:
    done = run_cli("replay", *words, "--json")
    assert done.returncode in (0, 3), done.stderr
    return done.returncode, json.loads(done.stdout)


def test_equal_and_different_replays(scene: Path, replayed: str, tmp_path: Path) -> None:
    both = config(tmp_path, "both", "{classes: [PERSON, PET], min_confidence: 50}")
    people = config(tmp_path, "people", "{classes: [PERSON], min_confidence: 50}")
    halves = "[{name: left, polygon: [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}, {name: right, polygon: [[0.5, 0], [1, 0], [1, 1], [0.5, 1]]}]"
    placed = config(tmp_path, "placed", "{classes: [PERSON], min_confidence: 50}", f"regions: {halves}\n")
    earlier, of_people = tmp_path / "earlier.jsonl", tmp_path / "people.jsonl"
    earlier.write_text(replayed)
    of_people.write_text("".join(line for line in replayed.splitlines(True) if json.loads(line).get("class") != "PET"))

    code, found = difference(scene, "--config", people, "--against", of_people)
    assert (code, found["same"]) == (0, 1) and not (found["appears"] or found["vanishes"] or found["moves"])
    code, found = difference(scene, "--config", both, "--against", of_people)
    assert code == 3 and [event["class"] for event in found["appears"]] == ["PET"] and found["same"] == 1
    shown = run_cli("replay", scene, "--config", people, "--against", earlier)
    assert shown.returncode == 3 and shown.stdout.startswith("- vanishes") and "PET" in shown.stdout
    code, found = difference(scene, "--config", placed, "--against", people)
    assert code == 3 and {move["after"]["region"] for move in found["moves"]} <= {"left", "right"}
    assert all(move["before"]["region"] is None for move in found["moves"]) and found["moves"]

    again = run_cli("replay", scene, scene, "--config", both, "--against", earlier)
    assert again.returncode == 2 and "give one CLIP" in again.stderr
    earlier.write_text("no json\n")
    broken = run_cli("replay", scene, "--config", both, "--against", earlier)
    assert broken.returncode == 2 and "earlier.jsonl:1: " in broken.stderr
