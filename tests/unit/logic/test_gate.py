"""Which sampled frames a gate gives to the models."""

import numpy as np
import pytest

from streamproc.logic.gate import GatePolicy, MotionGate, heartbeat_s

STILL = np.full((90, 160), 90, np.uint8)
POLICY = GatePolicy()


def moving(step: int) -> np.ndarray:
    picture = STILL.copy()
    picture[30:70, 10 + 12 * step : 40 + 12 * step] = 220
    return picture


def analysed(gate: MotionGate, pictures, *, undecided=False, policy=POLICY, fps=5, start=0) -> list[int]:
    """Indexes of the frames that the gate lets through."""
    return [
        index
        for index, picture in enumerate(pictures)
        if gate.update(picture, (start + index) / fps, undecided=undecided, policy=policy).analyse
    ]


def test_the_first_frame_wakes_for_a_second_and_then_the_heartbeat_counts():
    assert analysed(MotionGate(), [STILL] * 70) == [*range(6), 30, 60], "after 5 s, then after half of 12 s"
    quick = GatePolicy(wake_s=0.4, heartbeat_s=2.0)
    assert analysed(MotionGate(), [STILL] * 60, policy=quick) == [0, 1, 2, 12, 24, 48]


def test_motion_lets_every_frame_through_until_a_second_after_it():
    gate = MotionGate()
    analysed(gate, [STILL] * 20)
    through = analysed(gate, [moving(step) for step in range(4)] + [moving(3)] * 12, start=20)
    assert through == list(range(9)), "four that move, five still ones within the second"


def test_what_is_undecided_lets_frames_through_and_is_not_calm():
    gate = MotionGate()
    assert analysed(gate, [STILL] * 20, undecided=True) == list(range(20))
    verdict = gate.update(STILL, 4.0, undecided=False, policy=POLICY)
    assert verdict.calm and not verdict.analyse and not verdict.motion.worth


def test_a_gate_that_is_off_lets_everything_through_and_still_says_calm():
    gate = MotionGate()
    off = GatePolicy(enabled=False)
    assert analysed(gate, [STILL] * 20, policy=off) == list(range(20))
    assert gate.update(STILL, 4.0, undecided=False, policy=off).calm


def test_after_a_gap_the_next_frame_is_analysed():
    gate = MotionGate()
    analysed(gate, [STILL] * 20)
    assert not gate.update(STILL, 4.0, undecided=False, policy=POLICY).analyse
    gate.reset()
    assert gate.update(STILL, 4.2, undecided=False, policy=POLICY).analyse


@pytest.mark.parametrize(("still", "after"), [(0, 5), (20, 10), (100, 50), (9999, 60), (float("inf"), 60)])
def test_the_heartbeat_slows_down(still: float, after: float):
    assert heartbeat_s(still) == after
