"""Faces out of pictures: detection, quality, vectors and attributes."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import structlog

from streamproc.config.node import NodeFaceSettings
from streamproc.core.errors import ModelUnavailable
from streamproc.core.faces import DetectedFace, FaceAttributes, QualityFilter
from streamproc.core.media import Image, Picture
from streamproc.core.vision import Box, FaceBox, FloatArray
from streamproc.faces import quality
from streamproc.faces.calibration import curve_for
from streamproc.faces.turned import SURE, with_turns
from streamproc.faces.versions import model_version
from streamproc.logic.boxes import iou, nms
from streamproc.vision.zoo import ModelZoo

log = structlog.get_logger(__name__)

_SAME_FACE: Final = 0.4
_STILL_SIDES: Final = (320, 640, 1280, 1920)
_LEAST_SCORE: Final = {"yunet": 0.6, "centerface": 0.35}
_HINT_SCORE: Final = {"yunet": 0.5, "centerface": 0.25}
"""A view at another size counts as seeing the same face from here on."""
_SHOWS: Final = (24, 260)
"""Pixels of face height on a detector's canvas at which both detectors find nearly every face."""
_EMOTIONS: Final = {
    "happy": "HAPPY",
    "sad": "SAD",
    "angry": "ANGRY",
    "surprised": "SURPRISED",
    "disgusted": "DISGUSTED",
    "fearful": "FEAR",
    "neutral": "CALM",
}
MAX_FACES: Final = 100
"""The service's cap for one picture."""


