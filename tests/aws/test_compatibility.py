"""The page about compatibility says what the tables say."""

from __future__ import annotations

from pathlib import Path

from streamproc.aws.compatibility import render, structures
from streamproc.aws.operations.table import ABSENT_MEMBERS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "aws-compatibility.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), (
        "run: python -m streamproc.aws.compatibility > docs/aws-compatibility.md"
    )


def test_absent_members_are_members() -> None:
    known = structures()
    for path in ABSENT_MEMBERS:
        structure, _, member = path.partition(".")
        assert member in known[structure].members, path
