"""A camera with a privacy mask and a stranger's face through a whole daemon: neither is to be seen on any way out."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from tests.daemon import Daemon, read_lines, run_cli, wait_for
from tests.mqtt_watch import Watcher
from tests.peers import watch
from tests.servers.mosquitto import Mosquitto

pytestmark = pytest.mark.models

STRIPE = "masks: [{name: street, box: {left: 0.0, top: 0.0, width: 0.2, height: 1.0}}]\n"
WIDTH, HEIGHT, FPS = 640, 360, 10
FACE = (350, 60, 410, 138)
"""Left, top, right, bottom of the visitor's face in the clip, brow to chin, in pixels."""


def portrait() -> Any:
    """A photograph of somebody, 320 x 320, BGR."""
    data = pytest.importorskip("skimage.data", reason="the visitor is a photograph of scikit-image's")
    return cv2.resize(data.astronaut()[:, :, ::-1], (320, 320), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds of a bright wall; somebody stands before it from the second on, at one place."""
    path, visitor, random = tmp_path_factory.mktemp("visit") / "visit.mp4", portrait(), np.random.default_rng(5)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = WIDTH, HEIGHT, "yuv420p", FPS
        stream.bit_rate = 2_000_000
        for number in range(6 * FPS):
            image = random.normal(190, 6, (HEIGHT, WIDTH, 1)).repeat(3, axis=2).clip(0, 255).astype(np.uint8)
            if number >= FPS:
                image[40:, 240:560] = visitor
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    return path


def processor(clip: Path, faces: str = "", outputs: str = "") -> str:
    return (
        f"source: {{type: file, path: {clip}, realtime: true, loop: true}}\n"
        "session: {mode: continuous, gone_after: 1s}\nlabels: {classes: [PERSON], profile: small}\n"
        + STRIPE
        + faces
        + outputs
    )


def decoded(data: bytes) -> Any:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def masked(image: Any) -> None:
    """The stripe is black, what is beside it is a picture. Some slack for the codecs' ringing at the edge."""
    width = image.shape[1]
    assert image[:, : round(width * 0.18)].max() < 24
    assert image[:, round(width * 0.25) :].std() > 20


def likeness(image: Any) -> float:
    """How much of the face's fine features is in a whole picture (of the clip's shape): 1 all, 0 none. Correlation of what is finer than a
    tenth of the face."""
    left, top, right, bottom = FACE
    here = cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)[top:bottom, left:right]
    there = portrait()[top - 40 : bottom - 40, left - 240 : right - 240]
    fine = []
    for part in (here, there):
        grey = cv2.cvtColor(part, cv2.COLOR_BGR2GRAY).astype(np.float32)
        fine.append((grey - cv2.GaussianBlur(grey, (0, 0), 6)).ravel())
    return float(np.corrcoef(*fine)[0, 1])


def hidden(images: Iterable[Any]) -> None:
    """Nobody is recognised in any of some whole pictures, and the mask holds."""
    for image in images:
        masked(image)
        assert likeness(image) < 0.35


def fetched(daemon: Daemon, path: str) -> Any:
    with urllib.request.urlopen(daemon.url + path, timeout=20) as answer:
        return decoded(answer.read())


