"""A bucket that is a folder: the same keys, as files."""

from __future__ import annotations

import json
from pathlib import Path

from connectors.context import ConnectorContext
from connectors.s3.settings import S3SinkSettings
from connectors.s3.sink import S3Sink
from streamproc.aws.results import render_aws
from streamproc.contracts import Delivery
from streamproc.core.event import Event, EventType, Pictures
from tests.builders.examples import CONTEXT, LABEL, SESSION, event


async def test_objects_lie_under_their_keys(tmp_path: Path) -> None:
    settings = S3SinkSettings(bucket="videos", prefix="porch", directory=tmp_path, format="aws")
    sink = S3Sink(settings, ConnectorContext(processor="front-door"))
    over = event(EventType.SESSION_COMPLETE, 1, 5, data={"counts": {}, "message": "over", "processed_s": 5.0})
    told: list[tuple[Event, Pictures | None]] = [(LABEL, Pictures(b"frame", b"crop")), (over, None)]
    for item, pictures in told:
        await sink.deliver(Delivery(item, pictures, CONTEXT, renderers={"aws": render_aws}))
    await sink.aclose()
    folder = tmp_path / "porch" / "front-door" / SESSION
    assert (folder / "000000-PERSON-frame.jpg").read_bytes() == b"frame"
    inference = json.loads((folder / "000000-PERSON.json").read_text())["labels"][0]
    assert (
        inference["name"] == "PERSON" and inference["confidence"] and inference["frameImageUri"].endswith("-frame.jpg")
    )
    assert json.loads((folder / "session-summary.json").read_text())["sessionId"] == SESSION
    assert sink.locate(LABEL).frame == f"s3://videos/porch/front-door/{SESSION}/000000-PERSON-frame.jpg"
    assert not list(folder.glob(".*"))
