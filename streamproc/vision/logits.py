"""Thresholds of scores as log-odds."""

from __future__ import annotations

import math


def logit(score: float) -> float:
    """Log-odds of a threshold in 0..1, so that logits can be compared instead of probabilities."""
    score = min(max(score, 1e-6), 1 - 1e-6)
    return math.log(score / (1 - score))
