"""Control operations, signatures, permissions and the loopback rule, by boto3 and by requests made by hand."""

from __future__ import annotations

import hashlib
import http.client
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.daemon import Daemon
from tests.kinesis.node import ENVIRON, client, node
from tests.kinesis.sender import ACCESS_KEY, REGION, SECRET, Sender, put
from tests.matroska import Clip


def code_of(call: Callable[[], Any]) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call()
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_a_stream_lives(kvs: Daemon) -> None:
    kv = client(kvs.url)
    arn = kv.create_stream(StreamName="yard", DataRetentionInHours=2, MediaType="video/h264", Tags={"a": "1"})[
        "StreamARN"
    ]
    assert re.fullmatch(r"arn:aws:kinesisvideo:us-east-1:\d{12}:stream/yard/\d{13}", arn)
    info = kv.describe_stream(StreamARN=arn)["StreamInfo"]
    assert (info["StreamARN"], info["Status"], info["DataRetentionInHours"]) == (arn, "ACTIVE", 2)
    assert info["CreationTime"].timestamp() * 1000 == pytest.approx(int(arn.rpartition("/")[2]), abs=1)
    assert code_of(lambda: kv.create_stream(StreamName="yard")) == ("ResourceInUseException", 400)
    kv.tag_stream(StreamName="yard", Tags={"b": "2"})
    kv.untag_stream(StreamARN=arn, TagKeyList=["a"])
    assert kv.list_tags_for_stream(StreamName="yard")["Tags"] == {"b": "2"}
    many = {f"k{n}": "v" for n in range(50)}
    assert code_of(lambda: kv.tag_stream(StreamName="yard", Tags=many))[0] == "TagsPerResourceExceededLimitException"
    kv.update_stream(StreamName="yard", CurrentVersion=info["Version"], MediaType="video/h265")
    stale = {"StreamName": "yard", "CurrentVersion": info["Version"]}
    assert code_of(lambda: kv.update_stream(**stale, MediaType="x/y")) == ("VersionMismatchException", 400)
    current = kv.describe_stream(StreamName="yard")["StreamInfo"]
    assert current["MediaType"] == "video/h265" and current["Version"] != info["Version"]
    kv.update_data_retention(
        StreamName="yard",
        CurrentVersion=current["Version"],
        Operation="INCREASE_DATA_RETENTION",
        DataRetentionChangeInHours=3,
    )
    assert kv.describe_stream(StreamName="yard")["StreamInfo"]["DataRetentionInHours"] == 5
    kv.delete_stream(StreamARN=arn)
    assert code_of(lambda: kv.describe_stream(StreamName="yard")) == ("ResourceNotFoundException", 404)


def test_lists_come_in_pages_and_by_prefix(kvs: Daemon) -> None:
    kv = client(kvs.url)
    for n in range(5):
        kv.create_stream(StreamName=f"page-{n}")
    condition = {"ComparisonOperator": "BEGINS_WITH", "ComparisonValue": "page-"}
    pages = list(
        kv.get_paginator("list_streams").paginate(StreamNameCondition=condition, PaginationConfig={"PageSize": 2})
    )
    assert [[info["StreamName"] for info in page["StreamInfoList"]] for page in pages] == [
        ["page-0", "page-1"],
        ["page-2", "page-3"],
        ["page-4"],
    ]


def test_the_data_endpoint_is_where_the_request_went(kvs: Daemon, stream: Callable[[], str], tmp_path: Path) -> None:
    name = stream()
    assert client(kvs.url).get_data_endpoint(StreamName=name, APIName="PUT_MEDIA")["DataEndpoint"] == kvs.url
    url = kvs.url.replace("127.0.0.1", "localhost")
    assert client(url).get_data_endpoint(StreamName=name, APIName="GET_MEDIA")["DataEndpoint"] == url
    told = node(tmp_path, {"public_url": "https://box.example:4567"}).start()
    try:
        client(told.url).create_stream(StreamName="x")
        answer = client(told.url).get_data_endpoint(StreamName="x", APIName="GET_CLIP")
        assert answer["DataEndpoint"] == "https://box.example:4567"
    finally:
        told.close()


