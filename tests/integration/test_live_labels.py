"""The default models on real pictures: photographs that scikit-image carries, moved over a background; clips of the corpus."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from benchmarks.live_accuracy import clips, judge, run_session
from streamproc.config.processor import LABEL_CLASSES, LabelSettings
from streamproc.core.classes import Group, imagenet_indexes
from streamproc.core.media import EPOCH, Frame, Moment
from streamproc.media.picture import ArrayPicture
from streamproc.perception.label_models import LabelModels, load_models
from streamproc.perception.label_perception import LabelPerception
from streamproc.vision.zoo import open_zoo

pytestmark = pytest.mark.models
WIDTH, HEIGHT = 640, 360


@pytest.fixture(scope="module")
def models() -> LabelModels:
    return load_models(open_zoo(workers=1), LABEL_CLASSES)


def passing(photo: np.ndarray, height: int, step: int) -> np.ndarray:
    """The photograph at that height, passing from left to right over a grey yard."""
    scene = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    scene[HEIGHT // 2 :] = 90
    scale = height / photo.shape[0]
    small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    left, top = 20 + 16 * step, HEIGHT - height - 10
    right = min(WIDTH, left + small.shape[1])
    scene[top : top + height, left:right] = small[:, : right - left]
    return scene


def announced(perception: LabelPerception, pictures: list[np.ndarray]) -> dict[str, int]:
    """The look at which each class was sure first."""
    told: dict[str, int] = {}
    for number, picture in enumerate(pictures):
        seen = perception.look(Frame(Moment(Fraction(number, 5), EPOCH), ArrayPicture(picture)))
        for track in seen.tracks:
            if track.confirmed and track.confidence >= 50:
                told.setdefault(track.label, number)
    return told


@pytest.mark.parametrize(("name", "label"), [("astronaut", "PERSON"), ("chelsea", "PET")])
def test_a_photograph_that_passes_by_is_announced_as_what_it_is(models, name, label):
    photo = np.ascontiguousarray(getattr(data, name)()[..., ::-1])
    pictures = [passing(photo, 240, step) for step in range(8)]
    assert announced(LabelPerception(LabelSettings(), models), pictures).keys() == {label}


def test_an_empty_yard_and_things_that_are_none_of_it_are_not_announced(models):
    cup = np.ascontiguousarray(data.coffee()[..., ::-1])
    pictures = [np.full((HEIGHT, WIDTH, 3), 120, np.uint8)] * 3 + [passing(cup, 200, step) for step in range(5)]
    assert announced(LabelPerception(LabelSettings(), models), pictures) == {}


def test_the_same_frames_give_the_same_answer_bit_for_bit(models):
    photo = np.ascontiguousarray(data.astronaut()[..., ::-1])
    one, two = (LabelPerception(LabelSettings(), models) for _ in range(2))
    for number in range(4):
        frame = Frame(Moment(Fraction(number, 5), EPOCH), ArrayPicture(passing(photo, 240, number)))
        assert one.look(frame) == two.look(frame)


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["aws_pet_night.mp4", "constructed_package_pan.mp4"])
def test_a_clip_of_the_corpus_announces_what_its_truth_says(corpus: Path, models, name):
    (frames, truth) = next((frames, truth) for clip, frames, truth in clips(corpus) if clip == name)
    score = judge(run_session(frames, models, truth.visits()).told, truth)
    assert all(all(hits) for hits in score.found.values()) and not score.false


def test_the_classifier_knows_cats_dogs_and_cartons_by_their_names(models):
    """ImageNet's 118 domestic dogs and 5 domestic cats; its first class is the background, so each is one later than in ILSVRC2012."""
    assert models.classified == {Group.PET: [*range(152, 270), *range(282, 287)]}
    assert len(imagenet_indexes(models.classifier.names, Group.PACKAGE.traits.imagenet)) == 7
