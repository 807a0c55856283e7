"""docs/configuration.md says what the models say."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.catalog import check
from streamproc.cli.reference import markdown
from streamproc.config.load import load_node, load_processor

PROJECT = Path(__file__).resolve().parents[3]


def test_the_page_is_the_models() -> None:
    assert (PROJECT / "docs" / "configuration.md").read_text() == markdown(), "make docs"


def test_every_key_has_a_row() -> None:
    page = markdown()
    for key in (
        "min_confidence",
        "gone_after",
        "polygon",
        "username_env",
        "bootstrap_servers",
        "credentials",
        "max_jobs",
    ):
        assert f"| `{key}` |" in page


@pytest.mark.parametrize(
    "path", sorted((PROJECT / "configs" / "processors").glob("*.yaml")), ids=lambda path: path.name
)
def test_example_processors_are_valid(path: Path) -> None:
    load_processor(path, check)


def test_the_example_box_is_valid() -> None:
    load_node(PROJECT / "configs" / "streamproc.yaml", check)
