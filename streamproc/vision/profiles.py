"""Which model plays which part, by name."""

from __future__ import annotations

from collections.abc import Mapping

from streamproc.config.model_settings import Profile
from streamproc.core.errors import InputError

BUILT_IN: dict[str, Profile] = {
    "default": Profile(),
    # Stronger detectors whose files are large; each falls back to the default's.
    "accurate": Profile(
        person=("deimv2_n", "deimv2_pico", "yolox_nano", "ssd_oidv4"),
        pet=("ssd_oidv4", "deimv2_n", "deimv2_femto", "yolox_nano"),
        proposals=("deimv2_pico", "deimv2_femto", "mobile_object_localizer", "ssd_oidv4"),
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


def models_of(chosen: Profile) -> tuple[str, ...]:
    """Every model the profile names, once, in the order of importance."""
    return tuple(dict.fromkeys([*chosen.person, *chosen.pet, *chosen.proposals, chosen.verifier]))
