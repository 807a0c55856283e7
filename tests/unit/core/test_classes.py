"""The table of label classes, and that everything which names classes reads it."""

import copy
import pickle

import pytest

from streamproc.config.processor import LABEL_CLASSES, LabelSettings
from streamproc.core.classes import (
    ANNOUNCED,
    OBJECT_GROUPS,
    STILL_CLASSES,
    Group,
    any_moving,
    asked_groups,
    followed,
    imagenet_indexes,
)
from streamproc.logic.evidence import CROP_VOTES, FRAME_VOTES
from streamproc.perception.detect import group_of

IMAGENET = ("background", "Chihuahua", "Maltese dog, Maltese", "Mexican hairless", "wolf", "crate", "tabby, tabby cat")


def test_rows_keep_their_places():
    assert [each.value for each in ANNOUNCED] == ["PERSON", "PET", "PACKAGE"]
    assert [each.value for each in OBJECT_GROUPS] == ["PERSON", "PET", "VEHICLE", "ANIMAL"]
    assert {"PACKAGE"} == STILL_CLASSES


@pytest.mark.parametrize("group", list(Group))
def test_every_row_is_whole(group: Group):
    traits = group.traits
    assert traits.members and all(group_of(name) is group for name in traits.members)
    assert bool(traits.parts) == traits.announced, "an announced class names the models that are loaded for it"
    if group in OBJECT_GROUPS:
        assert FRAME_VOTES[group] and CROP_VOTES[group]
    else:
        assert not traits.frame_votes and not traits.crop_votes


def test_no_word_leads_to_two_classes():
    words = [name for group in Group for name in group.traits.members]
    assert len(words) == len(set(words))


def test_a_group_is_found_by_its_name_and_survives_copies():
    assert Group("PET") is Group.PET and Group["PET"] is Group.PET and Group.PET == "PET"
    assert pickle.loads(pickle.dumps(Group.PET)) is Group.PET and copy.deepcopy(Group.PET) is Group.PET
    with pytest.raises(ValueError, match="BIRD"):
        Group("BIRD")


def test_settings_know_the_announced_classes():
    assert tuple(each.value for each in ANNOUNCED) == LABEL_CLASSES
    assert LabelSettings(classes=["ALL"]).classes == LABEL_CLASSES  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'PERSON', 'PET' or 'PACKAGE'"):
        LabelSettings(classes=("NOBODY",))


def test_asked_classes():
    assert asked_groups(["PACKAGE", "PERSON"]) == (Group.PERSON, Group.PACKAGE)
    assert any_moving(["PACKAGE", "PET"]) and not any_moving(["PACKAGE"])
    assert followed(["PACKAGE"]) == {"PACKAGE", "PERSON"} and followed(["PET"]) == {"PET"}


def test_imagenet_spans_are_found_by_name():
    assert imagenet_indexes(IMAGENET, [("Chihuahua", "Mexican hairless"), "tabby"]) == [1, 2, 3, 6]
    assert imagenet_indexes(IMAGENET, ["crate", "envelope"]) == [5]
    assert imagenet_indexes(("cat", "dog"), Group.PET.traits.imagenet) == []
