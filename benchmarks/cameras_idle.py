"""Idle cameras: 1080p at 15 frames a second, a still room under a camera's noise, where somebody comes in now and then.

    python -m benchmarks.cameras_idle [--seconds 40] [--detector yolox_nano] [--quick] [--corpus DIR] [--json]

Live: as many cameras as should fill 80 % of the cores, each paced as it was recorded; a third of them sees one visit in the measured
time, the others none. The same clips go to OpenCV's capture in a thread a camera, which looks at five frames a second whatever they
show (``opencv``), and to a process a camera with detector processes, which asks for a detection only where something moves
(``processes``). All use one detector on whole frames.

Throughput: the same pictures through the product's lanes as fast as they are taken, on all cores, beside decoding and detecting
without idle mode; CPU a camera-second of both.

Truth: cameras of every encoding (variable rate, constant rate, keyframes ten seconds apart) twice, with idle mode and without, side by
side. Nobody may be missed; ``wake_delay`` is how much later the event was durable than with everything decoded.
"""

from __future__ import annotations

import statistics
from dataclasses import replace
from typing import Any

from benchmarks.camera_clips import SCENES, Camera, Coding, Maker
from benchmarks.camera_figures import entries_until, played, told_of, visible_share
from benchmarks.cameras import FPS, TARGET, Load, Outcome, camera_parser, cameras_held, carry, cores, milliseconds
from benchmarks.common import percentile, prepared, progress, report

SHOWN_S = 4.6
"""Of a visit's six seconds."""
LEARN_S = 15.0
"""Until a quiet camera may be asleep: it must have shown a few groups of pictures."""
PATTERNS: dict[Coding, str] = {"vbr": "ssvsv", "cbr": "sssvsv", "long": "ssssvsv"}
"""Of the truth's clips: long enough to be learnt, then two visits."""


def live_cameras(maker: Maker) -> list[Camera]:
    """Every third one has a visit, 24, 30 or 40 s from its beginning; the others have none."""
    quiet = [maker.camera(scene, "vbr", "ssssssss") for scene in SCENES]
    patterns = ("ss..vsssss", "sssvsssss", "ssssvssss")
    visits = [maker.camera(scene, "vbr", pattern) for scene, pattern in zip(SCENES, patterns, strict=True)]
    return [camera for visit, still in zip(visits, quiet, strict=True) for camera in (visit, still, still)]


def truth_cameras(maker: Maker) -> list[Camera]:
    made = [maker.camera(scene, "vbr", PATTERNS["vbr"]) for scene in SCENES]
    made += [maker.camera(scene, "cbr", PATTERNS["cbr"]) for scene in (SCENES[0], SCENES[2])]
    return [*made, maker.camera(SCENES[1], "long", PATTERNS["long"])]


def measure_live(load: Load, clips: list[Camera]) -> tuple[list[Outcome], dict[str, Any]]:
    """Ours with as many cameras as fit, and each rival with as many as it holds."""
    quiet = replace(load, cameras=16, warmup_s=LEARN_S, seconds=min(6.0, load.seconds), idle=True)
    small = carry(quiet)
    count = int(1000 * TARGET * cores() / (small.cpu_ms + 8.0))  # a visit now and then costs about so much
    ours = carry(replace(load, cameras=max(16, min(240, count)), warmup_s=LEARN_S, spread_s=4.0, idle=True))
    rivals = []
    for name in ("opencv", "processes"):
        rival = replace(load, contestant=name, idle=True, seconds=min(15.0, load.seconds))
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


def measure_truth(load: Load, clips: list[Camera]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Pairs of cameras: even ones with idle mode, odd ones without."""
    seconds = max(camera.seconds for camera in clips) + 3.0
    outcome = carry(replace(load, cameras=2 * len(clips), seconds=seconds, warmup_s=0.0, idle=True, idle_pairs=True))
    rows, delays, missed, extra, entries = [], {}, 0, 0, 0
    for number, camera in enumerate(clips):
        on, off = 2 * number, 2 * number + 1
        known = entries_until(camera, min(played(outcome, on), played(outcome, off)))
        with_idle, without = told_of(outcome, on, known), told_of(outcome, off, known)
        late = [
            with_idle[each].durable_s - without[each].durable_s
            for each in known
            if each in with_idle and each in without
        ]
        delays.setdefault(camera.coding, []).extend(late)
        gone = [each for each in known if each in without and each not in with_idle]
        missed, entries = missed + len(gone), entries + len(known)
        extra += sum(each in with_idle and each not in without for each in known)
        idle = outcome.views[on]["metrics"].get("idle") or outcome.views[on]["source"].get("idle") or {}
        rows.append(
            {
                "camera": camera.scene,
                "coding": camera.coding,
                "entries": len(known),
                "seen_idle": len(with_idle),
                "seen_decoding": len(without),
                "worst_delay_ms": milliseconds(max(late)) if late else None,
                "mode": idle.get("mode"),
                "why": idle.get("why"),
                "wakes": ", ".join(f"{reason} {count}" for reason, count in (idle.get("wakes") or {}).items()),
                "undecoded": idle.get("packets_undecoded"),
            }
        )
    figures: dict[str, Any] = {"entries": entries, "missed": missed, "seen_only_with_idle": extra}
    for coding, values in delays.items():
        figures[f"wake_delay_{coding}_p95_ms"] = milliseconds(percentile(values, 0.95))
        figures[f"wake_delay_{coding}_median_ms"] = milliseconds(statistics.median(values)) if values else None
    return rows, figures


def main() -> None:
    made = camera_parser(__doc__)
    made.add_argument("--only", choices=("live", "truth", "throughput"), help="one part only")
    options = prepared(made.parse_args())
    seconds = options.seconds or (8.0 if options.quick else 36.0)
    maker = Maker(options.corpus)
    figures: dict[str, Any] = {"cores": cores(), "looks_per_camera_s_of_opencv": FPS, "seconds": seconds}
    rows: list[dict[str, Any]] = []
    clips = live_cameras(maker)
    load = Load("streamproc", tuple(str(camera.path) for camera in clips), 3, seconds, detector=options.detector)
    if options.only in (None, "throughput"):
        from benchmarks.camera_throughput import measure_throughput

        progress("throughput")
        figures |= measure_throughput(load)
    if options.only in (None, "live"):
        outcomes, found = measure_live(load, clips)
        rows += [outcome.row() for outcome in outcomes]
        figures |= found | {"modes": modes(outcomes[0])}
    if options.only in (None, "truth"):
        truth = truth_cameras(maker)
        found_rows, found = measure_truth(replace(load, clips=tuple(str(camera.path) for camera in truth)), truth)
        rows += found_rows
        figures |= found
    report(options, figures=figures, rows=rows)


if __name__ == "__main__":
    main()
