"""Dominant colours of pictures whose colours are known."""

import numpy as np
import pytest

from streamproc.logic.colours import SIMPLIFIED, dominant_colours


def test_shares_names_and_codes() -> None:
    picture = np.zeros((100, 100, 3), np.uint8)
    picture[:, :60] = (0, 0, 255)
    picture[:, 60:90] = (128, 128, 128)
    found = dominant_colours(picture)
    assert [(colour.css, colour.simplified, colour.hex, round(colour.share)) for colour in found] == [
        ("red", "red", "#ff0000", 60),
        ("grey", "grey", "#808080", 30),
        ("black", "black", "#000000", 10),
    ]
    assert [colour.css for colour in dominant_colours(picture, most=1)] == ["red"]


@pytest.mark.parametrize(
    ("bgr", "name"),
    [
        ((255, 0, 0), "blue"),
        ((0, 128, 0), "green"),
        ((0, 255, 255), "yellow"),
        ((0, 165, 255), "orange"),
        ((203, 192, 255), "pink"),
        ((128, 0, 128), "purple"),
        ((19, 69, 139), "brown"),
        ((255, 255, 0), "cyan"),
        ((255, 255, 255), "white"),
        ((79, 79, 47), "grey"),  # darkslategrey, as the service was seen to say
    ],
)
def test_plain_names(bgr: tuple[int, int, int], name: str) -> None:
    (colour,) = dominant_colours(np.full((8, 8, 3), bgr, np.uint8))
    assert colour.simplified == name
    assert name in SIMPLIFIED and len(SIMPLIFIED) == 12
