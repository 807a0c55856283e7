"""Groups of what resembles one another."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def grouped(likeness: npt.NDArray[np.floating], least: float) -> list[list[int]]:
    """Places of a square matrix of likenesses by group: each joins the group whose members it resembles most on average, from ``least`` on.

    In order, so that what came first begins the groups. Against the mean and not the nearest member, a chain of faces each like the next
    does not become one person.
    """
    groups: list[list[int]] = []
    for place in range(len(likeness)):
        means = [float(likeness[place, members].mean()) for members in groups]
        best = int(np.argmax(means)) if means else -1
        if best >= 0 and means[best] >= least:
            groups[best].append(place)
        else:
            groups.append([place])
    return groups
