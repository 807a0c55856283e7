"""From scores to belief."""

import pytest

from streamproc.core.classes import OBJECT_GROUPS, Group
from streamproc.core.vision import Box
from streamproc.logic.evidence import (
    CROP_VOTES,
    FRAME_VOTES,
    Belief,
    BeliefPolicy,
    against_the_rest,
    log_odds,
)
from streamproc.logic.state_codec import pack, unpack
from streamproc.logic.structure import from_document, to_document

ALL = {name: frozenset(OBJECT_GROUPS) for name in ("yolox_nano", "deimv2_femto", "ssd_oidv4")}
HERE = Box(0.1, 0.1, 0.3, 0.7)


def evidence(votes=FRAME_VOTES, models=ALL, **groups: dict[str, float]) -> dict[Group, float]:
    scores = {Group[name]: {f"{model}": score for model, score in some.items()} for name, some in groups.items()}
    return against_the_rest(log_odds(scores, models, votes))


def moved(step: int) -> Box:
    return Box(0.1 + step * 0.1, 0.1, 0.3 + step * 0.1, 0.7)


def watched(*looks: dict[Group, float], still: bool = False, policy: BeliefPolicy | None = None) -> Belief:
    belief = Belief(policy or BeliefPolicy())
    for step, look in enumerate(looks):
        belief.add(look, step * 0.2, HERE if still else moved(step), moves=not still)
    return belief


SURE = evidence(PERSON={"yolox_nano": 0.9, "deimv2_femto": 0.88, "ssd_oidv4": 0.55})
FAINT = evidence(PERSON={"yolox_nano": 0.2, "deimv2_femto": 0.25})
BOTH = evidence(
    PERSON={"yolox_nano": 0.4, "deimv2_femto": 0.5, "ssd_oidv4": 0.5},
    PET={"yolox_nano": 0.45, "deimv2_femto": 0.6, "ssd_oidv4": 0.5},
)
NOTHING = evidence()


@pytest.mark.parametrize(
    ("scores", "positive"),
    [
        ({"yolox_nano": 0.9, "deimv2_femto": 0.9}, True),
        ({"deimv2_femto": 0.9}, True),
        ({"ssd_oidv4": 0.55, "yolox_nano": 0.2}, True),  # sure for this model, which never says more than 0.6 of people
        ({"deimv2_femto": 0.55, "yolox_nano": 0.2}, True),
        ({"deimv2_femto": 0.4}, False),
        ({"yolox_nano": 0.2}, False),
        ({}, False),
    ],
)
def test_one_look_at_a_person(scores, positive):
    assert (evidence(PERSON=scores)[Group.PERSON] > 0) is positive


def test_a_model_counts_only_for_the_groups_it_knows():
    people_only = {"yolox_nano": frozenset({Group.PERSON})}
    odds = log_odds({Group.PERSON: {"yolox_nano": 0.9}}, people_only, FRAME_VOTES)
    alone = log_odds({Group.PERSON: {"yolox_nano": 0.9}}, ALL, FRAME_VOTES)
    assert odds[Group.PERSON] > alone[Group.PERSON] > 0 > odds[Group.PET]


def test_an_unknown_detector_has_a_vote_too():
    own = {"mine": frozenset(OBJECT_GROUPS)}
    assert log_odds({Group.PET: {"mine": 0.8}}, own, CROP_VOTES)[Group.PET] > 0


def test_classes_compete():
    assert BOTH[Group.PERSON] < 1 and BOTH[Group.PET] < 1
    alone = evidence(PET={"yolox_nano": 0.45, "deimv2_femto": 0.6, "ssd_oidv4": 0.5})
    assert alone[Group.PET] > BOTH[Group.PET] + 0.5


@pytest.mark.parametrize(
    ("looks", "label"),
    [
        ([SURE], None),  # one look is never enough
        ([SURE, SURE], Group.PERSON),
        ([FAINT] * 10, None),
        ([NOTHING] * 5 + [SURE, SURE], Group.PERSON),  # what was before it came near is forgotten
        ([SURE, NOTHING, NOTHING], None),
        ([BOTH] * 6, None),  # neither, rather than the wrong one
        ([BOTH] * 4 + [SURE] * 3, Group.PERSON),
    ],
)
def test_what_several_looks_settle(looks, label):
    assert watched(*looks).label is label


def test_more_samples_can_be_asked_for():
    assert watched(*[SURE] * 4, policy=BeliefPolicy(samples=5)).label is None
    assert watched(*[SURE] * 5, policy=BeliefPolicy(samples=5)).label is Group.PERSON


def test_samples_of_long_ago_do_not_count():
    belief = Belief(BeliefPolicy(samples=2, window_s=1.0))
    belief.add(SURE, 0.0, HERE, moves=True)
    belief.add(SURE, 5.0, HERE, moves=True)
    assert belief.label is None and belief.samples(Group.PERSON, 5.0) == 1


def test_the_same_still_picture_tells_nothing_new():
    likely = evidence(PERSON={"yolox_nano": 0.35, "deimv2_femto": 0.4})
    assert likely[Group.PERSON] > 0
    once, often = watched(likely, still=True), watched(*[likely] * 50, still=True)
    assert often.confidence(Group.PERSON) - once.confidence(Group.PERSON) < 25
    assert watched(*[likely] * 50).confidence(Group.PERSON) > 95


def test_a_camera_that_pans_makes_looks_count_less():
    likely = evidence(PERSON={"yolox_nano": 0.35, "deimv2_femto": 0.4})
    panned = Belief(BeliefPolicy())
    for step in range(4):
        panned.add(likely, step * 0.2, moved(step), moves=True, camera=True)
    assert panned.confidence(Group.PERSON) < watched(*[likely] * 4).confidence(Group.PERSON) - 5


def test_looks_in_quick_succession_count_less():
    fast, slow = Belief(BeliefPolicy()), Belief(BeliefPolicy())
    likely = evidence(PERSON={"yolox_nano": 0.35, "deimv2_femto": 0.4})
    for step in range(4):
        fast.add(likely, step * 0.02, moved(step), moves=True)
        slow.add(likely, step * 0.2, moved(step), moves=True)
    assert fast.confidence(Group.PERSON) < slow.confidence(Group.PERSON) - 5


def test_a_settled_class_outlasts_bad_looks_and_can_still_be_corrected():
    belief = watched(*[SURE] * 4, *[NOTHING] * 3)
    assert belief.label is Group.PERSON and belief.confidence(Group.PERSON) > 80
    pet = evidence(PET={"yolox_nano": 0.9, "deimv2_femto": 0.9, "ssd_oidv4": 0.8})
    for step in range(12):
        belief.add(pet, 2.0 + step * 0.2, moved(step), moves=True)
    assert belief.label is Group.PET


def test_confidence_is_a_percentage():
    assert 95 < watched(*[SURE] * 30).confidence(Group.PERSON) <= 100
    assert watched(*[NOTHING] * 30).confidence(Group.PERSON) < 25
    assert watched(NOTHING).best is None


def test_it_goes_on_the_same_after_pickling():
    belief = watched(SURE, BOTH, FAINT)
    twin = from_document(Belief, unpack(pack("test", 1, to_document(belief)), "test", 1))
    for each in (belief, twin):
        each.add(SURE, 1.0, HERE, moves=False)
    assert belief == twin
