"""Headers that claim more pixels than anybody sends: refused before memory is asked for."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest

from streamproc.core.errors import MediaError
from streamproc.core.media import EPOCH, Moment, Packet
from streamproc.jobs.video import StoredVideo
from streamproc.media.decode import Decoder
from streamproc.media.demux import MAX_PIXELS, Coded
from streamproc.media.fragments import read_fragment
from streamproc.media.probe import probe_file
from streamproc.media.reader import read_frames


def png(side: int) -> bytes:
    """A sound black picture of one bit a pixel: FFmpeg takes it apart where nothing limits it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(bytes((side + 7) // 8 + 1) * side, 1)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


LARGE, SMALL = png(11_000), png(100)
assert MAX_PIXELS < 11_000**2


def decoded(data: bytes) -> int:
    fragment, decoder = read_fragment(data, "a message"), Decoder()
    (unit,) = fragment.units
    at = Moment(unit.offset, EPOCH)
    return len(decoder.decode(Packet(Coded(unit.raw, fragment.track), at, unit.raw.size, True, ends=True)))


def test_a_message() -> None:
    assert decoded(SMALL) == 1
    assert decoded(LARGE) == 0


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(SMALL)
    assert len(list(read_frames(path))) == 1
    assert len(list(StoredVideo(str(path), "photo").items())) == 1
    path.write_bytes(LARGE)
    assert list(read_frames(path)) == []
    with pytest.raises(MediaError, match="no pictures that can be decoded"):
        probe_file(path)
    assert list(StoredVideo(str(path), "photo").items()) == []
