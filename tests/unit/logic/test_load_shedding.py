"""What is given up and taken back: the state machine over figures, one observation a second."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

import pytest

from streamproc.logic.load_shedding import FULL, Change, LoadShedding, LoadSheddingPolicy, QualityLevel, Step
from streamproc.pipeline.cores import MachineMeter, usable_cores

ORDER = list(Step)


def run(
    easing: LoadShedding, figures: Iterable[tuple[float | None, float]], begin: int = 0
) -> list[tuple[int, Change]]:
    """Changes with the second in which they were made."""
    changes = []
    for second, (cpu, dropped) in enumerate(figures, begin):
        change = easing.observe(second, cpu, dropped)
        if change is not None:
            changes.append((second, change))
    return changes


def test_the_order_is_the_stated_one() -> None:
    changes = run(LoadShedding(0.8), [(0.95, 0.0)] * 100)
    assert [change.step for _, change in changes] == ORDER
    assert ORDER == ["second_look", "half_rate", "quarter_rate", "eager_idle", "small_model"]


@pytest.mark.parametrize(
    ("figures", "steps"),
    [
        ([(0.79, 0.0)] * 100, 0),
        ([(0.81, 0.0)] * 15, 1),
        ([(0.81, 0.0)] * 26, 2),
        ([(1.0, 0.0)] * 9, 0),
        ([(1.0, 0.0)] * 5 + [(0.5, 0.0)] * 60, 0),
        ([(0.95, 0.0), (0.75, 0.0)] * 8, 1),
        ([(0.3, 0.2)] * 15, 1),
        ([(0.3, 0.05)] * 60, 0),
        ([(None, 0.0)] * 60, 0),
        ([(None, 0.3)] * 15, 1),
    ],
    ids=[
        "under the target",
        "over it",
        "still over it after the first step",
        "a start-up's seconds",
        "a spike that passes",
        "over it on the whole",
        "frames dropped while others use the cores",
        "hardly any dropped",
        "somebody takes what is left and nothing is dropped",
        "somebody takes what is left and frames are dropped",
    ],
)
def test_steps_taken(figures: list[tuple[float | None, float]], steps: int) -> None:
    easing = LoadShedding(0.8)
    changes = run(easing, figures)
    assert easing.taken == ORDER[:steps] and all(change.taken for _, change in changes)


@pytest.mark.parametrize(
    ("busy", "dropped", "taken"),
    [
        (0.5, [0.0] * 8 + [0.9] * 3, []),
        (0.95, [0.0] * 8 + [0.9] * 3, ORDER[:1]),
        (0.5, [0.2] * 15, ORDER[:1]),
    ],
    ids=["in passing, cores free", "in passing, no core free", "again and again: more than one thread can do"],
)
def test_drops_while_cores_are_free_count_only_if_they_go_on(
    busy: float, dropped: list[float], taken: list[Step]
) -> None:
    easing = LoadShedding(0.8)
    for second, share in enumerate(dropped):
        easing.observe(second, 0.4, share, busy=busy)
    assert easing.taken == taken


def test_drops_in_passing_keep_nothing_given_up_while_cores_are_free() -> None:
    easing = LoadShedding(0.8)
    run(easing, [(0.95, 0.0)] * 12)
    assert easing.taken == ORDER[:1]
    for second in range(12, 20):
        easing.observe(second, 0.3, 0.8 if second == 15 else 0.0, busy=0.4)
    assert not easing.taken


def test_how_busy_the_machine_is_on_the_cores_of_ones_own(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text(
        "cpu 0 0 0 0 0 0 0 0 0 0\ncpu0 0 0 0 0 0 0 0 0 0 0\ncpu1 0 0 0 0 0 0 0 0 0 0\ncpu2 5 0 0 5 0 0 0 0 0 0\n"
    )
    meter = MachineMeter(stat, {0, 1})
    stat.write_text(
        "cpu 0 0 0 0 0 0 0 0 0 0\ncpu0 60 10 20 0 0 0 5 5 60 0\ncpu1 0 0 0 40 60 0 0 0 0 0\ncpu2 5 0 0 99 0 0 0 0 0 0\n"
    )
    assert meter.read() == pytest.approx(0.5)
    stat.unlink()
    assert meter.read() == 1.0, "a machine that does not say has nothing free"


def test_steps_are_undone_in_reverse_order_and_only_with_room() -> None:
    easing = LoadShedding(0.8)
    run(easing, [(0.95, 0.0)] * 35)
    assert easing.taken == ORDER[:3]
    assert not run(easing, [(0.7, 0.0)] * 300, 35), "between room and target everything stays as it is"
    undone = run(easing, [(0.55, 0.0)] * 200, 335)
    assert [(change.step, change.taken) for _, change in undone] == [(step, False) for step in reversed(ORDER[:3])]
    gaps = [later - sooner for (sooner, _), (later, _) in itertools.pairwise(undone)]
    assert all(gap >= LoadSheddingPolicy().calm_s for gap in gaps)


def test_what_was_taken_for_a_moment_is_back_within_seconds_while_the_cpu_is_free() -> None:
    easing = LoadShedding(0.8)
    run(easing, [(0.3, 0.3)] * 12 + [(0.95, 0.0)] * 8)
    assert easing.taken == ORDER[:1]
    undone = run(easing, [(0.3, 0.0)] * 30, 20)
    assert [(change.step, change.taken) for _, change in undone] == [(ORDER[0], False)] and undone[0][0] <= 36


def test_a_step_that_frees_the_cpu_itself_is_not_taken_back_again_and_again() -> None:
    easing = LoadShedding(0.8)
    undone = [
        second
        for second in range(3600)
        if (change := easing.observe(second, 0.3 if easing.taken else 0.9, 0.0)) is not None and not change.taken
    ]
    assert len(undone) < 12 and undone[-1] - undone[-2] > 400


def test_what_is_undone_too_soon_waits_longer_the_next_time() -> None:
    """A load that needs exactly one step: with it there is room, without it there is not."""
    easing = LoadShedding(0.8)
    held, moments = 0, []
    for second in range(3600):
        change = easing.observe(second, 0.5 if easing.taken else 0.9, 0.0)
        held += bool(easing.taken)
        if change is not None and not change.taken:
            moments.append(second)
    gaps = [later - sooner for sooner, later in itertools.pairwise(moments)]
    assert gaps == sorted(gaps) and gaps[-1] > 8 * gaps[0]
    assert held > 3200, "it is eased nearly all the time"


def test_steps_that_would_change_nothing_are_passed_over() -> None:
    easing = LoadShedding(0.8)
    for second in range(40):
        easing.observe(second, 1.0, 0.0, (Step.HALF_RATE, Step.SMALL_MODEL))
    assert easing.taken == [Step.HALF_RATE, Step.SMALL_MODEL]


def test_switched_off_everything_is_taken_back() -> None:
    easing = LoadShedding(0.8)
    run(easing, [(1.0, 0.5)] * 60)
    easing.target = None
    undone = run(easing, [(1.0, 0.5)] * 10, 60)
    assert not easing.taken and all(not change.taken for _, change in undone)
    assert QualityLevel.by(easing.taken) == FULL


def test_every_change_says_why_with_figures() -> None:
    easing = LoadShedding(0.8)
    (_, taken), *_ = run(easing, [(0.93, 0.0)] * 11)
    (_, undone), *_ = run(easing, [(0.51, 0.0)] * 60, 11)
    assert taken.why == "CPU at 93.0% of the cores, target 80%"
    assert undone.why.startswith("CPU at 51.0% of the cores, room for 3")


@pytest.mark.parametrize(
    ("steps", "asked", "fps"),
    [
        ([], 5, 5),
        ([Step.HALF_RATE], 5, 2.5),
        ([Step.HALF_RATE, Step.QUARTER_RATE], 5, 1.25),
        ([Step.HALF_RATE, Step.QUARTER_RATE], 2, 1),
        ([Step.QUARTER_RATE], 0.5, 0.5),
        ([Step.SECOND_LOOK], 5, 5),
    ],
)
def test_the_rate_has_a_floor(steps: list[Step], asked: float, fps: float) -> None:
    assert QualityLevel.by(steps).fps(asked) == fps


def test_cores_are_what_the_control_groups_allow(tmp_path: Path) -> None:
    groups, own = tmp_path / "cgroup", tmp_path / "own"
    leaf = groups / "system.slice" / "box.service"
    leaf.mkdir(parents=True)
    own.write_text("0::/system.slice/box.service\n")
    free = usable_cores(groups, own)
    (leaf / "cpu.max").write_text("max 100000\n")
    assert usable_cores(groups, own) == free >= 1
    (groups / "system.slice" / "cpu.max").write_text("50000 100000\n")
    assert usable_cores(groups, own) == 0.5
    older = tmp_path / "older"
    (older / "cpu").mkdir(parents=True)
    (older / "cpu" / "cpu.cfs_quota_us").write_text("25000")
    (older / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert usable_cores(older, tmp_path / "none") == 0.25
