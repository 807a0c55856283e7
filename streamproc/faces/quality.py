"""Is a face good enough to compare? Pose, size, sharpness and light from five landmarks and the pixels around them. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from streamproc.core.faces import QualityFilter, face_confidence
from streamproc.core.media import Image
from streamproc.core.vision import Box, FaceBox, FaceQuality, FloatArray, Pose

# A mean adult face in millimetres around the tip of the nose, x to image right, y down, z away from the camera.
# Distances after Farkas' anthropometry (pupils 62 apart, mouth 50 wide); only their proportions matter.
_MODEL: Final = np.array(
    [[-31.0, -41.0, 27.0], [31.0, -41.0, 27.0], [0.0, 0.0, 0.0], [-25.0, 26.0, 21.0], [25.0, 26.0, 21.0]]
)
_MODEL_CENTRED: Final = _MODEL - _MODEL.mean(0)
_MODEL_INVERSE: Final = np.linalg.pinv(_MODEL_CENTRED)
_PUPILS_MM: Final = 62.0
_CHIP: Final = 96
_CHIP_EYES: Final = np.array([[0.32, 0.38], [0.68, 0.38]]) * _CHIP


@dataclass(frozen=True, slots=True)
class Gate:
    """What one QualityFilter asks. Sizes are of the picture that the face was found in."""

    eye_distance_px: float
    yaw: float
    pitch: float
    sharpness: float
    brightness: float
    confidence: float
    whole: bool = True
    """Refuse a face of which less than half is in the picture."""


GATES: Final[dict[QualityFilter, Gate]] = {
    QualityFilter.NONE: Gate(0, 180, 180, 0, 0, 0, whole=False),
    QualityFilter.LOW: Gate(14, 65, 50, 15, 8, 50),
    QualityFilter.AUTO: Gate(20, 55, 40, 22, 10, 60),
    QualityFilter.MEDIUM: Gate(26, 45, 35, 36, 16, 70),
    QualityFilter.HIGH: Gate(36, 30, 25, 55, 22, 80),
}
"""Below 14 px between the eyes both embedders lose people; from 20 px they hold (``python -m benchmarks.faces_accuracy``)."""


def landmarks_px(face: FaceBox, width: int, height: int) -> FloatArray:
    """(5, 2) landmarks in pixels of a picture of that size."""
    return (face.landmarks * np.array([width, height], np.float32)).astype(np.float32)


def eye_distance(face: FaceBox, width: int, height: int) -> float:
    """Pixels between the eyes, as they would be if the face looked straight into the camera."""
    points = landmarks_px(face, width, height).astype(np.float64)
    return _fit(points)[1] * _PUPILS_MM


def pose(points: npt.NDArray[np.floating]) -> Pose:
    """Where the head points, from (5, 2) landmarks in pixels. Good to some 5 degrees when nearly frontal, worse beyond 45."""
    rotation, _ = _fit(np.asarray(points, np.float64))
    roll = np.arctan2(rotation[1, 0], rotation[0, 0])
    forward_x, forward_y = -rotation[0, 2], -rotation[1, 2]
    upright_y = np.cos(roll) * forward_y - np.sin(roll) * forward_x
    upright_x = np.cos(roll) * forward_x + np.sin(roll) * forward_y
    yaw, pitch = np.arcsin(np.clip([upright_x, -upright_y], -1, 1))
    return Pose(*(float(np.degrees(angle)) for angle in (yaw, pitch, roll)))


def _fit(points: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], float]:
    """Rotation and scale (pixels a millimetre) of the face model under a camera far away."""
    affine = (_MODEL_INVERSE @ (points - points.mean(0))).T
    left, singular, right = np.linalg.svd(affine, full_matrices=False)
    rows = left @ right
    rotation = np.vstack([rows, np.cross(rows[0], rows[1])])
    return rotation, float(singular.mean())


def chip(image: Image, points: npt.NDArray[np.floating]) -> Image:
    """The face upright at 96x96, so that sharpness means the same at every distance."""
    eyes = np.asarray(points, np.float64)[:2]
    # A profile's eyes nearly coincide; the mouth then gives the scale.
    mouth = np.asarray(points, np.float64)[3:].mean(0)
    span = max(float(np.linalg.norm(eyes[1] - eyes[0])), 0.9 * float(np.linalg.norm(mouth - eyes.mean(0))), 1.0)
    across = eyes[1] - eyes[0]
    angle = float(np.arctan2(across[1], across[0])) if np.linalg.norm(across) > 1 else 0.0
    scale = float(_CHIP_EYES[1, 0] - _CHIP_EYES[0, 0]) / span
    cos, sin = scale * np.cos(-angle), scale * np.sin(-angle)
    matrix = np.array([[cos, -sin, 0.0], [sin, cos, 0.0]])
    matrix[:, 2] = _CHIP_EYES.mean(0) - matrix[:, :2] @ eyes.mean(0)
    source = image
    while scale < 0.5 and min(source.shape[:2]) >= 4:
        # Halving first: a warp alone would skip pixels and make noise out of detail.
        source = cv2.resize(source, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        matrix[:, :2] *= 2
        scale *= 2
    return np.asarray(
        cv2.warpAffine(source, matrix, (_CHIP, _CHIP), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    )


def sharpness(face_chip: Image) -> float:
    """0..100 from the Laplacian's strength against the contrast: 75 is a good close photo, under 25 a smear."""
    grey = cv2.cvtColor(face_chip, cv2.COLOR_BGR2GRAY)[12:84, 16:80].astype(np.float32)
    contrast = float(grey.std())
    if contrast < 2.0:
        return 0.0
    detail = float(np.abs(cv2.Laplacian(grey, cv2.CV_32F)).mean())
    return float(100 * (1 - np.exp(-4.4 * detail / contrast)))


