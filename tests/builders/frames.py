"""Frames without a stream."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

import numpy as np

from streamproc.core.media import EPOCH, Frame, Moment
from streamproc.media.picture import ArrayPicture

PICTURE = ArrayPicture(np.zeros((36, 64, 3), np.uint8))


def at(seconds: float) -> Moment:
    media = Fraction(seconds).limit_denominator(1000)
    return Moment(media, EPOCH + timedelta(seconds=float(media)))


def frame(seconds: float) -> Frame:
    return Frame(at(seconds), PICTURE)
