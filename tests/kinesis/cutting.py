"""A stub of the service's GetMedia that ends sessions in mid-stream: what Amazon does after 40 minutes, and networks at any time.

A stand-in for Amazon's own service, which tests cannot have: an aiohttp server that signs for nothing. It serves fragments of a clip as
``streamproc.kinesis.chunks`` writes them, which tests/kinesis holds against Amazon's own consumers.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from streamproc.core.video_log import FragmentInfo
from streamproc.kinesis.chunks import chunk
from streamproc.kinesis.measure import measure
from streamproc.logic.fragment_numbers import next_number
from streamproc.media.matroska import first_timecode_ms
from tests.matroska import Clip


def cut(clip: Clip, begin_ms: int) -> list[tuple[FragmentInfo, bytes]]:
    """A clip's fragments as a service that began to take them at ``begin_ms`` has them."""
    made = []
    for part in clip.clusters():
        data = clip.header() + part
        at_ms = begin_ms + first_timecode_ms(data)
        made.append((FragmentInfo(next_number(at_ms, 7, ""), at_ms, at_ms + 3, measure(data)[0], len(data)), data))
    return made


class CuttingService:
    """Serves the fragments, ``after_bytes`` of them a session, then breaks the connection (or ends the payload, where ``clean``)."""

    def __init__(
        self, fragments: Sequence[tuple[FragmentInfo, bytes]], after_bytes: int = 10**9, *, clean: bool = False
    ) -> None:
        self.fragments = list(fragments)
        self.after_bytes = after_bytes
        self.clean = clean
        self.selectors: list[Mapping[str, Any]] = []
        """Of each GetMedia."""
        self.endpoint_calls = 0
        self.refuse: tuple[int, str, str] | None = None
        """(status, code, message) of every answer from now on."""
        self.refuse_media: tuple[int, str, str] | None = None
        """The same of GetMedia with FRAGMENT_NUMBER alone."""
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._runner: web.AppRunner | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(20)

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_post("/getDataEndpoint", self._endpoint)
        app.router.add_post("/getMedia", self._media)
        self._runner = web.AppRunner(app, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}"

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _stop(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()
        left = asyncio.all_tasks() - {asyncio.current_task()}  # of connections that were broken off
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _endpoint(self, request: web.Request) -> web.Response:
        self.endpoint_calls += 1
        return self._refusal(self.refuse) or web.json_response({"DataEndpoint": self.url})

    async def _media(self, request: web.Request) -> web.StreamResponse:
        selector = (await request.json())["StartSelector"]
        self.selectors.append(selector)
        by_number = selector["StartSelectorType"] == "FRAGMENT_NUMBER"
        refusal = self._refusal(self.refuse) or (self._refusal(self.refuse_media) if by_number else None)
        if refusal is not None:
            return refusal
        response = web.StreamResponse(headers={"Content-Type": "video/webm"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        left = self.after_bytes
        at = self._first(selector)
        while True:
            if at >= len(self.fragments):
                await asyncio.sleep(0.05)
                continue
            info, data = self.fragments[at]
            part = chunk(info, data, 1000 * (len(self.fragments) - 1 - at))
            await response.write(part[:left])
            left -= len(part)
            at += 1
            if left <= 0:
                if self.clean:
                    await response.write_eof()
                elif request.transport is not None:
                    request.transport.abort()
                return response

    def _first(self, selector: Mapping[str, Any]) -> int:
        kind = selector["StartSelectorType"]
        numbers = [info.number for info, _ in self.fragments]
        if kind == "FRAGMENT_NUMBER":
            return sum(number <= selector["AfterFragmentNumber"] for number in numbers)
        if kind.endswith("_TIMESTAMP"):
            at_ms = float(selector["StartTimestamp"]) * 1000
            member = "producer_ms" if kind.startswith("PRODUCER") else "server_ms"
            return max(0, sum(getattr(info, member) <= at_ms for info, _ in self.fragments) - 1)
        return len(numbers) - 1 if kind == "NOW" else 0

    def _refusal(self, told: tuple[int, str, str] | None) -> web.Response | None:
        if told is None:
            return None
        status, code, message = told
        return web.json_response({"Message": message}, status=status, headers={"x-amzn-ErrorType": code})
