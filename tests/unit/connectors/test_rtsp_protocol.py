"""RTSP, SDP, challenges and RTP as pure objects: by the standards' own examples, and whatever the bytes are."""

from __future__ import annotations

import random

import pytest

from connectors.rtsp.auth import Authorizer, Credentials, challenges
from connectors.rtsp.handshake import Handshake, NotReadHere
from connectors.rtsp.messages import CameraRequest, MessageStream, Response, refusal, request
from connectors.rtsp.rtp import AccessUnit, Assembler, annex_b, parsed, receiver_report
from connectors.rtsp.sdp import described
from streamproc.core.errors import SourceError, SourceRefused

MUFASA = Credentials("Mufasa", "Circle of Life")
RFC_7616 = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={}, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_digest_as_in_rfc_7616_section_3_9_1(algorithm: str, response: str) -> None:
    [asked], unknown = challenges([RFC_7616.format(algorithm)])
    given = Authorizer(asked, MUFASA, "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ").header("GET", "/dir/index.html")
    assert f'response="{response}"' in given and "nc=00000001" in given and 'opaque="FQhe' in given and not unknown


def test_digest_as_in_rfc_2069_without_qop() -> None:
    [asked], _ = challenges(['Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'])
    given = Authorizer(asked, Credentials("Mufasa", "CircleOfLife"), "0").header("GET", "/dir/index.html")
    # RFC 2069 as corrected by its erratum 749.
    assert 'response="1949323746fe6a43ef61f9606e7febea"' in given and "nc=" not in given


def test_the_strongest_challenge_comes_first_and_unknown_ones_are_named() -> None:
    known, unknown = challenges(
        ['Basic realm="x"', RFC_7616.format("MD5"), RFC_7616.format("SHA-256"), RFC_7616.format("SHA-512-256"), "NTLM"]
    )
    assert [(each.scheme, each.algorithm) for each in known] == [
        ("digest", "SHA-256"),
        ("digest", "MD5"),
        ("basic", ""),
    ]
    assert unknown == ["Digest SHA-512-256", "NTLM"]


@pytest.mark.parametrize(
    ("header", "realms", "names"),
    [
        ('Digest realm="a", nonce="n1", algorithm=SHA-256, Basic realm="b"', ["a", "b"], []),
        ('Basic realm="b", Digest realm="a", nonce="n1"', ["a", "b"], []),
        ('Digest realm="a", nonce="n", algorithm=SHA-512-256, Digest realm="c", nonce="m", NTLM', ["c"], ["Digest SHA-512-256", "NTLM"]),
        ('Digest realm="x, Basic y", nonce="n"', ["x, Basic y"], []),
        ('Digest realm="a \\", Basic b=\\"", nonce="n"', ['a ", Basic b="'], []),
    ],
)  # fmt: skip
def test_challenges_in_one_header_are_told_apart(header: str, realms: list[str], names: list[str]) -> None:
    known, unknown = challenges([header])
    assert [each.realm for each in known] == realms and unknown == names


def test_messages_and_interleaved_packets_however_they_are_cut() -> None:
    data = (
        b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 4\r\nWWW-Authenticate: a\r\nwww-authenticate: b\r\n\r\nbody"
        b"$\0\0\5hello\r\nOPTIONS rtsp://x RTSP/1.0\r\nCSeq: 7\r\n\r\n$\1\0\0RTSP/1.0 404 Not Found\r\n\r\n"
    )
    for size in (1, 2, 7, len(data)):
        stream = MessageStream()
        found = [item for at in range(0, len(data), size) for item in stream.feed(data[at : at + size])]
        answer, packet, asked, empty, last = found
        assert (
            isinstance(answer, Response) and answer.body == b"body" and answer.headers["www-authenticate"] == ("a", "b")
        )
        assert packet == (0, b"hello") and empty == (1, b"") and asked == CameraRequest("OPTIONS", "7")
        assert isinstance(last, Response) and (last.status, last.reason) == (404, "Not Found")
    assert refusal(CameraRequest("ANNOUNCE", "7")).startswith(b"RTSP/1.0 501")


