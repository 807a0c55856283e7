"""How much an image classifier takes a place in a picture for a package: its probability for what parcels are taken for, over several crops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from streamproc.contracts import Classifier
from streamproc.core.classes import Group, imagenet_indexes
from streamproc.core.media import Image, Picture
from streamproc.core.vision import Box
from streamproc.logic.boxes import expand
from streamproc.logic.evidence import logit, sigmoid
from streamproc.perception.beside import ALONE, Beside


class Window(NamedTuple):
    """One crop that the classifier is shown."""

    box: Box
    padded: bool = False
    """On a grey square, its sides as they are; otherwise stretched to what the classifier takes."""

    def cut(self, picture: Picture) -> Image:
        image = picture.crop(self.box)
        return _on_grey(image) if self.padded else image


def around(box: Box, aspect: float) -> tuple[Window, ...]:
    """Of something that lies there, with some of what is about it. ``aspect``: the picture's width over height."""
    return (*(Window(_square(box, factor, aspect)) for factor in (1.15, 1.0, 1.3)), Window(expand(box, 1.1)))


def tightly(box: Box) -> tuple[Window, ...]:
    """Of something held before clothes, which would speak louder than it does in any wider crop."""
    return Window(expand(box, 1.04).clipped(), padded=True), Window(box), Window(expand(box, 0.86))


class ParcelShare:
    """Asks a classifier. Holds no state of a feed."""

    def __init__(self, classifier: Classifier, beside: Beside = ALONE) -> None:
        self.name = classifier.name
        self._classifier, self._beside = classifier, beside
        self._family = imagenet_indexes(classifier.names, Group.PACKAGE.traits.imagenet)

    def of(self, picture: Picture, windows: Sequence[Window], first: float) -> tuple[float, int]:
        """The mean in log-odds over the windows, and how many were shown. A share below ``first`` in the first one ends it."""

        def seen(window: Window) -> float:
            return float(self._classifier.classify(window.cut(picture))[self._family].sum())

        shares = [seen(windows[0])]
        if shares[0] >= first:
            shares += self._beside.map(seen, windows[1:])
        said = [logit(share) for share in shares]
        return sigmoid(sum(said) / len(said)), len(said)


def _square(box: Box, factor: float, aspect: float) -> Box:
    """A square in pixels about the box, pushed inside the frame."""
    side = min(max(box.width * aspect, box.height) * factor, 1.0, aspect)
    width, height = side / aspect, side
    left = min(max((box.left + box.right - width) / 2, 0.0), 1.0 - width)
    top = min(max((box.top + box.bottom - height) / 2, 0.0), 1.0 - height)
    return Box(left, top, left + width, top + height)


def _on_grey(image: Image) -> Image:
    rows, columns = image.shape[:2]
    side = max(rows, columns)
    square = np.full((side, side, 3), 128, np.uint8)
    top, left = (side - rows) // 2, (side - columns) // 2
    square[top : top + rows, left : left + columns] = image
    return square
