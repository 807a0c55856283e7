"""Over a real socket: sizes, codes, ids, and who is let in."""

from __future__ import annotations

import asyncio
import json
import re
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from botocore.exceptions import ClientError

from streamproc.aws.core import Core
from streamproc.aws.http import mount
from streamproc.aws.operations.all import handlers
from streamproc.aws.service import operation_models
from streamproc.aws.wire import Endpoint
from streamproc.aws_protocol.keys import Key
from streamproc.aws_protocol.sigv4 import Signed
from tests.aws.serving import client, serving
from tests.aws.signing import ACCESS_KEY, SECRET, request
from tests.builders.requests import HOME


async def send(url: str, signed: Signed, **extra: str) -> tuple[int, dict[str, Any], Any]:
    headers = {**signed.headers, **extra}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=signed.body, headers=headers, skip_auto_headers=["Content-Type"]) as response,
    ):
        return response.status, await response.json(content_type=None), response.headers


async def test_an_answer_has_the_services_headers(url: str) -> None:
    status, body, headers = await send(url, request("ListStreamProcessors"))
    assert (status, body) == (200, {"StreamProcessors": []})
    assert headers["Content-Type"] == "application/x-amz-json-1.1"
    assert len(headers["x-amzn-RequestId"]) == 36


async def test_an_error_has_the_services_body(url: str) -> None:
    status, body, headers = await send(url, request("DescribeStreamProcessor", {"Name": "a b"}))
    assert status == 400
    assert body["__type"] == body["Code"] == "InvalidParameterException"
    assert body["Logref"] == headers["x-amzn-RequestId"]
    assert "'a b' at 'Name'" in body["Message"]


@pytest.mark.parametrize(
    ("made", "status", "code"),
    [
        (partial(request, "NoSuchOperation"), 400, "UnknownOperationException"),
        (partial(request, "DetectText", {"Image": {}}), 400, "AccessDeniedException"),
        (partial(request, "ListStreamProcessors", b"{"), 400, "InvalidParameterException"),
        (partial(request, "ListStreamProcessors", b"[" * 100_000), 400, "InvalidParameterException"),
        (partial(request, "ListStreamProcessors", b'{"MaxResults": NaN}'), 400, "InvalidParameterException"),
        (partial(request, "ListStreamProcessors", b'{"MaxResults": 1e999}'), 400, "InvalidParameterException"),
        (
            partial(request, "ListStreamProcessors", b'{"MaxResults": 1' + b"0" * 5000 + b"}"),
            400,
            "InvalidParameterException",
        ),
        (partial(request, "ListStreamProcessors", b'"\xff"'), 400, "InvalidParameterException"),
        (partial(request, "ListStreamProcessors", b"null"), 400, "InvalidParameterException"),
        (partial(request, "DescribeStreamProcessor", b'{"Name": "\\ud800"}'), 400, "InvalidParameterException"),
        (partial(request, "ListStreamProcessors", b""), 200, ""),
        (partial(request, "ListStreamProcessors", {"NextToken": None, "Colour": "red"}), 200, ""),
        (
            partial(request, "ListStreamProcessors", headers={"Content-Type": "text/plain"}),
            400,
            "InvalidParameterException",
        ),
        (partial(request, "ListStreamProcessors", secret="wrong"), 400, "InvalidSignatureException"),
    ],
)
# Signed when it is sent, not when tests are collected: a signature is good for a quarter of an hour.
async def test_codes(url: str, made: Callable[[], Signed], status: int, code: str) -> None:
    got, body, _ = await send(url, made())
    assert (got, body.get("__type", "")) == (status, code)


async def test_a_body_over_the_limit_is_refused_with_json(url: str) -> None:
    signed = request("ListStreamProcessors", b"{" + b" " * 10_000_000 + b"}")
    status, body, _ = await send(url, signed)
    assert (status, body["__type"]) == (413, "RequestEntityTooLargeException")
    status, _, _ = await send(url, request("ListStreamProcessors", b"{" + b" " * 9_000_000 + b"}"))
    assert status == 200


async def test_a_body_over_the_limit_without_a_length(url: str) -> None:
    async def chunks() -> Any:
        for _ in range(11):
            yield b" " * 1_000_000

    signed = request("ListStreamProcessors")
    async with aiohttp.ClientSession() as session, session.post(url, data=chunks(), headers=signed.headers) as response:
        assert response.status == 413
        assert (await response.json(content_type=None))["__type"] == "RequestEntityTooLargeException"


async def test_a_compressed_body_counts_as_what_it_grows_to(url: str) -> None:
    signed = request("ListStreamProcessors", zlib.compress(b" " * 60_000_000), headers={"Content-Encoding": "deflate"})
    assert len(signed.body) < 1_000_000
    status, body, _ = await send(url, signed)
    assert (status, body["__type"]) == (413, "RequestEntityTooLargeException")


async def test_a_length_that_lies_is_refused_before_the_body_comes(url: str) -> None:
    assert await headers_only(url, request("ListStreamProcessors").headers, 99999999999) == 413


OLD = request("ListStreamProcessors").headers | {"x-amz-date": "20200101T000000Z"}
OLD["authorization"] = re.sub(r"/\d{8}/", "/20200101/", OLD["authorization"])


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "x"},
        request("ListStreamProcessors", access_key="SOMEBODY").headers,
        OLD,
        OLD | {"authorization": "Bearer x"},
    ],
    ids=["unsigned", "another's key", "an old date", "no signature"],
)
async def test_who_is_not_let_in_is_told_so_before_the_body_comes(url: str, headers: dict[str, str]) -> None:
    """Sixty such bodies of 9 MB would else lie in memory."""
    assert await headers_only(url, headers, 9_000_000) == 400


