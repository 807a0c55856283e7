"""A daemon that all tests of this folder share, and a clip that they send."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from tests.daemon import Daemon
from tests.kinesis.node import client, node
from tests.matroska import Clip, read_clip
from tests.videos import scene


@pytest.fixture(scope="module")
def kvs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A running node with access keys."""
    daemon = node(tmp_path_factory.mktemp("kvs")).start()
    yield daemon
    daemon.close()


@pytest.fixture(scope="module")
def stream(kvs: Daemon) -> Callable[[], str]:
    """A new stream at each call; its name."""
    counter = itertools.count()

    def make() -> str:
        name = f"stream-{next(counter)}"
        client(kvs.url).create_stream(StreamName=name)
        return name

    return make


@pytest.fixture(scope="session")
def clip_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds of H.264 in MP4 with a keyframe each second."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast", "g": "25", "keyint_min": "25", "sc_threshold": "0", "bf": "0", "crf": "30"}
        video = container.add_stream("libx264", rate=25, options=options)
        video.width, video.height, video.pix_fmt = 320, 180, "yuv420p"
        for picture in scene(3, 150):
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="bgr24")))
        container.mux(video.encode())
    return path


@pytest.fixture(scope="session")
def clip(clip_file: Path) -> Clip:
    """Its packets."""
    return read_clip(clip_file)
