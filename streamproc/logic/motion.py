"""What moves: a gate that says whether a picture is worth a look, and blobs that say where.

Works on grey thumbnails. All thresholds are in grey levels (0..255) of a slightly blurred thumbnail and rise with the picture's own noise, so
that a grainy night scene does not count as moving.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from streamproc.core.vision import Box

Grey = npt.NDArray[np.uint8]
_Signed = npt.NDArray[np.int16]
_THUMB = 480
"""Longer side of the thumbnail that motion is seen on."""


@dataclass(frozen=True, slots=True)
class MotionPolicy:
    """What counts as moving. The defaults suit a thumbnail of about 480 x 270."""

    level: float = 12.0
    """Smallest change in grey levels that counts."""
    noise_factor: float = 5.0
    """The change must also be that many times the picture's noise (its median absolute change)."""
    most: float = 30.0
    """No noise is taken to be more than this: where most of the picture moves its median change is no noise."""
    min_share: float = 40 / (480 * 270)
    """Smallest blob, as a share of the thumbnail."""
    camera_tiles: float = 0.55
    """Movement in more than this share of 8 x 8 tiles: the camera itself moves, or the light was switched."""
    camera_blobs: int = 30
    """The same for more blobs than this: edges everywhere."""
    spread: int = 5
    """Pixels by which parts are grown to become one blob."""


@dataclass(frozen=True, slots=True)
class Blob:
    """One connected area that moves."""

    box: Box
    share: float
    """Its pixels as a share of the picture."""


@dataclass(frozen=True, slots=True)
class Motion:
    """What moved up to this picture."""

    share: float
    """Share of the picture that differs from the last picture that was looked at."""
    worth: bool
    """Enough has changed since then to look again."""
    camera: bool
    """Nearly everything changed: blobs would say nothing."""
    blobs: tuple[Blob, ...] = ()
    """Where things are that move now (three-picture difference), largest first."""
    first: bool = False
    """There is nothing to compare with yet."""

    @property
    def measured(self) -> float | None:
        """``share``; None where there was nothing to compare with."""
        return None if self.first else self.share


def thumbnail_size(width: int, height: int) -> tuple[int, int]:
    """(width, height) of the grey thumbnail of a picture of that size; the same for all who look, so that it is made once."""
    scale = _THUMB / max(width, height)
    return max(8, round(width * scale)), max(8, round(height * scale))


def soften(grey: Grey) -> _Signed:
    """Blurred and signed, ready to be subtracted. (H, W) uint8 -> (H, W) int16."""
    return np.asarray(cv2.GaussianBlur(grey, (5, 5), 0), np.int16)


def changed(now: _Signed, before: _Signed, policy: MotionPolicy) -> npt.NDArray[np.bool_]:
    """(H, W) mask of pixels that differ by more than light and noise explain.

    A change of the whole picture's brightness (the sun, the camera's exposure) is taken off first.
    """
    difference = now - before
    difference -= np.int16(np.median(difference[::4, ::4]))
    size = np.abs(difference)
    noise = float(np.median(size[::4, ::4]))
    return np.asarray(size > min(policy.most, max(policy.level, policy.noise_factor * noise)))


def blobs_of(mask: npt.NDArray[np.bool_], policy: MotionPolicy) -> tuple[Blob, ...]:
    """Connected areas of a mask, largest first; parts nearer than ``spread`` pixels are one."""
    height, width = mask.shape
    kernel = np.ones((policy.spread, policy.spread), np.uint8)
    grown = cv2.dilate(mask.astype(np.uint8), kernel)
    _, _, stats, _ = cv2.connectedComponentsWithStats(grown)
    least = policy.min_share * width * height
    found = [
        Blob(Box(x / width, y / height, (x + w) / width, (y + h) / height), area / (width * height))
        for x, y, w, h, area in stats[1:].tolist()
        if area >= least
    ]
    return tuple(sorted(found, key=lambda blob: (-blob.share, blob.box)))


def tiles_of(mask: npt.NDArray[np.bool_], parts: int = 8, least: float = 0.02) -> float:
    """Share of ``parts`` x ``parts`` tiles in which at least ``least`` of the pixels are set."""
    high, wide = mask.shape[0] // parts, mask.shape[1] // parts
    if not high or not wide:
        return float(mask.any())
    tiles = mask[: high * parts, : wide * parts].reshape(parts, high, parts, wide).mean((1, 3))
    return float((tiles >= least).mean())


@dataclass
class MotionWatch:
    """Follows one feed's thumbnails. Deterministic; all its fields are its state (``structure.to_document``); ``reset`` after a gap."""

    policy: MotionPolicy = field(default_factory=MotionPolicy)
    _recent: list[_Signed] = field(default_factory=list)
    """The last two thumbnails."""
    _looked: _Signed | None = None
    """The thumbnail of the last picture that was looked at."""

    def reset(self) -> None:
        self._recent = []
        self._looked = None

    def update(self, grey: Grey) -> Motion:
        """Take the next thumbnail, (H, W) uint8. All thumbnails of a feed must have one size; another size is a new scene."""
        now = soften(grey)
        if self._recent and self._recent[0].shape != now.shape:
            self.reset()
        recent, self._recent = self._recent, [*self._recent, now][-2:]
        if self._looked is None or not recent:
            return Motion(1.0, worth=True, camera=False, first=True)
        since_look = changed(now, self._looked, self.policy)
        share = float(since_look.mean())
        if share < self.policy.min_share / 4:
            return Motion(share, worth=False, camera=False)
        worth = bool(blobs_of(since_look, self.policy))
        moving = np.logical_and.reduce([changed(now, before, self.policy) for before in recent])
        blobs = blobs_of(moving, self.policy)
        camera = len(blobs) > self.policy.camera_blobs or tiles_of(moving) > self.policy.camera_tiles
        return Motion(share, worth or camera, camera, () if camera else blobs)

    def looked(self) -> None:
        """The picture given last was looked at: later ones are compared with it."""
        if self._recent:
            self._looked = self._recent[-1]
