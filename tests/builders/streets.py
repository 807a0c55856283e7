"""A drawn street as a camera's grey thumbnails."""

from __future__ import annotations

import cv2
import numpy as np

from streamproc.logic.motion import Grey

Sequence_ = list[tuple[float, Grey]]
"""Seconds and thumbnail of each picture."""


def street(seconds: float = 45.0) -> Sequence_:
    """A drawn street with a walker and the noise of a sensor, five pictures a second."""
    chance = np.random.default_rng(3)
    ground = cv2.resize(chance.integers(40, 200, (14, 24), dtype=np.uint8), (480, 270), interpolation=cv2.INTER_NEAREST)
    found = []
    for number in range(round(5 * seconds)):
        picture = ground.astype(np.float32) + chance.normal(0, 2, ground.shape)
        left = (7 * number) % 440
        picture[120:220, left : left + 30] = 20
        found.append((number / 5, np.clip(picture, 0, 255).astype(np.uint8)))
    return found
