"""Camera health: how soon each condition is told, and what is told of scenes in which nothing is wrong.

    python -m benchmarks.health [--corpus DIR] [--json]

Scenes are the corpus's clips, played over and over, and a drawn street, as the thumbnails that the camera's health sees (five a second). In each, one
thing goes wrong after 16 s and stays for 21 s: covered three ways, defocused twice, turned elsewhere twice, frozen, too few frames, offline, a wrong
clock. ``late`` counts what was not told within 20 s in scenes whose camera stands still; ``late_moving`` the same of clips that pan or are
carried, where there is no usual view to compare with. Then each scene plays with dusk, a bright day, noise, a grainy night, infra-red, a lamp or rain
in it, and with nothing: everything that is told of these is false.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.common import arguments, percentile, progress, report
from streamproc.logic.camera_health import CameraHealth, HealthChange
from tests.builders.spoiled import END_S, RIGHT, WRONG, WRONG_S, judged, looped, spoiled
from tests.builders.streets import Sequence_, street

LIMIT_S = 20.0
MOVING = frozenset({"constructed_package_pan", "kvs_bezos_vogels", "vidtome_dog", "whitehouse_hamilton"})
"""Clips of the corpus whose camera does not stand still, or that are cut."""
Told = list[tuple[float, HealthChange]]


def frozen(scene: Sequence_) -> Told:
    last = [grey for at, grey in scene if at < WRONG_S][-1]
    return judged((at, grey if at < WRONG_S else last) for at, grey in scene if at < END_S)


def slow(scene: Sequence_) -> Told:
    kept = [pair for number, pair in enumerate(scene) if pair[0] < WRONG_S or (pair[0] < END_S and number % 5 == 0)]
    return judged(kept)


def offline(scene: Sequence_) -> Told:
    """``offline_after`` is the document's to choose: 10 s here."""
    health, found = CameraHealth(), []
    for at, grey in scene:
        if at >= WRONG_S:
            break
        found += [(at, change) for change in health.frame(at)]
        if health.wants(at):
            found += [(at, change) for change in health.picture(at, grey)]
    for second in range(21):
        found += [(WRONG_S + second, change) for change in health.silent(second, 10.0, "lost")]
    return found


def wrong_clock(scene: Sequence_) -> Told:
    health = CameraHealth()
    return [(at, change) for at, _ in scene for change in health.clock(at, 90.0 if at >= WRONG_S else 0.0)]


def cases() -> Iterator[tuple[str, str, Callable[[Sequence_], Told]]]:
    """Name, condition, and what is told of a scene."""
    for name, (change, condition) in WRONG.items():
        yield name, condition.value, lambda scene, change=change: judged(spoiled(scene, change))  # type: ignore[misc]
    yield "frozen", "frozen", frozen
    yield "one frame a second", "low_fps", slow
    yield "offline", "offline", offline
    yield "90 s ahead", "clock", wrong_clock


def main() -> None:
    options = arguments(__doc__)
    clips = sorted((options.corpus / "video").glob("*.m*"))
    scenes = {"drawn street": street()} | {clip.stem: looped(clip) for clip in clips}
    rows: list[dict[str, Any]] = []
    late: list[str] = []
    late_moving: list[str] = []
    for name, condition, told_of in cases():
        progress(name)
        delays, others = [], Counter[str]()
        for scene in scenes.values():
            told = [(at, change) for at, change in told_of(scene) if change.active]
            delays += [min((at - WRONG_S for at, change in told if change.condition.value == condition), default=999.0)]
            others.update(change.condition.value for _, change in told if change.condition.value != condition)
        in_time = [delay for delay in delays if delay <= LIMIT_S]
        missed = [title for title, delay in zip(scenes, delays, strict=True) if delay > LIMIT_S]
        late += [title for title in missed if title not in MOVING]
        late_moving += [title for title in missed if title in MOVING]
        rows.append(
            {
                "what": name,
                "condition": condition,
                "scenes": len(delays),
                "in_time": len(in_time),
                "median_s": round(percentile(delays, 0.5) or 0.0, 1),
                "worst_in_time_s": round(max(in_time, default=0.0), 1),
                "other_conditions": sum(others.values()),
                "missed_in": ", ".join(missed),
            }
        )
    false: list[str] = []
    seconds = 0.0
    for name, change in {**RIGHT, "nothing": lambda grey, chance: grey}.items():
        progress(f"normal: {name}")
        for title, scene in scenes.items():
            sequence = list(spoiled(scene, change))
            seconds += sequence[-1][0]
            false += [f"{title} with {name}: {one.condition.value}" for _, one in judged(sequence) if one.active]
    standing = len(scenes) - len(MOVING & scenes.keys())
    figures = {
        "asked": standing * len(rows),
        "late": len(late),
        "asked_moving": (len(scenes) - standing) * len(rows),
        "late_moving": len(late_moving),
        "slowest_s": max(row["worst_in_time_s"] for row in rows),
        "normal_hours": round(seconds / 3600, 2),
        "false": len(false),
        "false_of": "; ".join(false),
    }
    report(options, figures=figures, rows=rows)


if __name__ == "__main__":
    main()
