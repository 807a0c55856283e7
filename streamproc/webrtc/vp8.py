"""VP8 as RTP payloads. Pure."""

from __future__ import annotations

from streamproc.webrtc.h264 import MAX_PAYLOAD


def packetize(data: bytes) -> list[bytes]:
    """RTP payloads of one picture, with the shortest payload descriptor (RFC 7741 4.2): S on the first, nothing else."""
    room = MAX_PAYLOAD - 1
    return [(b"\x10" if begin == 0 else b"\x00") + data[begin : begin + room] for begin in range(0, len(data), room)]
