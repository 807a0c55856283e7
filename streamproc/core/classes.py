"""The table of label classes: one row a class, read by whatever looks for classes, weighs them or announces them.

A new class is one more row at the end: what the models call it, which models look for it, and what a score of theirs means for it.
CONTRIBUTING.md has the recipe. Rows keep their places: trackers keep a class by its number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Final

ImagenetSpan = str | tuple[str, str]
"""One class of ImageNet (ILSVRC2012), or all from the first to the last one in its order; each by its first word or words."""


class ModelPart(Enum):
    """The parts that models play (the fields of ``config.model_settings.Profile``)."""

    PERSON = "person"
    """One general detector, on whole frames and on crops."""
    PET = "pet"
    """Further detectors beside it."""
    PROPOSALS = "proposals"
    """Boxes without a class, for what no detector knows."""
    VERIFIER = "verifier"
    """An image classifier."""


@dataclass(frozen=True, slots=True)
class Vote:
    """What a model's score means for a class: ``slope * (logit(score) - logit(neutral))`` in log-odds."""

    slope: float
    neutral: float
    """The score at which the model is right half of the time, at a camera (where there is mostly nothing)."""
    weight: float = 0.3
    """Its part in the mean of all models; the weights of the models that looked are scaled to 1."""


@dataclass(frozen=True, slots=True)
class ClassTraits:
    """What is known of one label class."""

    members: tuple[str, ...]
    """Its names in the detectors' common vocabulary (COCO's words where COCO has the class, lower case)."""
    announced: bool = False
    """Whether a processor can be asked for it. Otherwise it only explains away: what is a horse is no person."""
    parts: tuple[ModelPart, ...] = ()
    """Which models are loaded for it where it is asked for."""
    still: bool = False
    """It stays where it was put: detectors of moving objects do not vote on it (it needs a search of its own, as ``perception.parcels``
    is), it has no second look, and it keeps no visit open."""
    carriers: tuple[str, ...] = ()
    """Rows that are followed for it and not announced where they are not asked for: what somebody carries is found on the carrier."""
    moves_in_place: bool = False
    """It moves without going anywhere, so that a track of it explains the motion in its box even while it stays."""
    imagenet: tuple[ImagenetSpan, ...] = ()
    """What an ImageNet classifier takes it for."""
    frame_votes: Mapping[str, Vote] = field(default_factory=dict)
    """Of a whole frame, by model family."""
    crop_votes: Mapping[str, Vote] = field(default_factory=dict)
    """Of a tight crop of what moves, often dark and small: there the SSD sees most, and a classifier knows fur."""


_NO_TRAITS = ClassTraits(members=())


