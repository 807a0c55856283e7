"""Offers before aiortc sees them."""

from __future__ import annotations

import pytest

from streamproc.webrtc.offer import OfferRefused, is_usable, read_fragment, read_offer

HEAD = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
KEYS = "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 AA:BB\r\na=setup:actpass\r\n"
VIDEO = (
    "m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\na=mid:0\r\na=rtpmap:96 VP8/90000\r\n"
    "a=rtpmap:97 H264/90000\r\na=fmtp:97 level-asymmetry-allowed=1;packetization-mode=1\r\n"
)
AUDIO = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:1\r\na=rtpmap:111 opus/48000/2\r\n"
GOOD = HEAD + VIDEO + "a=sendonly\r\n" + KEYS


def status(body: str | bytes, wants: str = "send") -> int:
    with pytest.raises(OfferRefused) as refused:
        read_offer(body.encode() if isinstance(body, str) else body, wants)  # type: ignore[arg-type]
    return refused.value.status


def test_a_good_offer() -> None:
    offer = read_offer((HEAD + AUDIO + KEYS + VIDEO + "a=sendonly\r\n" + KEYS).encode(), "send")
    assert offer.codecs == ("H264", "VP8") and offer.video == 1


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("", 400),
        ("   \n", 400),
        ("hello", 400),
        ("{}", 400),
        (b"\xff\xfe", 400),
        (HEAD, 400),
        (HEAD + VIDEO + "a=sendonly\r\n", 400),
        (GOOD.replace("a=ice-pwd", "a=ice-pw"), 400),
        (GOOD + " " * 300_000, 413),
        (GOOD + "a=candidate:1 1 udp 1 10.0.0.1 9 typ host\r\n" * 501, 413),
        (GOOD + (VIDEO + KEYS) * 40, 413),
        (HEAD + AUDIO + KEYS, 422),
        (GOOD.replace("H264", "H265").replace("VP8", "AV1"), 422),
        (GOOD.replace("sendonly", "recvonly"), 422),
        (GOOD.replace("sendonly", "inactive"), 422),
    ],
)
def test_bad_offers_have_their_status(body: str | bytes, expected: int) -> None:
    assert status(body) == expected


def test_a_viewer_must_want_to_receive() -> None:
    assert status(GOOD, "receive") == 422
    assert read_offer(GOOD.replace("sendonly", "recvonly").encode(), "receive").codecs


@pytest.mark.parametrize("mode", ["packetization-mode=0", "", "packetization-mode=10"])
def test_h264_without_packetization_mode_1_is_not_counted_on(mode: str) -> None:
    offer = GOOD.replace("packetization-mode=1", mode)
    assert read_offer(offer.encode(), "send").codecs == ("VP8",)
    assert status(offer.replace("VP8", "AV1")) == 422


def test_candidates_that_lead_nowhere_are_left_out() -> None:
    lines = {
        "a=candidate:1 1 udp 2130706431 192.0.2.7 5000 typ host": True,
        "a=candidate:1 1 UDP 2130706431 fd00::2 5000 typ host generation 0": True,
        "a=candidate:1 1 tcp 2130706431 192.0.2.7 9 typ host tcptype active": False,
        "a=candidate:1 1 udp 2130706431 1f4712db-ea17.local 5000 typ host": False,
        "a=candidate:1 1 udp 2130706431 internal.example 5000 typ host": False,
        "a=candidate:1 1 udp 2130706431 224.0.0.1 5000 typ host": False,
        "a=candidate:1 1 udp 2130706431 192.0.2.7 70000 typ host": False,
        "a=candidate:": False,
    }
    for line, usable in lines.items():
        assert is_usable(line) is usable, line
        assert (line in read_offer((GOOD + line + "\r\n").encode(), "send").sdp) is usable, line


def test_a_trickle_fragment() -> None:
    body = "a=ice-ufrag:x\r\nm=video 9 RTP/AVP 0\r\na=mid:v\r\na=candidate:1 1 udp 1 192.0.2.7 5000 typ host\r\na=end-of-candidates\r\n"
    assert read_fragment(body.encode()) == [("v", "candidate:1 1 udp 1 192.0.2.7 5000 typ host")]
    with pytest.raises(OfferRefused):
        read_fragment(b"a=candidate:1 1 udp 1 192.0.2.7 5000 typ host\n" * 501)