class FaceReader:
    """One detector and one embedder. Any thread."""

    def __init__(self, zoo: ModelZoo, settings: NodeFaceSettings | None = None) -> None:
        settings = settings or NodeFaceSettings()
        self._zoo = zoo
        self.detector = settings.detector
        self._embedder = zoo.embedder(settings.embedder)
        self._without_attributes = False
        self.model = self._embedder.version
        """Whose vectors: stored with every collection."""
        self.dimensions = self._embedder.dimensions
        self.curve = curve_for(self._embedder.name)
        self.model_version = model_version(self.model)
        """The same in digits and dots, as the service's clients expect it."""

    def find(self, image: Image) -> list[FaceBox]:
        """Every face of a photo, largest first, at most 100: close-ups and crowds, so it looks at several sizes. A photo may lie on its side."""
        found = self._pyramid(image)
        if not found:
            # A crop that ends at the chin and the hair line shows a detector no outline; give it some ground.
            found = self._with_border(image)
        found = with_turns(image, found, SURE[self.detector], self._pyramid)
        return sorted(found, key=lambda face: -face.box.area)[:MAX_FACES]

    def find_live(self, image: Image, size: tuple[int, int], detector: str | None = None) -> list[FaceBox]:
        """Faces of a frame of a feed in one run at the given input size, largest first."""
        found = self._zoo.face_detector(detector or self.detector, size).detect(image)
        return sorted(found, key=lambda face: -face.box.area)

    def find_doubtful(self, picture: Picture, detector: str | None = None) -> list[Box]:
        """Everything in a frame of a feed that may be a face, also small and doubtful ones: for hiding faces, where one too many does no harm.

        Looks at the size for feeds and at a larger one; one face may be there twice.
        """
        name, size = detector or self.detector, live_size(picture.width, picture.height)
        return [
            face.box
            for width, height in (size, _larger(size))
            for face in self._zoo.face_detector(name, (width, height)).detect(
                picture.bgr(width, height), _HINT_SCORE[name]
            )
        ]

    def judge(self, image: Image, face: FaceBox, gate: QualityFilter) -> DetectedFace:
        """The face with its quality; ``quality.reasons`` says what the gate objects to."""
        return DetectedFace(face, quality.assess(image, face, gate))

    def embed(self, image: Image, face: FaceBox) -> FloatArray:
        """(D,) float32 unit vector."""
        height, width = image.shape[:2]
        part, origin = quality.neighbourhood(image, face.box)
        return self.embed_at(part, quality.landmarks_px(face, width, height) - origin)

    def embed_at(self, image: Image, landmarks_px: FloatArray) -> FloatArray:
        """The same by (5, 2) landmarks in pixels of ``image``."""
        return np.asarray(self._embedder.embed(image, landmarks_px), np.float32)

    def attributes(self, image: Image, face: FaceBox) -> FaceAttributes:
        """Age, gender, emotions and 68 landmarks; nothing where their nets cannot be had."""
        if self._without_attributes:
            return FaceAttributes()
        try:
            age_gender, expression = self._zoo.age_gender(), self._zoo.expression()
            landmarks = self._zoo.landmarks68()
        except ModelUnavailable as error:
            # Said once: trying to fetch them again for every face would make every answer late.
            log.warning("face_attributes_missing", reason=str(error))
            self._without_attributes = True
            return FaceAttributes()
        estimate = age_gender.estimate(image, face.box)
        shares = expression.estimate(image, face.box)
        emotions = {_EMOTIONS[name]: share for name, share in shares.items() if name in _EMOTIONS}
        return FaceAttributes(estimate.age, estimate.male, emotions, landmarks.find(image, face.box))

    def _pyramid(self, image: Image) -> list[FaceBox]:
        """Looks at several sizes. A face shows at every size at which it is neither tiny nor huge; a hand does not."""
        height, width = image.shape[:2]
        sides = [side for side in _STILL_SIDES if side <= 640 or max(height, width) > side / 2]
        faces: list[FaceBox] = []
        seen: list[int] = []
        for side in sides:
            detector = self._zoo.face_detector(self.detector, _canvas(image, side))
            found = detector.detect(image, _HINT_SCORE[self.detector])
            faces += found
            seen += [side] * len(found)
        boxes = np.array([face.box for face in faces], np.float32).reshape(-1, 4)
        scores = np.array([face.score for face in faces], np.float32)
        kept = []
        for row in nms(boxes, scores, _SAME_FACE):
            agreeing = {seen[other] for other in np.flatnonzero(iou(boxes, boxes[row : row + 1])[:, 0] > _SAME_FACE)}
            face_px = faces[row].box.height * height / max(height, width)
            expected = {side for side in sides if _SHOWS[0] <= face_px * side <= _SHOWS[1]} or {seen[row]}
            enough = len(agreeing & expected) * 2 >= len(expected)
            if enough and scores[row] >= _LEAST_SCORE[self.detector]:
                kept.append(faces[row])
        return kept

    def _with_border(self, image: Image) -> list[FaceBox]:
        height, width = image.shape[:2]
        pad = int(0.35 * max(height, width))
        grey = [int(value) for value in image.reshape(-1, 3).mean(0)]
        framed = cv2.copyMakeBorder(image, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=grey)
        size = np.array([width + 2 * pad, height + 2 * pad], np.float32)
        own, origin = np.array([width, height], np.float32), np.array([pad, pad], np.float32)

        def back(face: FaceBox) -> FaceBox:
            corners = (np.array(face.box, np.float32).reshape(2, 2) * size - origin) / own
            marks = (face.landmarks * size - origin) / own
            return FaceBox(Box(*(float(value) for value in corners.reshape(-1))), face.score, marks.astype(np.float32))

        return [back(face) for face in self._pyramid(np.asarray(framed, np.uint8))]


def live_size(width: int, height: int) -> tuple[int, int]:
    """The detector's input for frames of that size: the least at which a face of 20 px between the eyes is still found."""
    longest = max(width, height)
    long, short = (640, 384) if longest <= 800 else (960, 544) if longest <= 1280 else (1280, 736)
    if max(width, height) < 1.5 * min(width, height):
        short = int(np.ceil(long * 0.75 / 32) * 32)
    return (long, short) if width >= height else (short, long)


def _larger(size: tuple[int, int]) -> tuple[int, int]:
    """A size for feeds, grown to a longest side of 1280, of 1920 where it has 1280 already."""
    factor = (1920 if max(size) >= 1280 else 1280) / max(size)
    width, height = (int(np.ceil(side * factor / 32) * 32) for side in size)
    return width, height


def _canvas(image: Image, side: int) -> tuple[int, int]:
    """Few shapes, because each is compiled once: 4:3 lying or standing."""
    height, width = image.shape[:2]
    short = int(np.ceil(side * 0.75 / 32) * 32)
    if max(width, height) * 0.75 < min(width, height):
        return side, side
    return (side, short) if width >= height else (short, side)
