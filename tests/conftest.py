"""Fixtures that every test may use: real servers, model files, the corpus."""

from __future__ import annotations

import fcntl
import os
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice
from pathlib import Path

import hypothesis
import pytest

from tests.servers.common import Unavailable

pytest_plugins = ["tests.plugins.parallel", "tests.plugins.missing", "tests.plugins.leftovers"]
PROJECT = Path(__file__).resolve().parent.parent
SHARED = PROJECT.parent / "shared"
NO_SKIPS = os.environ.get("STREAMPROC_TESTS_NO_SKIP") == "1"
"""CI has every server; there a missing one is a failure, not a skip."""

# Nothing is timed in a test: a busy machine is no failure.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

if (SHARED / "models").is_dir() and os.environ.get("STREAMPROC_MODEL_SOURCES") != "registries":
    os.environ.setdefault("STREAMPROC_MODEL_MIRROR", str(SHARED / "models"))


def skip(reason: str) -> None:
    """Skip the test, or fail it where nothing may be missing."""
    if NO_SKIPS:
        pytest.fail(f"must not be missing here: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The test corpus beside the checkout."""
    folder = SHARED / "corpus"
    if not folder.is_dir():
        pytest.skip("the test corpus is not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """A running Apache Kafka broker, ``.bootstrap``. Shared: use topics of your own; do not stop it."""
    from tests.servers.kafka import KafkaServer

    try:
        server = KafkaServer(tmp_path_factory.mktemp("kafka")).start()
    except Unavailable as error:
        skip(str(error))
        return
    yield server
    server.stop(kill=True)


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[object]:
    """A broker of the test's own, to stop and start."""
    from tests.servers.kafka import KafkaServer

    try:
        server = KafkaServer(tmp_path / "kafka").start()
    except Unavailable as error:
        skip(str(error))
        return
    yield server
    server.stop(kill=True)


@pytest.fixture
def rtsp(tmp_path: Path) -> Iterator[object]:
    """``rtsp({"/cam": FILE}, auth=(user, password))`` starts an RTSP server; files are MP4, H.265 named *.h265.mp4."""
    from tests.servers.rtsp import RtspServer

    started: list[RtspServer] = []

    def make(mounts: dict[str, Path], *, auth: tuple[str, str] | None = None) -> RtspServer:
        folder = tmp_path / f"rtsp{len(started)}"
        folder.mkdir()
        try:
            server = RtspServer(folder, mounts, auth=auth).start()
        except Unavailable as error:
            skip(str(error))
            raise
        started.append(server)
        return server

    yield make
    for server in started:
        server.stop()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[object]:
    """``mosquitto(login=(user, password), authority=Authority, persistent=True)`` starts a broker of the test's own."""
    from tests.servers.mosquitto import Mosquitto

    started: list[Mosquitto] = []

    def make(**options: object) -> Mosquitto:
        try:
            server = Mosquitto(tmp_path / f"mosquitto{len(started)}", **options).start()  # type: ignore[arg-type]
        except Unavailable as error:
            skip(str(error))
            raise
        started.append(server)
        return server

    yield make
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """A running S3 gateway, ``.endpoint``, ``.make_bucket(NAME)``, ``.access_key``, ``.secret_key``."""
    from tests.servers.s3 import S3Server

    try:
        server = S3Server(tmp_path_factory.mktemp("s3")).start()
    except Unavailable as error:
        skip(str(error))
        return
    yield server
    server.stop(kill=True)


@pytest.fixture(scope="session")
def moto_server() -> Iterator[str]:
    """URL of moto's SNS, SQS, S3 and Kinesis. Any credentials do."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A piece of the demo scene: a person is in view after a second, a cat after five; 8 s of 640x360, a keyframe a second."""
    pytest.importorskip("skimage", reason="the scene is made from scikit-image's photographs")

    return of_all_workers(tmp_path_factory, "scene.mp4", _write_scene)


def _write_scene(path: Path) -> None:
    import av
    import cv2

    from streamproc.demo.scene import FPS, render

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        stream.gop_size = FPS
        stream.bit_rate = 1_500_000
        for pixels in islice(render(), 3 * FPS, 11 * FPS):
            small = cv2.resize(pixels, (640, 360), interpolation=cv2.INTER_AREA)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(small, format="bgr24")))
        container.mux(stream.encode())


def of_all_workers(factory: pytest.TempPathFactory, name: str, write: Callable[[Path], None]) -> Path:
    """A file that the first worker which needs it writes for all of a run."""
    base = factory.getbasetemp()
    path = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            part = path.with_stem(f"{path.stem}.part")
            write(part)
            part.replace(path)
    return path


@pytest.fixture(scope="session")
def replayed(scene: Path) -> str:
    """What ``replay --json`` prints of the scene, for people and pets."""
    from tests.daemon import run_cli

    done = run_cli("replay", scene, "--json", "--classes", "PERSON,PET")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[object]:
    """A Chromium of its own."""
    from tests.servers.chromium import Chromium

    try:
        async with Chromium(tmp_path / "chromium") as started:
            yield started
    except Unavailable as error:
        skip(str(error))


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[object]:
    """``streamproc serve`` as a process of its own; ``tests.daemon.Daemon``, not yet started."""
    from tests.daemon import Daemon

    served = Daemon(tmp_path)
    yield served
    served.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB of its own."""
    import subprocess

    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True, text=True
    )
    if made.returncode:
        skip(f"a tmpfs cannot be mounted here: {made.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)
