"""What a look found and no track believes in, with a reason that is no contradiction."""

from __future__ import annotations

from streamproc.core.decisions import Gate, Refusal
from streamproc.core.vision import Box
from streamproc.perception.parcels import TurnedDown
from streamproc.perception.passed_over import passed_over

BOX = Box(0.1, 0.1, 0.2, 0.2)


def test_a_parcel_that_one_look_spoke_for_is_not_called_too_faint() -> None:
    found = passed_over((), (), ("PACKAGE",), (TurnedDown(BOX, 0.36, 0.26), TurnedDown(BOX, 0.1, 0.26)))
    assert [each.refusal for each in found] == [
        Refusal(Gate.EVIDENCE, "unsure"),
        Refusal(Gate.DETECTOR, "weak", 10.0, 26.0),
    ]
