"""A test fails that leaves a thread, task, socket or child process behind, or an ERROR in the log that nobody asked for.

What outlives a test wears down those after it: a thread that still reads, a port that is taken, a server that nobody stops. What fixtures of a
wider scope start (brokers, gateways) is no leftover. What is only on its way out is waited for.

- ``@pytest.mark.leaves(REASON)``: cannot tidy up after itself.
- ``@pytest.mark.logs_errors(EVENT, ...)``: provokes what is logged as an error, by the name of the event (of a library: of its logger). Others fail
  the test as ever, and so does one that is named and does not come (unless the test was skipped or failed before it could).
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import os
import re
import threading
import time
from collections.abc import AsyncIterator, Generator, Iterable, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import structlog

GRACE_S = 3.0
"""What ends by itself within this time is not left behind: a thread after its join, a server that was told to stop."""
_STEP_S = 0.02
_STANDING_THREADS = (
    (r"^asyncio_\d+$", "the default executor of a loop; a loop of a wider scope keeps it"),
    (r"^ThreadPoolExecutor-.*", "concurrent.futures joins it at exit"),
    (r"process_request_thread", "a server of a wider scope answers a kept connection"),
    (
        r"^(database|pictures|control|ending|clients|prepared|face rows|fragments|sign-in|history|deliveries|faces|jobs|archive|documents|probes|traces"
        r"|stdout|folder .*)-\d+$",
        "the sets of streamproc.threads that stand for the whole process",
    ),
    (r"^look_\d+$", "an executor that detectors share; concurrent.futures joins it at exit"),
)
"""Threads that stand for as long as the process, and whose they are."""
_DESTROYED = "Task was destroyed but it is pending"
"""How asyncio begins what it says of a task that the garbage collector finds, whenever that is."""
_STANDING_TASKS = {
    "Connection.query_consent": "aioice begins it where a check ends just when its connection is closed",
}
"""Tasks that a library leaves now and then, by the name of their coroutine, and why."""
_OUTAGES = ("aiokafka", "streamproc.mqtt.client")
"""Libraries that log as an error what a test does to their servers, more or less often as the machine is busy."""
_LATE_WATCH = re.compile(r"Exception in callback BaseSelectorEventLoop\.add_writer\(\d+, <function Cli")
"""What asyncio says where aiomqtt has a socket watched that paho closed a moment before, as a broker dies; its client reconnects."""
_KEY = pytest.StashKey["Standing"]()
_PASSED = pytest.StashKey[bool]()
"""What there was before a test."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the process has at one moment, each with words that name it."""

    threads: dict[int, str] = field(default_factory=dict)
    sockets: dict[int, str] = field(default_factory=dict)
    children: dict[int, str] = field(default_factory=dict)

    def __sub__(self, other: Standing) -> Standing:
        """What has come since ``other``."""
        return Standing(
            {key: name for key, name in self.threads.items() if key not in other.threads},
            {key: name for key, name in self.sockets.items() if key not in other.sockets},
            {key: name for key, name in self.children.items() if key not in other.children},
        )

    def __or__(self, other: Standing) -> Standing:
        return Standing(self.threads | other.threads, self.sockets | other.sockets, self.children | other.children)

    def __bool__(self) -> bool:
        return bool(self.threads or self.sockets or self.children)

    def __str__(self) -> str:
        parts = [
            *(f"thread {name}" for name in self.threads.values()),
            *(f"socket {name}" for name in self.sockets.values()),
            *(f"process {name}" for name in self.children.values()),
        ]
        return ", ".join(parts)


def standing() -> Standing:
    """What this process has now. Sockets and children are known on Linux only."""
    return Standing(
        {
            id(thread): thread.name
            for thread in threading.enumerate()
            if not any(re.search(pattern, thread.name) for pattern, _ in _STANDING_THREADS)
        },
        {inode: str(inode) for inode in _sockets()},
        dict(_children()),
    )


