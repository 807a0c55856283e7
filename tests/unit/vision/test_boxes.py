"""Letterbox round trips, suppression, alignment: the arithmetic around the models."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.core.vision import Box
from streamproc.logic.boxes import nms
from streamproc.vision.adapters.ssd_tflite import anchors
from streamproc.vision.adapters.yolox import grid
from streamproc.vision.align import DLIB, RETAIL_0095, face_chip, similarity, square_crop
from streamproc.vision.letterbox import letterbox, stretch


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("shape", [(720, 1280), (1280, 720), (480, 640), (100, 100), (1, 1), (3, 5000), (5000, 3)])
def test_letterbox_boxes_come_back(shape: tuple[int, int], centred: bool) -> None:
    image = np.full((*shape, 3), 200, np.uint8)
    canvas, fit = letterbox(image, 640, 384, pad=7, centred=centred)
    assert canvas.shape == (384, 640, 3) and canvas.dtype == np.uint8
    inside = canvas[int(fit.top) : int(fit.top + fit.height), int(fit.left) : int(fit.left + fit.width)]
    assert (inside == 200).all()
    assert (canvas == 7).sum() == canvas.size - inside.size
    corners = np.array([[fit.left, fit.top, fit.left + fit.width, fit.top + fit.height]], np.float32)
    assert fit.to_unit(corners).tolist() == [[0, 0, 1, 1]]


def test_letterbox_leaves_a_picture_of_the_right_size_alone() -> None:
    image = np.random.default_rng(1).integers(0, 255, (384, 640, 3), np.uint8)
    canvas, _ = letterbox(image, 640, 384, pad=114)
    assert (canvas == image).all()


@settings(deadline=None)
@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 300), st.integers(1, 300))
def test_a_point_survives_the_way_there_and_back(x: float, y: float, width: int, height: int) -> None:
    _, fit = letterbox(np.zeros((height, width, 3), np.uint8), 64, 32, centred=True)
    there = np.array([fit.left + x * fit.width, fit.top + y * fit.height], np.float32)
    assert fit.points_to_unit(there) == pytest.approx([x, y], abs=1e-4)


def test_stretch_fills_the_canvas() -> None:
    canvas, fit = stretch(np.full((10, 1000, 3), 9, np.uint8), 192, 192)
    assert canvas.shape == (192, 192, 3) and (canvas == 9).all()
    assert fit.to_unit(np.array([[48, 96, 192, 192]], np.float32)).tolist() == [[0.25, 0.5, 1, 1]]


BOXES = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 20, 30, 30], [0, 0, 10, 10]], np.float32)
SCORES = np.array([0.6, 0.9, 0.3, 0.6], np.float32)


@pytest.mark.parametrize(
    ("iou", "classes", "kept"),
    [
        (0.5, None, [1, 2]),
        (0.9, None, [1, 0, 2]),
        (0.5, [0, 1, 0, 0], [1, 0, 2]),
        (0.5, [0, 1, 0, 2], [1, 0, 3, 2]),
    ],
)
def test_nms(iou: float, classes: list[int] | None, kept: list[int]) -> None:
    of = None if classes is None else np.array(classes, np.int32)
    assert nms(BOXES, SCORES, iou, of).tolist() == kept


def test_nms_of_nothing_and_of_empty_boxes() -> None:
    assert nms(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), 0.5).tolist() == []
    flat = np.zeros((3, 4), np.float32)
    assert nms(flat, np.ones(3, np.float32), 0.5).tolist() == [0, 1, 2]


def test_ssd_anchors_are_the_1917_of_the_detection_api() -> None:
    made = anchors()
    assert made.shape == (1917, 4)
    assert made[0] == pytest.approx([0.5 / 19, 0.5 / 19, 0.1, 0.1])
    assert made[-1] == pytest.approx([0.5, 0.5, 0.9747, 0.9747], abs=1e-4)


def test_grid_goes_stride_by_stride_row_by_row() -> None:
    cells, strides = grid(64, 32)
    assert len(cells) == 8 * 4 + 4 * 2 + 2 * 1
    assert cells[:9].tolist() == [[x, 0] for x in range(8)] + [[0, 1]]
    assert strides[[0, 32, 40], 0].tolist() == [8, 16, 32]


def test_similarity_finds_a_rotation_scale_and_shift() -> None:
    angle = np.deg2rad(30)
    turn = 2.5 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = RETAIL_0095 * 100
    matrix = similarity(points, points @ turn.T + [7, -3])
    assert matrix == pytest.approx(np.hstack([turn, [[7], [-3]]]))


def test_similarity_never_mirrors() -> None:
    mirrored = RETAIL_0095 * [-1, 1]
    assert np.linalg.det(similarity(mirrored, RETAIL_0095)[:, :2]) > 0


def test_similarity_refuses_one_spot() -> None:
    with pytest.raises(ValueError, match="one spot"):
        similarity(np.full((5, 2), 3.0), RETAIL_0095)


@pytest.mark.parametrize("scale", [0.5, 1, 3, 9.7])
@pytest.mark.parametrize("template", [RETAIL_0095, DLIB])
def test_face_chip_brings_landmarks_home_at_any_size(scale: float, template: np.ndarray) -> None:
    """A picture with a bright spot at each landmark: the chip is bright where the template says."""
    side = int(200 * scale)
    points = (template * 100 + 50) * scale
    image = np.zeros((side, side, 3), np.uint8)
    radius = max(1, int(3 * scale))
    for x, y in points.astype(int):
        image[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1] = 255
    chip = face_chip(image, points, template, 100)
    assert all(chip[int(y * 100), int(x * 100)].min() > 150 for x, y in template)


def test_square_crop_keeps_the_middle_and_fills_with_black() -> None:
    image = np.full((100, 200, 3), 50, np.uint8)
    crop, place = square_crop(image, Box(0.9, 0.4, 1.0, 0.8))
    assert crop.shape == (40, 40, 3)
    assert place == pytest.approx(Box(0.85, 0.4, 1.05, 0.8))
    assert (crop[:, :30] == 50).all() and (crop[:, 30:] == 0).all()
