"""What the comparison of two checkouts calls the same, and where it finds the first difference."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "compare_checkouts.py"
ONE, TWO = "dcc76b1f-5e8e-4998-8089-ba6e55af5079", "11111111-5e8e-4998-8089-ba6e55af5079"


@pytest.fixture(scope="module")
def compare() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compare_checkouts", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_equal_but_for_random_ids_and_the_clock(compare: ModuleType) -> None:
    old = f'{{"FaceId":"{ONE}","Again":"{ONE}","CreationTimestamp":1764126000.25,"at":1764126000250}}'
    new = f'{{"FaceId":"{TWO}","Again":"{TWO}","CreationTimestamp":1764129999.5,"at":1764129999500}}'
    assert compare.without_chance(old) == compare.without_chance(new)


def test_which_face_is_meant_is_not_lost_with_its_id(compare: ModuleType) -> None:
    same, other = f'["{ONE}","{TWO}","{ONE}"]', f'["{ONE}","{TWO}","{TWO}"]'
    assert compare.without_chance(same) != compare.without_chance(other)


def test_media_times_and_confidences_stay(compare: ModuleType) -> None:
    text = '{"Timestamp": 1600, "Confidence": 99.1640625}'
    assert compare.without_chance(text) == text


@pytest.mark.parametrize(
    ("old", "new", "result", "where"),
    [
        ('{"a": 1}', '{"a": 1}', "same", ""),
        (f'{{"session": "{ONE}"}}', f'{{"session": "{TWO}"}}', "ids differ", ""),
        ('{"a": 1}\n{"b": [1, 2]}', '{"a": 1}\n{"b": [1, 3]}', "DIFFERENT", "line 2.b[1]: 2 against 3"),
        ('{"a": 1}', '{"a": 1}\n{"a": 2}', "DIFFERENT", "1 lines against 2"),
        ('{"a": 1}', '{"a":1}', "DIFFERENT", "line 1, column 6"),
        (None, "{}", "DIFFERENT", "only in NEW"),
    ],
)
def test_verdicts(compare: ModuleType, old: str | None, new: str, result: str, where: str) -> None:
    said, place = compare.verdict(old, new)
    assert (said, place[: len(where)]) == (result, where)