def brightness(face_chip: Image) -> float:
    """0..100: mean light of the face."""
    grey = cv2.cvtColor(face_chip, cv2.COLOR_BGR2GRAY)[12:84, 16:80]
    return float(grey.mean()) / 2.55


def assess(image: Image, face: FaceBox, gate: QualityFilter = QualityFilter.NONE) -> FaceQuality:
    """Judge one face of ``image``; ``reasons`` holds what ``gate`` objects to, in the service's words."""
    height, width = image.shape[:2]
    points = landmarks_px(face, width, height)
    part, origin = neighbourhood(image, face.box)
    face_chip = chip(part, points - origin)
    quality = FaceQuality(
        brightness=brightness(face_chip),
        sharpness=sharpness(face_chip),
        eye_distance_px=eye_distance(face, width, height),
        pose=pose(points),
    )
    return replace(quality, reasons=reasons(quality, face, GATES[gate]))


def reasons(quality: FaceQuality, face: FaceBox, asked: Gate) -> tuple[str, ...]:
    """What the gate objects to, in the service's words; empty: the face may be used."""
    outside = np.any((face.landmarks < 0) | (face.landmarks > 1), axis=1)
    checks = {
        "EXTREME_POSE": abs(quality.pose.yaw) > asked.yaw or abs(quality.pose.pitch) > asked.pitch,
        "LOW_BRIGHTNESS": quality.brightness < asked.brightness,
        "LOW_SHARPNESS": quality.sharpness < asked.sharpness,
        "LOW_CONFIDENCE": face_confidence(face.score) < asked.confidence,
        "SMALL_BOUNDING_BOX": quality.eye_distance_px < asked.eye_distance_px,
        # Half a face still tells its person apart; less does not.
        "LOW_FACE_QUALITY": asked.whole and bool(outside[:2].all() or outside.sum() > 2),
    }
    return tuple(reason for reason, failed in checks.items() if failed)


def weight(quality: FaceQuality, score: float) -> float:
    """0..1: how much one look at a face should count among others of the same track. ``score``: the detector's."""
    size = np.clip((quality.eye_distance_px - 8) / 32, 0.05, 1)
    frontal = np.cos(np.radians(min(abs(quality.pose.yaw), 75))) * np.cos(np.radians(min(abs(quality.pose.pitch), 60)))
    sharp = np.clip(quality.sharpness / 60, 0.1, 1)
    sure = np.clip((score - 0.5) / 0.35, 0.1, 1)
    return float(size * frontal * sharp * sure)


def neighbourhood(image: Image, box: Box, margin: float = 0.6) -> tuple[Image, npt.NDArray[np.float32]]:
    """The part of ``image`` around ``box``, and its upper left corner (x, y) in pixels."""
    height, width = image.shape[:2]
    extra_x, extra_y = margin * box.width, margin * box.height
    left = int(np.clip((box.left - extra_x) * width, 0, max(width - 2, 0)))
    top = int(np.clip((box.top - extra_y) * height, 0, max(height - 2, 0)))
    right = int(np.clip(np.ceil((box.right + extra_x) * width), left + 1, width))
    bottom = int(np.clip(np.ceil((box.bottom + extra_y) * height), top + 1, height))
    return image[top:bottom, left:right], np.array([left, top], np.float32)