class Group(StrEnum):
    """What an object may be: the classes that can be announced, and those that explain them away.

    The votes were fitted by logistic regression on photographs with known boxes (COCO val2017, VOC2012), whole frames and tight crops
    that were made dark, grey, small and noisy; scores that no model reaches there were set by their neighbours.
    """

    traits: ClassTraits

    def __new__(cls, name: str, traits: ClassTraits = _NO_TRAITS) -> Group:
        # The default is never used by a row: it lets type checkers accept the look-up ``Group(name)``.
        member = str.__new__(cls, name)
        member._value_ = name
        member.traits = traits
        return member

    PERSON = (
        "PERSON",
        ClassTraits(
            members=("person",),
            announced=True,
            parts=(ModelPart.PERSON,),
            moves_in_place=True,
            frame_votes={
                "yolox": Vote(0.9, 0.17, 0.35),
                "nanodet": Vote(1.3, 0.30, 0.4),
                "deimv2": Vote(1.0, 0.30, 0.5),
                "ssd": Vote(1.9, 0.33, 0.15),
            },
            crop_votes={
                "yolox": Vote(0.7, 0.16, 0.2),
                "nanodet": Vote(1.2, 0.30, 0.2),
                "deimv2": Vote(0.8, 0.32, 0.2),
                "ssd": Vote(1.9, 0.35, 0.6),
            },
        ),
    )
    PET = (
        "PET",
        ClassTraits(
            members=("cat", "dog"),
            announced=True,
            parts=(ModelPart.PERSON, ModelPart.PET, ModelPart.VERIFIER),
            imagenet=(("Chihuahua", "Mexican hairless"), ("tabby", "Egyptian cat")),
            frame_votes={
                "yolox": Vote(0.75, 0.30, 0.25),
                "nanodet": Vote(1.4, 0.32, 0.3),
                "deimv2": Vote(1.15, 0.42, 0.4),
                "ssd": Vote(1.2, 0.40, 0.35),
            },
            crop_votes={
                "yolox": Vote(1.0, 0.12, 0.12),
                "nanodet": Vote(1.4, 0.28, 0.12),
                "deimv2": Vote(1.0, 0.30, 0.1),
                "ssd": Vote(1.75, 0.32, 0.5),
                "classifier": Vote(0.7, 0.50, 0.3),
            },
        ),
    )
    PACKAGE = (
        "PACKAGE",
        ClassTraits(
            members=("box", "suitcase"),
            announced=True,
            parts=(ModelPart.PROPOSALS, ModelPart.VERIFIER),
            still=True,
            carriers=("PERSON",),
            # What parcels are taken for. Not ImageNet's bags: they find no parcel that these miss, but what people wear.
            imagenet=("carton", "crate", "envelope", "packet", "chest", "safe", "shopping basket"),
        ),
    )
    VEHICLE = (
        "VEHICLE",
        ClassTraits(
            members=("car", "truck", "bus", "motorcycle", "bicycle", "train", "boat", "airplane", "vehicle", "bike"),
            frame_votes={
                "yolox": Vote(1.0, 0.30),
                "nanodet": Vote(1.3, 0.36),
                "deimv2": Vote(1.0, 0.35),
                "ssd": Vote(1.5, 0.35),
            },
            crop_votes={"yolox": Vote(0.7, 0.15), "deimv2": Vote(0.8, 0.30), "ssd": Vote(1.5, 0.33)},
        ),
    )
    ANIMAL = (
        "ANIMAL",
        ClassTraits(
            members=("horse", "cow", "sheep", "bear", "bird", "elephant", "zebra", "giraffe"),
            frame_votes={
                "yolox": Vote(0.8, 0.35),
                "nanodet": Vote(1.4, 0.35),
                "deimv2": Vote(1.0, 0.42),
                "ssd": Vote(1.2, 0.40),
            },
            crop_votes={"yolox": Vote(0.8, 0.15), "deimv2": Vote(0.8, 0.35), "ssd": Vote(1.2, 0.33)},
        ),
    )


ANNOUNCED: Final[tuple[Group, ...]] = tuple(each for each in Group if each.traits.announced)
"""The classes that a processor can be asked for."""
OBJECT_GROUPS: Final[tuple[Group, ...]] = tuple(each for each in Group if not each.traits.still)
"""The classes that the detectors of moving objects vote on; their order numbers the classes of trackers."""
STILL_CLASSES: Final = frozenset(each.value for each in Group if each.traits.still)
"""The classes that stay where they were put."""


def asked_groups(classes: Sequence[str] | frozenset[str]) -> tuple[Group, ...]:
    """The rows of the asked classes, in the table's order."""
    return tuple(each for each in Group if each in classes)


def followed(classes: Sequence[str] | frozenset[str]) -> frozenset[str]:
    """The asked classes, and those that are followed for one of them without being announced."""
    return frozenset(classes).union(*(group.traits.carriers for group in asked_groups(classes)))


def any_moving(classes: Sequence[str] | frozenset[str]) -> bool:
    """Whether any of these classes moves: only then detectors run on whole frames, and if it is asked for on crops of what moves."""
    return any(not each.traits.still for each in asked_groups(classes))


def imagenet_indexes(names: Sequence[str], spans: Sequence[ImagenetSpan]) -> list[int]:
    """Where a classifier with these class names (``tabby, tabby cat``) has the classes of ``spans``; nowhere is no error."""
    first_words = [name.partition(",")[0] for name in names]
    found: list[int] = []
    for span in spans:
        if isinstance(span, str):
            found += [index for index, word in enumerate(first_words) if word == span]
        elif span[0] in first_words and span[1] in first_words:
            found += range(first_words.index(span[0]), first_words.index(span[1]) + 1)
    return found
