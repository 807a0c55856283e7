"""The built wheel in an environment that holds nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import PROJECT, skip

pytestmark = [pytest.mark.models, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def uv() -> str:
    found = shutil.which("uv") or shutil.which("uv", path=str(PROJECT / ".tools" / "uv" / "bin"))
    if found is None:
        skip("uv is neither on the PATH nor in .tools")
    return str(found)


def test_the_demo_runs_from_the_wheel_alone(uv: str, tmp_path: Path) -> None:
    """As ``uv tool run --from dist/*.whl streamproc demo`` does, without scikit-image: its photographs come out of its wheel."""
    built = subprocess.run([uv, "build", "--quiet", "--wheel", "--out-dir", tmp_path, PROJECT], capture_output=True)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    words = ["demo", "--fast", "--json", "--data-dir", str(tmp_path / "data")]
    environ = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    models = environ.get("STREAMPROC_MODELS") or str(
        Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "streamproc" / "models"
    )
    environ |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), "STREAMPROC_MODELS": models}
    if "UV_CACHE_DIR" not in environ:
        environ["UV_CACHE_DIR"] = subprocess.run([uv, "cache", "dir"], capture_output=True, text=True).stdout.strip()
    command = [uv, "tool", "run", "--quiet", "--isolated", "--from", wheel, "streamproc", *words]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=550)
    if "cannot be had" in done.stderr and done.returncode == 2:
        pytest.skip(done.stderr.splitlines()[-1])
    assert done.returncode == 0, done.stderr
    told = [event["class"] for event in map(json.loads, done.stdout.splitlines()) if event["type"] == "label_detected"]
    assert sorted(told) == ["PACKAGE", "PERSON", "PET"]
