"""Pictures of coloured patches, and stand-in models that find them."""

from __future__ import annotations

import numpy as np

from streamproc.config.processor import LabelSettings
from streamproc.core.vision import Detections
from streamproc.perception.label_models import LabelModels
from streamproc.perception.label_perception import LabelPerception

WIDTH, HEIGHT = 640, 360
RED, GREEN, BROWN = (0, 0, 250), (0, 250, 0), (30, 80, 130)
"""Person, cat, parcel (BGR)."""


class Patches:
    """Finds patches of its colours that are at least ``least_px`` high in the picture it is given."""

    input_size = (640, 384)

    def __init__(self, name, names, colours, score=0.9, least_px=60):
        self.name, self.names, self.colours, self.score, self.least_px = name, names, colours, score, least_px
        self.runs = 0

    def detect(self, image, min_score):
        self.runs += 1
        # Like a real model it looks at an enlarged crop, so that what is small in the frame is large up close.
        enlarged = max(1.0, 384 / image.shape[0])
        boxes, classes = [], []
        for index, colour in enumerate(self.colours):
            near = (np.abs(image.astype(np.int16) - colour) < 60).all(2)
            rows, columns = np.flatnonzero(near.any(1)), np.flatnonzero(near.any(0))
            if len(rows) and len(rows) * enlarged >= self.least_px:
                height, width = near.shape
                boxes.append([columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height])
                classes.append(index)
        found = np.array(boxes, np.float32).reshape(-1, 4)
        return Detections(found, np.full(len(found), self.score, np.float32), np.array(classes, np.int32), self.names)


class Brown:
    """Takes what is mostly brown for a carton."""

    name, input_size = "mobilenet_v2", (224, 224)
    names = tuple(["background"] + ["thing"] * 999 + ["carton"])

    def __init__(self):
        self.runs = 0

    def classify(self, image):
        self.runs += 1
        share = float((np.abs(image.astype(np.int16) - BROWN) < 60).all(2).mean())
        answer = np.zeros(1001, np.float32)
        answer[1000] = 0.9 if share > 0.4 else 0.01
        answer[1] = 1 - answer[1000]
        return answer


class Zoo:
    def __init__(self):
        self.people = Patches("yolox_nano", ("person", "cat"), (RED, GREEN))

    def first(self, names, size=None):
        return self.people


def perceiver(classes=("PERSON", "PET", "PACKAGE"), **settings) -> tuple[LabelPerception, Zoo, Patches, Brown]:
    zoo, boxes, brown = (
        Zoo(),
        Patches("ssd_oidv4", ("background", "Box"), ((-200, -200, -200), BROWN), 0.3, 10),
        Brown(),
    )
    packages = "PACKAGE" in classes
    models = LabelModels(
        zoo, frozenset(classes), ("yolox_nano",), (), (boxes,) if packages else (), brown if packages else None
    )
    return LabelPerception(LabelSettings(classes=classes, **settings), models), zoo, boxes, brown


def scene(*patches: tuple[tuple[int, int, int], int, int, int, int]) -> np.ndarray:
    image = np.full((HEIGHT, WIDTH, 3), 160, np.uint8)
    for colour, x, y, width, height in patches:
        image[max(0, y) : y + height, max(0, x) : x + width] = colour
    return image


def walk(step: int) -> tuple[tuple[int, int, int], int, int, int, int]:
    return (RED, 40 + 20 * step, 100, 60, 160)
