"""What is kept of a camera's packets over restarts."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from streamproc.config.processor import ConnectorRef
from streamproc.core.media import Weight
from streamproc.live.character import keep, recall
from streamproc.pipeline.idle import IdleMode
from streamproc.store.database import Database

CAMERA = ConnectorRef.model_validate({"type": "rtsp", "url": "rtsp://cam/1"})
OTHER = ConnectorRef.model_validate({"type": "rtsp", "url": "rtsp://cam/2"})


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path)


def fresh() -> IdleMode:
    return IdleMode("door", True)


def learnt() -> IdleMode:
    idle = fresh()
    for number in range(61):
        idle._watch.update(Weight(3000, 24, "P"), number % 15 == 0, Fraction(number, 15))
    return idle


def first_keyframe(idle: IdleMode) -> bool:
    idle._watch.update(Weight(3000, 24, "I"), True, Fraction(0))
    return idle._watch.learned


def test_a_camera_is_known_again_at_its_first_keyframe(database: Database) -> None:
    idle = learnt()
    idle.reset()  # its run is over
    keep(database, "door", CAMERA, idle)
    again = fresh()
    recall(database, "door", CAMERA, again)
    assert first_keyframe(again) and not first_keyframe(fresh())


def test_of_another_source_or_processor_nothing_is_known(database: Database) -> None:
    keep(database, "door", CAMERA, learnt())
    for name, source in (("door", OTHER), ("garden", CAMERA)):
        idle = fresh()
        recall(database, name, source, idle)
        assert not first_keyframe(idle)


def test_what_knows_nothing_leaves_what_was_kept(database: Database) -> None:
    keep(database, "door", CAMERA, learnt())
    keep(database, "door", CAMERA, fresh())
    idle = fresh()
    recall(database, "door", CAMERA, idle)
    assert first_keyframe(idle)


@pytest.mark.parametrize(
    "broken", ["", "[]", "{}", '{"source": 1}', '{"source": "FINGERPRINT", "idle": {"version": 1}}']
)
def test_what_cannot_be_read_is_passed_over(database: Database, broken: str) -> None:
    keep(database, "door", CAMERA, learnt())
    fingerprint = str(database.get("idle:door")).partition('"source": "')[2][:16]
    database.put("idle:door", broken.replace("FINGERPRINT", fingerprint))
    idle = fresh()
    recall(database, "door", CAMERA, idle)
    assert not first_keyframe(idle)