def test_no_bytes_raise_anything_but_a_source_error() -> None:
    chance = random.Random(4)
    words = [
        b"RTSP/1.0 200 OK\r\n",
        b"Content-Length: 9999999\r\n",
        b"Content-Length: -1\r\n",
        b"\r\n\r\n",
        b"$\0\0\3",
        b"\r\n",
    ]
    for _ in range(3000):
        stream = MessageStream()
        data = b"".join(chance.choice([*words, chance.randbytes(chance.randrange(9))]) for _ in range(8))
        try:
            for at in range(0, len(data), 5):
                stream.feed(data[at : at + 5])
        except SourceError:
            pass
    with pytest.raises(SourceError, match="does not speak RTSP"):
        MessageStream().feed(bytes(40_000))


SDP = b"""v=0\r
a=control:*\r
m=audio 0 RTP/AVP 0\r
a=control:trackID=2\r
m=video 0 RTP/AVP 98 96\r
a=rtpmap:98 VP8/90000\r
a=rtpmap:96 H264/90000\r
a=fmtp:96 packetization-mode=1; sprop-parameter-sets=Z0IAKeKQFAe2AtwEBAaQeJEV,aM48gA==\r
a=control:%s\r
"""


@pytest.mark.parametrize(
    ("base", "control", "url"),
    [
        ("rtsp://cam/live/", "trackID=1", "rtsp://cam/live/trackID=1"),
        ("rtsp://cam/live", "trackID=1", "rtsp://cam/live/trackID=1"),
        ("rtsp://cam/live?channel=1", "trackID=1", "rtsp://cam/live?channel=1/trackID=1"),
        ("rtsp://cam:8554/live/", "/other/1", "rtsp://cam:8554/other/1"),
        ("rtsps://cam/live/", "rtsp://else/1", "rtsp://else/1"),
        ("rtsp://cam/live/", "*", "rtsp://cam/live/"),
    ],
)
def test_a_description_names_the_video_that_can_be_read(base: str, control: str, url: str) -> None:
    found = described(SDP % control.encode(), base)
    assert found.video is not None and found.offered == ("VP8", "H264") and found.control == base
    assert (found.video.codec, found.video.payload_type, found.video.clock_rate) == ("h264", 96, 90_000)
    assert found.video.control == url and [unit[0] & 31 for unit in found.video.parameter_sets] == [7, 8]


