"""Which models look for which classes. Only those of the asked classes are loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from streamproc.contracts import Classifier, Detector
from streamproc.logic.evidence import OBJECT_GROUPS, Group
from streamproc.perception.detect import group_of

WIDE, SQUARE, TALL = (640, 384), (512, 512), (384, 640)
"""Sizes (width, height) of the any-size detector for whole frames, by their shape: never stretch, waste little."""
CROP = (416, 416)
_PETS = ("ssd_oidv4", "deimv2_femto")
_PROPOSALS = ("ssd_oidv4", "deimv2_femto", "mobile_object_localizer")


class Zoo(Protocol):
    """What is needed of ``vision.zoo.ModelZoo``."""

    def detector(self, name: str, size: tuple[int, int] | None = None) -> Detector: ...

    def classifier(self, name: str = "mobilenet_v2") -> Classifier: ...

    def person_detector(self, size: tuple[int, int] | None = None) -> Detector: ...


@dataclass(frozen=True)
class LabelModels:
    """The models of one set of classes. Holds no state of a feed; shared by all."""

    zoo: Zoo
    classes: frozenset[str]
    extra: tuple[Detector, ...]
    """Detectors beside the people detector that run on whole frames and crops."""
    proposals: tuple[Detector, ...]
    """Class-free proposals for packages."""
    classifier: Classifier | None

    def whole(self, width: int, height: int) -> tuple[Detector, ...]:
        """The detectors for a whole frame of that many pixels."""
        if not self.objects:
            return ()
        shape = width / height
        size = WIDE if shape > 1.25 else TALL if shape < 0.8 else SQUARE
        return _once(self.zoo.person_detector(size), *self.extra)

    def close(self) -> tuple[Detector, ...]:
        """The detectors for a crop."""
        return _once(self.zoo.person_detector(CROP), *self.extra)

    @property
    def objects(self) -> bool:
        """Whether people or pets are looked for at all."""
        return bool(self.classes & {"PERSON", "PET"})


def load_models(zoo: Zoo, classes: Iterable[str], *, accurate: bool = False) -> LabelModels:
    """Load what ``classes`` need. Raises ModelUnavailable."""
    asked = frozenset(classes)
    pets = [zoo.detector(name) for name in _PETS] if "PET" in asked else []
    proposals = [zoo.detector(name) for name in _PROPOSALS] if "PACKAGE" in asked else []
    classifier = zoo.classifier() if asked & {"PET", "PACKAGE"} else None
    models = LabelModels(zoo, asked, tuple(pets), tuple(proposals), classifier)
    if models.objects:
        zoo.person_detector(WIDE)
    return models


def known_groups(detectors: Iterable[Detector]) -> Mapping[str, frozenset[Group]]:
    """The groups that each detector has classes of, by its name."""
    return {
        each.name: frozenset(group for group in map(group_of, each.names) if group in OBJECT_GROUPS)
        for each in detectors
    }


def _once(*detectors: Detector) -> tuple[Detector, ...]:
    """Without repetition by name (the SSD may stand in for the people detector)."""
    return tuple({each.name: each for each in detectors}.values())
