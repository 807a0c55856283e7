"""What follows from what one camera costs, and what a machine says of itself."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from streamproc.logic.gate import heartbeat_s
from streamproc.measure import machine
from streamproc.measure.capacity import Capacity, Costs
from streamproc.measure.sample import Sample
from streamproc.measure.stage_costs import Stage, hand_off

SAMPLE = Sample("cam", Path("cam.mp4"), 1280, 720, 15.0, 150, 5, 1_875_000, Fraction(10))
COSTS = Costs(
    ingest=0.002,
    decode=0.05,
    decode_quiet=0.04,
    keyframes=0.005,
    idle=0.008,
    quiet=0.08,
    busy=0.5,
    memory=10_000_000,
    backlog=300_000,
)
GB = 10**9


def test_the_answer_follows_from_the_costs() -> None:
    answer = Capacity(SAMPLE, COSTS, 2.0, 8 * GB).document()
    assert (answer["idle_cameras"], answer["quiet_cameras"], answer["busy_cameras"]) == (200, 20, 3)
    assert answer["limit"] == "inference"
    assert answer["limits"] == {"idle": "decoding", "quiet": "decoding", "busy": "inference"}
    assert answer["camera"] == {
        "name": "cam", "width": 1280, "height": 720, "fps": 15.0, "bit_rate": 1_500_000, "gop_s": 2.0
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "free", "kind", "cameras", "limit"),
    [
        ({}, GB, "idle", 77, "memory"),  # 0.8 GB of 10.3 MB each
        ({}, GB, "busy", 3, "inference"),
        ({}, None, "idle", 200, "decoding"),
        ({"ingest": 0.006}, 8 * GB, "idle", 200, "ingest"),
        ({"busy": 0.08}, 8 * GB, "busy", 20, "decoding"),
        ({"memory": 0, "backlog": 0}, 1, "busy", 3, "inference"),
    ],
)
def test_what_limits(change: dict[str, float], free: int | None, kind: str, cameras: int, limit: str) -> None:
    held = Capacity(SAMPLE, replace(COSTS, **change), 2.0, free).held(kind)  # type: ignore[arg-type]
    assert (held.cameras, held.limit) == (cameras, limit)


def test_a_camera_that_never_sleeps_costs_what_a_quiet_one_does_and_says_why() -> None:
    answer = Capacity(SAMPLE, replace(COSTS, idle=COSTS.quiet), 2.0, 8 * GB, "constant bit rate")
    assert answer.held("idle") == answer.held("quiet")
    assert answer.document()["never_idle"] == "constant bit rate"


def test_models_look_ever_more_seldom_at_what_does_not_change() -> None:
    assert [heartbeat_s(still) for still in (0, 5, 20, 100, 120, 9999, float("inf"))] == [5, 5, 10, 50, 60, 60, 60]


def test_the_container_s_limit_counts_where_it_is_less(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 8000 kB\nMemAvailable: 4000 kB\n")
    assert machine.free_memory(tmp_path, meminfo) == 4_096_000
    (tmp_path / "memory.max").write_text("3000000\n")
    (tmp_path / "memory.current").write_text("1000000\n")
    assert machine.free_memory(tmp_path, meminfo) == 2_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.free_memory(tmp_path, meminfo) == 4_096_000
    assert machine.free_memory(tmp_path / "none", tmp_path / "none") is None


def test_a_stage_that_waits_is_counted_by_the_clock() -> None:
    assert Stage("decode", "picture", 4.0, 10.0).per_second == 250
    assert Stage("commit", "event", 4.0, 10.0, waits=True).per_second == 100


def test_a_hand_off_is_measured_with_the_real_scheduler() -> None:
    stage = hand_off(20)
    assert stage.waits and stage.cpu_ms > 0 and stage.wall_ms < 1000
