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
    made._perception = SimpleNamespace(look=lambda frame: SimpleNamespace(faces=faces, tracks=[]))  # type: ignore[assignment]

    def find(image: Any, least: float, memo: Any) -> list[Any]:
        asked.append("people")
        return [SimpleNamespace(box=box) for box in people or []]

    made._objects = None if people is None else SimpleNamespace(people=find)  # type: ignore[assignment]
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
    assert row["box"] == [0.4, 0.05, 0.6, 0.9] and asked == ["people"]
    without = analysis_of([face], None, asked)
    without.add(frame)
    assert "box" not in without.take()[0]
    nobody = analysis_of([], [body], asked)
    nobody.add(frame)
    assert nobody.take() is None and asked == ["people"]


def rows_of(*paths: tuple[int, str | None, int, int]) -> list[dict[str, Any]]:
    """Looks twice a second at faces that are followed: (track, who it is decided to be after a second, from and to second)."""
    return [
        {"ms": ms, "track": track, "who": who if ms >= first * 1000 + 1000 else None}
        for ms in range(0, 40_000, 500)
        for track, who, first, last in paths
        if first * 1000 <= ms <= last * 1000
    ]


def indexes(rows: list[dict[str, Any]]) -> dict[int, set[int]]:
    """The numbers under which each track is told."""
    made = FaceSearchAnalysis.__new__(FaceSearchAnalysis)
    told = made.conclude([rows], None, 0)["persons"]  # type: ignore[arg-type]
    assert all("who" not in row and "track" not in row for row in told)
    found: dict[int, set[int]] = {}
    for row, person in zip(rows, told, strict=True):
        found.setdefault(row["track"], set()).add(person["index"])
    return found


def test_who_is_surely_somebody_from_before_a_cut_keeps_the_number() -> None:
    """By the collection or as an unknown person; not who was never decided, nor who is seen beside that person."""
    rows = rows_of(
        (1, "person:alice", 0, 5), (2, "unknown:1", 0, 5), (3, "person:alice", 6, 12), (4, "unknown:1", 8, 12)
    )
    assert indexes(rows) == {1: {0}, 2: {1}, 3: {0}, 4: {1}}
    rows = rows_of((1, None, 0, 5), (2, None, 6, 9), (3, "person:alice", 10, 20), (4, "person:alice", 15, 25))
    assert indexes(rows) == {1: {0}, 2: {1}, 3: {2}, 4: {3}}


def test_a_face_that_is_not_followed_is_a_person_of_its_own() -> None:
    assert indexes([{"ms": 0, "track": 0, "who": None}, {"ms": 500, "track": 0, "who": None}]) == {0: {0, 1}}
