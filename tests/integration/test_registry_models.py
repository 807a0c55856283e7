"""The first evening on a machine that reaches package registries only: an empty cache, no web server's name resolves, and of streamproc
there is the wheel alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from streamproc.vision.catalogue import Https
from streamproc.vision.catalogue_file import catalogue
from tests.conftest import PROJECT, skip
from tests.daemon import STREAMPROC, read_lines

pytestmark = [pytest.mark.models, pytest.mark.slow, pytest.mark.timeout(600)]

RESOLVER = """
import socket
_resolve = socket.getaddrinfo
def _refusing(host, *words, **more):
    if host in {hosts!r}:
        with open({log!r}, "a") as log:
            log.write(host + "\\n")
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return _resolve(host, *words, **more)
socket.getaddrinfo = _refusing
"""
"""Every Python of the environment imports this first. The registries' clients reach what they always reach."""


def web_hosts() -> set[str]:
    files = [file for model in catalogue().values() for build in model.builds for file in build]
    return {source.url.split("/")[2] for file in files for source in file.sources if isinstance(source, Https)}


class Machine:
    """Commands in an environment of that kind."""

    def __init__(self, folder: Path) -> None:
        (folder / "python").mkdir()
        self.asked = folder / "asked"
        self.asked.touch()
        (folder / "python" / "sitecustomize.py").write_text(RESOLVER.format(hosts=web_hosts(), log=str(self.asked)))
        self.models = folder / "models"
        self.environ = {
            **{
                name: value for name, value in os.environ.items() if not name.startswith(("STREAMPROC_", "VIRTUAL_ENV"))
            },
            "PYTHONPATH": str(folder / "python"),
            "STREAMPROC_MODELS": str(self.models),
        }

    def run(self, *words: str | Path, by: Sequence[str | Path] = STREAMPROC) -> subprocess.CompletedProcess[str]:
        command = [*map(str, by), *map(str, words)]
        return subprocess.run(command, env=self.environ, capture_output=True, text=True, timeout=550)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return Machine(tmp_path_factory.mktemp("machine"))


@pytest.fixture(scope="module")
def wheel(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> list[str | Path]:
    """The command in an environment that holds the built wheel and what it needs, as ``uv tool run --from dist/*.whl`` makes it."""
    uv = shutil.which("uv") or shutil.which("uv", path=str(PROJECT / ".tools" / "uv" / "bin"))
    if uv is None:
        skip("uv is neither on the PATH nor in .tools")
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run([uv, "build", "--quiet", "--wheel", "--out-dir", folder, PROJECT], capture_output=True)
    assert built.returncode == 0, built.stderr
    (file,) = folder.glob("*.whl")
    return [str(uv), "tool", "run", "--quiet", "--isolated", "--from", file, "streamproc"]


@pytest.fixture(scope="module")
def demo(
    machine: Machine, wheel: list[str | Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[subprocess.CompletedProcess[str], Path]:
    """The demo's first run, which fetches what it needs (the photographs of its scene too), and its folder of records."""
    folder = tmp_path_factory.mktemp("demo")
    machine.environ.setdefault("UV_CACHE_DIR", _cache_of(str(wheel[0])))
    machine.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    words = ["demo", "--fast", "--json", "--out", folder / "out", "--data-dir", folder / "data"]
    done = machine.run(*words, by=wheel)
    if not (machine.models / "nanodet_g").exists():
        pytest.skip(f"package registries cannot be reached: {done.stderr}")
    assert done.returncode == 0, done.stderr
    return done, folder / "out"


def _cache_of(uv: str) -> str:
    return subprocess.run([uv, "cache", "dir"], capture_output=True, text=True, check=True).stdout.strip()


def test_the_demo_tells_person_pet_and_package(
    machine: Machine, demo: tuple[subprocess.CompletedProcess[str], Path]
) -> None:
    done, out = demo
    told = [event for event in map(json.loads, done.stdout.splitlines()) if event["type"] == "label_detected"]
    assert sorted(event["class"] for event in told) == ["PACKAGE", "PERSON", "PET"]
    assert [event["id"] for event in read_lines(out) if event["type"] == "label_detected"] == [e["id"] for e in told]
    assert {each.name for each in machine.models.iterdir() if not each.name.startswith(".")} == {
        "nanodet_g",
        "ssd_oidv4",
        "efficientnet_lite0",
    }, "the demo fetches what it needs and nothing else"


def test_what_stands_in_is_said_once_in_words(demo: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    lines = demo[0].stderr.splitlines()
    (said,) = (line for line in lines if "yolox_nano" in line)
    assert "nanodet_g does the work of yolox_nano" in said and "efficientnet_lite0" in said
    assert not [line for line in lines if any(host in line for host in web_hosts())]
    assert "fetching npm @vladmandic/human, 51.1 MB" in lines


def test_a_host_that_does_not_resolve_is_asked_once(
    machine: Machine, demo: tuple[subprocess.CompletedProcess[str], Path]
) -> None:
    """Neither file by file nor again by the next command."""
    replayed = machine.run("models", "list", "--json")
    assert replayed.returncode == 0, replayed.stderr
    asked = machine.asked.read_text().splitlines()
    assert sorted(asked) == sorted(set(asked))


def test_the_doctor_says_what_does_the_work_and_why(
    machine: Machine, demo: tuple[subprocess.CompletedProcess[str], Path]
) -> None:
    done = machine.run("doctor", "--json")
    findings: Mapping[str, Mapping[str, str]] = {each["what"]: each for each in json.loads(done.stdout)}
    models = findings["models"]
    assert models["state"] == "warn"
    assert "nanodet_g does the work of yolox_nano and deimv2_femto" in models["found"]
    assert "cannot be reached" in models["found"] and "models.mirror" in models["mend"]
