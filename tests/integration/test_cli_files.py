"""``validate``, ``schema`` and the shape of the command line, through subprocesses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from tests.daemon import run_cli

GOOD = "source: {type: file, path: clip.mp4}\nlabels: {}\n"


def test_the_example_configs_are_valid() -> None:
    done = run_cli("validate", PROJECT / "configs")
    assert done.returncode == 0, done.stderr


def test_a_fault_is_one_line_with_file_line_field_and_mend(tmp_path: Path) -> None:
    path = tmp_path / "door.yaml"
    path.write_text("source:\n  type: file\n  path: clip.mp4\n  realtme: true\nlabels: {}\n")
    done = run_cli("validate", path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"{path}:4: source.realtme: ")
    assert done.stderr.count("\n") == 1


def test_validate_json_is_json_only(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(GOOD)
    bad.write_text(GOOD.replace("file,", "fil,"))
    done = run_cli("validate", good, bad, "--json")
    assert done.returncode == 2
    results = json.loads(done.stdout)
    assert [result["ok"] for result in results] == [True, False]
    assert results[1]["faults"][0]["field"] == "source.type" and results[1]["faults"][0]["line"] == 1


@pytest.mark.parametrize("kind", ["processor", "box"])
def test_schema(kind: str) -> None:
    done = run_cli("schema", kind, "--json")
    assert done.returncode == 0, done.stderr
    schema = json.loads(done.stdout)
    assert schema["type"] == "object" and schema["$schema"].startswith("https://json-schema.org")
    if kind == "processor":
        types = {shape["properties"]["type"]["const"] for shape in schema["properties"]["source"]["oneOf"]}
        assert {"file", "rtsp", "kafka"} <= types


@pytest.mark.parametrize(
    "arguments", [["replay"], ["replay", "no-such-file.mp4"], ["validate", "no-such-file.yaml"], ["run", "no.yaml"]]
)
def test_wrong_input_is_exit_2(arguments: list[str]) -> None:
    done = run_cli(*arguments)
    assert done.returncode == 2
    assert done.stderr and not done.stdout
    if len(arguments) > 1:
        assert arguments[1] in done.stderr


@pytest.mark.parametrize("content", [None, "", "no video at all\n" * 100])
def test_a_source_that_cannot_be_played_is_wrong_input(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "door.yaml"
    path.write_text("source:\n  type: file\n  path: clip.mp4\nlabels: {}\n")
    if content is not None:
        (tmp_path / "clip.mp4").write_text(content)
    done = run_cli("run", path, "--data-dir", tmp_path / "data", "--json")
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith(f"{path}:3: source.path: {tmp_path / 'clip.mp4'}: ")
    assert "give the path of a video" in done.stderr and done.stderr.count("\n") == 1


def test_a_secret_that_is_not_set_is_wrong_input(tmp_path: Path) -> None:
    path = tmp_path / "door.yaml"
    path.write_text(
        "labels: {}\nsource: {type: rtsp, url: 'rtsp://127.0.0.1/x', username_env: NOT_SET_A, password_env: NOT_SET_B}\n"
    )
    done = run_cli("run", path, "--data-dir", tmp_path / "data")
    assert done.returncode == 2
    assert done.stderr.startswith(f"{path}:2: source: ") and "NOT_SET_A" in done.stderr


def test_no_daemon_is_exit_1() -> None:
    done = run_cli("list", "--json", "--url", "http://127.0.0.1:9")
    assert done.returncode == 1 and "streamproc serve" in done.stderr and not done.stdout


@pytest.mark.parametrize("verb", ["list", "delete", "audit"])
def test_a_collection_that_is_not_there_is_wrong_input(verb: str, tmp_path: Path) -> None:
    done = run_cli("faces", verb, "nobody", "--data-dir", tmp_path)
    assert (done.returncode, done.stdout) == (2, "") and "nobody" in done.stderr


@pytest.mark.models
def test_a_clip_is_not_searched_for_a_collection_that_is_not_there(scene: Path, tmp_path: Path) -> None:
    for verb, flag, more in (("replay", "--collection", []), ("analyze", "--faces", ["--out", tmp_path / "out"])):
        done = run_cli(verb, scene, flag, "nobody", "--data-dir", tmp_path, *more)
        assert (done.returncode, done.stdout) == (2, "") and "nobody" in done.stderr, verb
