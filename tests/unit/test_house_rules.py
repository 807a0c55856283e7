"""The rules of docs/architecture.md that a machine can check."""

from __future__ import annotations

import ast
import re
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
SOURCES = sorted([*(PROJECT / "streamproc").rglob("*.py"), *(PROJECT / "connectors").rglob("*.py")])

ROOMS: dict[str, set[str]] = {
    "core": set(),
    "contracts": {"core"},
    "logic": {"core", "contracts"},
    "config": {"core", "logic", "connectors"},
    "metrics": set(),
    "durable": set(),
    "media": {"core", "logic", "contracts", "config"},
    "vision": {"core", "logic", "contracts", "config"},
    "plain": {"core", "logic", "contracts"},
    "perception": {"core", "logic", "contracts", "config", "vision", "media", "faces"},
    "store": {"core", "logic", "contracts", "config", "plain", "durable"},
    "outbox": {"core", "logic", "contracts", "config", "store", "metrics", "plain", "media"},
    "faces": {"core", "logic", "contracts", "config", "vision", "media", "store"},
    "pipeline": {"core", "logic", "contracts", "config", "media", "metrics"},
    "live": {"*", "!aws", "!aws_protocol", "!kinesis", "!server", "!cli", "!jobs", "!measure", "!web"},
    "measure": {"*", "!aws", "!aws_protocol", "!kinesis", "!server", "!cli", "!jobs", "!web", "!webrtc"},
    "jobs": {
        "*",
        "!aws",
        "!aws_protocol",
        "!kinesis",
        "!server",
        "!cli",
        "!live",
        "!measure",
        "!pipeline",
        "!web",
        "!webrtc",
    },
    "web": {"core", "config", "logic", "contracts"},
    "aws_protocol": {"core", "config", "web"},
    "aws": {"*", "!server", "!cli"},
    "kinesis": {
        "core",
        "logic",
        "contracts",
        "config",
        "media",
        "metrics",
        "store",
        "durable",
        "connectors",
        "aws_protocol",
    },
    "server": {"*", "!cli"},
    "webrtc": {"*", "!cli", "!aws", "!aws_protocol", "!kinesis", "!jobs"},
    "demo": {"*"},
    "cli": {"*"},
    "__main__": {"*"},
    "__init__": set(),
    "connectors": {"core", "logic", "contracts", "config", "media", "metrics", "plain", "durable", "outbox"},
}
"""Which rooms a room may import. ``*`` is every room, less those marked ``!``."""

HOMES: dict[str, tuple[str, ...]] = {
    "openvino": ("streamproc/vision/", "streamproc/cli/doctor.py"),
    "uvloop": ("streamproc/cli/",),
    "aiokafka": ("connectors/kafka/",),
    "aiomqtt": ("connectors/mqtt/",),
    "paho": ("connectors/mqtt/",),
    "aiortc": ("connectors/webrtc/", "streamproc/webrtc/"),
    "botocore": ("streamproc/aws/", "streamproc/aws_protocol/", "streamproc/kinesis/", "connectors/"),
    "scenedetect": ("streamproc/jobs/", "streamproc/logic/"),
    "scipy": (),  # 114 MB for two functions: streamproc/logic/assignment.py has them
    "sqlite3": (
        "streamproc/store/",
        "streamproc/kinesis/",
        "streamproc/faces/",
        "streamproc/outbox/",
        "streamproc/jobs/",
    ),
}
"""Third-party (and stateful standard) packages and the only places that import them."""

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 80
MAX_PARAMETERS = 7
REGISTRY_HOSTS = re.compile(
    r"(pypi|pythonhosted|npmjs|yarnpkg|crates|maven|goproxy|sum)\.(org|com|io|apache|golang)|proxy\.golang|registry\.npm"
)


def _name(path: Path) -> str:
    return str(path.relative_to(PROJECT))


def _room(path: Path) -> str:
    parts = path.relative_to(PROJECT).parts
    return "connectors" if parts[0] == "connectors" else parts[1].removesuffix(".py")


def _imports(path: Path) -> list[tuple[str, int]]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.append((node.module, node.lineno))
    return found


def _target_room(module: str) -> str | None:
    parts = module.split(".")
    if parts[0] == "connectors":
        return "connectors"
    return parts[1] if parts[0] == "streamproc" and len(parts) > 1 else None


def _allowed(room: str, target: str) -> bool:
    rules = ROOMS[room]
    return target == room or (f"!{target}" not in rules and ("*" in rules or target in rules))


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_arrows_between_rooms_hold(path: Path) -> None:
    room = _room(path)
    assert room in ROOMS, f"a new room: say in ROOMS what {room} may import"
    wrong = [
        f"{module} (line {line})"
        for module, line in _imports(path)
        if (target := _target_room(module)) and not _allowed(room, target)
    ]
    assert not wrong, f"{room} may not import {wrong}"


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_packages_stay_in_their_homes(path: Path) -> None:
    wrong = [
        f"{module} (line {line})"
        for module, line in _imports(path)
        if (homes := HOMES.get(module.split(".")[0])) and not _name(path).startswith(homes)
    ]
    assert not wrong


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= MAX_FILE_LINES, "probably two rooms in one file"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= MAX_FUNCTION_LINES, f"{node.name} has {length} lines"
            positional = [
                item.arg for item in (*node.args.posonlyargs, *node.args.args) if item.arg not in ("self", "cls")
            ]
            verb = _name(path).startswith("streamproc/cli/")  # a verb's parameters are its flags
            assert verb or len(positional) <= MAX_PARAMETERS, (
                f"{node.name} takes {len(positional)} parameters: a type is missing"
            )


def test_connectors_do_not_import_each_other() -> None:
    for path in SOURCES:
        parts = path.relative_to(PROJECT).parts
        if parts[0] == "connectors" and len(parts) > 2:
            for module, line in _imports(path):
                names = module.split(".")
                foreign = names[0] == "connectors" and len(names) > 2 and names[1] != parts[1]
                assert not foreign, f"{_name(path)}:{line} imports {module}"


def _tracked() -> list[Path]:
    listing = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=False)
    if listing.returncode:
        pytest.skip("not a git checkout")
    return [PROJECT / line for line in listing.stdout.splitlines() if (PROJECT / line).is_file()]


def test_no_registry_host_names() -> None:
    own = Path(__file__).resolve()
    for path in _tracked():
        if path != own and path.stat().st_size < 5_000_000:
            match = REGISTRY_HOSTS.search(path.read_bytes().decode("utf-8", "replace"))
            assert not match, f"{_name(path)} names {match.group()}; registries are reached through their own clients"


def test_no_copyleft_dependency() -> None:
    """No dependency under the GPL or AGPL (LGPL libraries inside wheels are linked dynamically)."""
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        words = [distribution.metadata.get("License-Expression") or "", distribution.metadata.get("License") or ""]
        words = [word for word in words if len(word) < 200]
        words += [item for item in distribution.metadata.get_all("Classifier") or [] if item.startswith("License")]
        text = " ".join(words)
        free_choice = re.search(r"\b(MIT|BSD|Apache|PSF|MPL)\b", text)
        assert not re.search(r"(?<!L)(?<!Lesser )A?GPL|Affero|GNU General Public", text) or free_choice, (
            f"{name}: {text}"
        )


def test_changelog_has_a_place_for_what_is_next() -> None:
    assert "## [Unreleased]" in (PROJECT / "CHANGELOG.md").read_text()
