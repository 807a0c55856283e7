"""Which model plays which part, by name."""

from __future__ import annotations

from collections.abc import Mapping

from streamproc.config.model_settings import Profile
from streamproc.core.errors import InputError

BUILT_IN: dict[str, Profile] = {
    "default": Profile(),
    # Stronger detectors whose files are large; each falls back to the default's.
    "accurate": Profile(
        person=("deimv2_n", "deimv2_pico", "yolox_nano", "nanodet_g", "ssd_oidv4"),
        pet=("ssd_oidv4", "deimv2_n", "deimv2_femto", "yolox_nano"),
        proposals=(("deimv2_pico", "deimv2_femto", "nanodet_g"), "mobile_object_localizer", "ssd_oidv4"),
    ),
    # What a machine has that reaches package registries only.
    "registry": Profile(
        person=("nanodet_g", "ssd_oidv4"),
        pet=("ssd_oidv4",),
        proposals=("nanodet_g", "ssd_oidv4"),
        verifier=("efficientnet_lite0",),
    ),
    # For a box that has too much to do: one detector in place of three. It finds fewer small people.
    "small": Profile(person=("ssd_oidv4",), pet=("ssd_oidv4",), proposals=("ssd_oidv4",)),
}

FACE_MODELS = ("yunet", "centerface", "face_reidentification_retail_0095", "faceapi_recognition")
FACE_ATTRIBUTES = ("faceapi_landmarks68", "faceapi_age_gender", "faceapi_expression")


def profile(name: str, own: Mapping[str, Profile] | None = None) -> Profile:
    """Raises InputError for a profile that is not there."""
    known = BUILT_IN | dict(own or {})
    try:
        return known[name]
    except KeyError:
        raise InputError(f"there is no model profile {name!r}; use one of {', '.join(sorted(known))}") from None


def choices_of(chosen: Profile) -> tuple[tuple[str, ...], ...]:
    """What the profile needs in the order of importance: of each group the first model that can be had."""
    alone = [(name,) for name in chosen.pet]
    proposals = [alternatives(each) for each in chosen.proposals]
    return tuple(dict.fromkeys([chosen.person, *alone, *proposals, chosen.verifier]))


def models_of(chosen: Profile) -> tuple[str, ...]:
    """Every model the profile names, once, in the order of importance."""
    return tuple(dict.fromkeys(name for group in choices_of(chosen) for name in group))


def alternatives(entry: str | tuple[str, ...]) -> tuple[str, ...]:
    """An entry of a part as the names to try in order."""
    return (entry,) if isinstance(entry, str) else entry
