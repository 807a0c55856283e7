"""The cameras that the benchmarks of many play, and the arithmetic of their figures."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.camera_clips import CODINGS, RATE, STILL_S, VISIT_S, Camera, Coding, Maker, Scene, footage_of
from benchmarks.camera_figures import (
    Announced,
    entries_until,
    growth_mb,
    looks_of_each,
    recovery_s,
    slope,
    told_of,
    visible_share,
)
from benchmarks.camera_truth import figures_of
from benchmarks.cameras import Outcome, cameras_held, cores, drops_between, memory_a_camera
from tests.videos import write

SIZE = (320, 180)
SCENE = Scene("door", "door.mp4", enters=1.0, lead=0.6, shown=1.0)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Footage of an empty room into which a bright square comes after one second."""
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "video").mkdir()
    pictures = [np.full((180, 320, 3), 90, np.uint8) for _ in range(30)]
    for index, picture in enumerate(pictures[10:]):
        picture[40:140, 10 + 4 * index : 70 + 4 * index] = 230
    write(folder / "video" / "door.mp4", pictures, rate=Fraction(10))
    return folder


def packets_of(path: Path) -> list[av.Packet]:
    with av.open(str(path)) as container:
        return [packet for packet in container.demux(video=0) if packet.size]


def shown(path: Path) -> list[float]:
    """Mean brightness of each frame."""
    with av.open(str(path)) as container:
        return [float(frame.to_ndarray(format="gray").mean()) for frame in container.decode(video=0)]


@pytest.mark.parametrize(
    ("coding", "distance"), [("quality", 30), ("constant", 30), ("variable", 30), ("distant", 75), ("far", 150)]
)
def test_a_camera_has_its_keyframes_and_its_visits_where_it_says(
    corpus: Path, tmp_path: Path, coding: Coding, distance: int
) -> None:
    camera = Maker(corpus, tmp_path, SIZE).camera(SCENE, coding, "sv.v")
    packets = packets_of(camera.path)
    assert camera.seconds == STILL_S + VISIT_S + 2 + VISIT_S
    assert len(packets) == camera.seconds * RATE
    keys = [index for index, packet in enumerate(packets) if packet.is_keyframe]
    borders = {0, STILL_S * RATE, (STILL_S + VISIT_S) * RATE, (STILL_S + VISIT_S + 2) * RATE}
    assert borders <= set(keys)
    assert all(index in borders or (index - max(b for b in borders if b <= index)) % distance == 0 for index in keys)
    assert [packet.pts for packet in packets] == sorted(packet.pts for packet in packets)
    assert camera.entries == (STILL_S + 0.6, STILL_S + VISIT_S + 2 + 0.6)
    bright = shown(camera.path)
    for entry in camera.entries:
        assert bright[round(entry * RATE) - 2] < 95 < bright[round(entry * RATE) + 3]
    assert bright[-1] < 95, "the visit ends with an empty room"


