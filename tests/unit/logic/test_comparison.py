"""Two replays of one video: every detection is accounted for once, and the nearest are matched."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamproc.logic.comparison import Announcement, compare, told


def seen(
    at: float, what: str = "PERSON", region: str = "", clip: str = "a", kind: str = "label_detected"
) -> Announcement:
    return Announcement(clip, kind, what, region, at, {})


def test_the_same_within_the_tolerance() -> None:
    found = compare([seen(1), seen(5, "PET")], [seen(5.9, "PET"), seen(0.2)], 1.0)
    assert found.equal and len(found.same) == 2


def test_what_is_later_or_elsewhere_has_moved() -> None:
    before = [seen(1, region="gate"), seen(10), seen(20)]
    after = [seen(1, region="lawn"), seen(14), seen(60)]
    found = compare(before, after, 1.0)
    assert not found.equal
    assert found.moves == [(before[0], after[0]), (before[1], after[1])]
    assert (found.vanishes, found.appears) == ([before[2]], [after[2]])


def test_another_class_person_type_or_clip_is_another_detection() -> None:
    before = [seen(1, "PERSON"), seen(2, "alice", kind="face_matched"), seen(3, clip="a")]
    after = [seen(1, "PET"), seen(2, "bob", kind="face_matched"), seen(3, clip="b")]
    found = compare(before, after)
    assert (found.vanishes, found.appears) == (before, after)


def test_the_nearest_are_matched_not_the_first() -> None:
    before, after = [seen(0), seen(1)], [seen(0.9), seen(2.5)]
    found = compare(before, after, 1.0)
    assert found.same == [(before[1], after[0])]
    assert found.moves == [(before[0], after[1])]


def test_only_detections_are_compared() -> None:
    gap = {"type": "source_gap", "time": "1970-01-01T00:00:01Z"}
    face = {"type": "face_matched", "person": "alice", "time": "1970-01-01T00:00:02.5Z", "region": None}
    assert told(gap) is None
    assert told(face, "a") == Announcement("a", "face_matched", "alice", "", 2.5, face)


MANY = st.lists(
    st.builds(
        seen,
        at=st.floats(0, 100),
        what=st.sampled_from(["PERSON", "PET"]),
        region=st.sampled_from(["", "gate"]),
        clip=st.sampled_from(["a", "b"]),
    ),
    max_size=12,
)


@given(before=MANY, after=MANY)
def test_every_detection_is_in_exactly_one_place(before: list[Announcement], after: list[Announcement]) -> None:
    found = compare(before, after)
    pairs = [*found.same, *found.moves]
    assert sorted([one.at for one, _ in pairs] + [one.at for one in found.vanishes]) == sorted(one.at for one in before)
    assert sorted([one.at for _, one in pairs] + [one.at for one in found.appears]) == sorted(one.at for one in after)
    assert all((one.clip, one.type, one.what) == (other.clip, other.type, other.what) for one, other in pairs)
    back = compare(after, before)
    assert len(back.same) == len(found.same), "the same either way"


@given(told=MANY)
def test_a_telling_is_equal_to_itself(told: list[Announcement]) -> None:
    assert compare(told, told[::-1]).equal
