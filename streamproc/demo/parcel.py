"""A cardboard box, drawn: no package that the demo may use carries a photograph of one.

It is drawn so that the models take it for a box: three faces in the light of one side, the paper's clouds and grain, tape over the lid, a label and
the mark that says which side is up. Models that learnt from photographs are easier on a drawing than on a worn box at night, so this
shows how packages are told, not how well.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

WIDTH, HEIGHT = 380, 240
_CARDBOARD = (98, 147, 190)
_TAPE = (150, 190, 215)
_INK = (40, 60, 80)
_FRONT = ((10, 40), (250, 55), (250, 230), (10, 205))
_SIDE = ((250, 55), (365, 20), (365, 180), (250, 230))
_LID = ((10, 40), (140, 8), (365, 20), (250, 55))
"""Corners on the canvas: left top, right top, right bottom, left bottom of each face."""


def draw_parcel() -> tuple[Pixels, npt.NDArray[np.float32]]:
    """(HEIGHT, WIDTH, 3) BGR, and how much of each pixel is box, (HEIGHT, WIDTH, 1) in 0..1. The same on every machine."""
    chance = np.random.default_rng(3)
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    cover = np.zeros((HEIGHT, WIDTH), np.uint8)
    for corners, face in ((_FRONT, _front(chance)), (_SIDE, _card(chance, 300, 220, 0.72)), (_LID, _lid(chance))):
        _wrap(picture, cover, face, corners)
    return picture, cv2.GaussianBlur(cover, (0, 0), 1.0).astype(np.float32)[..., None] / 255


def _card(chance: np.random.Generator, height: int, width: int, light: float) -> Pixels:
    """Plain cardboard: a little darker towards the bottom, with clouds and grain."""
    grain = cv2.GaussianBlur(chance.normal(0, 10, (height, width)).astype(np.float32), (0, 0), 2)
    clouds = cv2.GaussianBlur(chance.normal(0, 90, (height, width)).astype(np.float32), (0, 0), 30)
    paper = np.array(_CARDBOARD, np.float32) + (grain + clouds)[..., None]
    fall = np.linspace(1.05, 0.92, height)[:, None, None]
    card: Pixels = np.clip(paper * fall * light, 0, 255).astype(np.uint8)
    return card


def _lid(chance: np.random.Generator) -> Pixels:
    face = _card(chance, 220, 420, 1.13)
    cv2.rectangle(face, (0, 92), (420, 128), _TAPE, -1)
    cv2.line(face, (0, 110), (420, 110), (70, 105, 130), 2)
    return face


def _front(chance: np.random.Generator) -> Pixels:
    face = _card(chance, 300, 420, 1.0)
    cv2.rectangle(face, (185, 0), (235, 66), _TAPE, -1)
    left, top, right, bottom = 244, 105, 386, 240
    cv2.rectangle(face, (left, top), (right, bottom), (235, 238, 238), -1)
    for line in range(4):
        y = top + 14 + 14 * line
        cv2.line(face, (left + 10, y), (right - 20 - 20 * (line % 2), y), (60, 60, 60), 2)
    for bar in range(24):
        if chance.random() < 0.6:
            x = left + 10 + 5 * bar
            cv2.line(face, (x, bottom - 34), (x, bottom - 10), (20, 20, 20), 2 if chance.random() < 0.4 else 1)
    for x in (59, 93):
        cv2.arrowedLine(face, (x, 210), (x, 160), _INK, 4, tipLength=0.4)
    cv2.line(face, (45, 220), (109, 220), _INK, 4)
    return face


def _wrap(picture: Pixels, cover: Pixels, face: Pixels, corners: Sequence[tuple[int, int]]) -> None:
    """Put a face onto the picture, in place."""
    height, width = face.shape[:2]
    flat = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    turn = cv2.getPerspectiveTransform(flat, np.array(corners, np.float32))
    size = (picture.shape[1], picture.shape[0])
    seen = cv2.warpPerspective(face, turn, size, flags=cv2.INTER_AREA)
    share = cv2.warpPerspective(np.full((height, width), 255, np.uint8), turn, size)
    picture[:] = (picture * (1 - share[..., None] / 255) + seen * (share[..., None] / 255)).astype(np.uint8)
    np.maximum(cover, share, out=cover)
