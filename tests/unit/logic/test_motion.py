"""The motion watch: what is worth a look, and where it moves."""

import numpy as np
import pytest

from streamproc.logic.motion import MotionWatch
from streamproc.logic.state_codec import pack, unpack
from streamproc.logic.structure import from_document, to_document

HEIGHT, WIDTH = 270, 480


def scene(at: tuple[int, int] | None = None, *, light: int = 0, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """A textured wall, brighter by ``light``, with a bright square of 30 pixels at ``at``."""
    wall = np.add.outer(np.arange(HEIGHT) % 40, np.arange(WIDTH) % 60).astype(np.float64) + 60 + light
    if at is not None:
        x, y = at
        wall[y : y + 30, x : x + 30] = 230
    if noise:
        wall += np.random.default_rng(seed).normal(0, noise, wall.shape)
    return np.clip(wall, 0, 255).astype(np.uint8)


def watching(*pictures: np.ndarray) -> MotionWatch:
    watch = MotionWatch()
    for picture in pictures:
        watch.update(picture)
        watch.looked()
    return watch


def test_the_first_picture_is_always_worth_a_look():
    seen = MotionWatch().update(scene())
    assert seen.worth and seen.first and not seen.blobs


@pytest.mark.parametrize(
    ("now", "worth"),
    [
        (scene(), False),
        (scene(light=40), False),  # the sun came out
        (scene(noise=6.0, seed=3), False),  # a grainy night
        (scene((200, 100)), True),
        (scene((200, 100), light=40, noise=6.0, seed=3), True),
    ],
)
def test_light_and_noise_are_no_motion(now, worth):
    watch = watching(scene(noise=0.0), scene(noise=6.0, seed=1) if now.std() > 25 and not worth else scene())
    assert watch.update(now).worth is worth


def test_a_slow_thing_adds_up_until_it_is_looked_at():
    watch = watching(scene((100, 100)))
    seen = [watch.update(scene((100 + step // 4, 100))).worth for step in range(40)]
    assert not seen[0] and seen[-1]


def test_blobs_are_where_it_is_now_not_where_it_was():
    watch = watching(scene((100, 100)), scene((160, 100)))
    (blob,) = watch.update(scene((220, 100))).blobs
    assert blob.box.left == pytest.approx(220 / WIDTH, abs=0.01)
    assert blob.box.right == pytest.approx(250 / WIDTH, abs=0.01)
    assert blob.box.top == pytest.approx(100 / HEIGHT, abs=0.015)


def test_a_moving_camera_is_said_and_gives_no_blobs():
    rng = np.random.default_rng(5)
    frames = [np.asarray(rng.integers(0, 255, (27, 48)).repeat(10, 0).repeat(10, 1), np.uint8) for _ in range(3)]
    watch = watching(*frames[:2])
    seen = watch.update(frames[2])
    assert seen.camera and seen.worth and not seen.blobs


def test_another_size_is_a_new_scene():
    assert watching(scene()).update(scene()[:100, :100]).first


def test_it_goes_on_the_same_after_pickling():
    watch = watching(scene((100, 100)), scene((160, 100)))
    twin = from_document(MotionWatch, unpack(pack("test", 1, to_document(watch)), "test", 1))
    for picture in (scene((220, 100)), scene((260, 130))):
        assert watch.update(picture) == twin.update(picture)
