"""A masked camera through a whole daemon: what is masked is black on every way out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.daemon import Daemon, read_lines, run_cli, wait_for
from tests.mqtt_watch import retained
from tests.peers import watch
from tests.servers.mosquitto import Mosquitto

pytestmark = pytest.mark.models

STRIPE = "masks: [{name: sky, box: {left: 0.0, top: 0.0, width: 1.0, height: 0.2}}]\n"
"""The scene's person and cat stand below; the top of each picture would be bright."""


def processor(clip: Path, outputs: str = "") -> str:
    return (
        f"source: {{type: file, path: {clip}, realtime: true, loop: true}}\n"
        "session: {mode: continuous, gone_after: 2s}\nlabels: {classes: [PERSON, PET], profile: small}\n"
        + STRIPE
        + outputs
    )


def masked(image: Any) -> None:
    """The stripe is black, what is below is a picture. Some slack for the codecs' ringing at the edge."""
    height = image.shape[0]
    assert image[: round(height * 0.18)].max() < 24
    assert image[round(height * 0.3) :].std() > 20


def decoded(data: bytes) -> Any:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


async def test_every_way_out_is_masked(
    daemon: Daemon, scene: Path, mosquitto: Callable[..., Mosquitto], s3_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker, bucket = mosquitto(), s3_server.make_bucket("masked")
    daemon._environ |= {"EDGE_KEY": s3_server.access_key, "EDGE_SECRET": s3_server.secret_key}
    outputs = (
        "outputs:\n- {type: file, directory: out}\n"
        f"- {{type: mqtt, host: 127.0.0.1, port: {broker.port}}}\n"
        f"- {{type: s3, bucket: masked, endpoint_url: '{s3_server.endpoint}', access_key_id_env: EDGE_KEY, "
        "secret_access_key_env: EDGE_SECRET}\n"
    )
    daemon.put("door", processor(scene, outputs))
    daemon.start()

    event = wait_for(
        lambda: next((each for each in read_lines(daemon.config / "out") if each.get("frame")), None), 90, "a detection"
    )
    frame = decoded(Path(event["frame"]).read_bytes())
    masked(frame)
    crop = decoded(Path(event["crop"]).read_bytes())
    left, top = int(event["box"][0] * 640), int(event["box"][1] * 360)
    # The crop was cut out of the masked picture: a part of it in the stripe would be black, the rest is the hero frame's.
    same = frame[top : top + crop.shape[0], left : left + crop.shape[1]]
    coarse = [cv2.resize(image, (16, 16), interpolation=cv2.INTER_AREA).astype(int) for image in (crop, same)]
    assert np.abs(coarse[0] - coarse[1]).max() < 24

    wait_for(lambda: list(bucket.rglob("*-frame.jpg")), 60, "the picture in the bucket")
    for path in bucket.rglob("*-frame.jpg"):
        masked(decoded(path.read_bytes()))
    wait_for(
        lambda: [topic for topic in retained(broker.port) if topic.endswith("/hero")], 60, "the picture on the broker"
    )
    (hero,) = [payload for topic, payload in retained(broker.port).items() if topic.endswith("/hero")]
    masked(decoded(hero))

    viewer = await watch(f"{daemon.url}/whep/door", None)
    await viewer.until(12)
    for _, shown in viewer.frames[-5:]:
        masked(shown.to_ndarray(format="bgr24"))
    await viewer.session.delete()


def test_replay_masks_too_and_a_masked_person_is_nobody(scene: Path, tmp_path: Path) -> None:
    config = tmp_path / "door.yaml"
    text = processor(scene).replace("height: 0.2", "height: 1.0")
    config.write_text(text)
    done = run_cli("replay", scene, "--config", config, "--json")
    assert done.returncode == 0, done.stderr
    assert not [line for line in done.stdout.splitlines() if json.loads(line)["type"] == "label_detected"]


@pytest.mark.parametrize(
    ("masks", "words"),
    [
        ("[{name: x}]", "draw either box or polygon"),
        ("[{polygon: [[0, 0], [1, 1], [1, 0], [0, 1]]}]", "crosses|cannot be filled"),
        ("[{polygon: [[0, 0], [2, 1], [1, 0]]}]", "less than or equal to 1"),
    ],
)
def test_a_mask_that_cannot_be_drawn_is_refused(scene: Path, tmp_path: Path, masks: str, words: str) -> None:
    config = tmp_path / "door.yaml"
    config.write_text(processor(scene).replace(STRIPE, f"masks: {masks}\n"))
    done = run_cli("validate", config)
    assert done.returncode == 2
    assert any(word in done.stderr for word in words.split("|")), done.stderr
