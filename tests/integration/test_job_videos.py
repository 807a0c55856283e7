"""What people hand in: damaged, empty and odd videos. Each ends as a result or as a job that says why not."""

from __future__ import annotations

import shutil
import subprocess
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from streamproc.jobs.model import JobKind, JobRequest, JobState, VideoRef
from streamproc.jobs.service import JobLimits
from streamproc.jobs.video import UNSUPPORTED, Sound, StoredVideo, VideoFrame
from streamproc.jobs.video_facts import _rate
from tests import videos
from tests.builders.clips import bar_clip
from tests.builders.segment_jobs import run, service_of


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return videos.edit(tmp_path_factory.mktemp("clip") / "clip.mp4", sound=True)


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_an_avi_with_b_frames_has_each_picture_at_its_time(tmp_path: Path, codec: str) -> None:
    """AVI's own times are those of decoding."""
    path = tmp_path / "clip.avi"
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=15)
        stream.width, stream.height, stream.pix_fmt, stream.max_b_frames = 160, 96, "yuv420p", 2
        for n in range(40):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((96, 160, 3), n * 6, np.uint8), "bgr24")))
        out.mux(stream.encode())
    video = StoredVideo(str(path), path.name)
    frames = [item for item in video.items() if isinstance(item, VideoFrame)]
    video.close()
    levels = [int(frame.luma_sample().mean()) for frame in frames]
    assert levels == sorted(levels), "pictures are not in the order in which they are shown"
    assert [frame.at for frame in frames] == [Fraction(n, 15) for n in range(40)]


def test_an_avi_made_by_ffmpeg_has_its_own_rate(clip: Path, tmp_path: Path) -> None:
    """H.264 in AVI is counted in ticks of half a frame, so the header's rate is twice the pictures'."""
    path = tmp_path / "clip.avi"
    with av.open(str(clip)) as given, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    with av.open(str(clip)) as given:
        rate = given.streams.video[0].average_rate
    opened = StoredVideo(str(path), "clip")
    assert opened.facts.rate == rate
    opened.close()


