"""How far a collection can be trusted: quality per person, people who could be confused, false matches to be expected. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from streamproc.core.faces import StoredFace
from streamproc.core.vision import FloatArray
from streamproc.faces.calibration import Curve

_MOST_FACES: Final = 3000
"""More are sampled evenly: all pairs of a million faces tell no more than those of a few thousand."""
_SHOWN_PAIRS: Final = 20
_NOTEWORTHY: Final = 50.0
_STRANGE_PHOTO: Final = 60.0


@dataclass(frozen=True, slots=True)
class PersonAudit:
    """One person's photos."""

    person: str
    faces: int
    sharpness: float
    """Mean, 0..100."""
    smallest_eye_distance_px: float
    widest_yaw: float
    likeness: float | None
    """Mean similarity (0..100) among their own photos; None with a single one."""
    strange_faces: tuple[str, ...]
    """Ids of photos that resemble none of the person's others: perhaps somebody else's."""
    advice: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConfusablePair:
    """Two people, by their two most similar photos."""

    person: str
    other: str
    similarity: float
    face_id: str
    other_face_id: str


@dataclass(frozen=True, slots=True)
class Audit:
    """The whole report. Rates are shares (0..1) of pairs."""

    threshold: float
    faces: int
    people: tuple[PersonAudit, ...]
    pairs: tuple[ConfusablePair, ...]
    """Most similar first; only those worth a look."""
    different_pairs: int
    false_matches: int
    """Pairs of different people at or above the threshold."""
    false_match_rate: float | None
    """Of one comparison: the tail of a normal curve through the pairs of different people, or what was counted if that is more."""
    false_match_rate_at_most: float | None
    """With 95 % confidence, from the count alone."""
    false_alarm_rate: float | None
    """That a stranger is taken for anybody of this collection."""
    same_pairs: int
    missed: float | None
    """Share of pairs of one person's photos below the threshold."""
    suggested_threshold: float | None
    """Where a stranger is taken for somebody once in a thousand."""

    def document(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def audit(
    faces: Sequence[StoredFace], vectors: FloatArray, curve: Curve, threshold: float
) -> tuple[Audit, npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The report, and the cosines of pairs of one person and of different people, for the picture."""
    total = len(faces)
    if total > _MOST_FACES:
        rows = np.linspace(0, total - 1, _MOST_FACES).astype(int)
        faces, vectors = [faces[row] for row in rows], vectors[rows]
    cosines = np.asarray(vectors @ vectors.T, np.float32)
    people = [face.person for face in faces]
    names, owner = np.unique(np.array(people, dtype=object).astype(str), return_inverse=True)
    upper = np.triu(np.ones((len(faces), len(faces)), np.bool_), 1)
    same = (owner[:, None] == owner[None, :]) & upper
    genuine, strangers = cosines[same], cosines[upper & ~same]
    rate, most = _false_match_rate(strangers, curve.cosine(threshold))
    report = Audit(
        threshold=threshold,
        faces=total,
        people=tuple(
            _person(str(names[k]), np.flatnonzero(owner == k), faces, cosines, curve) for k in range(len(names))
        ),
        pairs=_pairs(names, owner, faces, cosines, curve),
        different_pairs=len(strangers),
        false_matches=int((strangers >= curve.cosine(threshold)).sum()),
        false_match_rate=rate,
        false_match_rate_at_most=most,
        false_alarm_rate=None if rate is None else float(-math.expm1(total * math.log1p(-min(rate, 0.999999)))),
        same_pairs=len(genuine),
        missed=float((genuine < curve.cosine(threshold)).mean()) if len(genuine) else None,
        suggested_threshold=_suggestion(strangers, total, curve),
    )
    return report, genuine, strangers


def _person(
    name: str, rows: npt.NDArray[np.intp], faces: Sequence[StoredFace], cosines: FloatArray, curve: Curve
) -> PersonAudit:
    own = [faces[row] for row in rows]
    likeness, strange = None, []
    if len(rows) > 1:
        block = curve.similarities(cosines[np.ix_(rows, rows)])
        np.fill_diagonal(block, np.nan)
        likeness = float(np.nanmean(block))
        best = np.nanmax(block, axis=1)
        if len(rows) > 2:
            strange = [own[k].face_id for k in np.flatnonzero(best < _STRANGE_PHOTO)]
        elif best.max() < _STRANGE_PHOTO:
            strange = [face.face_id for face in own]
    smallest = min(face.eye_distance_px for face in own)
    return PersonAudit(
        person=name,
        faces=len(own),
        sharpness=float(np.mean([face.sharpness for face in own])),
        smallest_eye_distance_px=smallest,
        widest_yaw=max(abs(face.yaw) for face in own),
        likeness=likeness,
        strange_faces=tuple(strange),
        advice=_advice(own, strange),
    )


def _advice(own: Sequence[StoredFace], strange: Sequence[str]) -> tuple[str, ...]:
    advice = []
    if len(own) < 3:
        advice.append("enrol at least 3 photos from different days and angles")
    if all(abs(face.yaw) > 25 for face in own):
        advice.append("no frontal photo")
    if max(face.eye_distance_px for face in own) < 40:
        advice.append("all photos are small: 40 px between the eyes or more are better")
    if max(face.sharpness for face in own) < 45:
        advice.append("no sharp photo")
    if strange:
        advice.append("some photos do not resemble the others: check that they show the same person")
    return tuple(advice)


def _pairs(
    names: npt.NDArray[Any], owner: npt.NDArray[np.intp], faces: Sequence[StoredFace], cosines: FloatArray, curve: Curve
) -> tuple[ConfusablePair, ...]:
    least = curve.cosine(_NOTEWORTHY)
    first, second = np.nonzero(np.triu((cosines >= least) & (owner[:, None] != owner[None, :]), 1))
    best: dict[tuple[int, int], tuple[float, int, int]] = {}
    for a, b in zip(first, second, strict=True):
        key = (min(int(owner[a]), int(owner[b])), max(int(owner[a]), int(owner[b])))
        found = (float(cosines[a, b]), int(a), int(b))
        if key not in best or found > best[key]:
            best[key] = found
    ranked = sorted(best.values(), key=lambda found: -found[0])[:_SHOWN_PAIRS]
    return tuple(
        ConfusablePair(
            str(names[owner[a]]), str(names[owner[b]]), curve.similarity(cosine), faces[a].face_id, faces[b].face_id
        )
        for cosine, a, b in ranked
    )


def _false_match_rate(strangers: npt.NDArray[np.float32], cosine: float) -> tuple[float | None, float | None]:
    """Estimate and 95 % bound. Pairs share faces, so the bound is a little too hopeful; it says how little is known."""
    if len(strangers) < 10:
        return None, None
    counted = float((strangers >= cosine).mean())
    spread = max(float(strangers.std()), 1e-3)
    tail = 0.5 * math.erfc((cosine - float(strangers.mean())) / spread / math.sqrt(2))
    hits = int((strangers >= cosine).sum())
    # Wilson's upper bound; with no hit it is near the rule of three.
    z, n = 1.645, len(strangers)
    centre = (hits + z * z / 2) / (n + z * z)
    half = z * math.sqrt(hits * (n - hits) / n + z * z / 4) / (n + z * z)
    return max(counted, tail), min(1.0, centre + half)


def _suggestion(strangers: npt.NDArray[np.float32], faces: int, curve: Curve) -> float | None:
    if len(strangers) < 10:
        return None
    mean, spread = float(strangers.mean()), max(float(strangers.std()), 1e-3)
    wanted = 0.001 / max(faces, 1)
    low, high = 0.0, 12.0
    for _ in range(60):  # the normal tail has no inverse in closed form
        middle = (low + high) / 2
        low, high = (middle, high) if 0.5 * math.erfc(middle / math.sqrt(2)) > wanted else (low, middle)
    return min(99.9, max(80.0, curve.similarity(max(mean + high * spread, float(strangers.max())))))
