"""The vocabulary: its files are sound, and unsound ones are refused."""

import pytest
from structlog.testing import capture_logs

from streamproc.perception import still_labels
from streamproc.perception.scenes import INDOOR_SIGNS, OUTDOOR_SIGNS
from streamproc.perception.still_labels import LabelOptions, say_unknown
from streamproc.perception.taxonomy import read_taxonomy, taxonomy
from streamproc.vision.names import COCO, OPEN_IMAGES_24, imagenet_words

ANIMAL = {"in": ["Animals"]}


def test_every_class_of_imagenet_has_a_word_of_its_own():
    words = imagenet_words()
    assert len(words) == len(set(words)) == 1000
    assert {"crane (134)", "crane (517)", "cardigan (474)", "beagle"} <= set(words)


def test_every_class_leads_to_a_label_or_says_why_not():
    words = taxonomy()
    assert set(words.imagenet) | set(words.left_out) == set(imagenet_words())
    assert all(words.left_out.values())
    assert set(COCO) <= set(words.models)
    from streamproc.perception.detect import common_name

    assert {common_name(name) for name in OPEN_IMAGES_24} - {"background"} <= set(words.models)


def test_all_that_is_above_comes_along():
    words = taxonomy()
    assert {"Animal", "Canine", "Dog", "Hound", "Mammal", "Pet"} == set(words.labels["Beagle"].parents)
    assert words.labels["Beagle"].categories == ("Animals and Pets",)
    assert words.is_a("Beagle", "Dog") and words.is_a("Dog", "Dog") and not words.is_a("Dog", "Beagle")


def test_the_words_of_filters_are_known_in_any_case():
    known = taxonomy().known_words()
    assert {"beagle", "rucksack", "apparel and accessories"} <= known and "unicorn" not in known


def test_unknown_words_of_filters_are_said_once(monkeypatch):
    monkeypatch.setattr(still_labels, "_SAID", set())
    monkeypatch.setattr(still_labels, "_MOST_SAID", 2)
    with capture_logs() as lines:
        for word in ("Unicorn", "unicorn", "Dog", "Dragon", "one more than is said"):
            say_unknown(LabelOptions(include_labels=[word]), taxonomy())
    assert [line["names"] for line in lines] == [["Unicorn"], ["Dragon"]]


def test_the_signs_of_scenes_are_labels():
    assert set(INDOOR_SIGNS) | set(OUTDOOR_SIGNS) <= set(taxonomy().labels)


@pytest.mark.parametrize(
    ("entries", "left_out", "says"),
    [
        ({"Dog": {"under": ["Animal"]}}, {}, "Dog is under 'Animal', which is not there"),
        ({"A": {"under": ["B"]}, "B": {"under": ["A"]}}, {}, "is under"),
        ({"A": {"under": ["A"]}}, {}, "is under"),
        ({"Dog": {}}, {}, "Dog has no category"),
        (
            {"Dog": ANIMAL | {"from": ["dog"]}, "Hound": ANIMAL | {"from": ["dog"]}},
            {},
            "'dog' leads to Dog and to Hound",
        ),
        ({"Dog": ANIMAL, "Cat": ANIMAL | {"also": ["Dog"]}}, {}, "'Dog' leads to Dog and to Cat"),
        ({"Dog": ANIMAL}, {}, "'beagle' leads to no label, and left_out.yaml has no reason"),
        ({"Dog": ANIMAL}, {"beagle": ""}, "'beagle' leads to no label"),
        ({"Dog": ANIMAL | {"imagenet": ["beagle"]}}, {"beagle": "rare"}, "'beagle' leads to Dog"),
        ({"Dog": ANIMAL | {"imagenet": ["wolf"]}}, {"beagle": "rare"}, "'wolf' is no class of ImageNet"),
    ],
)
def test_files_that_contradict_themselves_are_refused(entries, left_out, says):
    with pytest.raises(ValueError, match=says):
        read_taxonomy(entries, left_out, ["beagle"])
