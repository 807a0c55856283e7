"""Finding objects in single pictures: which detectors are asked, how often, and what they agree on."""

import threading

import numpy as np
import pytest

from streamproc.core.vision import Detections
from streamproc.perception.label_models import SQUARE, TALL, WIDE, frame_size
from streamproc.perception.objects import ObjectModels

IMAGE = np.zeros((90, 160, 3), np.uint8)


class Sees:
    """A stand-in for a detector: it sees the same in every picture."""

    input_size = (64, 64)

    def __init__(self, name, *things):
        self.name, self.things, self.asked = name, things, 0
        self.names = ("person", "cat")

    def detect(self, image, min_score):
        self.asked += 1
        boxes = np.array([box for _, _, box in self.things], np.float32).reshape(-1, 4)
        scores = np.array([score for _, score, _ in self.things], np.float32)
        return Detections(boxes, scores, np.array([which for which, _, _ in self.things], np.int32), self.names)


class Zoo:
    """One people detector and one beside it."""

    def __init__(self, first, *others):
        self.first, self.others, self.sizes = first, others, []

    def person_detector(self, size=None):
        self.sizes.append(size)
        return self.first

    def those_had(self, names, size=None):
        return list(self.others)


@pytest.fixture
def made():
    people = Sees("yolox_nano", (0, 0.9, [0.1, 0.1, 0.5, 0.9]), (1, 0.6, [0.6, 0.6, 0.9, 0.9]))
    beside = Sees("deimv2_femto", (0, 0.8, [0.12, 0.1, 0.5, 0.9]))
    models = ObjectModels(lambda: Zoo(people, beside))
    yield models, people, beside
    models.close()


def test_what_two_detectors_see_in_one_place_is_one_object(made):
    models, people, beside = made
    found = models.finder(160, 90).find(IMAGE, 1.0)
    assert [each.name for each in found] == ["person", "cat"]
    assert found[0].confidence > found[1].confidence
    assert tuple(found[0].box) == pytest.approx((0.1, 0.1, 0.5, 0.9)), "the surest model's box"
    assert (people.asked, beside.asked) == (1, 1)


def test_a_memo_asks_each_detector_once_and_only_keeps_one_class(made):
    models, people, beside = made
    memo = {}
    finder = models.finder(160, 90)
    everything = finder.find(IMAGE, 1.0, memo)
    persons = finder.find(IMAGE, 1.0, memo, only="person")
    assert persons == [each for each in everything if each.name == "person"]
    assert (people.asked, beside.asked) == (1, 1)


def test_the_first_detector_does_alone_for_people_that_it_has_no_doubt_of():
    sure, unsure = (
        Sees("yolox_nano", (0, score, [0.1, 0.1, 0.5, 0.9]), (1, 0.6, [0, 0, 1, 1])) for score in (0.9, 0.4)
    )
    for people, looked, thorough in ((sure, 0, False), (sure, 1, True), (unsure, 1, False)):
        beside, third = Sees("deimv2_femto", (0, 0.8, [0.1, 0.1, 0.5, 0.9])), Sees("ssd_oidv4")
        models = ObjectModels(lambda people=people, beside=beside, third=third: Zoo(people, beside, third))
        found = models.people_finder(160, 90).people(IMAGE, 1.0, thorough=thorough)
        models.close()
        assert [each.name for each in found] == ["person"]
        assert (beside.asked, third.asked) == (looked, 0)


def test_a_detector_that_stands_in_for_another_is_asked_once():
    ssd = Sees("ssd_oidv4", (0, 0.9, [0.1, 0.1, 0.5, 0.9]))
    models = ObjectModels(lambda: Zoo(ssd, ssd))
    models.finder(160, 90).find(IMAGE, 1.0)
    models.close()
    assert ssd.asked == 1


def test_closing_lets_the_threads_go(made):
    models, _, _ = made
    before = set(threading.enumerate())
    models.finder(160, 90).find(IMAGE, 1.0)
    started = set(threading.enumerate()) - before
    assert started and all(thread.name.startswith("look") for thread in started)
    models.close()
    assert not any(thread.is_alive() for thread in started)


@pytest.mark.parametrize(("shape", "size"), [((1920, 1080), WIDE), ((640, 640), SQUARE), ((1080, 1920), TALL)])
def test_a_frame_is_fed_in_about_its_own_shape(shape, size):
    zoo = Zoo(Sees("yolox_nano"))
    models = ObjectModels(lambda: zoo)
    models.finder(*shape)
    models.close()
    assert frame_size(*shape) == size and zoo.sizes == [size]