def test_a_visit_is_the_coming_in_and_the_same_backwards(corpus: Path) -> None:
    empty, coming = footage_of(corpus / "video" / "door.mp4", SCENE, SIZE)
    assert empty.shape == (180 * 3 // 2, 320)
    assert len(coming) == RATE
    assert empty.mean() < coming[1].mean()


def test_a_clip_is_made_once(corpus: Path, tmp_path: Path) -> None:
    maker = Maker(corpus, tmp_path, SIZE)
    first = maker.camera(SCENE, "quality", ".")
    written = first.path.stat().st_mtime_ns
    assert maker.camera(SCENE, "quality", ".").path.stat().st_mtime_ns == written
    assert maker.camera(SCENE, "quality", "..").path != first.path
    assert not list(tmp_path.glob("*.part.mp4"))


def test_codings_differ_in_what_a_benchmark_needs() -> None:
    assert "crf" in CODINGS["quality"] and "crf" not in CODINGS["constant"]
    assert int(CODINGS["far"]["g"]) == 10 * RATE


@pytest.mark.parametrize(
    ("cpu_ms", "cores", "cameras"), [(100.0, 2, 16), (160.0, 2, 10), (10.0, 4, 320), (1700.0, 2, 0)]
)
def test_cameras_held_is_the_target_over_what_one_costs(cpu_ms: float, cores: int, cameras: int) -> None:
    assert cameras_held(cpu_ms, cores) == cameras


def outcome(cameras: int, memory: float = 100.0) -> Outcome:
    made = Outcome({"contestant": "x", "profile": "single", "gate": False, "cameras": cameras}, begin=100.0, end=110.0)
    made.cpu_s = 8.0
    made.looks = [(0, 99.0, 0.5), (0, 99.9, 0.2), (1, 105.0, 0.1), (1, 109.9, 0.2)]
    made.events = [(0, "PERSON", 5.0, 105.0, 0.05), (1, "PERSON", 1.0, 98.0, 9.0)]
    made.memory = [(109.0, memory)]
    return made


def test_only_what_was_done_between_the_marks_counts() -> None:
    row = outcome(4).row()
    assert row["cpu_ms_per_camera_s"] == 200.0
    assert row["looks_per_camera_s"] == round(2 / 40, 2)
    assert row["look_p99_ms"] == 200.0
    assert row["events"] == 1 and row["event_p95_ms"] == 50.0


def test_memory_and_drops() -> None:
    from collections import Counter

    assert memory_a_camera(outcome(2, 100.0), outcome(12, 250.0)) == 15.0
    assert memory_a_camera(outcome(2), outcome(2)) is None
    assert drops_between(Counter(behind=2, overflow=1), Counter(behind=5, overflow=1)) == {"behind": 3}


def camera(seconds: float = 20.0) -> Camera:
    return Camera(Path("clip.mp4"), "door", "quality", seconds, (5.0,))


def test_entries_come_again_with_every_turn_of_the_clip() -> None:
    assert entries_until(camera(), 11.0) == []  # it was not played long enough to tell of it
    assert entries_until(camera(), 35.0) == [5.0, 25.0]


def test_an_event_belongs_to_the_entry_it_follows() -> None:
    made = outcome(2)
    made.events = [
        (0, "PERSON", 5.4, 0.0, 0.1),
        (0, "PERSON", 6.0, 0.0, 0.1),
        (0, "PERSON", 15.0, 0.0, 0.1),
        (1, "PERSON", 25.2, 0.0, 0.5),
        (1, "PET", 5.2, 0.0, 0.5),
    ]
    assert told_of(made, 0, [5.0, 25.0]) == {5.0: Announced(5.4, 5.5)}
    assert told_of(made, 1, [5.0, 25.0]) == {25.0: Announced(25.2, 25.7)}


def test_the_share_of_time_with_somebody_in_view() -> None:
    made = outcome(2)
    made.starts = [100.0, 94.0]  # the second camera's entry is at 99, before the first mark
    assert visible_share(made, [camera()], 4.0) == pytest.approx((4.0 + 3.0) / 20.0)


@pytest.mark.parametrize(
    ("took", "seconds"),
    [([0.1, 0.1, 0.1], 0.0), ([0.5, 0.1, 0.1], 0.5), ([0.1, 0.5, 0.1], 1.5), ([0.1, 0.1, 0.5], None)],
)
def test_recovery_is_when_the_last_slow_half_second_ends(took: list[float], seconds: float | None) -> None:
    made = outcome(1)
    made.looks = [(0, 90.0, 9.0), *((0, 100.2 + index, each) for index, each in enumerate(took))]
    assert recovery_s(made, 100.0, 0.2) == seconds


def test_starvation_and_growth() -> None:
    made = outcome(3)
    made.looks = [(0, 101.0, 0.1), (0, 102.0, 0.1), (2, 101.5, 0.1), (2, 120.0, 0.1)]
    assert looks_of_each(made, 100.0, 110.0) == [2, 0, 1]
    made.memory = [(99.0, 100.0), (101.0, 140.0), (105.0, 120.0)]
    assert growth_mb(made, 100.0, 110.0) == (100.0, 140.0)


def test_slope() -> None:
    assert slope([(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]) == pytest.approx(2.0)
    assert slope([(1.0, 5.0)]) == 0.0


def test_misses_and_delays_are_against_the_same_camera_without_idle_mode() -> None:
    cameras = [camera(), camera()]
    told = {
        (0, True): {5.0: Announced(5.4, 6.0)},
        (0, False): {5.0: Announced(5.4, 5.5)},
        (1, True): {},
        (1, False): {5.0: Announced(5.2, 5.2)},
    }
    figures = figures_of(cameras, told)
    assert (figures["entries"], figures["missed"], figures["told_only_with_idle"]) == (2, 1, 0)
    assert figures["wake_delay_quality_most_ms"] == 500.0
    assert "wake_delay_constant_p95_ms" not in figures


def test_who_leaves_out_looks_holds_nothing() -> None:
    made = outcome(4)
    assert made.held == 8 * cores() // 2
    made.drops = {"behind": 1}
    assert made.held is None
