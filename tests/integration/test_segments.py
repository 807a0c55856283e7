"""Segment detection on programmes that are drawn and encoded here, so that every frame's truth is known."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamproc.jobs.segment_analysis import SegmentAnalysis, SegmentOptions
from streamproc.jobs.video import Sound, StoredVideo
from streamproc.logic.smpte import timecode
from tests import videos

SLATE = ["PROD. EXAMPLE", "SCENE 12  TAKE 3", "DIRECTOR J. DOE", "CAMERA R. ROE", "DATE 2026-01-01"]


def analyse(path: Path, options: SegmentOptions | None = None) -> dict[str, Any]:
    video = StoredVideo(str(path), path.name)
    analysis = SegmentAnalysis(options or SegmentOptions(), video.facts)
    frames = 0
    for item in video.items(sound=True):
        if isinstance(item, Sound):
            analysis.hear(item)
        else:
            analysis.add(item)
            frames += 1
    analysis.finish()
    result = analysis.conclude([analysis.take()], video.facts, frames)
    video.close()
    return result


def kinds(result: dict[str, Any]) -> list[tuple[str, int, int]]:
    return [(cue["type"], cue["start"], cue["end"]) for cue in result["cues"]]


@pytest.fixture(scope="module")
def programme(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Bars, slate, three shots, black with a sound in it, a shot, rolling credits, black: 415 frames."""
    parts = [
        videos.black(20),
        videos.bars(40),
        videos.black(15),
        videos.card(SLATE, 40),
        videos.black(15),
        videos.scene(1, 40),
        videos.scene(2, 35),
        videos.black(25),
        videos.scene(3, 60),
        videos.black(20),
        videos.credits(80),
        videos.black(25),
    ]
    pictures = [picture for part in parts for picture in part]
    sound = np.zeros(int(len(pictures) / 25 * 48_000))
    sound[int(130 / 25 * 48_000) : int(280 / 25 * 48_000)] = videos.tone(6.0)
    path = videos.write(tmp_path_factory.mktemp("programme") / "p.mp4", pictures, sound=sound)
    return analyse(path)


def test_cues_tile_the_programme_and_share_their_border_frames(programme: dict[str, Any]) -> None:
    assert [kind for kind, _, _ in kinds(programme)] == [
        *("BlackFrames", "ColorBars", "BlackFrames", "Slate", "BlackFrames", "Content"),
        *("BlackFrames", "EndCredits", "BlackFrames"),
    ]
    cues = programme["cues"]
    assert cues[0]["start"] == 0 and cues[-1]["end"] == 414
    assert all(after["start"] == before["end"] for before, after in itertools.pairwise(cues))
    assert [cue["end"] for cue in cues[:5]] == [19, 59, 74, 114, 129]
    assert all(50 <= cue["confidence"] <= 100 for cue in cues)


def test_black_with_sound_is_content(programme: dict[str, Any]) -> None:
    content = [(start, end) for kind, start, end in kinds(programme) if kind == "Content"]
    assert content == [(129, 289)]


def test_shots_start_at_every_cut(programme: dict[str, Any]) -> None:
    starts = [shot["start"] for shot in programme["shots"]]
    assert {20, 60, 75, 115, 130, 170, 205, 230, 290} <= set(starts)
    assert all(50 <= shot["confidence"] <= 100 for shot in programme["shots"])


def test_filters(tmp_path: Path) -> None:
    grey = [np.full((180, 320, 3), 45, np.uint8)] * 20
    path = videos.write(tmp_path / "dark.mp4", [*grey, *videos.scene(1, 30)])
    assert kinds(analyse(path))[0] == ("BlackFrames", 0, 19)
    strict = analyse(path, SegmentOptions(max_pixel_threshold=0.05))
    assert all(kind != "BlackFrames" for kind, _, _ in kinds(strict))
    assert analyse(path, SegmentOptions(shots=False))["shots"] == []
    assert analyse(path, SegmentOptions(cues=False))["cues"] == []


def test_ntsc_numbers(tmp_path: Path) -> None:
    rate = Fraction(30000, 1001)
    path = videos.write(tmp_path / "ntsc.mp4", [*videos.scene(1, 50), *videos.scene(2, 55)], rate=rate)
    first, second = analyse(path)["shots"]
    assert (first["end"], second["start"], second["end"]) == (49, 50, 104)
    assert (first["end_ms"], second["start_ms"], second["end_ms"]) == (1634, 1668, 3470)
    assert second["end_smpte"] == timecode(104, rate) == "00:00:03;14"
    assert second["duration_smpte"] == "00:00:01;24"


@pytest.mark.parametrize("order", ["wycgmrb", "wycgmrbk"])
def test_bars_of_other_makes(tmp_path: Path, order: str) -> None:
    if order.endswith("k"):
        frames = videos.bars(30, order[:-1], level=255)
        frames = [np.concatenate([frame[:, :290], np.zeros((180, 30, 3), np.uint8)], axis=1) for frame in frames]
    else:
        frames = videos.bars(30)
    path = videos.write(tmp_path / "bars.mp4", [*frames, *videos.scene(2, 40)])
    assert kinds(analyse(path))[0] == ("ColorBars", 0, 29)


def test_a_still_camera_with_a_clock_is_content(tmp_path: Path) -> None:
    picture = np.full((180, 320, 3), 30, np.uint8)
    frames = [*videos.card(["2026-11-21 03:12:44"], 60, ground=30)]
    assert picture.shape == frames[0].shape
    assert kinds(analyse(videos.write(tmp_path / "clock.mp4", frames))) == [("Content", 0, 59)]