def test_descriptions_of_other_things_and_broken_ones() -> None:
    assert described(b"m=video 0 RTP/AVP 26\r\na=rtpmap:26 JPEG/90000", "rtsp://x").offered == ("JPEG",)
    interleaved = (SDP % b"x").replace(b"packetization-mode=1", b"packetization-mode=2")
    assert described(interleaved, "rtsp://x").video is None
    chance = random.Random(8)
    for _ in range(2000):
        broken = bytearray(SDP % b"x")
        for _ in range(chance.randrange(1, 20)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        described(bytes(broken), "rtsp://cam/x")


def test_a_handshake_asks_in_order_and_refuses_after_each_challenge_was_answered_once() -> None:
    hands = Handshake("rtsp://cam/x", Credentials("a", "b"), "0011")
    assert hands.begin().startswith(b"OPTIONS rtsp://cam/x RTSP/1.0\r\nCSeq: 1\r\n")
    assert b"DESCRIBE" in hands.answered(Response(200, "OK", {"public": ("OPTIONS, GET_PARAMETER",)}))
    both = Response(
        401, "", {"www-authenticate": ('Digest realm="c", nonce="1", algorithm=SHA-256', 'Basic realm="c"')}
    )
    assert b"SHA-256" in hands.answered(both) and b"Authorization: Basic" in hands.answered(both)
    with pytest.raises(SourceRefused, match="password"):
        hands.answered(both)
    stale = Handshake("rtsp://cam/x", Credentials("a", "b"), "0011")
    stale.begin()
    for number in range(4):
        nonce = f'Digest realm="c", nonce="{number}", stale=true'
        assert f'nonce="{number}"'.encode() in stale.answered(Response(401, "", {"www-authenticate": (nonce,)}))
    other = Handshake("rtsp://cam/x", None, "0011")
    other.begin()
    other.answered(Response(200, "OK", {}))
    with pytest.raises(NotReadHere, match="JPEG"):
        other.answered(Response(200, "OK", {}, b"m=video 0 RTP/AVP 26\r\na=rtpmap:26 JPEG/90000"))


def rtp(sequence: int, stamp: int, payload: bytes, marker: bool = False) -> bytes:
    head = bytes([0x80, 0x80 * marker | 96]) + sequence.to_bytes(2, "big") + stamp.to_bytes(4, "big") + b"abcd"
    return head + payload


def assembled(assembler: Assembler, *packets: bytes) -> list[AccessUnit]:
    return [unit for data in packets if (packet := parsed(data)) for unit in assembler.add(packet)]


def test_units_parts_and_aggregates_become_pictures() -> None:
    whole = assembled(
        Assembler("h264"),
        rtp(65535, 2**32 - 10, bytes([24]) + b"\0\2\x67A\0\2\x68B"),
        rtp(0, 2**32 - 10, bytes([0x7C, 0x85]) + b"one"),
        rtp(1, 2**32 - 10, bytes([0x7C, 0x45]) + b"two", marker=True),
        rtp(2, 20, b"\x41next"),
        rtp(3, 50, b"\x01last", marker=True),
    )
    assert [unit.units for unit in whole] == [[b"\x67A", b"\x68B", b"\x65onetwo"], [b"\x41next"], [b"\x01last"]]
    assert [unit.keyframe for unit in whole] == [True, False, False]
    assert [unit.timestamp - whole[0].timestamp for unit in whole] == [0, 30, 60]
    assert annex_b(whole[0].units).startswith(b"\0\0\0\1\x67A\0\0\0\1\x68B")


def test_what_is_lost_is_counted_and_marks_the_picture() -> None:
    assembler = Assembler("h264")
    first = assembled(
        assembler, rtp(10, 0, bytes([0x7C, 0x81]) + b"a"), rtp(12, 0, bytes([0x7C, 0x41]) + b"c", marker=True)
    )
    assert first == [] and assembler.lost == 1
    [after] = assembled(assembler, rtp(13, 9, b"\x41x", marker=True))
    [fine] = assembled(assembler, rtp(14, 18, b"\x41y", marker=True), rtp(13, 9, b"\x41x", marker=True))
    assert after.damaged and not fine.damaged and assembler.received == 5
    report = receiver_report(1, 2, assembler.lost, assembler.highest)
    assert len(report) == 32 and report[:4] == b"\x81\xc9\0\7" and int.from_bytes(report[16:20], "big") == 14


def test_h265_units_parts_and_aggregates() -> None:
    [unit] = assembled(
        Assembler("hevc"),
        rtp(1, 5, bytes([48 << 1, 1]) + b"\0\3\x40\1V\0\3\x42\1S"),
        rtp(2, 5, bytes([49 << 1, 1, 0x80 | 19]) + b"one"),
        rtp(3, 5, bytes([49 << 1, 1, 0x40 | 19]) + b"two", marker=True),
    )
    assert unit.units == [b"\x40\1V", b"\x42\1S", bytes([19 << 1, 1]) + b"onetwo"] and unit.keyframe


def test_padding_extensions_and_short_packets() -> None:
    padded = bytearray(rtp(1, 5, b"\x41x\0\0\3", marker=True))
    padded[0] |= 32
    packet = parsed(bytes(padded))
    assert packet is not None and packet.payload == b"\x41x"
    extended = bytearray(rtp(1, 5, b"\xbe\xde\0\1wxyz\x41x"))
    extended[0] |= 16
    packet = parsed(bytes(extended))
    assert packet is not None and packet.payload == b"\x41x"
    assert parsed(b"\x80") is None and parsed(b"\x40" + bytes(20)) is None


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_no_packet_raises(codec: str) -> None:
    chance = random.Random(5)
    assembler = Assembler(codec)
    for number in range(5000):
        data = bytearray(
            rtp(number & 0xFFFF, chance.randrange(2**32), chance.randbytes(chance.randrange(12)), chance.random() < 0.3)
        )
        if chance.random() < 0.2:
            data[chance.randrange(len(data))] = chance.randrange(256)
        for unit in assembled(assembler, bytes(data)):
            assert unit.units and all(unit.units)


def test_a_request_is_one() -> None:
    assert request("PLAY", "rtsp://x", 3, {"Session": "1"}).endswith(
        b"CSeq: 3\r\nUser-Agent: streamproc\r\nSession: 1\r\n\r\n"
    )