def test_deleting_a_stream_ends_its_session_and_takes_its_fragments(kvs: Daemon, clip: Clip) -> None:
    kv = client(kvs.url)
    kv.create_stream(StreamName="gone")
    sender = Sender(kvs.url, "gone")
    sender.send(clip.header() + b"".join(clip.clusters()[:3]))
    sender.until("PERSISTED", 2)
    kv.delete_stream(StreamARN=kv.describe_stream(StreamName="gone")["StreamInfo"]["StreamARN"])
    assert sender.closed.wait(10) and sender.of("ERROR")[0]["ErrorCode"] == "STREAM_DELETED"
    kv.create_stream(StreamName="gone")
    assert client(kvs.url, "kinesis-video-archived-media").list_fragments(StreamName="gone")["Fragments"] == []


def test_bad_requests_say_what_is_wrong(kvs: Daemon) -> None:
    status, headers, body = raw(kvs, "/describeStream", b'{"StreamName": "*"}')
    assert (status, headers["x-amzn-errortype"]) == (400, "InvalidArgumentException")
    assert "'StreamName' failed to satisfy" in json.loads(body)["Message"]
    assert raw(kvs, "/describeStream", b"{")[0] == 400
    assert raw(kvs, "/describeStream", b"[" * 100_000)[0] == 400
    assert raw(kvs, "/describeStream", b"{}")[0] == 400
    assert (
        raw(kvs, "/describeStream", b'{"StreamName":"a","StreamARN":"arn:aws:kinesisvideo:r:123456789012:stream/a/1"}')[
            0
        ]
        == 400
    )
    status, headers, _ = raw(kvs, "/getHLSStreamingSessionURL", b'{"StreamName": "a"}')
    assert (status, headers["x-amzn-errortype"]) == (400, "UnknownOperationException")
    assert raw(kvs, "/listStreams", b'{"NextToken": "????"}')[0] == 400
    assert raw(kvs, "/listStreams", b" " * 1_100_000)[0] == 413


# -- signatures


def raw(
    daemon: Daemon,
    path: str,
    body: bytes,
    *,
    host: str | None = None,
    line: str | None = None,
    signed: dict[str, str] | None = None,
    unsigned: dict[str, str] | None = None,
    secret: str = SECRET,
) -> tuple[int, dict[str, str], bytes]:
    """One signed request, by hand: ``line`` is the request's target, ``unsigned`` headers are added after signing."""
    host = host or urlsplit(daemon.url).netloc
    request = AWSRequest("POST", f"http://{host}{path}", headers={"Host": host, **(signed or {})}, data=body)
    SigV4Auth(Credentials(ACCESS_KEY, secret), "kinesisvideo", REGION).add_auth(request)
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=20)
    connection.putrequest("POST", line or path, skip_host=True)
    for name, value in {**dict(request.headers.items()), **(unsigned or {}), "Content-Length": str(len(body))}.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


LIST = ("/listStreams", b"{}")


def test_the_habits_of_clients_are_understood(kvs: Daemon) -> None:
    sha = hashlib.sha256(b"{}").hexdigest()
    assert raw(kvs, *LIST)[0] == 200
    assert raw(kvs, *LIST, signed={"x-amz-content-sha256": sha})[0] == 200
    assert raw(kvs, *LIST, signed={"x-amz-content-sha256": "UNSIGNED-PAYLOAD"})[0] == 200
    assert raw(kvs, *LIST, host="127.0.0.1")[0] == 200
    assert raw(kvs, *LIST, line=f"http://127.0.0.1:{kvs.port}/listStreams")[0] == 200
    assert raw(kvs, *LIST, unsigned={"x-amz-security-token": "not signed"})[0] == 200


