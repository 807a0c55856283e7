"""One list of a YAML text changes; everything else stays byte for byte."""

from __future__ import annotations

import pytest
import yaml

from streamproc.config.edit import replace_list
from streamproc.core.errors import InputError

PORCH = {"name": "porch", "polygon": [[0.1, 0.2], [0.9, 0.2], [0.9, 0.9]]}
STEP = {"name": "step", "box": {"left": 0.1, "top": 0.5, "width": 0.3, "height": 0.4}, "rule": "feet"}
GARDEN = {"name": "garden", "polygon": [[0.0, 0.0], [1.0, 0.0], [1.0, 0.5]], "rule": "overlap"}
HEAD = """# the front door
state: running   # since June
source: {type: rtsp, url: "rtsp://cam/1"}
labels:
    classes:
    - PERSON  # nobody else
"""
REGIONS = """regions:
  # the porch, not the street
  - {name: porch, polygon: [[0.1, 0.2], [0.9, 0.2], [0.9, 0.9]]}   # measured
  # of stone
  - name: step
    box: {left: 0.1, top: 0.5, width: 0.3, height: 0.4}  # with a ruler
    rule: feet
"""
TAIL = """
# where it goes
outputs:
  - {type: file, directory: 'out'}
"""
FILE = HEAD + REGIONS + TAIL
COMMENTS = ("the porch, not the street", "measured", "of stone", "with a ruler", "where it goes", "since June")


def regions(text: str) -> list[dict[str, object]]:
    return yaml.safe_load(text)["regions"]  # type: ignore[no-any-return]


def test_the_same_regions_change_nothing() -> None:
    assert replace_list(FILE, "regions", [PORCH, STEP]) == FILE


@pytest.mark.parametrize(
    "wanted",
    [
        [PORCH | {"polygon": [[0.2, 0.2], [0.9, 0.2], [0.9, 0.9], [0.2, 0.9]]}, STEP],
        [PORCH, STEP | {"rule": "centre"}],
        [PORCH, STEP, GARDEN],
        [STEP, PORCH],
        [STEP],
        [GARDEN],
        [],
        [PORCH, {"name": "step", "polygon": [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]}],
    ],
)
def test_regions_change_and_every_comment_and_everything_else_stays(wanted: list[dict[str, object]]) -> None:
    text = replace_list(FILE, "regions", wanted)
    assert regions(text) == wanted
    assert text.startswith(HEAD) and text.endswith(TAIL)
    for comment in COMMENTS:
        assert text.count(comment) == 1, comment


def test_an_entry_that_did_not_change_keeps_its_very_bytes() -> None:
    text = replace_list(FILE, "regions", [PORCH, STEP | {"rule": "centre"}, GARDEN])
    assert "  - {name: porch, polygon: [[0.1, 0.2], [0.9, 0.2], [0.9, 0.9]]}   # measured\n" in text


@pytest.mark.parametrize(
    "before",
    [
        HEAD,
        HEAD.rstrip("\n"),
        HEAD + "regions: []\n" + TAIL,
        HEAD + "regions:\n" + TAIL,
        HEAD + "regions: [{name: porch, polygon: [[0.1, 0.2], [0.9, 0.2], [0.9, 0.9]]}]  # flow\n" + TAIL,
        HEAD + "regions:\n- name: porch\n  polygon:\n  - [0.1, 0.2]\n  - [0.9, 0.2]\n  - [0.9, 0.9]\n" + TAIL,
    ],
)
def test_other_ways_to_write_it(before: str) -> None:
    moved = PORCH | {"polygon": [[0.1, 0.2], [0.9, 0.2], [0.9, 0.95]]}
    text = replace_list(before, "regions", [moved, GARDEN])
    assert regions(text) == [moved, GARDEN]
    assert text.startswith(HEAD.rstrip("\n"))
    assert yaml.safe_load(text)["labels"] == yaml.safe_load(before)["labels"]
    if "outputs" in before:
        assert text.endswith(TAIL)


def test_regions_without_names_are_known_by_their_place() -> None:
    before = "regions:\n  - {box: {left: 0, top: 0, width: 1, height: 1}}  # all\n"
    text = replace_list(before, "regions", [{"name": "region-1", "polygon": [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]}])
    assert "# all" in text and regions(text)[0]["name"] == "region-1"


def test_a_file_in_one_pair_of_braces_is_refused_in_words() -> None:
    with pytest.raises(InputError, match="braces"):
        replace_list("{source: {type: a}, regions: []}", "regions", [PORCH])
