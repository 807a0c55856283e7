"""What a classifier's share for a label is worth: the probability that the label is true of the picture.

A logistic model with few terms, fitted on judged pictures (``python -m benchmarks.label_fit`` writes ``calibration.yaml`` beside this
file). A classifier spreads its whole belief over 1000 classes even where none of them is in the picture, so a share is worth less than it
says, and the least where a single class stands for a label.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from streamproc.logic.evidence import sigmoid
from streamproc.perception.looks import Look, LookKind
from streamproc.perception.taxonomy import Taxonomy
from streamproc.perception.word_sums import WordSums

LEAST_SHARE = 0.3
"""Shares under this are not judged and so not told."""
TERMS = ("share", "even", "object", "part", "kind", "single", "few", "agreed", "denied")
_FEW = 6
_MOST = 0.99


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one look says for one label."""

    label: str
    share: float
    """0..1: the sum of its classes."""
    kind: LookKind
    of_object: bool
    """It is a kind of what a detector saw: a breed of the dog."""
    classes: int
    """How many classes are this label."""
    agreed: bool
    """A detector saw it, or a kind of it."""
    denied: bool
    """The detectors know it, or what it is a kind of, and saw none."""

    def terms(self) -> dict[str, float]:
        """The model's inputs by name, without the family's."""
        share = min(_MOST, max(1 - _MOST, self.share))
        return {
            "share": math.log(share / (1 - share)),
            "even": 1.0,
            "object": float(self.kind is LookKind.OBJECT),
            "part": float(self.kind.part),
            "kind": float(self.of_object),
            "single": float(self.classes == 1),
            "few": float(1 < self.classes <= _FEW),
            "agreed": float(self.agreed),
            "denied": float(self.denied),
        }


def evidence_for(
    look: Look, name: str, share: float, seen: Collection[str], words: Taxonomy, sums: WordSums
) -> Evidence:
    """``seen``: labels that detectors found in the picture."""
    known = set(words.models.values())
    agreed = any(words.is_a(each, name) for each in seen)
    above = set(words.labels[name].parents) & known
    kind = not agreed and bool(above & set(seen))
    denied = not agreed and not kind and bool(({name} | above) & known)
    return Evidence(name, share, look.kind, kind, sums.classes_of[name], agreed, denied)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Of one classifier."""

    weights: Mapping[str, float]
    """By term."""
    families: Mapping[str, float]
    """What is added for labels of a category that was judged often enough."""
    unknown: float
    """What is added for all other labels."""
    cap: float
    """The most that a label of a family without truth is told with, 0..100."""
    scene: Mapping[str, float]
    """Weights of indoors against outdoors, by the terms of ``scenes.SceneSigns``."""

    def confidence(self, evidence: Evidence, categories: Collection[str]) -> float:
        """0..100."""
        known = [self.families[name] for name in categories if name in self.families]
        odds = sum(self.weights.get(name, 0.0) * value for name, value in evidence.terms().items())
        sure = 100.0 * sigmoid(odds + (min(known) if known else self.unknown))
        return sure if known else min(self.cap, sure)

    def most(self, name: str, words: Taxonomy, sums: WordSums) -> float:
        """The highest confidence that a label can reach, 0..100; 0 for one that no class leads to."""
        if name not in sums.classes_of:
            return 0.0
        ways = [
            Evidence(name, 1.0, kind, of_object, sums.classes_of[name], agreed, denied=False)
            for kind in LookKind
            for of_object, agreed in _ways(name, words)
        ]
        return max(self.confidence(way, words.labels[name].categories) for way in ways)


def _ways(name: str, words: Taxonomy) -> list[tuple[bool, bool]]:
    """How detectors can stand to a label: whether they can see what it is a kind of, and whether they can see it."""
    known = set(words.models.values())
    if any(words.is_a(each, name) for each in known):
        return [(False, True), (False, False)]
    return [(True, False)] if set(words.labels[name].parents) & known else [(False, False)]


@cache
def calibrations() -> Mapping[str, Calibration]:
    """By the classifier's name. Raises ValueError for a file with other terms than ``TERMS``."""
    text = Path(__file__).with_name("calibration.yaml").read_text(encoding="utf-8")
    return {name: _calibration(name, entry) for name, entry in yaml.safe_load(text).items()}


def _calibration(name: str, entry: Mapping[str, Any]) -> Calibration:
    if set(entry["weights"]) != set(TERMS):
        raise ValueError(f"calibration.yaml: {name} has the terms {sorted(entry['weights'])}, not {sorted(TERMS)}")
    return Calibration(entry["weights"], entry["families"], entry["unknown"], entry["cap"], entry["scene"])
