"""Shot borders on pictures made here: cuts are exact, blends belong to nobody, flashes are no cuts."""

import numpy as np
import pytest

from streamproc.logic.shots import Shot, ShotDetector, Transition, TransitionKind, shots_from
from streamproc.logic.state_codec import pack, unpack

CUT, DISSOLVE, FADE_IN, FADE_OUT = (
    TransitionKind.CUT,
    TransitionKind.DISSOLVE,
    TransitionKind.FADE_IN,
    TransitionKind.FADE_OUT,
)


def scene(seed: int, frames: int) -> list[np.ndarray]:
    """A still scene with noise and a square that moves: (108, 192, 3) uint8."""
    random = np.random.default_rng(seed)
    field = random.uniform(0, 255, (5, 9, 3))
    base = np.kron(field, np.ones((24, 24, 1)))
    pictures = []
    for index in range(frames):
        view = base[:108, :192] + random.normal(0, 2, (108, 192, 1))
        view[40:60, 20 + index : 50 + index] = 128
        pictures.append(np.clip(view, 0, 255).astype(np.uint8))
    return pictures


def blended(a: list[np.ndarray], b: list[np.ndarray], frames: int) -> list[np.ndarray]:
    """``a``, then ``frames`` blends of its end and the start of ``b``, then the rest of ``b``."""
    out = a[:-frames]
    for index in range(frames):
        weight = (index + 1) / (frames + 1)
        out.append(np.round(a[index - frames] * (1 - weight) + b[index] * weight).astype(np.uint8))
    return out + b[frames:]


def detect(pictures: list[np.ndarray], restart_at: int | None = None) -> list[Transition]:
    detector = ShotDetector(25.0)
    found: list[Transition] = []
    for index, picture in enumerate(pictures):
        if index == restart_at:
            detector = ShotDetector.restore(25.0, unpack(pack("test", 1, detector.snapshot()), "test", 1))
        found += detector.add(picture)
    return found + detector.finish()


def test_cuts_are_frame_exact() -> None:
    found = detect(scene(1, 40) + scene(2, 33) + scene(3, 9) + scene(4, 30))
    assert [(item.kind, item.start) for item in found] == [(CUT, 40), (CUT, 73), (CUT, 82)]
    assert all(item.confidence > 80 for item in found)


def test_a_flash_is_no_cut() -> None:
    pictures = scene(1, 60)
    for index in (30, 31):
        pictures[index] = np.clip(pictures[index].astype(int) + 120, 0, 255).astype(np.uint8)
    assert detect(pictures) == []


def test_a_light_switched_on_is_no_cut() -> None:
    pictures = scene(1, 60)
    dark = [(picture * 0.4).astype(np.uint8) for picture in pictures[:30]]
    assert detect(dark + pictures[30:]) == []


@pytest.mark.parametrize("length", [8, 14, 25])
def test_a_dissolve_belongs_to_neither_shot(length: int) -> None:
    pictures = blended(scene(1, 60), scene(2, 60), length)
    (found,) = detect(pictures)
    assert found.kind is DISSOLVE
    assert abs(found.start - (60 - length)) <= 1 and abs(found.end - 59) <= 1


def test_fades_take_the_black_between_with_them() -> None:
    black = [np.zeros((108, 192, 3), np.uint8)] * 25
    pictures = blended(blended(scene(1, 50), black, 12), scene(2, 50), 12)
    found = detect(pictures)
    assert [item.kind for item in found] == [FADE_OUT, FADE_IN]
    shots = shots_from(found, len(pictures))
    assert len(shots) == 2
    assert abs(shots[0].end - 37) <= 1 and abs(shots[1].start - 63) <= 1


def test_restored_goes_on_as_if_nothing_had_happened() -> None:
    pictures = blended(scene(1, 40) + scene(2, 40), scene(3, 40), 14)
    whole = detect(pictures)
    for at in (1, 39, 40, 45, 70, 90):
        assert detect(pictures, restart_at=at) == whole


def test_shots_between_transitions() -> None:
    cuts = [Transition(CUT, 30, 30, 90.0), Transition(DISSOLVE, 50, 60, 80.0), Transition(CUT, 55, 55, 70.0)]
    assert shots_from(cuts, 100) == [Shot(0, 29, 90.0), Shot(30, 49, 80.0), Shot(61, 99, 80.0)]
    assert shots_from([], 10) == [Shot(0, 9, 100.0)]
    assert shots_from([], 0) == []
