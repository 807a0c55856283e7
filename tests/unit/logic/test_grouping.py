"""Groups of what resembles one another."""

from __future__ import annotations

import numpy as np

from streamproc.logic.grouping import grouped


def test_likes_stand_together_and_a_chain_is_no_group() -> None:
    likeness = np.array([[1.0, 0.9, 0.1, 0.1], [0.9, 1.0, 0.1, 0.1], [0.1, 0.1, 1.0, 0.8], [0.1, 0.1, 0.8, 1.0]])
    assert grouped(likeness, 0.7) == [[0, 1], [2, 3]]
    chain = np.array([[1.0, 0.8, 0.1], [0.8, 1.0, 0.8], [0.1, 0.8, 1.0]])
    assert grouped(chain, 0.7) == [[0, 1], [2]]
    assert grouped(np.zeros((0, 0)), 0.7) == []
