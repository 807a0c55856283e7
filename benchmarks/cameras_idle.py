"""Idle cameras: 1080p at 15 frames a second, a still room under a camera's noise, where somebody comes in now and then.

    python -m benchmarks.cameras_idle [--kinds quality,constant,variable,distant] [--only live|truth|throughput] [--seconds 40] [--detector yolox_nano] [--quick] [--corpus DIR] [--json]

Live: as many cameras as should fill 80 % of the cores, each paced as it was recorded; a third of them sees one visit in the measured
time, the others none. The same clips go to OpenCV's capture in a thread a camera, which looks at five frames a second whatever they
show (``opencv``), and to a process a camera with detector processes, which asks for a detection only where something moves
(``processes``). All use one detector on whole frames.

Throughput: the same pictures through the product's lanes as fast as they are taken, on all cores: with idle mode, with everything
decoded, and OpenCV's loop; CPU a camera-second of each.

Truth: cameras of every kind with idle mode and without. Nobody may be missed; ``wake_delay`` is how much later the event was durable than with everything decoded, on the camera's own clock.
"""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from benchmarks.camera_clips import CODINGS, KINDS, SCENES, Camera, Coding, Maker
from benchmarks.camera_figures import visible_share
from benchmarks.camera_throughput import measure_throughput
from benchmarks.camera_truth import measure_truth, truth_cameras
from benchmarks.cameras import FPS, TARGET, Load, Outcome, camera_parser, cameras_held, carry, cores
from benchmarks.common import prepared, progress, report

SHOWN_S = 4.6
"""Of a visit's six seconds."""
LEARN_S = 21.0
"""Until a quiet camera may be asleep: it must have shown a few groups of pictures."""


def live_cameras(maker: Maker, kinds: Sequence[Coding]) -> list[Camera]:
    """Kinds in turns. Every third camera has a visit, 24, 30 or 40 s from its beginning; the others have none."""
    patterns = ("ss..vsssss", "sssvsssss", "ssssvssss")
    cameras = []
    for scene, pattern in zip(SCENES[:3], patterns, strict=True):
        for number in range(3 * len(kinds)):
            kind = kinds[number % len(kinds)]
            turn = number if len(kinds) % 3 else number + number // len(kinds)
            cameras.append(maker.camera(scene, kind, "ssssssss" if turn % 3 else pattern))
    return cameras


def measure_live(load: Load, clips: list[Camera]) -> tuple[list[Outcome], dict[str, Any]]:
    """Ours with as many cameras as fit, and each rival with as many as it holds."""
    quiet = replace(load, cameras=16, warmup_s=LEARN_S, seconds=min(6.0, load.seconds), gate=True, idle=True)
    small = carry(quiet)
    count = int(1000 * TARGET * cores() / (small.cpu_ms + 11.0))  # a visit now and then costs about so much
    ours = carry(replace(load, cameras=max(16, min(240, count)), warmup_s=LEARN_S, spread_s=4.0, gate=True, idle=True))
    rivals = []
    for name in ("opencv", "processes"):
        rival = replace(load, contestant=name, gate=True, warmup_s=3.0, seconds=min(15.0, load.seconds))
        trial = carry(replace(rival, cameras=4, seconds=min(5.0, load.seconds)))
        rivals.append(carry(replace(rival, cameras=max(2, cameras_held(trial.cpu_ms)))))
    figures: dict[str, Any] = {
        "visible_share": round(visible_share(ours, clips, SHOWN_S), 4),
        "quiet_cpu_ms_per_camera_s": round(small.cpu_ms, 2),
    }
    for outcome in (ours, *rivals):
        row, name = outcome.row(), outcome.load["contestant"]
        for key in ("cameras_held", "cpu_ms_per_camera_s", "look_p95_ms"):
            figures[f"{name}_{key}"] = row[key]
        figures[f"{name}_drops"] = outcome.drops
        if outcome is not ours:
            both = ours.held is not None and outcome.held is not None
            figures[f"held_ratio_{name}"] = round(outcome.cpu_ms / ours.cpu_ms, 1) if both else None
    return [ours, *rivals], figures


def modes(outcome: Outcome) -> dict[str, int]:
    """How many cameras were in which mode at the end."""
    found: dict[str, int] = {}
    for view in outcome.views:
        idle = view["metrics"].get("idle") or view["source"].get("idle") or {}
        if isinstance(idle, dict) and idle:
            name = f"{idle.get('mode')}: {idle.get('why')}"
            found[name] = found.get(name, 0) + 1
    return found


def kinds_of(text: str) -> tuple[Coding, ...]:
    """Names of codings, with commas between. Raises ArgumentTypeError."""
    chosen = tuple(name for name in CODINGS if name in text.split(","))
    if set(text.split(",")) != set(chosen):
        raise ArgumentTypeError(f"some of {','.join(CODINGS)}")
    return chosen


def main() -> None:
    made = camera_parser(__doc__)
    made.add_argument("--kinds", type=kinds_of, default=KINDS, help=f"how cameras encode: some of {','.join(CODINGS)}")
    made.add_argument("--only", choices=("live", "truth", "throughput"), help="one part only")
    options = prepared(made.parse_args())
    seconds = options.seconds or (8.0 if options.quick else 36.0)
    maker = Maker(options.corpus)
    figures: dict[str, Any] = {"cores": cores(), "looks_per_camera_s_of_opencv": FPS, "seconds": seconds}
    rows: list[dict[str, Any]] = []
    clips = live_cameras(maker, options.kinds)
    load = Load("streamproc", tuple(str(camera.path) for camera in clips), 3, seconds, detector=options.detector)
    if options.only in (None, "throughput"):
        progress("throughput")
        figures |= measure_throughput(load)
    if options.only in (None, "live"):
        outcomes, found = measure_live(load, clips)
        rows += [outcome.row() for outcome in outcomes]
        figures |= found | {"modes": modes(outcomes[0])}
    if options.only in (None, "truth"):
        truth = truth_cameras(maker, options.kinds)
        progress("truth")
        found_rows, found = measure_truth(load, truth)
        rows += found_rows
        figures |= found
    report(options, figures=figures, rows=rows)


if __name__ == "__main__":
    main()
