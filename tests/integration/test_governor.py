"""The governor on real processors: steps taken under a target that cannot be met, logged, metered, described and undone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from streamproc.config.node import NodeConfig
from streamproc.config.processor import ProcessorConfig
from streamproc.live import tickers
from streamproc.live.supervisor import Supervisor
from streamproc.logic.load_shedding import FULL, LoadSheddingPolicy, Step
from streamproc.metrics import REGISTRY
from streamproc.pipeline import governor as governing
from streamproc.pipeline.governor import Governor
from streamproc.pipeline.label_analysis import LabelAnalysis
from streamproc.pipeline.lane import Lane
from streamproc.store.database import Database

pytestmark = [pytest.mark.models, pytest.mark.alone("it sets targets for the CPU of this process")]
QUICK = LoadSheddingPolicy(dropped=1.1, window_s=0.3, calm_s=0.3)


def camera(clip: Path, realtime: bool = True) -> ProcessorConfig:
    return ProcessorConfig.model_validate(
        {
            "source": {"type": "file", "path": str(clip), "realtime": realtime, "loop": True},
            "session": {"duration": 0, "allow_long": True},
            "labels": {"classes": ["PERSON", "PET"], "fps": 5},
        }
    )


async def until(check: Callable[[], bool], what: str) -> None:
    try:
        async with asyncio.timeout(30):
            while not check():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"{what} did not happen within 30 s") from None


def counted(step: Step, direction: str) -> float:
    labels = {"step": step.value, "direction": direction}
    return REGISTRY.get_sample_value("streamproc_governor_steps_total", labels) or 0.0


@pytest.fixture
async def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Supervisor]:
    """A box whose target of 1 % cannot be met, in a hurry."""
    monkeypatch.setattr(tickers, "EVERY_S", 0.05)
    monkeypatch.setattr(governing, "SETTLING_S", 0.0)
    supervisor = Supervisor(NodeConfig(workers=2), tmp_path, Database(tmp_path / "data"), renderers={})
    supervisor.runtime.governor = Governor(1, QUICK)
    await supervisor.open()
    yield supervisor
    await supervisor.close(1)


async def lane_of(box: Supervisor, name: str) -> Lane:
    """When it has looked at a few frames."""
    await until(lambda: (run := box.run_of(name)) is not None and run.lane.stats.frames > 3, f"looks of {name}")
    run = box.run_of(name)
    assert run is not None
    return run.lane


async def test_the_first_seconds_are_not_judged(scene: Path, box: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(governing, "SETTLING_S", 60.0)
    await box.create("cam", camera(scene))
    await box.start("cam")
    lane = await lane_of(box, "cam")
    await until(lambda: lane.stats.frames > 8, "looks")
    assert box.runtime.governor.steps == (), "over the target all the time, of which the windows have seen many"
    monkeypatch.setattr(governing, "SETTLING_S", 0.0)
    await until(lambda: bool(box.runtime.governor.steps), "a step once it has settled")


async def test_a_camera_is_eased_step_by_step_and_gets_everything_back(scene: Path, box: Supervisor) -> None:
    before = {step: (counted(step, "taken"), counted(step, "undone")) for step in Step}
    governor = box.runtime.governor
    await box.create("cam", camera(scene))
    with capture_logs() as logs:
        await box.start("cam")
        lane = await lane_of(box, "cam")
        (analysis,) = lane.frames.analyses.items
        assert isinstance(analysis, LabelAnalysis)
        await until(lambda: "small_model" in [item["step"] for item in lane.stats.eased], "the last step")
        assert analysis.eased.fps(5) == 1.25 and analysis.perceiver.second_look is False
        eased_away = lane.stats.drops["eased"]
        small, runs = analysis.perceiver.models, lane.stats.runs.copy()
        await until(lambda: sum((lane.stats.runs - runs).values()) > 2, "looks with the small model")
        assert set(lane.stats.runs - runs) == {"ssd_oidv4"}
        assert lane.stats.drops["eased"] >= eased_away + 3 * 3, "three of four frames a look"
        taken = governor.steps
        eased = (await box.view("cam")).metrics["eased"]
        assert [item["step"] for item in eased] == [step.value for step in taken]
        assert all("target 1%" in item["why"] for item in eased)
        assert REGISTRY.get_sample_value("streamproc_governor_level") == len(taken)

        governor.retarget(100)
        await until(lambda: not governor.steps and not lane.stats.eased, "the return of everything")
    assert analysis.eased == FULL and analysis.perceiver.second_look and analysis.perceiver.models is not small
    assert (await box.view("cam")).metrics["eased"] == []
    said = [(line["event"], line["step"]) for line in logs if line["event"] in ("eased", "eased_no_more")]
    assert said == [("eased", step) for step in taken] + [("eased_no_more", step) for step in reversed(taken)]
    for step in taken:
        assert counted(step, "taken") - before[step][0] == counted(step, "undone") - before[step][1] == 1


async def test_a_durable_feed_is_not_eased_nor_a_reason_to_ease_cameras(scene: Path, box: Supervisor) -> None:
    await box.create("tape", camera(scene, realtime=False))
    await box.create("cam", camera(scene))
    await box.start("tape")
    tape = await lane_of(box, "tape")
    await box.start("cam")
    await lane_of(box, "cam")
    await asyncio.sleep(1)
    eased = (await box.view("cam")).metrics["eased"]
    assert not [item for item in eased if "CPU" in item["why"]], "it takes what is left, whatever cameras give up"
    assert float(tape.frames.analyses.items[0].sampler.fps) == 5 and (await box.view("tape")).metrics["eased"] == []


async def test_without_a_target_nothing_is_given_up() -> None:
    governor = Governor(0, LoadSheddingPolicy(window_s=0, calm_s=0))
    for _ in range(5):
        governor.tick([])
    assert governor.steps == ()