def _sockets() -> Iterable[int]:
    for number in _listed("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if target.startswith("socket:["):
            yield int(target[8:-1])


def _children() -> Iterable[tuple[int, str]]:
    for task in _listed("/proc/self/task"):
        for pid in _text(f"/proc/self/task/{task}/children").split():
            state = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()
            if state and state[0] != "Z":  # a zombie holds nothing; the next Popen collects it
                yield int(pid), _text(f"/proc/{pid}/cmdline").replace("\0", " ").strip()[:120]


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _text(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


class _Errors(logging.Handler):
    """Collects what is logged as an error, by libraries (``logging``) and by the product (``structlog``)."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[tuple[str, str]] = []
        """Names of events or loggers, and all that was said."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "asyncio" and str(record.msg).startswith(_DESTROYED):
            return  # collected here, but left by a test before; no_task_left judges tasks
        if record.name.startswith(_OUTAGES) or _LATE_WATCH.match(record.getMessage()):
            return
        self.lines.append((record.name, f"{record.name}: {record.getMessage()}"))

    def note(self, _logger: object, method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """A processor of structlog that changes nothing. ``structlog.testing.capture_logs`` takes its place for a while."""
        if method in ("error", "critical", "exception"):
            event = str(line.get("event"))
            self.lines.append((event, " ".join([event, *(f"{k}={v}" for k, v in line.items() if k != "event")])))
        return line

    def begin(self) -> None:
        """Listens from here on, whatever a test before has configured."""
        self.lines = []
        logging.getLogger().addHandler(self)
        processors = structlog.get_config()["processors"]
        if self.note not in processors:
            structlog.configure(processors=[self.note, *processors])

    def end(self, expected: frozenset[str], *, passed: bool) -> list[str]:
        """Complaints about what was logged since the beginning, or was not by a test that passed."""
        logging.getLogger().removeHandler(self)
        wrong = [text for name, text in self.lines if name not in expected]
        missing = sorted(expected - {name for name, _ in self.lines}) if passed else []
        return [
            *(["logged as an error: " + "; ".join(wrong)] if wrong else []),
            *(["not logged as an error, though expected: " + ", ".join(missing)] if missing else []),
        ]


_errors = _Errors()
_wider = Standing()
"""What fixtures of a wider scope than a function have started in this process."""


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
    """What a fixture of a wider scope starts stands until that scope ends."""
    global _wider
    if fixturedef.scope == "function":
        return (yield)
    before = standing()
    try:
        return (yield)
    finally:
        _wider = _wider | (standing() - before)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that run in a loop are asked for their tasks before that loop ends, after all their other fixtures."""
    for item in items:
        names = getattr(item, "fixturenames", None)
        if names is not None and inspect.iscoroutinefunction(getattr(item, "obj", None)):
            names.insert(0, "no_task_left")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """Notes what there is before a test has anything."""
    item.stash[_KEY] = standing()
    _errors.begin()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Notes that a test got to its end: what is skipped logs nothing."""
    result = yield
    item.stash[_PASSED] = True
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """Judges a test when all that it had has been taken down."""
    result = yield
    before = item.stash.get(_KEY, None)
    marks = item.iter_markers("logs_errors")
    expected = frozenset(str(name) for mark in marks for name in mark.args)
    complaints = _errors.end(expected, passed=item.stash.get(_PASSED, False))
    if before is not None and not item.get_closest_marker("leaves") and (left := _left_after(before)):
        complaints.insert(0, f"left behind: {left}")
    if complaints:
        pytest.fail("\n".join(complaints), pytrace=False)
    return result


def _left_after(before: Standing) -> Standing:
    """What has come since ``before`` and is still there when all had time to end."""
    known = before | _wider
    left = standing() - known
    deadline = time.monotonic() + GRACE_S
    while left and time.monotonic() < deadline:
        gc.collect()  # what nobody refers to any more closes its sockets
        time.sleep(_STEP_S)
        left = standing() - known
    return left


@pytest.fixture
async def no_task_left(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Fails a test whose loop still runs tasks when its other fixtures are down."""
    yield
    loop = asyncio.get_running_loop()
    deadline = loop.time() + GRACE_S
    while (left := _tasks()) and loop.time() < deadline:
        await asyncio.sleep(_STEP_S)
    if left and not request.node.get_closest_marker("leaves"):
        pytest.fail("left behind: " + ", ".join(sorted(map(_named, left))), pytrace=False)


def _tasks() -> set[asyncio.Task[Any]]:
    others = asyncio.all_tasks() - {task for task in [asyncio.current_task()] if task}
    return {task for task in others if _coroutine(task) not in _STANDING_TASKS}


def _named(task: asyncio.Task[Any]) -> str:
    return f"task {task.get_name()} ({_coroutine(task)})"


def _coroutine(task: asyncio.Task[Any]) -> str:
    return str(getattr(task.get_coro(), "__qualname__", task.get_coro()))
