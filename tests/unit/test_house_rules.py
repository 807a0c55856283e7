"""The rules of docs/architecture.md that a machine can check."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator
from functools import cache
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
    "threads": {"core"},
    "trouble": set(),
    "media": {"core", "logic", "contracts", "config"},
    "vision": {"core", "logic", "contracts", "config", "durable"},
    "plain": {"core", "logic", "contracts"},
    "perception": {"core", "logic", "contracts", "config", "vision", "media", "faces"},
    "store": {"core", "logic", "contracts", "config", "plain", "durable"},
    "outbox": {"core", "logic", "contracts", "config", "store", "metrics", "plain", "media", "threads", "trouble"},
    "faces": {"core", "logic", "contracts", "config", "vision", "media", "store", "threads", "trouble"},
    "pipeline": {"core", "logic", "contracts", "config", "media", "metrics"},
    "live": {"*", "!cluster", "!aws", "!aws_protocol", "!kinesis", "!server", "!cli", "!jobs", "!measure", "!web"},
    "cluster": {
        "core",
        "durable",
        "logic",
        "contracts",
        "config",
        "store",
        "live",
        "faces",
        "metrics",
        "threads",
        "trouble",
        "connectors",
        "__init__",
    },
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
    "web": {"core", "config", "logic", "contracts", "threads"},
    "aws_protocol": {"core", "config", "logic", "web"},
    "aws": {"*", "!server", "!cli"},
    "kinesis": {
        "core",
        "logic",
        "contracts",
        "config",
        "media",
        "metrics",
        "threads",
        "store",
        "durable",
        "trouble",
        "connectors",
        "aws_protocol",
        "web",
    },
    "server": {"*", "!cli"},
    "console": {"core", "logic", "config", "durable", "live", "web", "connectors", "threads"},
    "webrtc": {"*", "!cli", "!aws", "!aws_protocol", "!kinesis", "!jobs"},
    "demo": {"*"},
    "cli": {"*"},
    "__main__": {"*"},
    "__init__": set(),
    "connectors": {
        "core",
        "logic",
        "contracts",
        "config",
        "media",
        "metrics",
        "plain",
        "durable",
        "outbox",
        "threads",
        "trouble",
    },
}
"""Which rooms a room may import. ``*`` is every room, less those marked ``!``."""

HOMES: dict[str, tuple[str, ...]] = {
    "openvino": ("streamproc/vision/", "streamproc/cli/doctor.py"),
    "uvloop": ("streamproc/cli/",),
    "argon2": ("streamproc/web/",),
    "ruamel": ("streamproc/config/",),
    "aiokafka": ("connectors/kafka/",),
    "aiomqtt": ("connectors/mqtt/",),
    "paho": ("connectors/mqtt/",),
    "aiortc": ("connectors/webrtc/", "streamproc/webrtc/"),
    "botocore": ("streamproc/aws/", "streamproc/aws_protocol/", "streamproc/kinesis/", "connectors/"),
    "scenedetect": ("streamproc/jobs/", "streamproc/logic/"),
    "pickle": (
        "streamproc/vision/formats/",
    ),  # state is plain documents; model files of others are read by an allow-list
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

MAX_FILE_LINES = 360
MAX_FUNCTION_LINES = 60
MAX_CLASS_LINES = 200
MAX_PARAMETERS = 7
AWS_WORDS = re.compile(
    r"(?<![A-Za-z])(rekognition|kinesis|boto3|botocore|arns?|sns|sqs|stream_arn)(?![A-Za-z])"
    r"|ExternalImageId|CollectionId|FaceMatchThreshold|StreamProcessor(?!s\b)"
    r"|\b(Index|Search|Detect|Compare|Associate|Delete|List)(Faces|Labels|Users)(ByImage)?\b"
    r"|\b(Start|Get)(Label|Segment|Person|Face)(Detection|Tracking|Search)\b",
    re.IGNORECASE,
)
AWS_ROOMS = {"aws", "aws_protocol", "kinesis", "config", "cli", "server", "connectors", "metrics", "__init__"}
"""The endpoints and what they stand on; documents, commands and metrics
in which users name AWS services; AWS services' connectors."""
AWS_ELSEWHERE = {
    "streamproc/live/documents.py": {"arn", "stream_arn"},  # keys under which the endpoint keeps what its form echoes
    "streamproc/logic/redact.py": {"arn"},  # a scheme without secrets
}
PRIVATE_ATTRIBUTES = {
    "connectors/kafka/log.py": {"_client"},
    "connectors/kafka/publisher.py": {"_partition"},
    "connectors/kafka/sink.py": {"_sender"},
    "connectors/kafka/slot_group.py": {"_coordinator"},
    "streamproc/webrtc/inbound.py": {"_get_mline_index", "_codecs", "_data", "_send_rtcp_pli"},
    "streamproc/webrtc/outbound.py": {"_send_keyframe"},
    "streamproc/webrtc/peer.py": {"_get_mline_index", "_connection"},
    "streamproc/webrtc/ports.py": {"_protocols"},
}
"""Of libraries, by file. ``tests/unit/test_private_attributes.py`` fails where an upgrade takes one away."""
LOG_LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
PRONOUNS = {"It", "They", "Those", "That"}
"""No docstring begins with one: its subject is a noun or a verb."""
TEST_MODULE = re.compile(r"^(tests\.|\.)(\w+\.|\.)*test_\w+")
REGISTRY_HOSTS = re.compile(
    r"(pypi|pythonhosted|npmjs|yarnpkg|crates|maven|goproxy|sum)\.(org|com|io|apache|golang)|proxy\.golang|registry\.npm"
)


