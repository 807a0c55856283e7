"""A client of ``GET /api/stream`` as a browser behaves: it comes back with the last id that it has."""

from __future__ import annotations

import http.client
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any


class StreamClient:
    """Reads in a thread until ``close``; ``events`` are (id, document) pairs in the order in which they came."""

    def __init__(self, url: str, after: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        self.url = url
        self.events: list[tuple[int, dict[str, Any]]] = []
        self.others: list[tuple[str, dict[str, Any]]] = []
        """States, jobs, health and resync."""
        self.comments = 0
        self.connections = 0
        self.headers: Mapping[str, str] = {}
        """Of the last answer."""
        self._after = after
        self._sent = dict(headers or {})
        self._closing = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def ids(self) -> list[str]:
        return [document["id"] for _, document in self.events]

    def topics(self, topic: str) -> list[dict[str, Any]]:
        return [document for name, document in self.others if name == topic]

    def close(self) -> None:
        self._closing = True
        self._thread.join(30)

    def _run(self) -> None:
        while not self._closing:
            headers = self._sent | ({"Last-Event-ID": self._after} if self._after else {})
            try:
                request = urllib.request.Request(self.url, headers=headers)
                with urllib.request.urlopen(request, timeout=1) as answer:
                    self.connections += 1
                    self.headers = dict(answer.headers)
                    self._read(answer)
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)

    def _read(self, answer: Any) -> None:
        lines: list[str] = []
        buffer = b""
        while not self._closing:
            try:
                more = answer.read1(65536)
            except TimeoutError:
                return  # a quiet second: connect again, as after any cut
            if not more:
                return
            buffer += more
            while b"\n" in buffer:
                line, buffer = buffer.split(b"\n", 1)
                if line:
                    lines.append(line.decode())
                else:
                    self._message(lines)
                    lines = []

    def _message(self, lines: list[str]) -> None:
        self.comments += sum(line.startswith(":") for line in lines)
        fields = dict(line.split(": ", 1) for line in lines if not line.startswith(":"))
        if "id" in fields:
            self._after = fields["id"]
        if fields.get("event") == "event":
            self.events.append((int(fields["id"]), json.loads(fields["data"])))
        elif "event" in fields:
            self.others.append((fields["event"], json.loads(fields["data"])))
