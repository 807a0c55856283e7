"""What somebody sees who may not know who was seen."""

from __future__ import annotations

from streamproc.logic.nameless import nameless


def test_people_are_left_out_and_everything_else_stays() -> None:
    announced = {"PERSON": "then", "face_matched:gladys": "then", "face_unknown:7": "then"}
    processor = {"name": "door", "session": {"id": "s1", "announced": announced, "counts": {"PERSON": 1}}}
    shown = nameless(processor)
    assert shown == {"name": "door", "session": {"id": "s1", "announced": {"PERSON": "then"}, "counts": {"PERSON": 1}}}
    assert processor["session"]["announced"] == announced, "the one that others see is left as it is"
    look = {"boxes": [{"label": "PERSON", "track": 1}, {"label": "gladys", "track": 2}]}
    assert [box["label"] for box in nameless(look)["boxes"]] == ["PERSON", "face"]
    assert nameless({"type": "session_complete", "persons": ["gladys"], "unknown_faces": 1, "counts": {}}) == {
        "type": "session_complete",
        "counts": {},
    }
    assert nameless({"name": "door", "session": None}) == {"name": "door", "session": None}
