"""Labels by a classifier: sums along the taxonomy, looks and what they may say, calibration."""

import numpy as np
import pytest

from streamproc.core.vision import Box
from streamproc.perception.calibration import Calibration, Evidence, calibrations, evidence_for
from streamproc.perception.claims import Claim
from streamproc.perception.looks import Look, LookKind, plan
from streamproc.perception.scenes import crowd, indoors_or_out, scene_signs
from streamproc.perception.taxonomy import taxonomy
from streamproc.perception.word_finder import WordFinder, word_finder
from streamproc.perception.word_sums import word_sums
from streamproc.vision.names import imagenet_words

WORDS, SUMS = taxonomy(), word_sums()
LEFT = Box(0.0, 0.0, 0.5, 1.0)


def shares(**given):
    """1001 probabilities, background in front."""
    words = imagenet_words()
    out = np.zeros(1001, np.float32)
    for word, value in given.items():
        out[1 + words.index(word.replace("_", " "))] = value
    return out


class Says:
    """A stand-in for a classifier: it says the same of every crop."""

    name = "mobilenet_v2"
    names = ("background", *imagenet_words())

    def __init__(self, out):
        self.out, self.crops = out, []

    def classify(self, image):
        self.crops.append(image.shape)
        return self.out


def test_breeds_add_up_to_the_dog():
    found = SUMS.sums(shares(beagle=0.3, boxer=0.3, tabby=0.2), 0.25)
    assert found["Dog"] == pytest.approx(0.6) and found["Beagle"] == pytest.approx(0.3)
    assert found["Animal"] == pytest.approx(0.8) and "Cat" not in found
    assert SUMS.sums(shares(beagle=0.3)[1:], 0.25) == SUMS.sums(shares(beagle=0.3), 0.25), "with or without background"


def test_a_class_that_is_left_out_is_in_no_sum():
    assert SUMS.sums(shares(thimble=1.0), 0.01) == {}


def test_the_whole_picture_comes_first_then_the_largest_and_never_more_than_asked():
    claims = [
        Claim("Dog", 80, Box(0.6, 0.6, 0.8, 0.8)),
        Claim("Person", 90, Box(0.1, 0.0, 0.4, 1.0)),
        Claim("Car", 30, Box(0.0, 0.0, 1.0, 1.0)),
        Claim("Cup", 90, Box(0.5, 0.5, 0.51, 0.51)),
    ]
    looks = plan(claims, 960, 540, 12)
    assert [(look.kind, look.of.label if look.of else None) for look in looks] == [
        (LookKind.FRAME, None),
        (LookKind.UPPER, "Person"),
        (LookKind.LOWER, "Person"),
        (LookKind.OBJECT, "Dog"),
    ], "the car is not sure enough, the cup too small"
    assert len(plan(claims, 960, 540, 2)) == 2
    assert plan([Claim("Person", 90, Box(0.1, 0.0, 0.9, 0.5))], 960, 540, 12)[-1].kind is LookKind.UPPER, (
        "a head has no legs"
    )


@pytest.mark.parametrize(
    ("look", "may", "may_not"),
    [
        (Look(LookKind.FRAME, LEFT), "Beagle", None),
        (Look(LookKind.OBJECT, LEFT, Claim("Dog", 90, LEFT)), "Beagle", "Taxi"),
        (Look(LookKind.OBJECT, LEFT, Claim("Dog", 90, LEFT)), "Wolf", "Dog"),
        (Look(LookKind.UPPER, LEFT, Claim("Person", 90, LEFT)), "Suit", "Beagle"),
        (Look(LookKind.LOWER, LEFT, Claim("Person", 90, LEFT)), "Violin", "Person"),
    ],
)
def test_a_look_speaks_for_its_own_kind(look, may, may_not):
    assert look.speaks_for(may, WORDS)
    assert may_not is None or not look.speaks_for(may_not, WORDS)


