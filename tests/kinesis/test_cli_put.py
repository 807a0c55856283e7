"""``streamproc put``: a file into a stream of the node, packets as they were."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import av
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.daemon import STREAMPROC, Daemon, run_cli
from tests.kinesis.node import client, node
from tests.kinesis.sender import ACCESS_KEY, SECRET

ENVIRON = {**os.environ, "AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET}


def put(*words: object, secret: str = SECRET) -> subprocess.CompletedProcess[str]:
    environ = {**ENVIRON, "AWS_SECRET_ACCESS_KEY": secret}
    command = [*STREAMPROC, "put", *map(str, words)]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120)


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_file_is_acknowledged_and_read_back_as_it_was(kvs: Daemon, clip_file: Path, tmp_path: Path) -> None:
    done = put(clip_file, "--stream", "sent", "--endpoint-url", kvs.url, "--json")
    assert done.returncode == 0, done.stderr
    acks = lines(done.stdout)
    assert {ack["EventType"] for ack in acks} == {"BUFFERING", "RECEIVED", "PERSISTED"}
    archive = client(kvs.url, "kinesis-video-archived-media")
    listed = archive.list_fragments(StreamName="sent")["Fragments"]
    told = {ack["FragmentNumber"] for ack in acks if ack["EventType"] == "PERSISTED"}
    assert {item["FragmentNumber"] for item in listed} == told
    made = run_cli("streams", "clip", "sent", "--data-dir", kvs.data, "--out", tmp_path / "clip.mp4")
    assert made.returncode == 0, made.stderr
    assert packets(tmp_path / "clip.mp4") == packets(clip_file)


def test_a_node_that_is_killed_meanwhile_gets_every_fragment_once(clip_file: Path, tmp_path: Path) -> None:
    daemon = node(tmp_path / "node").start()
    command = [
        *STREAMPROC,
        "put",
        str(clip_file),
        "--stream",
        "sent",
        "--endpoint-url",
        daemon.url,
        "--realtime",
        "--json",
    ]
    sending = subprocess.Popen(command, env=ENVIRON, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    told: list[dict[str, Any]] = []
    try:
        assert sending.stdout is not None and sending.stderr is not None
        for line in sending.stdout:
            told.append(json.loads(line))
            if told[-1]["EventType"] == "PERSISTED" and len(told) < 20:
                daemon.kill()
                daemon.start()
                break
        rest, said = sending.communicate(timeout=60)
        told += lines(rest)
        assert sending.returncode == 0, said
        assert "connects again" in said and "3 fragments are stored" in said
        listed = client(daemon.url, "kinesis-video-archived-media").list_fragments(StreamName="sent")["Fragments"]
        assert {item["FragmentNumber"] for item in listed} == {
            ack["FragmentNumber"] for ack in told if ack["EventType"] == "PERSISTED"
        }
        made = run_cli("streams", "clip", "sent", "--data-dir", daemon.data, "--out", tmp_path / "clip.mp4")
        assert made.returncode == 0, made.stderr
        assert packets(tmp_path / "clip.mp4") == packets(clip_file)
    finally:
        sending.kill()
        sending.wait()
        daemon.close()


@pytest.mark.parametrize(("number", "sends_on"), [(4003, True), (5000, True), (4006, False)])
async def test_a_session_that_the_service_ends_is_followed_by_another(
    kvs: Daemon, clip_file: Path, tmp_path: Path, number: int, sends_on: bool
) -> None:
    """A stub stands for Amazon's service in the first session (45 minutes of it cannot be had); the second one is the node's."""
    name = f"ended-{number}"
    client(kvs.url).create_stream(StreamName=name)
    sessions = 0

    async def endpoint(request: web.Request) -> web.Response:
        nonlocal sessions
        sessions += 1
        return web.json_response({"DataEndpoint": kvs.url if sessions > 1 else str(request.url.origin())})

    async def media(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await request.content.readany()
        await answer.write(b'{"EventType":"ERROR","ErrorId":%d,"ErrorCode":"SAID"}\n' % number)
        await answer.write_eof()
        return answer

    app = web.Application()
    app.add_routes([web.post("/getDataEndpoint", endpoint), web.post("/putMedia", media)])
    async with TestServer(app) as server:
        url = str(server.make_url("/"))
        done = await asyncio.to_thread(put, clip_file, "--stream", name, "--endpoint-url", url, "--json")
    if not sends_on:
        assert (done.returncode, sessions) == (1, 1) and "4006" in done.stderr, done.stderr
        return
    assert done.returncode == 0 and sessions == 2, done.stderr
    made = run_cli("streams", "clip", name, "--data-dir", kvs.data, "--out", tmp_path / "clip.mp4")
    assert made.returncode == 0, made.stderr
    assert packets(tmp_path / "clip.mp4") == packets(clip_file)


def test_a_wrong_secret_and_a_missing_file_are_the_callers(kvs: Daemon, clip_file: Path) -> None:
    refused = put(clip_file, "--stream", "sent", "--endpoint-url", kvs.url, secret="wrong")
    assert refused.returncode == 2 and "credentials" in refused.stderr
    missing = put(clip_file.with_name("none.mp4"), "--stream", "sent", "--endpoint-url", kvs.url)
    assert missing.returncode == 2 and "no such file" in missing.stderr
