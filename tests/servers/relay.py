"""A TCP relay that can fall silent: a network that is cut between two ends which both go on."""

from __future__ import annotations

import contextlib
import socket
import threading

from tests.servers.common import free_port


class Relay:
    """Listens on ``port`` of this host and passes everything on to another, in both directions."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self._target = target
        self._open = threading.Event()
        self._open.set()
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True, name="relay").start()

    def cut(self) -> None:
        """Nothing passes any more; connections stay, as when a cable is pulled."""
        self._open.clear()

    def heal(self) -> None:
        """What was sent meanwhile arrives now."""
        self._open.set()

    def close(self) -> None:
        self._open.set()
        self._listener.close()
        for each in self._sockets:
            _end(each)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target), timeout=5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            self._sockets += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True, name="relay").start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                self._open.wait()
                sink.sendall(data)
        _end(source)
        _end(sink)


def _end(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
