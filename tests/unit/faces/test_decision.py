from __future__ import annotations

import numpy as np
import pytest

from streamproc.core.faces import FaceVerdict
from streamproc.faces.calibration import CURVES, curve_for
from streamproc.faces.decision import DecisionPolicy, Rival, TrackEvidence, decide, logit

POLICY = DecisionPolicy()


def seen(looks: int, *, votes: dict[str, int] | None = None, weight: float = 0.6, good: bool = True) -> TrackEvidence:
    evidence = TrackEvidence.start(0.0, 4)
    names = [name for name, count in (votes or {}).items() for _ in range(count)]
    for look in range(looks):
        name = names[look] if look < len(names) else None
        evidence.add(np.array([1, 0, 0, 0], np.float32), weight, name, good=good, eye_distance_px=30)
    return evidence


def verdict(evidence: TrackEvidence, rivals: list[Rival], now_s: float = 1.0, faces: int = 10) -> FaceVerdict:
    return decide(evidence, rivals, faces, now_s, POLICY).verdict


ALICE = {"alice": 5}


@pytest.mark.parametrize(
    ("evidence", "rivals", "now_s", "faces", "expected"),
    [
        (seen(5, votes=ALICE), [Rival("alice", 95)], 1.0, 10, FaceVerdict.MATCHED),
        (seen(1, votes={"alice": 1}), [Rival("alice", 99)], 1.0, 10, FaceVerdict.PENDING),
        (seen(5, votes=ALICE), [Rival("alice", 79)], 1.0, 10, FaceVerdict.PENDING),
        (seen(5, votes=ALICE), [Rival("alice", 90), Rival("bob", 88)], 1.0, 10, FaceVerdict.PENDING),
        (seen(5, votes=ALICE), [Rival("alice", 90), Rival("bob", 70)], 1.0, 10, FaceVerdict.MATCHED),
        (seen(5, votes=ALICE), [Rival("alice", 90), Rival("alice2", 88, True)], 1.0, 10, FaceVerdict.MATCHED),
        (seen(5, votes={"alice": 1, "bob": 4}), [Rival("alice", 95)], 1.0, 10, FaceVerdict.PENDING),
        (seen(2, votes=ALICE, weight=0.05), [Rival("alice", 95)], 1.0, 10, FaceVerdict.PENDING),
        (seen(5, votes=ALICE), [Rival("alice", 84)], 1.0, 1_000_000, FaceVerdict.PENDING),
        (seen(5, votes=ALICE), [Rival("alice", 98.5)], 1.0, 1_000_000, FaceVerdict.MATCHED),
        (seen(5, votes=ALICE, good=False), [Rival("alice", 99)], 1.0, 10, FaceVerdict.PENDING),
        (seen(5), [], 1.2, 10, FaceVerdict.UNKNOWN),
        (seen(5), [], 0.6, 10, FaceVerdict.PENDING),
        (seen(2), [], 2.0, 10, FaceVerdict.PENDING),
        (seen(5), [Rival("alice", 75)], 1.2, 10, FaceVerdict.PENDING),
        (seen(9), [Rival("alice", 75)], 3.1, 10, FaceVerdict.UNKNOWN),
        (seen(9, good=False), [], 9.0, 10, FaceVerdict.PENDING),
    ],
    ids=[
        "sure", "one look is not enough", "below the threshold", "two alike: no guess", "clear margin", "two names of one human",
        "looks disagree", "poor looks", "a crowd asks for more", "enough for a crowd", "only profiles and blurs", "resembles nobody", "too soon to say unknown",
        "too few looks to say unknown", "in doubt: wait", "in doubt for long: unknown", "never seen well: say nothing",
    ],
)  # fmt: skip
def test_verdicts(
    evidence: TrackEvidence, rivals: list[Rival], now_s: float, faces: int, expected: FaceVerdict
) -> None:
    assert verdict(evidence, rivals, now_s, faces) is expected


def test_the_mean_is_weighted_by_quality() -> None:
    evidence = TrackEvidence.start(0.0, 2)
    evidence.add(np.array([1, 0], np.float32), 1.0, None, good=True, eye_distance_px=40)
    evidence.add(np.array([0, 1], np.float32), 0.1, None, good=False, eye_distance_px=12)
    assert evidence.mean[0] == pytest.approx(0.995, abs=0.001)
    assert np.linalg.norm(evidence.mean) == pytest.approx(1)


def test_votes_from_before_the_collection_changed_do_not_count() -> None:
    evidence = seen(8)
    assert verdict(evidence, [Rival("alice", 99)]) is FaceVerdict.PENDING
    evidence.forget_votes()
    evidence.add(np.array([1, 0, 0, 0], np.float32), 0.6, "alice", good=True, eye_distance_px=30)
    assert verdict(evidence, [Rival("alice", 99)]) is FaceVerdict.MATCHED


def test_evidence_says_what_it_rests_on() -> None:
    decision = decide(seen(5, votes=ALICE), [Rival("alice", 95.1234), Rival("bob", 40)], 10, 1.0, POLICY)
    assert decision.person == "alice"
    assert decision.evidence == {"looks": 5, "eye_distance_px": 30.0, "similarity": 95.12, "runner_up": 40.0}


@pytest.mark.parametrize("name", [*CURVES, "somebody's own"])
def test_curves_pass_through_their_anchors_and_back(name: str) -> None:
    curve = curve_for(name)
    assert curve.similarity(curve.at_80) == pytest.approx(80)
    assert curve.similarity(curve.at_99) == pytest.approx(99)
    assert curve.similarity(-1) < 1
    assert curve.similarity(1) > 99.8
    for similarity in (0.5, 20, 50, 80, 95, 99.5):
        assert curve.similarity(curve.cosine(similarity)) == pytest.approx(similarity)
    cosines = np.linspace(-1, 1, 50).astype(np.float32)
    assert (np.diff(curve.similarities(cosines)) > 0).all()
    assert (curve.cosine(0), curve.cosine(100)) == (-1.0, 1.0)


def test_logits_stay_finite() -> None:
    assert logit(0) == pytest.approx(-logit(100))
    assert logit(50) == 0
