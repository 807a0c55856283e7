"""Decision records as a camera makes them."""

from __future__ import annotations

import random
from datetime import timedelta

from streamproc.core.decisions import Candidate, Fate, FrameRecord, Gate, Record, Refusal
from streamproc.core.media import EPOCH
from streamproc.core.vision import Box


def busy_minute(seed: int = 7) -> list[Record]:
    """A minute of a busy camera: five frames a second, two people who walk and something faint."""
    chance, records = random.Random(seed), []
    for number in range(300):
        left = number / 600
        records.append(
            FrameRecord(
                EPOCH + timedelta(seconds=number / 5),
                number / 5,
                Fate.ANALYSED,
                5,
                chance.random() / 10,
                (
                    Candidate(3, "PERSON", 90 + 5 * chance.random(), Box(left, 0.2, left + 0.1, 0.8), told()),
                    Candidate(
                        5, "PERSON", 60 + 9 * chance.random(), Box(0.4, left, 0.5, left + 0.4), outside(chance.random())
                    ),
                    Candidate(0, "PET", 20.0, Box(0.1, 0.1, 0.2, 0.2), Refusal(Gate.DETECTOR, "weak", 20.0, 30.0)),
                ),
            )
        )
    return records


def told() -> Refusal:
    return Refusal(Gate.ANNOUNCED, detail="1970-01-01T00:00:01.000000Z")


def outside(overlap: float) -> Refusal:
    return Refusal(Gate.REGION, "overlap", overlap, 0.5, "porch")
