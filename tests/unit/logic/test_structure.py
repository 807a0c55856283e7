"""Dataclasses through documents: typed on the way back, and refused by the name of the field."""

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from streamproc.core.errors import StateDamaged
from streamproc.core.media import Moment
from streamproc.core.vision import Box
from streamproc.logic.state_codec import pack, unpack
from streamproc.logic.structure import from_document, to_document


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True)
class Inner:
    box: Box
    at: Moment
    colour: Colour | None = None


@dataclass
class Outer:
    by_number: dict[int, Inner]
    times: dict[Colour, deque[float]]
    pairs: list[tuple[int, float]]
    views: tuple[Inner, ...] = ()
    grey: npt.NDArray[np.uint8] | None = None
    free: dict[str, Any] = field(default_factory=dict)
    count: int = 0


def outer() -> Outer:
    inner = Inner(Box(0.1, 0.2, 0.3, 0.4), Moment(Fraction(1, 3), datetime(2024, 1, 1, tzinfo=UTC)), Colour.RED)
    return Outer(
        {3: inner, 1: inner},
        {Colour.RED: deque([1.0, 2.0], maxlen=2)},
        [(1, float("-inf"))],
        (inner,),
        np.zeros((2, 3), np.uint8),
        {"looks": 3, "why": [None, "x"]},
    )


def test_everything_comes_back_with_its_type_through_the_codec() -> None:
    before = outer()
    again = from_document(Outer, unpack(pack("test", 1, to_document(before)), "test", 1))
    assert np.array_equal(again.grey, before.grey)  # type: ignore[arg-type]
    again.grey = before.grey
    assert again == before
    assert isinstance(again.by_number[3].box, Box) and isinstance(again.views, tuple)
    assert again.times[Colour.RED].maxlen == 2 and again.by_number[1].colour is Colour.RED


def test_a_document_shares_nothing_with_what_it_was_made_of() -> None:
    before = outer()
    document = to_document(before)
    assert before.grey is not None
    before.grey[0, 0] = 9
    before.free["looks"] = 4
    assert document["grey"][0, 0] == 0 and document["free"]["looks"] == 3


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"count": "3"}, r"Outer\.count: expected int, found str"),
        ({"count": True}, r"Outer\.count: expected int, found bool"),
        ({"extra": 1}, "has no field extra"),
        ({"pairs": [[1]]}, r"Outer\.pairs: expected 2 values"),
        ({"pairs": 3}, r"Outer\.pairs: expected a list"),
        ({"by_number": {"x": {}}}, r"Outer\.by_number: expected int"),
        ({"by_number": [[1, {"box": [0, 0, 1]}]]}, r"Inner\.at is missing"),
        ({"times": {"blue": {"maxlen": None, "items": []}}}, "blue is no Colour"),
        ({"times": {"red": []}}, "expected a deque"),
        ({"grey": [1, 2]}, r"Outer\.grey: expected an array"),
        ({"grey": np.zeros(2, np.float32)}, "expected an array of uint8, found float32"),
        ({"views": 3}, r"Outer\.views: expected a list"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(change: dict[str, Any], says: str) -> None:
    with pytest.raises(StateDamaged, match=says):
        from_document(Outer, to_document(outer()) | change)


def test_what_is_not_known_is_refused_when_it_is_written() -> None:
    with pytest.raises(TypeError, match="cannot be kept"):
        to_document({"a": object()})
