"""Session ids of a replay stay what they were while a config uses no newer key."""

from __future__ import annotations

from typing import Any

from streamproc.config.processor import ProcessorConfig
from streamproc.live.replay import asked as decides

BASE: dict[str, Any] = {
    "source": {"type": "file", "path": "clip.mp4"},
    "labels": {"classes": ["PERSON"]},
    "faces": {"collection": "family"},
    "regions": [{"name": "porch", "box": {"left": 0, "top": 0, "width": 1, "height": 1}}],
}


def asked(**more: Any) -> dict[str, Any]:
    return decides(ProcessorConfig.model_validate(BASE | more))


def test_keys_that_came_later_count_only_where_they_are_used() -> None:
    plain = asked()
    assert not plain.keys() & {"health", "masks", "schedule", "record"}
    assert "schedule" not in plain["regions"][0] and "blur_unknown" not in plain["faces"]
    assert asked(masks=[{"name": "m", "box": BASE["regions"][0]["box"]}])["masks"]
