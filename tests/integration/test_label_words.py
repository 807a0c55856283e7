"""Labels of real photographs and of a real clip, by the real models."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from streamproc.config.node import NodeConfig
from streamproc.perception.provider import ModelProvider
from streamproc.perception.still_labels import LabelOptions
from streamproc.perception.stills import Stills


@pytest.fixture(scope="module")
def provider(tmp_path_factory):
    made = ModelProvider(NodeConfig(), tmp_path_factory.mktemp("data"))
    if not made.words:
        pytest.skip("no classifier can be had")
    yield made
    made.close()


def labels(provider, path):
    image = np.asarray(cv2.imread(str(path)), np.uint8)
    found = Stills(provider.objects, lambda: provider.words).labels(image, LabelOptions())
    return {label["name"]: label["confidence"] for label in found}


@pytest.mark.parametrize(
    ("picture", "there", "not_there"),
    [
        ("images/coco_val/000000000785.jpg", {"Person", "Ski", "Sports Equipment", "Outdoors"}, {"Indoors"}),
        ("images/coco_val/000000001675.jpg", {"Cat", "Animal", "Laptop", "Indoors"}, {"Outdoors", "Dog"}),
        ("images/coco_val/000000007386.jpg", {"Motorcycle", "Vehicle", "Outdoors"}, {"Indoors", "Animal"}),
    ],
)
def test_a_photograph_is_told_by_thing_and_by_scene(provider, corpus, picture, there, not_there):
    found = labels(provider, corpus / picture)
    assert there <= found.keys() and not not_there & found.keys()


def test_dress_is_told_of_who_wears_it(provider, corpus):
    found = labels(provider, corpus / "faces" / "knn" / "train" / "biden" / "biden.jpg")
    assert {"Person", "Formal Wear", "Clothing"} <= found.keys()