def _name(path: Path) -> str:
    return str(path.relative_to(PROJECT))


def _room(path: Path) -> str:
    parts = path.relative_to(PROJECT).parts
    return "connectors" if parts[0] == "connectors" else parts[1].removesuffix(".py")


@cache
def _nodes(path: Path) -> list[ast.AST]:
    """Every node of a file's syntax tree. All rules read it."""
    return list(ast.walk(ast.parse(path.read_text())))


def _imports(path: Path) -> list[tuple[str, int]]:
    found = []
    for node in _nodes(path):
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


def _complaints(rule: Callable[[Path], Iterable[str]], paths: Iterable[Path] = SOURCES) -> list[str]:
    """What a rule finds in all files: one test a rule, for a test a file would take ten times as long."""
    return [f"{_name(path)}{complaint}" for path in paths for complaint in rule(path)]


def test_arrows_between_rooms_hold() -> None:
    unknown = {_room(path) for path in SOURCES} - set(ROOMS)
    assert not unknown, f"new rooms: say in ROOMS what {unknown} may import"
    assert not _complaints(
        lambda path: (
            f":{line}: {_room(path)} may not import {module}"
            for module, line in _imports(path)
            if (target := _target_room(module)) and not _allowed(_room(path), target)
        )
    )


def test_both_diagrams_of_the_rooms_name_every_room() -> None:
    text = (PROJECT / "docs" / "architecture.md").read_text()
    rooms, rows = text.split("## Rooms")[1].split("## How a frame travels")[0].split("Who may import whom")
    for room in set(ROOMS) - {"__main__", "__init__"}:
        assert re.search(rf"\b{room}(/|\.py)", rooms), f"{room} is missing in docs/architecture.md, Rooms"
        assert re.search(rf"\b{room}\b", rows), f"{room} has no row in docs/architecture.md"


def test_packages_stay_in_their_homes() -> None:
    assert not _complaints(
        lambda path: (
            f":{line}: imports {module}, which belongs to {homes}"
            for module, line in _imports(path)
            if (homes := HOMES.get(module.split(".")[0])) is not None and not _name(path).startswith(homes)
        )
    )


def test_files_and_functions_stay_small() -> None:
    assert not _complaints(_large)


def _large(path: Path) -> Iterator[str]:
    if (lines := path.read_text().count("\n")) > MAX_FILE_LINES:
        yield f": {lines} lines: probably two rooms in one file"
    for node in _nodes(path):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        where = f":{node.lineno}: {node.name}"
        length = (node.end_lineno or node.lineno) - node.lineno + 1
        if isinstance(node, ast.ClassDef):
            if length > MAX_CLASS_LINES:
                yield f"{where} has {length} lines: probably two things in one"
            continue
        if length > MAX_FUNCTION_LINES:
            yield f"{where} has {length} lines"
        listed = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        taken = [item.arg for item in listed if item.arg not in ("self", "cls")]
        verb = _name(path).startswith("streamproc/cli/")  # a verb's parameters are its flags
        if len(taken) > MAX_PARAMETERS and not verb:
            yield f"{where} takes {len(taken)} parameters: a type is missing"


def test_docstrings_name_their_subject() -> None:
    """Who reads one in an editor's tip has not read what stands around it."""
    assert not _complaints(_pronouns)


def _pronouns(path: Path) -> Iterator[str]:
    for node in _nodes(path):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            words = (ast.get_docstring(node) or "").split()[:1]
            if words and words[0] in PRONOUNS:
                yield f":{node.body[0].lineno}: begins with {words[0]}"


def test_log_events_are_names() -> None:
    """What happened, in snake_case, so that it can be searched for; what it happened to stands in fields."""
    assert not _complaints(_unnamed_events, (path for path in SOURCES if path.name != "trouble.py"))


def _unnamed_events(path: Path) -> Iterator[str]:
    """Log calls, and troubles that are logged at their begin and end, whose event is no name."""
    for node in _nodes(path):
        if not isinstance(node, ast.Call):
            continue
        logs = isinstance(node.func, ast.Attribute) and node.func.attr in LOG_LEVELS
        if logs and ast.unparse(node.func).startswith("log."):
            names = node.args[:1] or [None]
        elif isinstance(node.func, ast.Name) and node.func.id == "Trouble":
            names = list(node.args[:2])
        else:
            continue
        if not all(map(_is_event_name, names)):
            yield f":{node.lineno}: {ast.unparse(node)[:80]}"