def test_a_signature_that_is_not_true_is_refused(kvs: Daemon) -> None:
    status, headers, body = raw(kvs, *LIST, secret="another")
    assert (status, headers["x-amzn-errortype"]) == (403, "InvalidSignatureException")
    assert SECRET.encode() not in body
    other = hashlib.sha256(b"another body").hexdigest()
    assert raw(kvs, *LIST, signed={"x-amz-content-sha256": other})[0] == 403
    connection = http.client.HTTPConnection("127.0.0.1", kvs.port)
    connection.request("POST", "/listStreams", b"{}")
    answer = connection.getresponse()
    assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (403, "MissingAuthenticationTokenException")
    assert Sender(kvs.url, "any", secret="another").status == 403


@pytest.mark.parametrize(
    "payload", ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", hashlib.sha256(b"").hexdigest(), None]
)
def test_putmedia_may_be_signed_in_each_way(
    kvs: Daemon, stream: Callable[[], str], clip: Clip, payload: str | None
) -> None:
    assert put(kvs.url, stream(), clip.header() + clip.clusters()[0], payload=payload).of("PERSISTED")


def test_putmedia_by_arn_and_to_a_stream_that_is_not_there(kvs: Daemon, stream: Callable[[], str], clip: Clip) -> None:
    name = stream()
    arn = client(kvs.url).describe_stream(StreamName=name)["StreamInfo"]["StreamARN"]
    both = Sender(kvs.url, name, headers={"x-amzn-stream-arn": arn})
    assert both.status == 400
    nobody = Sender(kvs.url, "nobody")
    assert (nobody.status, nobody.headers["x-amzn-errortype"]) == (404, "ResourceNotFoundException")


def test_a_key_may_do_what_it_may(tmp_path: Path, clip: Clip) -> None:
    keys = [
        {"access_key_id": ACCESS_KEY, "secret_access_key_env": "KVS_SECRET", "streams": ["cam-*"], "operations": ["*Stream*", "PutMedia"]}
    ]  # fmt: skip
    daemon = node(tmp_path, keys=False, server={"credentials": keys}).start()
    try:
        kv = client(daemon.url)
        kv.create_stream(StreamName="cam-1")
        assert code_of(lambda: kv.create_stream(StreamName="other")) == ("AccessDeniedException", 403)
        put(daemon.url, "cam-1", clip.header() + clip.clusters()[0])
        assert Sender(daemon.url, "other").status == 403
        read = client(daemon.url, "kinesis-video-media")
        selector = {"StartSelectorType": "EARLIEST"}
        assert code_of(lambda: read.get_media(StreamName="cam-1", StartSelector=selector))[1] == 403
        assert "GetMedia" in daemon.get("/metrics")
    finally:
        daemon.close()


def test_without_keys_only_this_host_is_served_and_no_browser(tmp_path: Path) -> None:
    daemon = node(tmp_path, keys=False).start()
    try:
        assert client(daemon.url).list_streams()["StreamInfoList"] == []
        assert raw(daemon, *LIST, unsigned={"Origin": "http://evil.example"})[0] == 403
        assert Sender(daemon.url, "x", headers={"origin": "http://evil.example"}).status == 403
    finally:
        daemon.close()


def test_streams_may_be_kept_from_being_made_and_a_node_without_the_section_serves_none(tmp_path: Path) -> None:
    closed = node(tmp_path / "a", {"create": False}).start()
    try:
        assert code_of(lambda: client(closed.url).create_stream(StreamName="x")) == ("AccessDeniedException", 403)
    finally:
        closed.close()
    without = Daemon(tmp_path / "b", ENVIRON).start()
    try:
        assert code_of(lambda: client(without.url).list_streams())[1] == 404
    finally:
        without.close()


def test_streams_outlive_a_restart(tmp_path: Path) -> None:
    daemon = node(tmp_path).start()
    try:
        before = client(daemon.url)
        before.create_stream(StreamName="porch", Tags={"a": "b"}, DataRetentionInHours=7)
        info = before.describe_stream(StreamName="porch")["StreamInfo"]
        daemon.terminate()
        daemon.start()
        assert client(daemon.url).describe_stream(StreamName="porch")["StreamInfo"] == info
        assert client(daemon.url).list_tags_for_stream(StreamName="porch")["Tags"] == {"a": "b"}
    finally:
        daemon.close()
