"""Session ids of a replay stay what they were while a config uses no newer key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import pytest

from streamproc.config.processor import ProcessorConfig
from streamproc.live.replay import asked as decides
from streamproc.live.replay import recorded_at

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


@pytest.mark.parametrize(
    "said,begins",
    [
        ("2020-05-05T10:00:00Z", "2020-05-05T10:00:00+00:00"),
        ("9999-12-31T23:59:59Z", "1970-01-01T00:00:00+00:00"),
        ("0001-01-01T00:00:00Z", "1970-01-01T00:00:00+00:00"),
    ],
)
def test_a_container_that_says_nonsense_of_when_it_was_made_is_not_believed(
    tmp_path: Path, said: str, begins: str
) -> None:
    path = tmp_path / "clip.flv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("flv1", rate=5)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        out.metadata["creation_time"] = said
        out.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
        out.mux(stream.encode())
    assert recorded_at(path).isoformat() == begins
