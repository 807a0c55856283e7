"""What people hand in: damaged, empty, odd and remote videos. Each ends as a result or as a job that says why not."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from fractions import Fraction
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from connectors.chain import chain_endpoint
from streamproc.aws.buckets import Buckets
from streamproc.aws_protocol.faults import AwsFault
from streamproc.config.node import AwsSettings
from streamproc.config.processor import ConnectorRef
from streamproc.core.errors import LimitExceeded, NotFound, TokenMismatch
from streamproc.jobs.job_run import Advance, RunPolicy
from streamproc.jobs.model import Job, JobKind, JobRequest, JobState, VideoRef
from streamproc.jobs.segment_analysis import SegmentAnalysis, SegmentOptions
from streamproc.jobs.service import JobLimits, JobService, VideoTooLarge
from streamproc.jobs.sources import GONE, InvalidObject, StoreSettings, Videos
from streamproc.jobs.video import UNSUPPORTED, Sound, StoredVideo, VideoFrame
from streamproc.jobs.video_facts import _rate
from streamproc.store.database import Database
from tests import videos
from tests.builders.clips import bar_clip


def service_of(folder: Path, limits: JobLimits | None = None, settings: StoreSettings | None = None) -> JobService:
    return JobService(
        Database(folder),
        Videos(settings),
        lambda kind, options, video: SegmentAnalysis(SegmentOptions(), video),
        limits=limits,
    )


def run(folder: Path, video: str | VideoRef, settings: StoreSettings | None = None) -> tuple[Job, JobService]:
    service = service_of(folder, settings=settings)
    ref = VideoRef(video) if isinstance(video, str) else video
    job = service.start(JobRequest(JobKind.SEGMENTS, ref), owner="test", run="one")
    service.run([job], stop=lambda: False, tell=lambda advance: None)
    return service.show(job.id), service


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


def test_a_playlist_is_no_video(tmp_path: Path, clip: Path, web: dict[str, Any]) -> None:
    """Whoever may put a file into a bucket may not have the box read another one, or ask another host."""
    with av.open(str(clip)) as source, av.open(str(tmp_path / "part.ts"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    for number, part in enumerate([f"file://{tmp_path}/part.ts", "part.ts", web["url"].replace("mp4", "ts")]):
        playlist = tmp_path / f"list{number}.m3u8"
        playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:8\n#EXTINF:8,\n{part}\n#EXT-X-ENDLIST\n")
        job, _ = run(tmp_path / f"data{number}", str(playlist))
        assert (job.state, job.message) == (JobState.FAILED, UNSUPPORTED)
    assert web["requests"] == 0


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


def test_limits_tokens_and_cancelling(tmp_path: Path, clip: Path) -> None:
    service = service_of(tmp_path, JobLimits(max_open=2))
    asked = JobRequest(JobKind.SEGMENTS, VideoRef(str(clip)), token="abc", tag="first")
    job = service.start(asked)
    assert service.start(asked).id == job.id
    with pytest.raises(TokenMismatch, match="abc you have supplied is already in use"):
        service.start(JobRequest(JobKind.SEGMENTS, VideoRef(str(clip)), token="abc", tag="second"))
    other = service.start(JobRequest(JobKind.LABELS, VideoRef(str(clip)), token="abc"))
    with pytest.raises(LimitExceeded, match=r"2  open Jobs"):
        service.start(JobRequest(JobKind.SEGMENTS, VideoRef(str(clip))))
    assert service.cancel(other.id).state is JobState.CANCELLED
    assert service.start(JobRequest(JobKind.SEGMENTS, VideoRef(str(clip)))).state is JobState.QUEUED
    with pytest.raises(NotFound):
        service.get(job.id, JobKind.LABELS)
    with pytest.raises(VideoTooLarge):
        service_of(tmp_path / "small", JobLimits(max_bytes=10)).start(asked)
    with pytest.raises(InvalidObject):
        service.start(JobRequest(JobKind.SEGMENTS, VideoRef(str(tmp_path / "nothing.mp4"))))


def test_workers_share_a_decode_and_tell_when_done(tmp_path: Path, clip: Path) -> None:
    told: list[Job] = []
    done = threading.Event()

    def tell(job: Job) -> None:
        told.append(job)
        if len(told) == 2:
            done.set()

    from streamproc.jobs.model import Channel

    opened: list[str] = []

    class Counting(Videos):
        def open(self, ref: VideoRef, reading: AbstractContextManager[None] | None = None) -> StoredVideo:
            opened.append(ref.url)
            return super().open(ref, reading)

    make = lambda kind, options, video: SegmentAnalysis(SegmentOptions(), video)  # noqa: E731
    service = JobService(Database(tmp_path), Counting(), make, on_completed=tell)
    for tag in ("a", "b"):
        service.start(JobRequest(JobKind.SEGMENTS, VideoRef(str(clip)), tag=tag, channel=Channel("arn:topic")))
    service.open_workers()
    assert done.wait(60)
    service.close()
    assert len(opened) == 1
    assert {job.request.tag for job in told} == {"a", "b"} and {job.state for job in told} == {JobState.SUCCEEDED}


class _Ranges(BaseHTTPRequestHandler):
    """Serves one file by ranges; after ``allowed`` requests it is gone."""

    def __init__(self, state: dict[str, Any], *args: Any) -> None:
        self.state = state
        super().__init__(*args)

    def do_HEAD(self) -> None:
        self._answer(head=True)

    def do_GET(self) -> None:
        self._answer(head=False)

    def _answer(self, *, head: bool) -> None:
        data: bytes = self.state["data"]
        self.state["requests"] += 1
        if self.state["requests"] > self.state["allowed"]:
            self.send_error(404)
            return
        start, end = 0, len(data)
        asked = self.headers.get("Range")
        if asked:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, end = int(first), min(len(data), int(last) + 1 if last else len(data))
            self.state["bytes"] += end - start
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(end - start))
        self.send_header("ETag", '"one"')
        self.send_header("Last-Modified", "Sat, 21 Nov 2026 00:00:00 GMT")
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
        self.end_headers()
        if not head:
            self.wfile.write(data[start:end])

    def log_message(self, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def web(clip: Path) -> Iterator[dict[str, Any]]:
    state: dict[str, Any] = {"data": clip.read_bytes(), "requests": 0, "allowed": 10**6, "bytes": 0}
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Ranges, state))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state["url"] = f"http://127.0.0.1:{server.server_port}/clip.mp4"
    yield state
    server.shutdown()


def test_from_a_web_server(tmp_path: Path, clip: Path, web: dict[str, Any]) -> None:
    local, here = run(tmp_path / "a", str(clip))
    remote, there = run(tmp_path / "b", web["url"])
    assert remote.state is JobState.SUCCEEDED, remote.message
    assert there.result(remote.id) == here.result(local.id)


def test_an_object_that_vanishes(tmp_path: Path, web: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.jobs.sources.BLOCK", 16_384)
    web["allowed"] = 12
    job, _ = run(tmp_path, web["url"])
    assert (job.state, job.message) == (JobState.FAILED, GONE)


@pytest.mark.s3
def test_from_an_s3_store(tmp_path: Path, clip: Path, s3_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret_key)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # It keeps the keys of whichever test used it first.
    s3_server.make_bucket("stored-videos")
    client = boto3.client("s3", endpoint_url=s3_server.endpoint, region_name="us-east-1")
    client.upload_file(str(clip), "stored-videos", "in/some folder/clip.mp4")
    settings = StoreSettings(s3_server.endpoint)
    job, service = run(tmp_path, "s3://stored-videos/in/some folder/clip.mp4", settings)
    assert job.state is JobState.SUCCEEDED, job.message
    assert len(service.result(job.id)["shots"]) == 4
    with pytest.raises(InvalidObject, match="Unable to get object metadata from S3"):
        run(tmp_path, "s3://stored-videos/nothing.mp4", settings)


@pytest.mark.s3
@pytest.mark.logs_errors("store_credentials_missing")
async def test_a_bound_bucket_has_its_own_credentials_and_prefix(
    tmp_path: Path, clip: Path, s3_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3

    keys = {"aws_access_key_id": s3_server.access_key, "aws_secret_access_key": s3_server.secret_key}
    client: Any = boto3.client("s3", endpoint_url=s3_server.endpoint, region_name="us-east-1", **keys)
    s3_server.make_bucket("nas-bucket")
    client.upload_file(str(clip), "nas-bucket", "cams/day/clip.mp4")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "somebody-else")
    monkeypatch.setenv("NAS_KEY", s3_server.access_key)
    monkeypatch.setenv("NAS_SECRET", s3_server.secret_key)
    bound = {"type": "s3", "endpoint_url": s3_server.endpoint, "bucket": "nas-bucket", "prefix": "/cams/"}
    bound |= {"access_key_id_env": "NAS_KEY", "secret_access_key_env": "NAS_SECRET"}
    buckets = Buckets({"videos": ConnectorRef.model_validate(bound)}, AwsSettings())
    named = {"Bucket": "videos", "Name": "day/clip.mp4"}
    assert await buckets.read(named, 10**8) == clip.read_bytes()
    place = buckets.place(named)
    ref = VideoRef(f"s3://{place.bucket}/{place.key}", dict(place.options))
    assert s3_server.secret_key not in str(ref)
    job, _ = await asyncio.to_thread(run, tmp_path / "a", ref)
    assert job.state is JobState.SUCCEEDED, job.message
    monkeypatch.delenv("NAS_SECRET")
    with pytest.raises(InvalidObject, match="Unable to get object metadata from S3"):
        run(tmp_path / "b", ref)
    with pytest.raises(AwsFault, match="Unable to get object metadata"):
        await buckets.read(named, 10**8)


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_an_s3_that_the_environment_names(
    tmp_path: Path, clip: Path, moto_server: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    import boto3

    keys = {"AWS_ACCESS_KEY_ID": "moto", "AWS_SECRET_ACCESS_KEY": "moto", "AWS_DEFAULT_REGION": "us-east-1"}
    for key, value in (keys | {name: moto_server}).items():
        monkeypatch.setenv(key, value)
    client: Any = boto3.client("s3")
    client.create_bucket(Bucket="environ")
    client.upload_file(str(clip), "environ", "clip.mp4")
    job, _ = run(tmp_path, "s3://environ/clip.mp4")
    assert job.state is JobState.SUCCEEDED, job.message
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    assert chain_endpoint("s3") is None


def test_the_version_that_was_named_is_read(
    tmp_path: Path, clip: Path, moto_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3

    keys = {"aws_access_key_id": "moto", "aws_secret_access_key": "moto", "region_name": "us-east-1"}
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "moto")
    client: Any = boto3.client("s3", endpoint_url=moto_server, **keys)
    client.create_bucket(Bucket="versions")
    client.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    first = client.put_object(Bucket="versions", Key="clip.mp4", Body=clip.read_bytes())["VersionId"]
    second = client.put_object(Bucket="versions", Key="clip.mp4", Body=b"no video")["VersionId"]
    settings = StoreSettings(moto_server)
    states = {}
    for number, version in enumerate((first, second, None)):
        video = VideoRef("s3://versions/clip.mp4", version=version)
        job, _ = run(tmp_path / str(number), video, settings)
        states[version] = (job.state, job.message)
    assert states == {
        first: (JobState.SUCCEEDED, None),
        second: (JobState.FAILED, UNSUPPORTED),
        None: (JobState.FAILED, UNSUPPORTED),
    }
    with pytest.raises(InvalidObject, match="Unable to get object metadata from S3"):
        run(tmp_path, VideoRef("s3://versions/clip.mp4", version="none-of-its-versions"), settings)


def test_a_cancelled_job_leaves_its_run(tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.jobs.service.RunPolicy", partial(RunPolicy, checkpoint_s=0.0))
    service = service_of(tmp_path)
    jobs = [service.start(JobRequest(JobKind.SEGMENTS, VideoRef(str(clip)), tag=tag), run="one") for tag in "ab"]
    seen: list[int] = []

    def tell(advance: Advance) -> None:
        seen.append(advance.frames)
        for job in jobs if len(seen) == 2 else jobs[:1] if len(seen) == 1 else []:
            if service.show(job.id).state.open:
                service.cancel(job.id)

    service.run(jobs, stop=lambda: False, tell=tell)
    assert [service.show(job.id).state for job in jobs] == [JobState.CANCELLED] * 2
    assert seen[-1] < 200, "the run went on although nobody waited for it"
