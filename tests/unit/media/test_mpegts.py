"""Where a transport stream's video changes its coding, however its packets lie in the file."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from streamproc.media.coded_parts import FilePart
from streamproc.media.mpegts import PACKET, coding_borders, layout_at
from tests.builders.clips import bar_clip


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """H.264, then MPEG-2 under the same PID."""
    folder = tmp_path_factory.mktemp("ts")
    made = [bar_clip(folder / f"{codec}.ts", frames=12, codec=codec) for codec in ("libx264", "mpeg2video")]
    return made[0].read_bytes(), made[1].read_bytes()


def packets(data: bytes) -> list[bytes]:
    return [data[at : at + PACKET] for at in range(0, len(data), PACKET)]


def with_time_codes(data: bytes) -> bytes:
    return b"".join(number.to_bytes(4, "big") + packet for number, packet in enumerate(packets(data)))


def with_parity(data: bytes) -> bytes:
    return b"".join(packet + bytes(16) for packet in packets(data))


def _size_at(data: bytes, place: int) -> int:
    layout = layout_at(data, place)
    assert layout is not None
    return layout[1]


def borders(data: bytes) -> list[int]:
    """Where parts begin: FFmpeg writes a description of the service before the association table."""
    return [border - _size_at(data, border) for border in coding_borders(io.BytesIO(data))]


@pytest.mark.parametrize("written", [bytes, with_time_codes, with_parity])
def test_a_border_is_found_in_every_layout(parts: tuple[bytes, bytes], written: Callable[[bytes], bytes]) -> None:
    first, second = map(written, parts)
    assert layout_at(first) is not None
    assert borders(first) == []
    assert borders(first + second) == [len(first)]
    assert borders(first + second + first) == [len(first), len(first + second)]


def test_what_is_no_packet_hides_no_border(parts: tuple[bytes, bytes]) -> None:
    first, second = parts
    cut = first[100:]
    assert borders(cut + second) == [len(cut)]
    damaged = first[: 9 * PACKET] + bytes(1000) + first[9 * PACKET :]
    assert borders(damaged + second) == [len(damaged)]
    assert borders(bytes(100_000)) == []


def test_a_part_is_a_file_of_its_own(tmp_path: Path) -> None:
    whole = io.BytesIO(b"0123456789")
    with FilePart(whole, 3, 7) as part:
        assert part.read() == b"3456" and part.read() == b""
        assert part.seek(-1, io.SEEK_END) == 3 and part.read(5) == b"6"
    assert not whole.closed