async def test_no_way_out_shows_what_is_masked_or_a_stranger_s_face(
    daemon: Daemon, visit: Path, mosquitto: Callable[..., Mosquitto], s3_server: Any
) -> None:
    broker, bucket = mosquitto(), s3_server.make_bucket("masked")
    daemon._environ |= {"EDGE_KEY": s3_server.access_key, "EDGE_SECRET": s3_server.secret_key}
    assert run_cli("faces", "create", "family", "--data-dir", daemon.data).returncode == 0
    outputs = (
        "outputs:\n- {type: file, directory: out}\n"
        f"- {{type: mqtt, host: 127.0.0.1, port: {broker.port}, commands: true}}\n"
        f"- {{type: s3, bucket: masked, endpoint_url: '{s3_server.endpoint}', access_key_id_env: EDGE_KEY, "
        "secret_access_key_env: EDGE_SECRET}\n"
    )
    strangers = "faces: {collection: family, blur_unknown: true, keep_unknown_crops: true}\n"
    daemon.put("door", processor(visit, strangers, outputs))
    daemon.put("asked", processor(visit, "record: {keep: 1h, unmasked: true}\n"))
    watcher = Watcher(broker.port, "streamproc/#")
    daemon.start()

    def kept(kind: str) -> Any:
        return next((e for e in read_lines(daemon.config / "out") if e["type"] == kind and e.get("frame")), None)

    person = wait_for(lambda: kept("label_detected"), 90, "a person")
    face = wait_for(lambda: kept("face_unknown"), 60, "a stranger")
    events = [event for event in read_lines(daemon.config / "out") if event.get("frame")]
    hidden(decoded(Path(event["frame"]).read_bytes()) for event in events)
    for event in (person, face):
        frame, crop = (decoded(Path(event[part]).read_bytes()) for part in ("frame", "crop"))
        # The crop was cut out of the hero frame, so what is hidden there is hidden here.
        left, top = round(event["box"][0] * WIDTH), round(event["box"][1] * HEIGHT)
        same = frame[top : top + crop.shape[0], left : left + crop.shape[1]]
        coarse = [cv2.resize(image, (16, 16), interpolation=cv2.INTER_AREA).astype(int) for image in (crop, same)]
        assert np.median(np.abs(coarse[0] - coarse[1])) < 8
        for part in ("frame", "crop"):  # the history, and with it the console
            assert fetched(daemon, f"/api/events/{event['id']}/{part}.jpg").shape == (frame, crop)[part == "crop"].shape
        hidden([fetched(daemon, f"/api/events/{event['id']}/frame.jpg")])

    wait_for(lambda: len(list(bucket.rglob("*-frame.jpg"))) >= 2, 60, "pictures in the bucket")
    hidden(decoded(path.read_bytes()) for path in bucket.rglob("*-frame.jpg"))

    def heroes() -> list[bytes]:
        return [m.payload for m in list(watcher.heard) if m.topic.endswith("/door/hero")]

    (topic,) = {m.topic for m in wait_for(lambda: [m for m in watcher.heard if m.topic.endswith("/door/hero")], 60)}
    hidden(map(decoded, heroes()))
    deadline, before = time.monotonic() + 60, len(heroes())
    stills: list[Any] = []
    while len(stills) < 7 or len(heroes()) < before + 4:  # over the clip's six seconds: while nobody is there, too
        assert time.monotonic() < deadline
        watcher.publish(topic.replace("/hero", "/cmd/snapshot"), "PRESS")
        stills.append(fetched(daemon, "/api/processors/door/still.jpg"))
        time.sleep(0.6)
    for image in [*stills, *map(decoded, heroes())]:
        assert image[:, : round(image.shape[1] * 0.18)].max() < 24
        assert likeness(image) < 0.35
    watcher.close()

    # Live video is masked, and nothing in it is blurred: the same measure knows the face there.
    viewer = await watch(f"{daemon.url}/whep/door", None)
    await viewer.until(45)
    shown = [each.to_ndarray(format="bgr24") for _, each in viewer.frames[5:]]
    for image in shown:
        assert image[:, : round(image.shape[1] * 0.18)].max() < 24
    assert max(map(likeness, shown)) > 0.6
    await viewer.session.delete()

    # Only what was asked for is recorded, and says what it is.
    (stream,) = wait_for(lambda: daemon.get("/api/streams"), 30, "a recording")
    assert (stream["name"], stream["tags"]) == ("asked", {"unmasked": "true"})
    assert run_cli("streams", "clip", "door", "--out", daemon.config / "c.mp4", "--url", daemon.url).returncode != 0


def test_replay_masks_too_and_a_masked_person_is_nobody(visit: Path, tmp_path: Path) -> None:
    config, out = tmp_path / "door.yaml", tmp_path / "out"
    config.write_text(processor(visit))
    assert run_cli("replay", visit, "--config", config, "--out", out).returncode == 0
    pictures = list((out / "frames").iterdir())
    assert pictures
    for path in pictures:
        masked(decoded(path.read_bytes()))
    config.write_text(processor(visit).replace("width: 0.2", "width: 1.0"))
    done = run_cli("replay", visit, "--config", config, "--json")
    assert done.returncode == 0, done.stderr
    assert not [line for line in done.stdout.splitlines() if json.loads(line)["type"] == "label_detected"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("masks: [{name: x}]\n", "draw either box or polygon"),
        ("masks: [{polygon: [[0, 0], [1, 1], [1, 0], [0, 1]]}]\n", "crosses|cannot be filled"),
        ("masks: [{polygon: [[0, 0], [2, 1], [1, 0]]}]\n", "less than or equal to 1"),
        (STRIPE + "record: {keep: 1h}\n", "record: {unmasked: true}"),
    ],
)
def test_a_mask_that_cannot_be_is_refused(visit: Path, tmp_path: Path, wrong: str, words: str) -> None:
    config = tmp_path / "door.yaml"
    config.write_text(processor(visit).replace(STRIPE, wrong))
    done = run_cli("validate", config)
    assert done.returncode == 2
    assert any(word in done.stderr for word in words.split("|")), done.stderr
