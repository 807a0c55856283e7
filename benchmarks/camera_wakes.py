"""What packets alone tell of people walking in, by how a camera encodes: misses, delays and wakes for nothing.

    python -m benchmarks.camera_wakes [--kinds quality,constant,variable,distant] [--only learnt|held-out] [--corpus DIR] [--json]

Every scene (a still room under a camera's noise for 40 s, a visit, the room again; 1280x720) is encoded in every kind, by two presets, with
and without B-frames, and with a clock in the picture; of the plain ones a second row leaves out every 75th packet. Nothing is decoded: packets
go to ``logic.wakeup`` as a sleeping camera's do. A wake while nobody is there counts as one for nothing, and tells the watch so. Keyframes'
pictures, which also wake a camera, are left out. ``held-out`` scenes were not looked at when the thresholds were chosen. Packets' weights are kept in
the user's cache; encoding all of them takes some minutes of CPU.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from benchmarks.camera_clips import (
    CODINGS,
    KINDS,
    RATE,
    SCENES,
    SHIFTS,
    Coding,
    Scene,
    cache_folder,
    footage_of,
    grains,
)
from benchmarks.cameras_idle import kinds_of
from benchmarks.common import parser, percentile, prepared, progress, report
from streamproc.core.media import Weight
from streamproc.logic.wakeup import PacketWatch
from streamproc.media.reader import read_packets
from streamproc.media.weight import FeedScales

SIZE = (1280, 720)
SECONDS, ENTERS = 60, 40 + Fraction(7, RATE)
"""The visit begins in the middle of a group of pictures."""
HELD_OUT = ("room-3", "pet")
ALL_SCENES = (*SCENES, Scene("pet", "aws_pet_night.mp4", 2.8, 0.5))
LOST = 75
"""Every so manieth packet."""


@dataclass(frozen=True)
class Variant:
    """How an encoder works within its kind."""

    name: str
    preset: str
    bframes: int
    clock: bool = False


VARIANTS = (
    Variant("plain", "superfast", 0),
    Variant("b-frames", "veryfast", 2),
    Variant("clock", "superfast", 0, True),
)

Weighed = tuple[int, float | None, str, bool, str]
"""Size, quantizer, kind, keyframe, media time."""


@dataclass
class Outcome:
    """Of one stream."""

    delay: float | None
    """Seconds from the first picture that shows somebody; None: missed while they were in view."""
    false: int
    minutes: float


def images(scene: Scene, corpus: Path, clock: bool) -> Iterator[np.ndarray]:
    """I420 pictures of SECONDS."""
    empty, coming = footage_of(corpus / "video" / scene.footage, scene, SIZE)
    before = int(ENTERS * RATE)
    shown = [empty] * before + coming + coming[::-1]
    chance = np.random.default_rng(len(scene.name))
    field = grains(chance, SIZE[0] + SHIFTS, SIZE[1] + SHIFTS)
    for number in range(SECONDS * RATE):
        picture = (shown[number] if number < len(shown) else empty).copy()
        y, x = chance.integers(0, SHIFTS, 2)
        grain = np.ascontiguousarray(field[y : y + SIZE[1], x : x + SIZE[0]] * chance.choice((1, -1)))
        picture[: SIZE[1]] = cv2.add(picture[: SIZE[1]], grain.astype(np.int16), dtype=cv2.CV_8U)
        if clock:
            words = f"2026-01-01 00:{number // RATE // 60:02d}:{number // RATE % 60:02d}"
            luma = np.ascontiguousarray(picture[: SIZE[1]])
            picture[: SIZE[1]] = cv2.putText(luma, words, (40, 60), cv2.FONT_HERSHEY_SIMPLEX, 1.3, (235,), 3)
        yield picture


def options_of(kind: Coding, variant: Variant) -> dict[str, str]:
    """For libx264; rates are halved, as the pictures are smaller than those of ``camera_clips``."""
    halved = {
        key: value.replace("2M", "1M").replace("4M", "2M").replace("6M", "3M") for key, value in CODINGS[kind].items()
    }
    params = f"scenecut=0:mbtree=0:rc-lookahead=0:keyint={halved['g']}:min-keyint={halved['g']}"
    return {"preset": variant.preset, "bf": str(variant.bframes), "refs": "1", **halved, "x264-params": params}


def weighed(scene: Scene, variant: Variant, kinds: tuple[Coding, ...], corpus: Path) -> dict[Coding, list[Weighed]]:
    """The packets of every kind; pictures are made once for all that are not in the cache yet."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for kind in kinds:
        facts = f"1 {asdict(scene)} {variant} {options_of(kind, variant)} {SIZE} {SECONDS} {ENTERS}"
        paths[kind] = (
            folder / f"wakes-{scene.name}-{kind}-{variant.name}-{sha256(facts.encode()).hexdigest()[:10]}.json"
        )
    missing = {kind: path.with_suffix(".mkv") for kind, path in paths.items() if not path.is_file()}
    if missing:
        progress(f"encoding {scene.name}, {variant.name}, as {', '.join(missing)}")
        encode_all(missing, images(scene, corpus, variant.clock), variant)
    for kind, clip in missing.items():
        scales = FeedScales()
        rows = [
            (*astuple(scales.weigh(packet)), packet.keyframe, str(packet.at.media)) for packet in read_packets(clip)
        ]
        paths[kind].write_text(json.dumps(rows))
        clip.unlink()
    return {kind: json.loads(path.read_text()) for kind, path in paths.items()}