def _is_event_name(argument: ast.expr | None) -> bool:
    if isinstance(argument, ast.IfExp):
        return _is_event_name(argument.body) and _is_event_name(argument.orelse)
    words = argument.value if isinstance(argument, ast.Constant) else None
    return isinstance(words, str) and re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", words) is not None


def test_blocking_calls_say_whose_threads_they_take() -> None:
    """The event loop's own threads are shared by everybody: one sick share or store there would hold up all."""
    assert not _complaints(
        lambda path: (
            f":{node.lineno}: {ast.unparse(node)[:60]}: run it in one of streamproc/threads.py"
            for node in _nodes(path)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and (
                node.func.attr == "to_thread"
                or (node.func.attr == "run_in_executor" and ast.unparse(node.args[0]) == "None")
            )
        )
    )


def test_connectors_do_not_import_each_other() -> None:
    for path in SOURCES:
        parts = path.relative_to(PROJECT).parts
        if parts[0] == "connectors" and len(parts) > 2:
            for module, line in _imports(path):
                names = module.split(".")
                foreign = names[0] == "connectors" and len(names) > 2 and names[1] != parts[1]
                assert not foreign, f"{_name(path)}:{line} imports {module}"


def test_no_test_module_is_imported() -> None:
    """What several of them need is built in ``tests/builders``."""
    wrong = []
    for path in sorted((PROJECT / "tests").rglob("*.py")):
        for node in _nodes(path):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            if isinstance(node, ast.ImportFrom):
                names = [f"{'.' * node.level}{node.module or ''}.{name}" for name in names]
            wrong += [f"{_name(path)} imports {name}" for name in names if TEST_MODULE.search(name)]
    assert not wrong


def _module(path: Path) -> str:
    return ".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__")


def _circles(arrows: dict[str, set[str]]) -> list[set[str]]:
    """Groups that lead back to themselves: what is left of a node's reach when those that do not reach it are taken out."""

    def reach(node: str) -> set[str]:
        found: set[str] = set()
        waiting = [node]
        while waiting:
            for other in arrows.get(waiting.pop(), set()) - found:
                found.add(other)
                waiting.append(other)
        return found

    reached = {node: reach(node) for node in arrows}
    circles: list[set[str]] = []
    for node, found in reached.items():
        circle = {other for other in found if node in reached.get(other, set())}
        if circle and circle not in circles:
            circles.append(circle)
    return circles


def _module_arrows() -> dict[str, set[str]]:
    modules = {_module(path): path for path in SOURCES}
    arrows: dict[str, set[str]] = {}
    for name, path in modules.items():
        targets = arrows.setdefault(name, set())
        for node in _nodes(path):
            if isinstance(node, ast.Import):
                targets.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                parts = [f"{node.module}.{alias.name}" for alias in node.names]
                targets.update(part if part in modules else node.module for part in parts)
        targets &= set(modules) - {name}
    return arrows


def test_circles_are_found() -> None:
    assert _circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == [{"b", "c"}]


def test_no_import_circle_between_modules_or_rooms() -> None:
    arrows = _module_arrows()
    assert not (found := _circles(arrows)), f"modules that import each other: {found}"
    rooms: dict[str, set[str]] = {}
    for module, targets in arrows.items():
        own = _target_room(module)
        if own:
            rooms.setdefault(own, set()).update(
                room for target in targets if (room := _target_room(target)) and room != own
            )
    # Settings of connectors are part of a processor's document, and connectors stand on what documents are made of.
    rooms.get("config", set()).discard("connectors")
    assert _circles(rooms) == []


def test_aws_words_stay_with_the_endpoints() -> None:
    """Elsewhere it is said in neutral words, or moved to ``aws/``."""
    assert not _complaints(
        lambda path: (
            f":{number}: {found.group()}"
            for number, line in enumerate(path.read_text().splitlines(), 1)
            for found in AWS_WORDS.finditer(line)
            if found.group().lower() not in AWS_ELSEWHERE.get(_name(path), set()) and "streamproc." not in line
        ),
        (path for path in SOURCES if _room(path) not in AWS_ROOMS),
    )


def test_private_attributes_of_libraries_are_watched() -> None:
    """Those in use stand in PRIVATE_ATTRIBUTES, with a test that an upgrade would fail."""
    assert not _complaints(_private)


def _private(path: Path) -> Iterator[str]:
    nodes = [node for node in _nodes(path) if isinstance(node, ast.Attribute)]
    own = {node.attr for node in nodes if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")}
    own |= {node.name for node in _nodes(path) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    own |= {
        "_replace",
        "_name_",
        "_value_",
        "_missing_",
        "_asdict",
    }  # documented parts of named tuples and enumerations
    foreign = {
        node.attr
        for node in nodes
        if node.attr.startswith("_")
        and not node.attr.endswith("__")
        and not isinstance(node.value, ast.Name | ast.Call)
    } | {
        node.attr
        for node in nodes
        if node.attr.startswith("_") and isinstance(node.value, ast.Name) and node.value.id not in ("self", "cls")
    }
    foreign = {name for name in foreign - own if not name.endswith("__")}
    yield from (f": {name}" for name in sorted(foreign - PRIVATE_ATTRIBUTES.get(_name(path), set())))


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