async def headers_only(url: str, headers: Mapping[str, str], length: int) -> int:
    """The status that is answered while no byte of the body has come."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if name != "content-length")
    writer.write(f"POST / HTTP/1.1\r\n{lines}Content-Length: {length}\r\n\r\n".encode())
    line = await asyncio.wait_for(reader.readline(), 10)
    writer.close()
    return int(line.split()[1])


@pytest.fixture
def open_endpoint(core: Core) -> Endpoint:
    """No access keys."""
    return Endpoint(operation_models(), handlers(core), {})


async def test_without_keys_this_host_is_let_in_and_browsers_are_not(open_endpoint: Endpoint) -> None:
    with serving(open_endpoint) as url:
        host = url.removeprefix("http://")
        status, _, _ = await send(url, request("ListStreamProcessors", secret="any"), Host=host)
        assert status == 200
        foreign = [
            {"Origin": "http://evil.example"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Host": "rebound.example:4566"},
            {"X-Forwarded-For": "192.0.2.9"},
            {"X-Forwarded-Host": "cameras.example"},
            {"Via": "1.1 proxy"},
            {"CF-Connecting-IP": "192.0.2.9"},
        ]
        for headers in foreign:
            status, body, _ = await send(url, request("ListStreamProcessors"), **{"Host": host, **headers})
            assert (status, body["__type"]) == (400, "AccessDeniedException"), headers


async def test_without_keys_other_hosts_are_refused(open_endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    app = aiohttp.web.Application()
    mount(app, open_endpoint)
    from aiohttp.test_utils import make_mocked_request

    class Transport:
        def get_extra_info(self, name: str, default: object = None) -> object:
            return ("192.168.1.7", 4566) if name == "sockname" else default

    mocked = make_mocked_request("POST", "/", transport=Transport())
    route = next(iter(app.router.routes()))
    response = await route.handler(mocked)
    body = json.loads(response.body)  # type: ignore[attr-defined]
    assert body["__type"] == "AccessDeniedException" and "server.credentials" in body["Message"]


def test_a_key_may_be_allowed_a_part(core: Core) -> None:
    keys = {
        ACCESS_KEY: Key(ACCESS_KEY, SECRET),
        "AKPORCH": Key("AKPORCH", "s", operations=("*StreamProcessor*",), processors=("porch",)),
    }
    endpoint = Endpoint(operation_models(), handlers(core), keys)
    with serving(endpoint) as url:
        everything, limited = client(url), client(url, access_key="AKPORCH", secret="s")
        for name in ("porch", "attic"):
            arn = everything.create_stream_processor(Name=name, **HOME)["StreamProcessorArn"]
        assert [found["Name"] for found in limited.list_stream_processors()["StreamProcessors"]] == ["porch"]
        limited.describe_stream_processor(Name="porch")
        for call in (
            lambda: limited.describe_stream_processor(Name="attic"),
            lambda: limited.list_tags_for_resource(ResourceArn=arn),
        ):
            with pytest.raises(ClientError, match=r"AccessDenied.*AKPORCH is not authorized to perform"):
                call()


def test_a_key_that_is_held_to_some_processors_sees_its_own_jobs_only(core: Core, tmp_path: Path) -> None:
    keys = {
        ACCESS_KEY: Key(ACCESS_KEY, SECRET),
        "AKPORCH": Key("AKPORCH", "s", processors=("porch",)),
        "AKATTIC": Key("AKATTIC", "s", processors=("attic",)),
    }
    (tmp_path / "videos").mkdir(exist_ok=True)
    (tmp_path / "videos" / "a.mp4").write_bytes(b"a video")
    video = {"S3Object": {"Bucket": "videos", "Name": "a.mp4"}}
    with serving(Endpoint(operation_models(), handlers(core), keys)) as url:
        everything = client(url)
        porch, attic = (client(url, access_key=key, secret="s") for key in ("AKPORCH", "AKATTIC"))
        job = porch.start_label_detection(Video=video)["JobId"]
        assert porch.get_label_detection(JobId=job)["JobStatus"] == "IN_PROGRESS"
        assert everything.get_label_detection(JobId=job)["JobStatus"] == "IN_PROGRESS"
        with pytest.raises(ClientError, match="Could not find JobId"):
            attic.get_label_detection(JobId=job)


def test_secrets_stay_out_of_errors(endpoint: Endpoint, tmp_path: Path) -> None:
    response = asyncio.run(endpoint.handle(request("ListStreamProcessors", secret="hush-hush")))
    assert b"hush" not in response.body and SECRET.encode() not in response.body


@pytest.mark.logs_errors("request_failed")
async def test_a_mistake_of_ours_is_an_internal_error_without_its_cause(endpoint: Endpoint) -> None:
    async def broken(call: Any) -> dict[str, Any]:
        raise RuntimeError("a secret detail")

    models = operation_models()
    wrecked = Endpoint(models, {"ListStreamProcessors": broken}, endpoint.keys)
    response = await wrecked.handle(request("ListStreamProcessors"))
    assert response.status == 500 and b"secret detail" not in response.body
    assert json.loads(response.body)["__type"] == "InternalServerError"
