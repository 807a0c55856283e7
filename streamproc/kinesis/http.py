"""Kinesis Video on aiohttp: a route for each operation, beside whatever else the server has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from aiohttp import ClientError, web
from aiohttp.http_exceptions import HttpProcessingError

from streamproc.aws_protocol.faults import AwsFault
from streamproc.aws_protocol.http import lower_headers, read_body, why_not_local
from streamproc.aws_protocol.keys import Key
from streamproc.aws_protocol.sigv4 import Signed
from streamproc.core.errors import StreamprocError
from streamproc.kinesis import wire
from streamproc.kinesis.acks import AckWriter
from streamproc.kinesis.archive import ArchiveOperations
from streamproc.kinesis.chunks import CONTENT_TYPE
from streamproc.kinesis.control import ControlOperations, find_stream
from streamproc.kinesis.ingest import PutSession
from streamproc.kinesis.log import VideoLog, now_ms
from streamproc.kinesis.models import OperationModel
from streamproc.kinesis.put_request import read_put_request
from streamproc.kinesis.reading import chunks, start_after
from streamproc.kinesis.sessions import Sessions
from streamproc.metrics import AWS_REQUESTS, KINESIS_BYTES, KINESIS_SESSIONS
from streamproc.threads import ARCHIVE

log = structlog.get_logger(__name__)

MAX_BODY_BYTES = 1_000_000
_BODY_DEADLINE_S = 60.0
_PUT_MEDIA = "PutMedia"


@dataclass(frozen=True, slots=True)
class Rooms:
    """What the routes call."""

    video: VideoLog
    sessions: Sessions
    control: ControlOperations
    archive: ArchiveOperations


Answer = Callable[[wire.Call, web.Request], Awaitable[web.StreamResponse]]
JsonOperation = Callable[[wire.Call], Awaitable[dict[str, Any]]]


class KinesisEndpoint:
    """Serves the operations of the three services, and PutMedia. ``keys`` empty: only this host is served, and no browser."""

    def __init__(self, rooms: Rooms, models: list[OperationModel], keys: Mapping[str, Key], max_readers: int) -> None:
        self._rooms = rooms
        self._models = models
        self._keys = keys
        self._max_readers = max_readers
        self._readers: set[asyncio.Task[Any]] = set()

    def mount(self, app: web.Application) -> None:
        """Add the routes."""
        served = self._served()
        for model in self._models:
            app.router.add_post(model.path, self._route(model, served.get(model.name)))
        app.router.add_post("/putMedia", self._put_media)

    async def close(self) -> None:
        """End every session."""
        await self._rooms.sessions.close()
        for task in list(self._readers):
            task.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)

    def _served(self) -> dict[str, Answer]:
        control, archive = self._rooms.control, self._rooms.archive
        documents: dict[str, JsonOperation] = {
            "CreateStream": control.create_stream,
            "DescribeStream": control.describe_stream,
            "ListStreams": control.list_streams,
            "GetDataEndpoint": control.get_data_endpoint,
            "DeleteStream": control.delete_stream,
            "UpdateStream": control.update_stream,
            "UpdateDataRetention": control.update_data_retention,
            "TagStream": control.tag_stream,
            "UntagStream": control.untag_stream,
            "ListTagsForStream": control.list_tags_for_stream,
            "ListFragments": archive.list_fragments,
            "GetImages": archive.images,
        }
        models = {model.name: model for model in self._models}
        answers = {name: _json(models[name], work) for name, work in documents.items()}
        return answers | {
            "GetMedia": self._get_media,
            "GetMediaForFragmentList": self._fragment_list,
            "GetClip": self._get_clip,
        }

    # -- every request

    def _route(
        self, model: OperationModel, answer: Answer | None
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._guarded(model.name, lambda: self._call(request, model, answer))

        return handle

    async def _guarded(self, operation: str, work: Callable[[], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
        """Faults become answers; nothing that a request does takes the daemon down."""
        request_id = wire.new_request_id()
        try:
            response = await work()
            AWS_REQUESTS.labels(operation, "OK").inc()
            return response
        except AwsFault as error:
            fault = error
        except StreamprocError as error:
            fault = wire.fault_of(error)
        except Exception as error:  # the request boundary: a mistake of ours must not take the daemon down
            if isinstance(error, OSError):
                raise  # the connection is gone
            if isinstance(error, ClientError | HttpProcessingError | web.RequestPayloadError):
                fault = wire.invalid("The request's body is broken.")
            else:
                log.exception("request_failed", operation=operation, request_id=request_id)
                fault = wire.internal()
        AWS_REQUESTS.labels(operation, fault.code).inc()
        status, headers, body = wire.refusal(fault, request_id)
        return web.Response(status=status, headers=headers, body=body)

    async def _call(self, request: web.Request, model: OperationModel, answer: Answer | None) -> web.StreamResponse:
        self._let_in(request)
        try:
            async with asyncio.timeout(_BODY_DEADLINE_S):
                body = await read_body(request, MAX_BODY_BYTES)
        except TimeoutError:
            raise AwsFault("RequestTimeoutException", "The request's body did not come in time.", 408) from None
        if body is None:
            raise AwsFault(
                "RequestEntityTooLargeException", f"The request's body is larger than {MAX_BODY_BYTES} bytes.", 413
            )
        key = self._key(request, body)
        if answer is None:
            raise AwsFault(
                "UnknownOperationException", f"{model.name} is not served by streamproc; docs/kinesis.md lists what is."
            )
        members = wire.read_input(model, body)
        stream = wire.stream_of(members)
        wire.check_permission(key, model.name, stream)
        return await answer(wire.Call(model.name, members, stream, key, _base_url(request)), request)

    def _let_in(self, request: web.Request) -> None:
        refusal = None if self._keys else why_not_local(request)
        if refusal is not None:
            raise AwsFault("AccessDeniedException", refusal, 403)
        wire.let_in(lower_headers(request), self._keys, datetime.now(UTC))

    def _key(self, request: web.Request, body: bytes) -> Key | None:
        path, query = request.rel_url.raw_path, request.rel_url.raw_query_string
        signed = Signed(request.method, path, query, lower_headers(request), body)
        return wire.authorize(signed, self._keys, datetime.now(UTC))

    # -- media

    async def _put_media(self, request: web.Request) -> web.StreamResponse:
        return await self._guarded(_PUT_MEDIA, lambda: self._take(request))

    async def _take(self, request: web.Request) -> web.StreamResponse:
        self._let_in(request)
        key = self._key(request, b"")
        headers = lower_headers(request)
        name = wire.stream_of(headers, "x-amzn-stream-name", "x-amzn-stream-arn")
        if name is None:
            raise wire.invalid("Give x-amzn-stream-name or x-amzn-stream-arn.")
        wire.check_permission(key, _PUT_MEDIA, name)
        await self._rooms.video.stream(name)
        asked = read_put_request(headers, now_ms())
        peer = _peer(request)
        self._rooms.sessions.check(name, peer)
        response = web.StreamResponse(headers=wire.headers(wire.new_request_id()))
        response.enable_chunked_encoding()
        # Before any byte of the body: producers send none until they have the answer.
        await response.prepare(request)
        acks = AckWriter(response.write, wanted=asked.wants_acks)
        session = PutSession(self._rooms.video, name, asked, acks, self._rooms.sessions.memory)
        await self._rooms.sessions.enter(session, peer)
        try:
            clean = await session.run(lambda: _receive(request))
            await session.settle()
            await acks.drain()
            if not clean and request.transport is not None:
                request.transport.close()  # after an error nothing of the rest is read
            elif clean:
                await response.write_eof()
        finally:
            self._rooms.sessions.leave(session)
            await acks.drop()
        return response

    async def _get_media(self, call: wire.Call, request: web.Request) -> web.StreamResponse:
        stream = await find_stream(self._rooms.video, call)
        if len(self._readers) >= self._max_readers:
            raise AwsFault(
                "ConnectionLimitExceededException",
                f"{self._max_readers} readers are connected; max_sessions allows no more.",
            )
        after = await ARCHIVE.run(start_after, self._rooms.video, stream.name, call.input["StartSelector"])
        return await self._stream(request, chunks(self._rooms.video, stream.name, after))

    async def _fragment_list(self, call: wire.Call, request: web.Request) -> web.StreamResponse:
        return await self._stream(request, await self._rooms.archive.fragment_list(call))

    async def _stream(self, request: web.Request, parts: AsyncIterator[bytes]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": CONTENT_TYPE, "x-amzn-RequestId": wire.new_request_id()})
        response.enable_chunked_encoding()
        await response.prepare(request)
        task = asyncio.current_task()
        assert task is not None
        self._readers.add(task)
        KINESIS_SESSIONS.labels("get").set(len(self._readers))
        try:
            async for part in parts:
                # A reader that is gone is noticed here while nothing is written to it.
                if request.transport is None or request.transport.is_closing():
                    break
                if part:
                    await response.write(part)
                    KINESIS_BYTES.labels("out").inc(len(part))
            else:
                await response.write_eof()
        except OSError:
            return response
        finally:
            self._readers.discard(task)
            KINESIS_SESSIONS.labels("get").set(len(self._readers))
        return response

    async def _get_clip(self, call: wire.Call, request: web.Request) -> web.StreamResponse:
        return web.Response(body=await self._rooms.archive.clip(call), content_type="video/mp4")


def _json(model: OperationModel, work: JsonOperation) -> Answer:
    async def answer(call: wire.Call, request: web.Request) -> web.StreamResponse:
        output = await work(call)
        document = model.write(output) if model.write is not None else {}
        return web.Response(headers=wire.headers(wire.new_request_id()), body=wire.dump(document))

    return answer


async def _receive(request: web.Request) -> bytes:
    """What came of the body, b"" at its end. Raises OSError where the connection or its chunking broke."""
    try:
        return await request.content.readany()
    except (ClientError, HttpProcessingError, web.RequestPayloadError) as error:
        raise ConnectionError(str(error) or type(error).__name__) from None


def _peer(request: web.Request) -> str:
    """Who asks, for the log."""
    address = request.transport.get_extra_info("peername") if request.transport is not None else None
    return f"{address[0]}:{address[1]}" if isinstance(address, tuple) else ""


def _base_url(request: web.Request) -> str:
    """Scheme, host and port. A Host without a port (some producers' is) means the port that it came in by."""
    host = request.headers.get("Host", "")
    if ":" not in host.rpartition("]")[2]:
        address = request.transport.get_extra_info("sockname") if request.transport is not None else None
        host = f"{host}:{address[1]}" if isinstance(address, tuple) else host
    return f"{request.scheme}://{host}"
