"""The models verbs, as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streamproc.cli.models import app
from streamproc.core.errors import ModelUnavailable
from streamproc.vision.store import ModelStore

pytestmark = pytest.mark.models
runner = CliRunner()


@pytest.fixture(autouse=True)
def logs_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loggers would go on writing to the runner's standard error after it is closed."""
    monkeypatch.setattr("streamproc.cli.models.set_up_logs", lambda *_: None)


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache and a mirror that holds one model, right and wrong."""
    try:
        yunet = ModelStore().get("yunet").paths["model"]
    except ModelUnavailable as error:
        pytest.skip(str(error))
    monkeypatch.setenv("STREAMPROC_MODELS", str(tmp_path / "cache"))
    monkeypatch.delenv("STREAMPROC_MODEL_MIRROR", raising=False)
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / yunet.name).write_bytes(yunet.read_bytes())
    return tmp_path


def test_pull_list_verify(empty: Path) -> None:
    mirror = ["--mirror", str(empty / "mirror")]
    first = runner.invoke(app, ["pull", "yunet", "--json", *mirror])
    assert first.exit_code == 0, first.stderr
    (row,) = json.loads(first.stdout)
    assert row["ok"] and row["fetched"] and Path(row["files"]["model"]).is_file()
    again = runner.invoke(app, ["pull", "yunet", "--json", *mirror])
    assert json.loads(again.stdout)[0]["fetched"] is False

    rows = {row["name"]: row for row in json.loads(runner.invoke(app, ["list", "--json"]).stdout)}
    assert rows["yunet"] | {"cost_ms": 0} == {
        "name": "yunet",
        "role": "faces",
        "adapter": "yunet",
        "licence": "Apache-2.0",
        "origin": "Shiqi Yu and others",
        "sources": rows["yunet"]["sources"],
        "bytes": 322_906,
        "cost_ms": 0,
        "cost": "reference",
        "state": "ok",
    }
    assert rows["yolox_nano"]["state"] == "missing"
    assert "Apache-2.0" in runner.invoke(app, ["list"]).stdout

    assert runner.invoke(app, ["verify"]).exit_code == 0
    Path(row["files"]["model"]).write_bytes(b"rot")
    damaged = runner.invoke(app, ["verify", "--json"])
    assert damaged.exit_code == 1 and json.loads(damaged.stdout) == [{"name": "yunet", "state": "damaged"}]


def test_measured_costs_are_marked(empty: Path) -> None:
    mirror = ["--mirror", str(empty / "mirror")]
    runner.invoke(app, ["pull", "yunet", *mirror])
    rows = {row["name"]: row for row in json.loads(runner.invoke(app, ["list", "--measure", "--json"]).stdout)}
    assert rows["yunet"]["cost"] == "measured" and rows["yunet"]["cost_ms"] > 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["pull", "yolo"], "yolox_nano"),
        (["pull", "--profile", "best"], "accurate, default"),
        (["list", "--mirror", "/no/such/folder"], "/no/such/folder"),
        (["verify", "nothing"], "there is no model 'nothing'"),
    ],
)
def test_wrong_input_is_exit_2_with_the_mend(words: list[str], said: str) -> None:
    result = runner.invoke(app, words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""


def test_a_model_that_cannot_be_had_is_exit_1_with_every_reason(empty: Path, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.mkdir()
    (config / "streamproc.yaml").write_text("models: {own: {mine: {path: /no/mine.onnx, adapter: yolox}}}\n")
    result = runner.invoke(app, ["pull", "mine", "--json", "--config-dir", str(config)])
    assert result.exit_code == 1
    assert json.loads(result.stdout)[0]["ok"] is False
    assert "models.own.mine: /no/mine.onnx is no file" in result.stderr


def test_a_wrong_own_model_is_said_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "streamproc.yaml").write_text("models:\n  own:\n    mine:\n      path: a.onnx\n      adapter: yolov5\n")
    result = runner.invoke(app, ["list", "--config-dir", str(tmp_path)])
    assert result.exit_code == 2
    assert "streamproc.yaml:5: models.own.mine.adapter" in result.stderr
