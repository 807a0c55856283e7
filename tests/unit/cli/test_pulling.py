"""What stands in for what, in words."""

from __future__ import annotations

import pytest

from streamproc.cli.pulling import stand_ins
from streamproc.vision.profiles import choices_of, profile

REGISTRY = {"nanodet_g", "ssd_oidv4", "efficientnet_lite0"}


@pytest.mark.parametrize(
    ("here", "said"),
    [
        ({"yolox_nano", "ssd_oidv4", "deimv2_femto", "mobile_object_localizer", "mobilenet_v2"}, ""),
        (
            REGISTRY,
            "nanodet_g does the work of yolox_nano and deimv2_femto; efficientnet_lite0 does the work of mobilenet_v2; "
            "nothing does that of mobile_object_localizer",
        ),
        (
            {"ssd_oidv4"},
            "ssd_oidv4 does the work of yolox_nano; "
            "nothing does that of deimv2_femto, nanodet_g, mobile_object_localizer, mobilenet_v2 and efficientnet_lite0",
        ),
    ],
)
def test_each_missing_model_is_named_once(here: set[str], said: str) -> None:
    assert stand_ins(choices_of(profile("default")), here.__contains__) == said
