"""Shots at zero frames of tolerance beside scenedetect's defaults, and technical cues frame by frame.

A shot border is scored where it is a hard cut in the truth: ours is the StartFrameNumber of a shot that follows its neighbour
directly, scenedetect's is the start of a scene. Borders inside a transition that the truth calls gradual count as wrong.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from scenedetect import AdaptiveDetector, ContentDetector, SceneManager, open_video

from benchmarks.common import arguments, progress, report
from streamproc.jobs.segment_analysis import SegmentAnalysis, SegmentOptions
from streamproc.jobs.video import Sound, StoredVideo


def segments_of(path: Path) -> tuple[dict[str, Any], int]:
    """What segment detection finds in a file, and how many frames it has."""
    video = StoredVideo(str(path), path.name)
    analysis = SegmentAnalysis(SegmentOptions(), video.facts)
    frames = 0
    for item in video.items(sound=True):
        if isinstance(item, Sound):
            analysis.hear(item)
        else:
            analysis.add(item)
            frames += 1
    analysis.finish()
    found = analysis.conclude([analysis.take()], video.facts, frames)
    video.close()
    return found, frames


def cuts_of(found: dict[str, Any]) -> set[int]:
    """First frames of shots that follow the shot before without a soft transition between."""
    return {b["start"] for a, b in pairwise(found["shots"]) if b["start"] == a["end"] + 1}


def scenedetect_cuts(path: Path, detector: Any) -> set[int]:
    manager = SceneManager()
    manager.add_detector(detector)
    manager.detect_scenes(open_video(str(path)))
    return {scene[0].frame_num for scene in manager.get_scene_list()[1:]}


def cue_frames(found: dict[str, Any], frames: int) -> list[str]:
    """The cue of each frame. A cue's first frame is shared with the one before and counts for that."""
    names = ["-"] * frames
    for cue in reversed(found["cues"]):
        for index in range(cue["start"], cue["end"] + 1):
            names[index] = cue["type"]
    return names


def truth_cues(truth: dict[str, Any], frames: int) -> list[str] | None:
    """The cue of each frame; None where the truth has none for this video."""
    if "technical_cues" not in truth:
        return None
    names = ["Content"] * frames
    for cue in truth["technical_cues"]:
        for index in range(cue["start_frame"], cue["end_frame"] + 1):
            names[index] = cue["type"]
    return names


def f1(right: int, wrong: int, missed: int) -> float:
    return 2 * right / (2 * right + wrong + missed) if right + wrong + missed else 1.0


def truths(corpus: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for file in sorted((corpus / "shots").glob("truth_*.json")):
        truth = json.loads(file.read_text())
        named = Path(truth["video"])
        video = corpus / named if len(named.parts) > 1 else corpus / "shots" / named
        if video.is_file():
            yield video, truth


def main() -> None:
    options = arguments(__doc__)
    rows, figures = [], {}
    score = {name: Counter[str]() for name in ("ours", "content", "adaptive")}
    cues: dict[str, Counter[str]] = {}
    for video, truth in truths(options.corpus):
        progress(video.name)
        found, frames = segments_of(video)
        wanted = set(truth["hard_cut_frames"])
        row: dict[str, Any] = {"video": video.name, "cuts": len(wanted)}
        answers = {
            "ours": cuts_of(found),
            "content": scenedetect_cuts(video, ContentDetector()),
            "adaptive": scenedetect_cuts(video, AdaptiveDetector()),
        }
        for name, answer in answers.items():
            score[name].update(right=len(answer & wanted), wrong=len(answer - wanted), missed=len(wanted - answer))
            row[f"{name}_f1"] = f1(len(answer & wanted), len(answer - wanted), len(wanted - answer))
        rows.append(row)
        expected = truth_cues(truth, frames)
        if expected is not None:
            for got, want in zip(cue_frames(found, frames), expected, strict=True):
                cues.setdefault(want, Counter())["right" if got == want else "missed"] += 1
                if got != want:
                    cues.setdefault(got, Counter())["wrong"] += 1
    for name, figure in (
        ("ours", "shot_f1"),
        ("content", "scenedetect_shot_f1"),
        ("adaptive", "scenedetect_adaptive_f1"),
    ):
        figures[figure] = round(f1(score[name]["right"], score[name]["wrong"], score[name]["missed"]), 4)
    for kind, counts in sorted(cues.items()):
        for verdict in ("right", "wrong", "missed"):
            figures[f"{kind}_{verdict}"] = counts[verdict]
    report(options, figures=figures, rows=rows)


if __name__ == "__main__":
    main()
