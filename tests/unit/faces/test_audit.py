from __future__ import annotations

import json

import numpy as np
import pytest

from streamproc.core.faces import StoredFace
from streamproc.core.vision import Box
from streamproc.faces.audit import audit
from streamproc.faces.audit_picture import draw
from streamproc.faces.calibration import Curve

CURVE = Curve(0.36, 0.72)
RNG = np.random.default_rng(7)


def stored(person: str, number: int, **more: float) -> StoredFace:
    details = {"sharpness": 80.0, "brightness": 50.0, "eye_distance_px": 60.0, "yaw": 2.0} | more
    return StoredFace(f"{person}-{number}", "image", person, Box(0, 0, 1, 1), 99.0, "95.1", **details)


def around(direction: np.ndarray, spread: float, count: int) -> np.ndarray:
    vectors = direction + RNG.normal(0, spread / np.sqrt(len(direction)), (count, len(direction)))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def gallery(people: int = 8, each: int = 4) -> tuple[list[StoredFace], np.ndarray]:
    directions = RNG.normal(size=(people, 256))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    faces = [stored(f"p{k}", n) for k in range(people) for n in range(each)]
    return faces, np.concatenate([around(direction, 0.5, each) for direction in directions]).astype(np.float32)


def test_separate_people_are_trusted() -> None:
    faces, vectors = gallery()
    report, genuine, strangers = audit(faces, vectors, CURVE, 80)
    assert (len(genuine), len(strangers)) == (8 * 6, 32 * 31 // 2 - 48)
    assert report.false_matches == 0
    assert report.false_match_rate < 0.01 < 0.05 > report.missed
    assert report.false_match_rate_at_most >= report.false_match_rate
    assert not any(person.strange_faces for person in report.people)
    json.dumps(report.document())


def test_two_people_who_are_alike_are_named() -> None:
    faces, vectors = gallery()
    twin = around(vectors[:4].mean(0), 0.4, 3).astype(np.float32)
    faces += [stored("twin", n) for n in range(3)]
    report, _, _ = audit(faces, np.concatenate([vectors, twin]), CURVE, 80)
    assert {report.pairs[0].person, report.pairs[0].other} == {"p0", "twin"}
    assert report.pairs[0].similarity > 80
    assert report.false_matches > 0
    assert report.suggested_threshold > 80


def test_a_photo_of_somebody_else_is_found() -> None:
    faces, vectors = gallery()
    vectors[2] = around(RNG.normal(size=256) / 16, 0.1, 1)
    report, _, _ = audit(faces, vectors, CURVE, 80)
    (person,) = [person for person in report.people if person.strange_faces]
    assert person.person == "p0"
    assert person.strange_faces == ("p0-2",)
    assert any("same person" in words for words in person.advice)


@pytest.mark.parametrize(
    ("face", "words"),
    [
        ({"eye_distance_px": 22.0}, "small"),
        ({"yaw": 40.0}, "no frontal photo"),
        ({"sharpness": 30.0}, "no sharp photo"),
        ({}, "at least 3 photos"),
    ],
)
def test_advice(face: dict[str, float], words: str) -> None:
    report, _, _ = audit([stored("alice", 1, **face)], np.ones((1, 4), np.float32) / 2, CURVE, 80)
    assert any(words in line for line in report.people[0].advice)


def test_too_little_is_said_to_be_too_little() -> None:
    report, genuine, strangers = audit([stored("a", 1)], np.ones((1, 4), np.float32) / 2, CURVE, 80)
    assert report.false_match_rate is None
    assert report.missed is None
    assert draw("few", report, genuine, strangers, CURVE).shape == (560, 1000, 3)


def test_an_empty_collection_has_an_audit_too() -> None:
    report, genuine, strangers = audit([], np.zeros((0, 4), np.float32), CURVE, 80)
    assert report.faces == 0
    assert draw("empty", report, genuine, strangers, CURVE).any()


def test_the_picture_shows_both_kinds() -> None:
    faces, vectors = gallery()
    report, genuine, strangers = audit(faces, vectors, CURVE, 80)
    image = draw("family", report, genuine, strangers, CURVE).astype(int)
    greenish = (image[:, :, 1] > image[:, :, 2] + 40).sum()
    reddish = (image[:, :, 2] > image[:, :, 1] + 40).sum()
    assert greenish > 2000
    assert reddish > 2000
