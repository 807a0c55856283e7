"""A bucket that is bound to a network share that nobody answers for: requests for it are told so, all others are served."""

from __future__ import annotations

import contextlib
import json
import socket
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.conftest import skip
from tests.daemon import Daemon
from tests.faults.node import posted
from tests.servers.common import Unavailable
from tests.servers.frozen import FrozenShare

OBJECT = {"S3Object": {"Bucket": "videos", "Name": "a.mp4"}}
CALLERS = 24
"""More than there are threads for requests."""


@pytest.fixture
def share(daemon: Daemon) -> Iterator[FrozenShare]:
    folder = daemon.config.parent / "share"
    binding = {"bindings": {"buckets": {"videos": {"type": "file", "directory": str(folder)}}}}
    (daemon.config / "streamproc.yaml").write_text(json.dumps(binding))
    try:
        share = FrozenShare(folder)
    except Unavailable as error:
        skip(str(error))
        return
    yield share
    daemon.close()
    share.thaw()


def test_requests_for_a_dead_share_hold_up_no_others(daemon: Daemon, share: FrozenShare) -> None:
    daemon.start()
    client = boto3.client(
        "rekognition",
        endpoint_url=daemon.url,
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=60, max_pool_connections=CALLERS),
    )

    def ask(number: int) -> str:
        try:
            if number % 2:
                client.start_label_detection(Video=OBJECT)
            else:
                client.detect_faces(Image=OBJECT)
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "served"

    with ThreadPoolExecutor(CALLERS) as pool:
        answers = [pool.submit(ask, number) for number in range(CALLERS)]
        time.sleep(1)  # they hang by now
        assert daemon.get("/api/events") and daemon.get("/api/jobs") == {"jobs": []}
        assert posted(daemon, "/api/processors/none/start") == 404
        assert sum(answer.done() for answer in answers) < CALLERS, "the share does not hang at all"
        assert {answer.result() for answer in answers} == {"InvalidS3ObjectException"}
    assert daemon.terminate(timeout=45) == 0


def test_a_store_that_does_not_answer_holds_up_no_others(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=CALLERS) as silent:
        keys = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
        daemon = Daemon(
            tmp_path, {**keys, "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        ).start()
        body = json.dumps({"Video": OBJECT}).encode()
        target = {
            "X-Amz-Target": "RekognitionService.StartLabelDetection",
            "Content-Type": "application/x-amz-json-1.1",
        }
        asked = urllib.request.Request(daemon.url, body, target)

        def ask(_: int) -> None:
            with contextlib.suppress(OSError), urllib.request.urlopen(asked, timeout=60):
                pass

        with ThreadPoolExecutor(CALLERS) as pool:
            answers = [pool.submit(ask, number) for number in range(CALLERS)]
            time.sleep(1)  # they hang by now
            began = time.monotonic()
            assert daemon.get("/api/jobs") == {"jobs": []}
            assert time.monotonic() - began < 3
            assert not any(answer.done() for answer in answers), "the store does not hang at all"
            assert daemon.terminate(timeout=30) == 0
