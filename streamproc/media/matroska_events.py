"""What a Matroska file is made of, as it is read in order: a header, then clusters and tags. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from streamproc.media import ebml

_VIDEO = 1
"""TrackType of video."""


@dataclass(frozen=True, slots=True)
class Track:
    """One entry of Tracks."""

    number: int
    is_video: bool
    codec: str
    """CodecID, as V_MPEG4/ISO/AVC."""
    codec_private: bytes
    frame_ms: float
    """DefaultDuration; 0 where it is not told."""


@dataclass(frozen=True, slots=True)
class Header:
    """A file's beginning up to its first cluster, the Segment's size made unknown."""

    data: bytes
    tracks: tuple[Track, ...]
    scale_ns: int
    """Nanoseconds of one timecode unit."""

    @property
    def has_video(self) -> bool:
        return any(track.is_video for track in self.tracks)


@dataclass(frozen=True, slots=True)
class ClusterBegin:
    """A cluster's Timestamp was read."""

    timecode_ms: int


@dataclass(frozen=True, slots=True)
class FirstPicture:
    """A cluster's first video block was read."""

    keyframe: bool


@dataclass(frozen=True, slots=True)
class ClusterEnd:
    """A cluster is complete."""

    data: bytes
    """The whole element."""
    timecode_ms: int
    first_ms: int
    """Timecode of the first video block (of any block where there is no video); 0 without blocks."""
    last_ms: int
    """Latest timecode of a video block (of any block where there is no video)."""
    pictures: int
    """Video blocks (any blocks where there is no video)."""
    blocks: int


@dataclass(frozen=True, slots=True)
class TagsRead:
    """Tags behind a cluster."""

    data: bytes
    """The whole element."""
    pairs: tuple[tuple[str, str], ...]


Event = Header | ClusterBegin | FirstPicture | ClusterEnd | TagsRead


def read_track(data: bytes, begin: int, end: int) -> Track:
    """The track of a TrackEntry's content."""
    number = kind = default_ns = 0
    codec, private = "", b""
    for ident, at, stop in ebml.children(data, begin, end):
        if ident == ebml.TRACK_NUMBER:
            number = ebml.unsigned(data, at, stop)
        elif ident == ebml.TRACK_TYPE:
            kind = ebml.unsigned(data, at, stop)
        elif ident == ebml.CODEC_ID:
            codec = ebml.text(data, at, stop)
        elif ident == ebml.CODEC_PRIVATE:
            private = data[at:stop]
        elif ident == ebml.DEFAULT_DURATION:
            default_ns = ebml.unsigned(data, at, stop)
    return Track(number, kind == _VIDEO, codec, private, default_ns / 1_000_000)
