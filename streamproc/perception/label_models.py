"""Which models look for which classes. Only those of the asked classes are loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import structlog

from streamproc.config.model_settings import Profile
from streamproc.contracts import Classifier, Detector
from streamproc.core.classes import (
    OBJECT_GROUPS,
    Group,
    ModelPart,
    any_moving,
    asked_groups,
    followed,
    imagenet_indexes,
)
from streamproc.core.errors import ModelUnavailable
from streamproc.logic.evidence import family
from streamproc.perception.detect import group_of
from streamproc.vision.profiles import alternatives

log = structlog.get_logger(__name__)
WIDE, SQUARE, TALL = (640, 384), (512, 512), (384, 640)
"""Sizes (width, height) of the any-size detector for whole frames, by their shape: never stretch, waste little."""
CROP = (416, 416)


class Zoo(Protocol):
    """What is needed of ``vision.zoo.ModelZoo``."""

    def profile(self, name: str = "default") -> Profile: ...

    def first(self, names: Iterable[str], size: tuple[int, int] | None = None) -> Detector: ...

    def those_had(
        self, names: Iterable[str | tuple[str, ...]], size: tuple[int, int] | None = None
    ) -> list[Detector]: ...

    def first_classifier(self, names: Iterable[str]) -> Classifier: ...

    def present(self, name: str) -> bool: ...


@dataclass(frozen=True)
class LabelModels:
    """The models of one set of classes. Holds no state of a feed; shared by all."""

    zoo: Zoo
    classes: frozenset[str]
    people: tuple[str, ...]
    """People detectors by name; the first that can be had is used. Also where only what people carry is asked for."""
    extra: tuple[Detector, ...]
    """Detectors beside the people detector that run on whole frames and crops."""
    proposals: tuple[Detector, ...]
    """Class-free proposals for packages."""
    classifier: Classifier | None

    def whole(self, width: int, height: int) -> tuple[Detector, ...]:
        """The detectors for a whole frame of that many pixels."""
        if not self.people:
            return ()
        return _once(self.zoo.first(self.people, frame_size(width, height)), *self.extra)

    def close(self) -> tuple[Detector, ...]:
        """The detectors for a crop. DEIMv2 costs a third of it and adds little there (see the crop votes in ``core.classes``)."""
        return _once(self.zoo.first(self.people, CROP), *(each for each in self.extra if family(each.name) != "deimv2"))

    @property
    def objects(self) -> bool:
        """Whether anything that moves is asked for, so that there are second looks at it."""
        return any_moving(self.classes)

    @cached_property
    def classified(self) -> Mapping[Group, Sequence[int]]:
        """Which of the classifier's classes speak for which asked group in a second look (indexes)."""
        if self.classifier is None:
            return {}
        asked = [group for group in asked_groups(self.classes) if not group.traits.still]
        found = {group: imagenet_indexes(self.classifier.names, group.traits.imagenet) for group in asked}
        return {group: indexes for group, indexes in found.items() if indexes}


def frame_size(width: int, height: int) -> tuple[int, int]:
    """The input size for a whole frame of that many pixels."""
    shape = width / max(1, height)
    return WIDE if shape > 1.25 else TALL if shape < 0.8 else SQUARE


def load_models(zoo: Zoo, classes: Iterable[str], profile: str = "default") -> LabelModels:
    """Load what ``classes`` need. What can do without a model does, and the log says which is missing.

    Raises ModelUnavailable where nothing could look for what moves, and InputError for an unknown profile.
    """
    asked = frozenset(classes)
    needed = _parts(asked)
    chosen = zoo.profile(profile)
    people = _people(zoo, chosen.person, asked) if ModelPart.PERSON in needed else None
    extra = zoo.those_had(name for name in chosen.pet if name != people) if ModelPart.PET in needed else []
    proposals = zoo.those_had(chosen.proposals) if ModelPart.PROPOSALS in needed else []
    classifier = _verifier(zoo, chosen.verifier) if ModelPart.VERIFIER in needed else None
    return LabelModels(zoo, asked, chosen.person if people else (), tuple(extra), tuple(proposals), classifier)


def _people(zoo: Zoo, names: Sequence[str], asked: frozenset[str]) -> str | None:
    """The people detector that can be had. None is missed only where people are asked for, not where they may carry what is."""
    try:
        return zoo.first(names, WIDE).name
    except ModelUnavailable:
        if any_moving(asked):
            raise
        log.warning("people_detector_missing", effect="packages are found where they lie, not in somebody's hands")
        return None


def _parts(classes: frozenset[str]) -> frozenset[ModelPart]:
    """The parts that models play for any of the classes."""
    return frozenset(part for group in asked_groups(followed(classes)) for part in group.traits.parts)


def load_small_models(zoo: Zoo, classes: Iterable[str]) -> LabelModels | None:
    """The models of profile ``small``, for a node that has too much to do; None where one of them would have to be fetched."""
    asked = frozenset(classes)
    small = zoo.profile("small")
    names: Mapping[ModelPart, Iterable[str | tuple[str, ...]]] = {
        ModelPart.PERSON: small.person,
        ModelPart.PET: small.pet,
        ModelPart.PROPOSALS: small.proposals,
        ModelPart.VERIFIER: (small.verifier,),
    }
    needed = [alternatives(entry) for part in _parts(asked) for entry in names[part]]
    if not any_moving(asked) or not all(any(map(zoo.present, group)) for group in needed):
        return None
    models = load_models(zoo, asked, "small")
    for width, height in (WIDE, SQUARE, TALL):
        models.whole(width, height)  # compiled here, not by the first lane that looks
    models.close()
    return models


def _verifier(zoo: Zoo, names: Iterable[str]) -> Classifier | None:
    try:
        return zoo.first_classifier(names)
    except ModelUnavailable:
        log.warning("verifier_missing", effect="packages are not looked for, pets are seen without it")
        return None


def known_groups(detectors: Iterable[Detector]) -> Mapping[str, frozenset[Group]]:
    """The groups that each detector has classes of, by its name."""
    return {
        each.name: frozenset(group for group in map(group_of, each.names) if group in OBJECT_GROUPS)
        for each in detectors
    }


def _once(*detectors: Detector) -> tuple[Detector, ...]:
    """Without repetition by name (the SSD may stand in for the people detector)."""
    return tuple({each.name: each for each in detectors}.values())
