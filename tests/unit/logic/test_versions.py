"""Documents of several versions."""

from __future__ import annotations

from typing import Any

import pytest

from streamproc.core.errors import StateVersionUnknown
from streamproc.logic.versions import Versions


def renamed(old: str, new: str) -> Any:
    return lambda document: {new if key == old else key: value for key, value in document.items()}


VERSIONS = Versions(
    "a note",
    4,
    up={2: renamed("a", "b"), 3: renamed("b", "c")},
    down={2: renamed("b", "a"), 3: renamed("c", "b")},
)


def test_older_ones_are_read() -> None:
    assert [VERSIONS.raised({key: 1}, version) for version, key in ((2, "a"), (3, "b"), (4, "c"))] == [{"c": 1}] * 3


def test_newer_and_forgotten_ones_are_refused_by_name() -> None:
    with pytest.raises(
        StateVersionUnknown, match="a note has version 5, this streamproc reads up to 4; update this node"
    ):
        VERSIONS.raised({}, 5)
    with pytest.raises(StateVersionUnknown, match="a note has version 1, which this streamproc reads no more"):
        VERSIONS.raised({}, 1)


def test_they_are_lowered_as_far_as_there_are_steps() -> None:
    given = {"c": 1}
    assert [VERSIONS.lowered(given, version) for version in (9, 4, 3, 2, 1)] == [
        (4, {"c": 1}),
        (4, {"c": 1}),
        (3, {"b": 1}),
        (2, {"a": 1}),
        (2, {"a": 1}),
    ]
    assert given == {"c": 1}
