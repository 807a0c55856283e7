"""Busy cameras: 1080p at 15 frames a second with people coming and going, five looks a second, paced as they were recorded.

    python -m benchmarks.cameras_busy [--only single|default|present] [--seconds 15] [--detector yolox_nano] [--quick] [--corpus DIR] [--json]

One run compares the product with OpenCV's capture in a thread a camera (``opencv``) and with a process a camera and detector
processes, Frigate's way (``processes``): the same clips, detector and number of looks. Each carries as many cameras as should fill
80 % of the cores by what a camera cost it in a small run before; ``cameras_held`` is 80 % of the cores over what a camera cost it in
the large run. The bare limit is the CPU of decoding alone and of the same inferences alone, each on all cores at once, right after.
``single`` is one detector on whole frames in all three; ``default`` is the product's own profile: three classes, second looks, the
search for packages. ``present`` is ``single`` on cameras that always show somebody, with what the product has for them by default (idle mode,
``gone_after`` of ten seconds); ``present_of_limit`` compares it with decoding everything and inferring at every look that is asked for. Latency of a look counts from when the frame left the camera; of an event until it is durable.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchmarks.camera_clips import Maker
from benchmarks.cameras import (
    FPS,
    FRAME_S,
    Load,
    Outcome,
    camera_parser,
    cameras_held,
    cores,
    memory_a_camera,
    near_target,
)
from benchmarks.common import prepared, report


def figures_of(name: str, small: Outcome, large: Outcome) -> dict[str, Any]:
    row = large.row()
    figures = {
        f"{name}_{key}": row[key]
        for key in (
            "cameras_held",
            "cpu_ms_per_camera_s",
            "looks_per_camera_s",
            "look_p50_ms",
            "look_p95_ms",
            "look_p99_ms",
        )
    }
    figures[f"{name}_drops"] = large.drops
    figures[f"{name}_memory_mb_per_camera"] = memory_a_camera(small, large)
    return figures


def limit_of(large: Outcome) -> float:
    """CPU milliseconds a camera-second of decoding alone and the same inferences alone."""
    return (large.decode_ms or 0.0) + (large.infer_ms or 0.0)


def limit_of_every_look(large: Outcome) -> float:
    """The same with an inference at every look that is asked for."""
    made: float = large.row()["looks_per_camera_s"]
    return (large.decode_ms or 0.0) + (large.infer_ms or 0.0) * FPS / max(made, 0.01)


def limit_row(large: Outcome) -> dict[str, Any]:
    return {
        "contestant": "bare limit",
        "profile": large.load["profile"],
        "cpu_ms_per_camera_s": round(limit_of(large), 2),
        "cameras_held": cameras_held(limit_of(large)),
        "looks_per_camera_s": large.row()["looks_per_camera_s"],
    }


def main() -> None:
    made = camera_parser(__doc__)
    made.add_argument("--only", choices=("single", "default", "present"), help="one part only")
    options = prepared(made.parse_args())
    maker = Maker(options.corpus)
    seconds = options.seconds or (4.0 if options.quick else 15.0)
    figures: dict[str, Any] = {"seconds": seconds, "cores": cores(), "two_frame_intervals_ms": round(2000 * FRAME_S, 1)}
    rows: list[dict[str, Any]] = []

    def measured(contestant: str, part: str) -> tuple[Outcome, Outcome]:
        ours, present = contestant == "streamproc", part == "present"
        profile = "single" if present else part
        clips = tuple(str(camera.path) for camera in (maker.present() if present else maker.busy()))
        load = Load(contestant, clips, 3, seconds, detector=options.detector, profile=profile, bare=ours)
        load = replace(load, workers=options.workers)
        if present:
            load = replace(load, idle=True, gone_after_s=10.0, warmup_s=8.0)
        small, large = near_target(load, probe_s=2.0 if options.quick else 5.0)
        name = contestant if part == "single" else f"{contestant}_{part}"
        rows.append(large.row())
        figures.update(figures_of(name, small, large))
        if ours:
            row = large.row()
            rows.append(limit_row(large))
            figures[f"{name}_event_p50_ms"] = row["event_p50_ms"]
            figures[f"{name}_event_p95_ms"] = row["event_p95_ms"]
            figures[f"{name}_event_p99_ms"] = row["event_p99_ms"]
            figures[f"{name}_events"] = row["events"]
            figures[f"{name}_limit_cpu_ms_per_camera_s"] = round(limit_of(large), 2)
            figures[f"{name}_decode_cpu_ms_per_camera_s"] = round(large.decode_ms or 0.0, 2)
            figures[f"{name}_infer_cpu_ms_per_camera_s"] = round(large.infer_ms or 0.0, 2)
            figures[f"{name}_over_limit"] = round(large.cpu_ms / max(limit_of(large), 0.01), 3)
            figures[f"{name}_inferences_per_camera_s"] = large.notes["inferences_per_camera_s"]
            if part == "present":
                figures["present_of_limit"] = round(large.cpu_ms / limit_of_every_look(large), 3)
            if part == "single":
                figures["start_to_first_look_s"] = small.notes["first_look_s"]
                figures["start_to_first_event_s"] = small.notes["first_event_s"]
        return small, large

    for part in ("single", "present"):
        if options.only in (None, part):
            for contestant in ("streamproc", "opencv", "processes"):
                measured(contestant, part)
    if options.only in (None, "default"):
        measured("streamproc", "default")
    report(options, figures=figures, rows=rows)


if __name__ == "__main__":
    main()
