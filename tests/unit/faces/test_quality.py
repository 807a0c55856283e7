from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from streamproc.core.faces import QualityFilter
from streamproc.core.vision import Box, FaceBox
from streamproc.faces import quality

MODEL = quality._MODEL


def turned(yaw: float, pitch: float, roll: float, scale: float = 1.0) -> np.ndarray:
    """(5, 2) landmarks of the mean face turned that way, y down, seen from far away."""
    y, p, r = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(y), 0, -np.sin(y)], [0, 1, 0], [np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return (about_z @ about_y @ about_x @ MODEL.T).T[:, :2] * scale + 200


def face(points: np.ndarray, side: int = 400, score: float = 0.9) -> FaceBox:
    low, high = points.min(0) - 20, points.max(0) + 20
    box = Box(*(low / side), *(high / side))
    return FaceBox(box, score, (points / side).astype(np.float32))


@pytest.mark.parametrize(
    ("yaw", "pitch", "roll"), [(0, 0, 0), (35, 0, 0), (-35, 0, 0), (0, 25, 0), (0, -25, 0), (0, 0, 20), (0, 0, -120)]
)
def test_pose_is_read_back(yaw: float, pitch: float, roll: float) -> None:
    found = quality.pose(turned(yaw, pitch, roll))
    assert (found.yaw, found.pitch, found.roll) == pytest.approx((yaw, pitch, roll), abs=0.01)


def test_a_nose_to_image_right_is_positive_yaw() -> None:
    points = turned(30, 0, 0)
    assert points[2, 0] > points[:2, 0].mean()
    assert quality.pose(points).yaw > 0


def test_eye_distance_does_not_shrink_when_the_head_turns() -> None:
    frontal = quality.eye_distance(face(turned(0, 0, 0, 0.5)), 400, 400)
    profile = quality.eye_distance(face(turned(60, 0, 0, 0.5)), 400, 400)
    assert frontal == pytest.approx(31, abs=0.1)
    assert profile == pytest.approx(frontal, rel=0.1)


def texture(contrast: float = 1.0, light: float = 128) -> np.ndarray:
    noise = np.random.default_rng(1).normal(0, 50, (400, 400))
    fine = cv2.GaussianBlur(noise, (0, 0), 1.5)
    grey = np.clip(light + contrast * fine / fine.std() * 40, 0, 255).astype(np.uint8)
    return cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)


def test_blur_lowers_sharpness_and_low_contrast_alone_does_not() -> None:
    subject = face(turned(0, 0, 0))
    sharp = quality.assess(texture(), subject).sharpness
    flat = quality.assess(texture(contrast=0.4), subject).sharpness
    soft = quality.assess(cv2.GaussianBlur(texture(), (0, 0), 6), subject).sharpness
    assert sharp > 85
    assert soft < 60
    assert flat == pytest.approx(sharp, abs=8)


def test_brightness_follows_the_light() -> None:
    dark, light = (quality.assess(texture(0.3, level), face(turned(0, 0, 0))).brightness for level in (30, 200))
    assert dark == pytest.approx(12, abs=2)
    assert light == pytest.approx(78, abs=3)


@pytest.mark.parametrize(
    ("subject", "image", "reason"),
    [
        (face(turned(70, 0, 0)), texture(), "EXTREME_POSE"),
        (face(turned(0, 0, 0, 0.2)), texture(), "SMALL_BOUNDING_BOX"),
        (face(turned(0, 0, 0)), texture(0.05, 10), "LOW_BRIGHTNESS"),
        (face(turned(0, 0, 0)), cv2.GaussianBlur(texture(), (0, 0), 25), "LOW_SHARPNESS"),
        (face(turned(0, 0, 0), score=0.4), texture(), "LOW_CONFIDENCE"),
        (face(turned(0, 0, 0) - [0, 185]), texture(), "LOW_FACE_QUALITY"),
    ],
)
def test_the_gate_names_the_reason_in_the_services_words(subject: FaceBox, image: np.ndarray, reason: str) -> None:
    assert reason in quality.assess(image, subject, QualityFilter.AUTO).reasons
    assert quality.assess(image, subject, QualityFilter.NONE).reasons == ()


def test_a_good_face_passes_every_gate() -> None:
    for gate in QualityFilter:
        assert quality.assess(texture(), face(turned(0, 0, 0)), gate).reasons == ()


def test_gates_rise() -> None:
    order = [QualityFilter.NONE, QualityFilter.LOW, QualityFilter.AUTO, QualityFilter.MEDIUM, QualityFilter.HIGH]
    gates = [quality.GATES[name] for name in order]
    for low, high in itertools.pairwise(gates):
        assert low.eye_distance_px < high.eye_distance_px
        assert low.yaw > high.yaw
        assert low.sharpness < high.sharpness


def test_a_near_frontal_sharp_look_weighs_more() -> None:
    image = texture()
    good = quality.weight(quality.assess(image, face(turned(0, 0, 0))), 0.9)
    turned_away = quality.weight(quality.assess(image, face(turned(65, 0, 0))), 0.9)
    small = quality.weight(quality.assess(image, face(turned(0, 0, 0, 0.25))), 0.9)
    assert good > 2 * turned_away
    assert good > 2 * small
    assert good > 2 * quality.weight(quality.assess(image, face(turned(0, 0, 0))), 0.6)