def test_detectors_agree_deny_or_know_nothing_of_a_label():
    def of(name, seen):
        found = evidence_for(Look(LookKind.FRAME, LEFT), name, 0.9, seen, WORDS, SUMS)
        return found.of_object, found.agreed, found.denied

    assert of("Beagle", {"Dog"}) == (True, False, False)
    assert of("Beagle", {"Cat"}) == (False, False, True)
    assert of("Dog", {"Dog"}) == (False, True, False)
    assert of("Animal", {"Dog"}) == (False, True, False)
    assert of("Castle", {"Dog"}) == (False, False, False)


def test_a_family_without_truth_is_capped():
    flat = dict.fromkeys(("share", "even", "object", "part", "kind", "single", "few", "agreed", "denied"), 0.0)
    made = Calibration(flat | {"share": 1.0}, {"Animals and Pets": 0.0}, 0.0, 75.0, {})
    sure = Evidence("Beagle", 0.95, LookKind.FRAME, of_object=False, classes=1, agreed=False, denied=False)
    assert made.confidence(sure, ("Animals and Pets",)) == pytest.approx(95)
    assert made.confidence(sure, ("Sports",)) == 75.0
    doubtful = Evidence("Beagle", 0.4, LookKind.FRAME, of_object=False, classes=1, agreed=False, denied=False)
    assert made.confidence(doubtful, ("Sports",)) == pytest.approx(40)


@pytest.mark.parametrize("name", ["mobilenet_v2", "efficientnet_lite0"])
def test_what_is_shipped_grows_with_the_share_and_lets_six_hundred_names_be_told(name):
    made = calibrations()[name]
    assert made.weights["share"] > 0
    told = [label for label in WORDS.labels if made.most(label, WORDS, SUMS) >= 50]
    assert len(told) >= 600
    assert made.most("Frisbee", WORDS, SUMS) == 0.0, "no class of ImageNet leads there"


def test_a_breed_is_no_surer_than_the_dog_and_has_its_place():
    flat = dict.fromkeys(("share", "even", "object", "part", "kind", "single", "few", "agreed", "denied"), 0.0)
    made = Calibration(
        flat | {"share": 1.0}, {"Animals and Pets": 0.0}, 0.0, 75.0, {"shares": 1.0, "even": 0.0, "objects": 1.0}
    )
    says = Says(shares(beagle=0.9))
    found = WordFinder(says, made).find(np.zeros((90, 160, 3), np.uint8), [Claim("Dog", 60.0, LEFT)], 4)
    beagles = [claim for claim in found if claim.label == "Beagle"]
    assert sorted((round(claim.confidence), claim.box) for claim in beagles if claim.box) == [(60, LEFT)]
    assert len(says.crops) == 2 and {"Indoors", "Outdoors"} & {claim.label for claim in found}


def test_a_classifier_that_nobody_calibrated_tells_nothing():
    says = Says(shares(beagle=0.9))
    says.name = "own"
    assert word_finder(says) is None


def test_furniture_is_indoors_and_cars_are_outdoors():
    weights = {"shares": 0.5, "even": 0.0, "objects": 1.0}

    def told(out, *claims):
        return indoors_or_out(scene_signs().terms(out, claims), weights)

    assert told(shares(wardrobe=0.9), Claim("Couch", 90, LEFT)).label == "Indoors"
    assert told(shares(cab=0.9), Claim("Car", 90, LEFT)).label == "Outdoors"
    assert 50 <= told(shares(), Claim("Person", 99, LEFT)).confidence < 55, "a person is anywhere"


def test_a_crowd_is_ten_and_as_sure_as_they_are():
    people = [Claim("Person", 90.0, LEFT)] * 10
    assert crowd(people[:9]) == []
    assert crowd(people)[0].confidence == pytest.approx(100 * 0.9**10)
    assert crowd([Claim("Person", 99.0, LEFT)] * 12)[0].confidence > 99