def test_a_text_file_named_mp4(tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("these are my notes\n" * 50)
    job, _ = run(tmp_path / "data", str(tmp_path / "notes.mp4"))
    assert (job.state, job.message) == (JobState.FAILED, UNSUPPORTED)


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    job, _ = run(tmp_path / "data", str(tmp_path / "empty.mp4"))
    assert (job.state, job.message) == (JobState.FAILED, UNSUPPORTED)


def test_sound_alone(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "song.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(videos.tone(1.0)[None, :1024].astype(np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts = 48_000, 0
        for packet in [*stream.encode(frame), *stream.encode()]:
            container.mux(packet)
    job, _ = run(tmp_path / "data", str(tmp_path / "song.mp4"))
    assert (job.state, job.message) == (JobState.FAILED, UNSUPPORTED)


def test_zero_frames(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "none.mkv"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        container.start_encoding()
    job, _ = run(tmp_path / "data", str(tmp_path / "none.mkv"))
    assert job.state is JobState.FAILED and job.message


def test_sound_before_the_first_picture_is_heard_and_all_that_follows(tmp_path: Path) -> None:
    """A recording that did not begin at its clock's zero, and whose sound began first."""
    whole, path = videos.write(tmp_path / "whole.mp4", videos.black(50), sound=videos.tone(3.0)), tmp_path / "late.mkv"
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in sorted((p for p in source.demux() if p.dts is not None), key=lambda p: p.dts * p.time_base):
            late = 5000 + (packet.stream.type == "video")
            packet.pts, packet.dts = (at + int(late / packet.time_base) for at in (packet.pts, packet.dts))
            packet.stream = streams[packet.stream.index]
            target.mux(packet)
    opened = StoredVideo(str(path), path.name)
    heard = [item for item in opened.items(sound=True) if isinstance(item, Sound)]
    assert float(heard[0].start) == pytest.approx(-1, abs=0.05) and float(heard[-1].end) == pytest.approx(2, abs=0.05)
    opened.close()


def test_the_sound_of_every_stream_is_heard(tmp_path: Path) -> None:
    path, frames = tmp_path / "two.mkv", 30
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 320, 180, "yuv420p"
        tracks = [container.add_stream("pcm_s16le", rate=48_000, layout="mono") for _ in range(2)]
        for index, picture in enumerate(videos.black(frames)):
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
            for track, level in zip(tracks, (0, 8000), strict=True):
                data = np.full((1, 1920), level, np.int16)
                frame = av.AudioFrame.from_ndarray(data, "s16", "mono")
                frame.sample_rate, frame.pts = 48_000, index * 1920
                container.mux(track.encode(frame))
        container.mux(video.encode())
    opened = StoredVideo(str(path), path.name)
    levels = [item.level for item in opened.items(sound=True) if isinstance(item, Sound)]
    assert len(levels) == 2 * frames and sum(level > -20 for level in levels) == frames
    opened.close()


def test_broken_sound_leaves_the_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.jobs.video._MAX_ERRORS", 3)
    noise, path = np.random.default_rng(1), tmp_path / "broken.mkv"
    sound = videos.write(tmp_path / "whole.mkv", videos.scene(1, 40), sound=videos.tone(1.6))
    with av.open(str(sound)) as source, av.open(str(path), "w") as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is None:
                continue
            kept = av.Packet(noise.bytes(packet.size)) if packet.stream.type == "audio" else packet
            kept.pts, kept.dts, kept.time_base = packet.pts, packet.dts, packet.time_base
            kept.stream = streams[packet.stream.index]
            target.mux(kept)
    opened = StoredVideo(str(path), path.name)
    assert sum(isinstance(item, VideoFrame) for item in opened.items(sound=True)) == 40
    opened.close()


def test_a_file_that_does_not_say_how_long_it_is(tmp_path: Path) -> None:
    video = videos.write(tmp_path / "raw.h264", videos.scene(1, 60), codec="libx264")
    job, _ = run(tmp_path / "data", str(video))
    assert job.facts is not None and (job.facts.duration_ms, job.frames) == (2400, 60)
    service = service_of(tmp_path / "short", JobLimits(max_seconds=1.0))
    long = service.start(JobRequest(JobKind.SEGMENTS, VideoRef(str(video))), owner="test", run="one")
    service.run([long], stop=lambda: False, tell=lambda advance: None)
    assert service.show(long.id).state is JobState.FAILED
    assert "seconds long, the maximum is 1 seconds" in (service.show(long.id).message or "")


def test_codecs_have_their_own_names_whichever_decoder_is_used(tmp_path: Path) -> None:
    path = tmp_path / "sound.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 320, 180, "yuv420p"
        audio = container.add_stream("mp3", rate=48_000, layout="mono")
        for picture in videos.scene(1, 10):
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        frame = av.AudioFrame.from_ndarray(videos.tone(1.0)[None, :1152].astype(np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts = 48_000, 0
        container.mux([*video.encode(), *audio.encode(frame), *audio.encode()])
    opened = StoredVideo(str(path), path.name)
    assert (opened.facts.codec, [each.codec for each in opened.facts.audio]) == ("mpeg4", ["mp3"])
    opened.close()


@pytest.mark.parametrize(
    ("average", "clock", "told"),
    [
        ("90000/3019", "30000/1001", "30000/1001"),  # a fragmented file's, by ffmpeg
        ("30000/1001", "30000/1001", "30000/1001"),
        ("1200000/59059", "30000/1001", "1200000/59059"),  # truly variable
        ("2997/100", "2997/100", "30000/1001"),
        ("149/6", "90000", "149/6"),
        ("149/6", None, "149/6"),
    ],
)
def test_the_rate(average: str, clock: str | None, told: str) -> None:
    stream = SimpleNamespace(average_rate=Fraction(average), base_rate=Fraction(clock) if clock else None)
    assert _rate(stream, "matroska,webm") == Fraction(told)


@pytest.mark.parametrize("container", ["ts", "mkv"])
def test_video_that_changes_its_coding_is_read_to_its_end_and_gone_on_with(tmp_path: Path, container: str) -> None:
    path = tmp_path / f"clip.{container}"
    parts = [bar_clip(tmp_path / f"{codec}.{container}", codec, frames=30) for codec in ("libx264", "mpeg2video")]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    for file in (str(path), BytesIO(path.read_bytes())):
        video = StoredVideo(file, "clip")
        items = video.items()
        times = [(frame.index, round(frame.at * 15)) for frame in items if isinstance(frame, VideoFrame)]
        assert times == [(n, n) for n in range(60)]
        video.close()
    for cut in (10, 29, 30, 45):
        first, second = StoredVideo(str(path), "clip"), StoredVideo(str(path), "clip")
        for item in first.items():
            if isinstance(item, VideoFrame) and item.index == cut:
                break
        rest = [item for item in second.items(after=first.place({})) if isinstance(item, VideoFrame)]
        assert [(frame.index, round(frame.at * 15)) for frame in rest] == times[cut + 1 :]
        first.close()
        second.close()


def test_a_truncated_file_without_its_index(tmp_path: Path, clip: Path) -> None:
    (tmp_path / "cut.mp4").write_bytes(clip.read_bytes()[:20_000])
    job, _ = run(tmp_path / "data", str(tmp_path / "cut.mp4"))
    assert (job.state, job.message) == (JobState.FAILED, UNSUPPORTED)


def test_a_truncated_file_gives_what_is_there(tmp_path: Path, clip: Path) -> None:
    with av.open(str(clip)) as source, av.open(str(tmp_path / "whole.mkv"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    data = (tmp_path / "whole.mkv").read_bytes()
    (tmp_path / "half.mkv").write_bytes(data[: len(data) // 2])
    job, service = run(tmp_path / "data", str(tmp_path / "half.mkv"))
    assert job.state is JobState.SUCCEEDED and 20 < job.frames < 200
    assert service.result(job.id)["cues"][-1]["end"] == job.frames - 1


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg to write a display matrix")
def test_a_phone_video_is_told_upright(tmp_path: Path, clip: Path) -> None:
    turned = tmp_path / "phone.mp4"
    command = ["ffmpeg", "-v", "error", "-i", str(clip), "-c", "copy", "-metadata:s:v:0", "rotate=90", str(turned)]
    subprocess.run(command, check=True)
    opened = StoredVideo(str(turned), turned.name)
    assert (opened.facts.width, opened.facts.height) == (180, 320), "models are chosen by this before the first frame"
    opened.close()
    job, _ = run(tmp_path / "data", str(turned))
    assert job.facts is not None and (job.facts.width, job.facts.height) == (180, 320)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg to encode HEVC")
def test_4k_hevc_ten_bit(tmp_path: Path) -> None:
    path = tmp_path / "uhd.mp4"
    source = ["-f", "lavfi", "-i", "testsrc2=s=3840x2160:r=25", "-frames:v", "6"]
    encoder = ["-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le", "-x265-params", "log-level=none"]
    subprocess.run(["ffmpeg", "-v", "error", *source, *encoder, str(path)], check=True)
    job, _ = run(tmp_path / "data", str(path))
    assert job.state is JobState.SUCCEEDED and job.frames == 6
    assert job.facts is not None and (job.facts.codec, job.facts.width) == ("hevc", 3840)


def test_variable_frame_rate_has_true_times(tmp_path: Path) -> None:
    path = tmp_path / "vfr.mkv"
    stamps = [0, 40, 80, 200, 210, 500, 900, 1000, 1333]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for stamp, picture in zip(stamps, videos.scene(1, len(stamps)), strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    video = StoredVideo(str(path), "vfr")
    assert [item.milliseconds for item in video.items()] == stamps  # type: ignore[union-attr]
