"""A burst: cameras that were quiet all see somebody in the same second.

    python -m benchmarks.cameras_burst [--cameras N] [--only sixteen] [--detector yolox_nano] [--quick] [--corpus DIR] [--json]

With as many cameras as can be busy at 80 % of the cores (``fits``), with three times as many (``over``), which no box of
this size can look at five times a second, and with sixteen of 1280x720 (``sixteen``). Everybody is in view for 4.6 s. ``fewest_looks`` is of the
camera that was looked at least while somebody was there; ``told`` is how many cameras announced the person, ``told_half_s`` and ``told_last_s`` how long
after somebody came into view at them half of the cameras and the last had done so, durably; ``second_look_s`` is when the last
camera had been looked at twice since, which is what an announcement takes: what the rivals could have told. ``recovered_s`` counts from the second of the burst until looks take
no longer than two frame intervals again, and stay so. The product runs as it is delivered, idle mode and easing on; the rivals get the
same clips, with what they save on quiet scenes.
"""

from __future__ import annotations

import statistics
from dataclasses import replace
from typing import Any

from benchmarks.camera_clips import SCENES, Camera, Maker
from benchmarks.camera_figures import growth_mb, looks_of_each, recovery_s, told_of
from benchmarks.cameras import FRAME_S, Load, Outcome, camera_parser, cameras_held, carry, cores, milliseconds
from benchmarks.common import percentile, prepared, report

PATTERN, AT_S = "ssvs", 20.0
"""The visit's piece begins here."""
LASTS_S = 6.0
SMALLER = (1280, 720)
FIGURES = (
    "fewest_looks",
    "median_looks",
    "look_p95_ms",
    "recovered_s",
    "told",
    "told_half_s",
    "told_last_s",
    "second_look_s",
    "peak_mb",
    "memory_mb",
)
LEADS = [scene.lead for scene in SCENES[:3]]


def burst_clips(maker: Maker) -> list[Camera]:
    return [maker.camera(scene, "quality", PATTERN) for scene in SCENES[:3]]


def told_after(waits: list[float], cameras: int, share: float) -> float | None:
    """Seconds until this share of the cameras had told; None: they never did."""
    wanted = max(1, round(share * cameras))
    return round(sorted(waits)[wanted - 1], 2) if len(waits) >= wanted else None


def second_looks(outcome: Outcome, clips: list[Camera]) -> float | None:
    """Seconds after somebody came into view until the last camera had been looked at twice; None: one never was."""
    last = 0.0
    for index in range(outcome.cameras):
        entered = outcome.starts[index] + clips[index % len(clips)].entries[0]
        done = sorted(at + took for camera, at, took in outcome.looks if camera == index and at >= entered)
        if len(done) < 2:
            return None
        last = max(last, done[1] - entered)
    return round(last, 2)


def burst_row(name: str, outcome: Outcome, clips: list[Camera]) -> dict[str, Any]:
    """What the burst did to one contestant."""
    begin = statistics.median(start for start in outcome.starts if start) + AT_S + min(LEADS)
    end = begin + LASTS_S - max(LEADS)
    each = looks_of_each(outcome, begin, end)
    during = [took for _, captured, took in outcome.looks if begin <= captured < end]
    before, peak = growth_mb(outcome, begin, outcome.end)
    events = [told_of(outcome, index, clips[index % len(clips)].entries) for index in range(outcome.cameras)]
    durable = [told.durable_s - entry for camera in events for entry, told in camera.items()]
    return {
        "contestant": outcome.load["contestant"],
        "load": name,
        "cameras": outcome.cameras,
        "cpu": round(outcome.used, 3),
        "fewest_looks": min(each),
        "median_looks": statistics.median(each),
        "told": sum(bool(camera) for camera in events) if outcome.load["contestant"] == "streamproc" else None,
        "told_half_s": told_after(durable, outcome.cameras, 0.5),
        "told_last_s": told_after(durable, outcome.cameras, 1.0),
        "second_look_s": second_looks(outcome, clips),
        "look_p50_ms": milliseconds(percentile(during, 0.5)),
        "look_p95_ms": milliseconds(percentile(during, 0.95)),
        "look_p99_ms": milliseconds(percentile(during, 0.99)),
        "entry_to_durable_p95_ms": milliseconds(percentile(durable, 0.95)),
        "recovered_s": recovery_s(outcome, begin, 2 * FRAME_S),
        "drops": ", ".join(f"{reason} {count}" for reason, count in sorted(outcome.drops.items())) or "0",
        "memory_mb": before,
        "peak_mb": peak,
    }


def main() -> None:
    made = camera_parser(__doc__)
    made.add_argument("--cameras", type=int, help="of the burst that fits; measured where left out")
    made.add_argument("--only", choices=("sixteen",), help="this burst alone")
    options = prepared(made.parse_args())
    maker = Maker(options.corpus)
    clips = burst_clips(maker if options.only is None else Maker(options.corpus, size=SMALLER))
    load = Load(
        "streamproc",
        tuple(str(camera.path) for camera in clips),
        3,
        seconds=LASTS_S + (4.0 if options.quick else 8.0),
        warmup_s=AT_S - 2.0,
        spread_s=0.0,
        detector=options.detector,
        gate=True,
        idle=True,
        governor=True,
        workers=options.workers,
    )
    rows: list[dict[str, Any]] = []
    figures: dict[str, Any] = {"cores": cores(), "two_frame_intervals_ms": round(2000 * FRAME_S, 1)}
    fits = options.cameras
    if options.only is not None:
        burst(options, ("sixteen", options.cameras or 16), load, clips, (rows, figures))
        report(options, figures=figures, rows=rows)
        return
    if fits is None:
        busy = tuple(str(camera.path) for camera in maker.busy())
        fits = max(2, cameras_held(carry(Load("streamproc", busy, 4, 5.0, detector=options.detector)).cpu_ms))
    for name, count in (("fits", fits), ("over", 3 * fits)):
        burst(options, (name, count), load, clips, (rows, figures))
    burst(options, ("sixteen", 16), load, burst_clips(Maker(options.corpus, size=SMALLER)), (rows, figures))
    report(options, figures=figures, rows=rows)


def burst(
    options: Any,
    named: tuple[str, int],
    load: Load,
    clips: list[Camera],
    into: tuple[list[dict[str, Any]], dict[str, Any]],
) -> None:
    """One burst (its name and number of cameras), by each contestant: rows and figures of it."""
    (name, count), (rows, figures) = named, into
    load = replace(load, clips=tuple(str(camera.path) for camera in clips), cameras=count)
    for contestant in ("streamproc", "opencv", "processes"):
        if contestant != "streamproc" and name == "over" and options.quick:
            continue
        rows.append(burst_row(name, carry(replace(load, contestant=contestant)), clips))
        for key in FIGURES:
            figures[f"{contestant}_{name}_{key}"] = rows[-1][key]
    figures[f"{name}_cameras"] = count


if __name__ == "__main__":
    main()
