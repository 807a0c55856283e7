"""Clips in MP4: pictures at their own times."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av

from streamproc.core.video_log import FragmentInfo
from streamproc.kinesis.clip import clip_bytes
from tests.builders.clips import bar_clip

START = 1_795_700_000_000


def test_pictures_that_are_decoded_in_another_order_keep_their_times(tmp_path: Path) -> None:
    """Matroska does not say when a picture is decoded. Two fragments, so that the second one goes on where the first one ends."""
    data = bar_clip(tmp_path / "reordered.mkv", gop=30, b_frames=3, frames=30).read_bytes()
    parts = [(FragmentInfo(str(n), START + 2000 * n, START, 2000, len(data)), data) for n in range(2)]
    with av.open(io.BytesIO(clip_bytes(parts))) as container:
        video = container.streams.video[0]
        times = [Fraction(frame.pts * frame.time_base) for frame in container.decode(video)]
        assert [round(float(at) * 15) for at in times] == list(range(60)), "times are not the pictures' own"
        assert abs(float(video.duration * video.time_base) - 4) < 0.01, (
            "the last picture is not shown as long as the others"
        )
