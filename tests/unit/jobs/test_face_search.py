"""A face search says whose body a face belongs to."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np

from streamproc.core.vision import Box
from streamproc.jobs.face_analysis import FaceSearchAnalysis
from streamproc.jobs.video import VideoFrame
from streamproc.media.picture import ArrayPicture


def analysis_of(faces: list[Any], people: list[Box] | None, asked: list[str]) -> FaceSearchAnalysis:
    """With a perception and a finder that say what is given; they stand in for models."""
    made = FaceSearchAnalysis.__new__(FaceSearchAnalysis)
    made._step, made._rows = 1, []
    made._perception = SimpleNamespace(look=lambda frame: SimpleNamespace(faces=faces))  # type: ignore[assignment]

    def find(image: Any, least: float, memo: Any, *, only: str) -> list[Any]:
        asked.append(only)
        return [SimpleNamespace(box=box) for box in people or []]

    made._objects = None if people is None else SimpleNamespace(find=find)  # type: ignore[assignment]
    return made


def test_the_body_is_told_where_it_is_seen_and_looked_for_only_where_there_is_a_face(monkeypatch: Any) -> None:
    monkeypatch.setattr("streamproc.jobs.face_analysis.face_to", lambda face: {})
    face = SimpleNamespace(
        track="t1", matches=[], detected=SimpleNamespace(face=SimpleNamespace(box=Box(0.45, 0.1, 0.55, 0.2), score=0.9))
    )
    frame = VideoFrame(0, Fraction(0), ArrayPicture(np.zeros((360, 640, 3), np.uint8)), None)
    asked: list[str] = []
    body = Box(0.4, 0.05, 0.6, 0.9)
    seen = analysis_of([face], [body, Box(0.0, 0.0, 1.0, 1.0)], asked)
    seen.add(frame)
    ((row,),) = [seen.take()]
    assert row["box"] == [0.4, 0.05, 0.6, 0.9] and asked == ["person"]
    without = analysis_of([face], None, asked)
    without.add(frame)
    assert "box" not in without.take()[0]
    nobody = analysis_of([], [body], asked)
    nobody.add(frame)
    assert nobody.take() is None and asked == ["person"]