def astuple(weight: Weight) -> tuple[int, float | None, str]:
    return weight.size, weight.qp, weight.kind


def encode_all(targets: dict[Coding, Path], pictures: Iterator[np.ndarray], variant: Variant) -> None:
    outs = []
    for kind, path in targets.items():
        out = av.open(str(path), "w")
        stream = out.add_stream("libx264", rate=RATE, options=options_of(kind, variant))
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        outs.append((out, stream))
    for number, picture in enumerate(pictures):
        for out, stream in outs:
            frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            out.mux(stream.encode(frame))
    for out, stream in outs:
        out.mux(stream.encode())
        out.close()


def play(packets: list[Weighed], shown_s: float, losing: bool) -> Outcome:
    """As a sleeping camera: what wakes it, and when."""
    watch, delay, false = PacketWatch(), None, 0
    for number, (size, qp, kind, key, media) in enumerate(packets):
        at = Fraction(media)
        if losing and not key and number % LOST == 0:
            continue
        visit, after = (
            ENTERS <= at < ENTERS + Fraction(shown_s),
            ENTERS + Fraction(shown_s) <= at < ENTERS + Fraction(shown_s) + 3,
        )
        watch.frozen = visit or after
        if watch.update(Weight(size, qp, kind), key, at):  # type: ignore[arg-type]
            if visit and delay is None:
                delay = float(at - ENTERS)
            elif not visit and not after:
                false += 1
                watch.found_nothing()
            watch.relax()
    return Outcome(delay, false, (SECONDS - shown_s - 3) / 60)


def row_of(kind: str, variant: str, outcomes: list[Outcome]) -> dict[str, Any]:
    late = [outcome.delay for outcome in outcomes if outcome.delay is not None]
    return {
        "kind": kind,
        "variant": variant,
        "visits": len(outcomes),
        "missed": sum(outcome.delay is None for outcome in outcomes),
        "delay_median_s": round(percentile(late, 0.5) or 0.0, 2) if late else None,
        "delay_most_s": round(max(late), 2) if late else None,
        "false_per_hour": round(60 * sum(each.false for each in outcomes) / sum(each.minutes for each in outcomes), 1),
    }


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--kinds", type=kinds_of, default=KINDS, help=f"some of {','.join(CODINGS)}")
    made.add_argument(
        "--only", choices=("learnt", "held-out"), help="scenes by which thresholds were chosen, or the others"
    )
    options = prepared(made.parse_args())
    found: dict[tuple[str, str], list[Outcome]] = {}
    for scene in ALL_SCENES:
        if options.only and (scene.name in HELD_OUT) != (options.only == "held-out"):
            continue
        for variant in VARIANTS:
            for kind, packets in weighed(scene, variant, options.kinds, options.corpus).items():
                found.setdefault((kind, variant.name), []).append(play(packets, 2 * scene.shown, losing=False))
                if variant.name == "plain":
                    found.setdefault((kind, "lost packets"), []).append(play(packets, 2 * scene.shown, losing=True))
    rows = [row_of(kind, variant, outcomes) for (kind, variant), outcomes in sorted(found.items())]
    everything = [outcome for outcomes in found.values() for outcome in outcomes]
    total = row_of("all", "all", everything)
    late = [outcome.delay for outcome in everything if outcome.delay is not None]
    figures = {key: total[key] for key in ("visits", "missed", "delay_median_s", "delay_most_s", "false_per_hour")}
    report(options, figures=figures | {"delay_p95_s": round(percentile(late, 0.95) or 0.0, 2)}, rows=rows)


if __name__ == "__main__":
    main()
