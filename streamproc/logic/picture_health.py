"""Figures of a camera's picture that tell whether the camera sees well, and how alike two views are. Pure array functions."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from streamproc.logic.motion import Grey

ViewMap = npt.NDArray[np.float32]
_SIZE = (96, 54)
"""(width, height) at which views are compared: small enough for noise and people to matter little."""
_BLOCKS = (4, 3)
"""(across, down)"""
_TEXTURED = 0.3
"""Least contrast of a block that has something in it, as a share of the picture's."""
_AS_SHARP = 0.75
_LEAST = 1e-3


@dataclass(frozen=True, slots=True)
class PictureFigures:
    """Of one grey picture."""

    brightness: float
    """Mean, grey levels."""
    contrast: float
    """Standard deviation of the shrunken picture, grey levels."""
    gradient: float
    """Mean steepness of the shrunken picture, grey levels a pixel."""
    detail: float
    """Mean fine detail (Laplacian) over contrast: what goes when it is out of focus..."""
    grain: float
    """...and its median: detail is at edges, grain is everywhere."""
    sharpness: ViewMap
    """(3, 4) fine detail of each block of the picture over the block's own contrast..."""
    texture: ViewMap
    """...which is this, grey levels."""
    view: ViewMap
    """(54, 96) coarse light and dark, of mean 0 and length 1..."""
    edges: ViewMap
    """...and where edges are; light alone changes them little."""


def measure(grey: Grey) -> PictureFigures:
    """Of an (H, W) uint8 thumbnail of at least some hundred pixels across."""
    small = np.asarray(cv2.resize(grey, _SIZE, interpolation=cv2.INTER_AREA), np.float32)
    soft = cv2.GaussianBlur(small, (0, 0), 1.0)
    steep = cv2.magnitude(
        cv2.Sobel(soft, cv2.CV_32F, 1, 0, scale=0.125), cv2.Sobel(soft, cv2.CV_32F, 0, 1, scale=0.125)
    )
    fine = np.abs(cv2.Laplacian(cv2.GaussianBlur(grey, (3, 3), 0), cv2.CV_32F))
    contrast = float(small.std())
    texture = np.sqrt(np.maximum(_blocks(small * small) - _blocks(small) ** 2, 0.0))
    return PictureFigures(
        float(small.mean()),
        contrast,
        float(steep.mean()),
        float(fine.mean()) / max(contrast, 1.0),
        float(np.median(fine[::2, ::2])) / max(contrast, 1.0),
        _blocks(fine) / np.maximum(texture, 1.0),
        texture,
        _normal(cv2.GaussianBlur(small, (0, 0), 3.0)),
        _normal(np.sqrt(steep)),
    )


def likeness(one: ViewMap, other: ViewMap) -> float:
    """Correlation of two maps of ``PictureFigures``, -1..1; 0 where one of them is flat."""
    return float((one * other).sum())


def still_sharp(now: PictureFigures, usual: PictureFigures) -> float:
    """Share of the blocks, of those with something in them, that are about as sharp as usual."""
    least = _TEXTURED * usual.contrast, _TEXTURED * now.contrast
    told = (usual.texture >= least[0]) & (now.texture >= least[1])
    return float(np.mean(now.sharpness[told] >= _AS_SHARP * usual.sharpness[told])) if told.any() else 0.0


def blended(old: ViewMap, new: ViewMap, share: float) -> ViewMap:
    """``old``, moved by ``share`` towards ``new``."""
    return _normal((1 - share) * old + share * new)


def _blocks(values: npt.NDArray[np.float32]) -> ViewMap:
    """The mean of each."""
    return np.asarray(cv2.resize(values, _BLOCKS, interpolation=cv2.INTER_AREA), np.float32)


def _normal(values: npt.ArrayLike) -> ViewMap:
    array: ViewMap = np.asarray(values, np.float32)
    centred = array - float(array.mean())
    length = float(np.linalg.norm(centred))
    return np.asarray(centred / length if length > _LEAST else np.zeros_like(centred), np.float32)
