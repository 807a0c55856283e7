"""Tests side by side (``pytest -n 2 --dist loadgroup --no-loadscope-reorder``): which share a worker, and which want the machine to themselves.

- A test that needs a heavy server (``_SERVERS``) runs in the worker that has it: one broker, one gateway.
- ``tests/aws`` is one group: its last file checks what the others have seen.
- A module with fixtures of its own scope is one group; other tests go where there is room, the long ones first.
- ``@pytest.mark.alone(REASON)``: nothing else runs meanwhile, in any worker.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_SERVERS = {"kafka": "kafka", "moto_server": "moto", "s3_server": "s3"}
"""Fixtures of the session, and the group of the tests that use them."""
_FOLDERS = ("container", "integration", "aws", "unit")
"""In the order in which their tests begin: what takes long must not come last."""
_WORKER = "PYTEST_XDIST_WORKER" in os.environ


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Groups and their order. Without workers the order stays."""
    if not _WORKER:
        return
    for item in items:
        group = _group(item)
        if group and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=_rank)


def _folder(item: pytest.Item) -> str:
    parts = item.path.parts
    return next((name for name in _FOLDERS if name in parts), _FOLDERS[-1])


def _rank(item: pytest.Item) -> tuple[int, bool]:
    return _FOLDERS.index(_folder(item)), item.get_closest_marker("slow") is None


def _group(item: pytest.Item) -> str | None:
    folder = _folder(item)
    if folder == "aws":
        return folder
    names = getattr(item, "fixturenames", ())
    for fixture, group in _SERVERS.items():
        if fixture in names:
            return group
    definitions = getattr(item, "_fixtureinfo").name2fixturedefs if hasattr(item, "_fixtureinfo") else {}  # noqa: B009
    own = any(found[-1].scope == "module" for found in definitions.values())
    return item.nodeid.partition("::")[0] if own or folder == "unit" else None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Waits for its turn; the wait does not count against the test's timeout."""
    if not _WORKER or item.config.cache is None:
        return (yield)
    with turn(item.config.cache.mkdir("turns"), alone=item.get_closest_marker("alone") is not None):
        return (yield)


@contextmanager
def turn(folder: Path, *, alone: bool) -> Iterator[None]:
    """A place among the running tests, or all of them. Who waits for all keeps others from starting."""
    with (folder / "door").open("w") as door, (folder / "room").open("w") as room:
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield
