"""What one look with a model costs on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from streamproc.core.errors import ModelUnavailable
from streamproc.core.vision import Box
from streamproc.vision.catalogue import Role
from streamproc.vision.zoo import ModelZoo

_LANDMARKS = np.array([(220, 150), (280, 150), (250, 190), (230, 220), (270, 220)], np.float64)
_FACE = Box(0.3, 0.2, 0.5, 0.7)


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds of a look, pre- and postprocessing included."""

    cpu_ms: float
    """CPU time of the cheapest look: what stays when other programs disturb."""
    median_ms: float
    """Wall time."""


def measure(zoo: ModelZoo, name: str, *, looks: int = 30) -> Cost:
    """Time ``looks`` calls of the model's adapter on a 640x360 picture of noise. Raises ModelUnavailable."""
    look = _look(zoo, name)
    for _ in range(3):
        look()
    cpu, wall = [], []
    for _ in range(looks):
        start, start_cpu = time.perf_counter(), time.process_time()
        look()
        cpu.append((time.process_time() - start_cpu) * 1000)
        wall.append((time.perf_counter() - start) * 1000)
    return Cost(min(cpu), float(np.median(wall)))


def _look(zoo: ModelZoo, name: str) -> Callable[[], object]:
    picture = np.random.default_rng(7).integers(0, 255, (360, 640, 3), np.uint8)
    model = zoo.store.find(name)
    match model.role:
        case Role.OBJECTS | Role.PROPOSALS:
            detector = zoo.detector(name)
            return lambda: detector.detect(picture, 0.3)
        case Role.CLASSIFIER:
            classifier = zoo.classifier(name)
            return lambda: classifier.classify(picture)
        case Role.FACES:
            faces = zoo.face_detector(name)
            return lambda: faces.detect(picture)
        case Role.FACE_EMBEDDING:
            embedder = zoo.embedder(name)
            return lambda: embedder.embed(picture, _LANDMARKS)
        case Role.PERSON_EMBEDDING:
            reid = zoo.person_reid(name)
            return lambda: reid.embed(picture)
        case Role.FACE_ATTRIBUTES:
            return _attribute(zoo, model.adapter, picture)


def _attribute(zoo: ModelZoo, adapter: str, picture: np.ndarray) -> Callable[[], object]:
    match adapter:
        case "faceapi_landmarks68":
            landmarks = zoo.landmarks68()
            return lambda: landmarks.find(picture, _FACE)
        case "faceapi_age_gender":
            age_gender = zoo.age_gender()
            return lambda: age_gender.estimate(picture, _FACE)
        case "faceapi_expression":
            expression = zoo.expression()
            return lambda: expression.estimate(picture, _FACE)
        case _:
            raise ModelUnavailable(f"there is no way to measure a model of the adapter {adapter}")
