"""GStreamer's RTSP server, run by the system's Python."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import av

from tests.servers.common import ServerProcess, Unavailable, free_port, port_open

_PYTHON = "/usr/bin/python3"
_MAIN = Path(__file__).with_name("rtsp_main.py")


def check() -> None:
    """Raise Unavailable when this machine has no GStreamer RTSP server."""
    code = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    try:
        done = subprocess.run([_PYTHON, "-c", code], capture_output=True, timeout=60, check=False)
    except OSError as error:
        raise Unavailable(f"no system Python: {error}") from error
    if done.returncode:
        raise Unavailable("GStreamer's RTSP server is missing (Debian: gir1.2-gst-rtsp-server-1.0 python3-gi)")


def lengthen(clip: Path, target: Path, seconds: float) -> Path:
    """Write ``clip`` over and over (stream copy) until ``target`` is ``seconds`` long; a camera does not end."""
    with av.open(str(clip)) as source:
        packets = [packet for packet in source.demux(video=0) if packet.dts is not None]
        stream = source.streams.video[0]
        assert stream.time_base
        step = max(packet.duration or 0 for packet in packets)
        first = min(packet.dts or 0 for packet in packets)
        length = max(packet.dts or 0 for packet in packets) - first + step
        with av.open(str(target), "w") as out:
            copy = out.add_stream_from_template(stream)
            for turn in range(max(1, round(seconds / float(length * stream.time_base) + 0.5))):
                for packet in packets:
                    again = av.Packet(bytes(packet))
                    again.stream, again.time_base, again.is_keyframe = copy, packet.time_base, packet.is_keyframe
                    again.pts, again.dts = (packet.pts or 0) + turn * length, (packet.dts or 0) + turn * length
                    again.duration = packet.duration
                    out.mux(again)
    return target


class RtspServer:
    """Serves files at ``rtsp://127.0.0.1:PORT/PATH``. ``stop`` and ``start`` again keep the port: an outage."""

    def __init__(self, directory: Path, mounts: Mapping[str, Path], *, auth: tuple[str, str] | None = None) -> None:
        check()
        self._directory = directory
        self._mounts = dict(mounts)
        self._auth = auth
        self.port = free_port()
        self._process: ServerProcess | None = None

    def url(self, path: str, *, credentials: str = "") -> str:
        return f"rtsp://{credentials + '@' if credentials else ''}127.0.0.1:{self.port}{path}"

    @property
    def pid(self) -> int:
        """For SIGSTOP: a camera that is connected and sends nothing."""
        assert self._process
        return self._process.pid

    def start(self) -> RtspServer:
        command = [_PYTHON, str(_MAIN), str(self.port)]
        if self._auth:
            command += ["--auth", ":".join(self._auth)]
        command += [f"{path}={file}" for path, file in self._mounts.items()]
        log = self._directory / "rtsp.log"
        log.write_bytes(b"")
        self._process = ServerProcess(command, log)
        process = self._process
        process.wait_until(lambda: "ready" in process.log() and port_open(self.port), timeout_s=30, what="RTSP server")
        return self

    def stop(self, *, kill: bool = True) -> None:
        if self._process:
            self._process.stop(kill=kill)
            self._process = None
