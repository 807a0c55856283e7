"""Pictures and session summaries in a bucket, laid out as the service does."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from pathlib import Path
from typing import Any

from connectors.aws import AwsClient
from connectors.context import ConnectorContext
from connectors.s3.settings import S3SinkSettings
from streamproc.contracts import NOWHERE, Delivery, Images
from streamproc.core.errors import SinkBusy
from streamproc.core.event import Event, EventType
from streamproc.durable import write_durably
from streamproc.plain import to_line
from streamproc.threads import OneAtATime, StillBusy

SUMMARY = "session-summary.json"


class S3Sink:
    """``PREFIX/PROCESSOR/SESSION/`` holds ``000000-PERSON-frame.jpg``, ``000000-PERSON-crop.jpg`` and ``session-summary.json``.

    Each event's document (class, confidence, box, time) lies beside its pictures as ``000000-PERSON.json``, in the form that is set. Keys follow
    from the event alone: writing an event again writes the same objects.
    """

    guarantee = "every event's objects at least once; written again after a crash they are the same objects with the same content"

    def __init__(self, settings: S3SinkSettings, context: ConnectorContext) -> None:
        self._settings = settings
        self._client = AwsClient("s3", settings, context, path_style=settings.path_style)
        self._prefix = settings.prefix.strip("/")
        # Not resolve(): a dead network share answers no question, and this is the event loop.
        self._folder_of_bucket = Path(os.path.abspath(context.path(settings.directory))) if settings.directory else None  # noqa: PTH100
        self._thread = OneAtATime(f"bucket {context.processor}")
        self._turn = asyncio.Lock()

    def locate(self, event: Event) -> Images:
        """``s3://BUCKET/KEY`` of both pictures."""
        if not event.has_pictures:
            return NOWHERE
        base = self._settings.uri_base or "/".join(filter(None, (f"s3://{self._settings.bucket}", self._prefix)))
        place = f"{base}/{event.processor}/{event.session}/{self._name(event)}"
        return Images(f"{place}-frame.jpg", f"{place}-crop.jpg")

    async def deliver(self, delivery: Delivery) -> None:
        event, pictures = delivery.event, delivery.pictures
        images = NOWHERE
        if pictures is not None and event.has_pictures:
            images = self.locate(event)
            await self._put(f"{self._stem(event)}-frame.jpg", pictures.frame, "image/jpeg")
            await self._put(f"{self._stem(event)}-crop.jpg", pictures.crop, "image/jpeg")
        if event.type is EventType.SESSION_COMPLETE:
            await self._put_document(f"{self._folder(event)}/{SUMMARY}", delivery, images)
        else:
            await self._put_document(f"{self._stem(event)}.json", delivery, images)

    async def aclose(self) -> None:
        self._thread.close()
        await asyncio.shield(self._client.aclose())

    def _folder(self, event: Event) -> str:
        return "/".join(part for part in (self._prefix, event.processor, event.session) if part)

    def _stem(self, event: Event) -> str:
        return f"{self._folder(event)}/{self._name(event)}"

    @staticmethod
    def _name(event: Event) -> str:
        return f"{event.sequence:06d}-{event.label or event.type.value}"

    async def _put_document(self, key: str, delivery: Delivery, images: Images) -> None:
        line = to_line(delivery.document(self._settings.format, images))
        await self._put(key, line.encode() + b"\n", "application/json")

    async def _put(self, key: str, body: bytes, content_type: str) -> None:
        if self._folder_of_bucket is not None:
            folder = self._folder_of_bucket
            async with self._turn:
                try:
                    await self._thread.run(key, partial(_write_object, folder, key, body))
                except StillBusy as error:
                    raise SinkBusy(f"{folder} does not answer: {error}") from error
            return
        extra: dict[str, Any] = {}
        if self._settings.kms_key_id:
            extra = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self._settings.kms_key_id}
        await self._client.call(
            "put_object", Bucket=self._settings.bucket, Key=key, Body=body, ContentType=content_type, **extra
        )


def _write_object(folder: Path, key: str, body: bytes) -> None:
    """An object of a bucket that is a folder; replaced in one step."""
    folder = folder.resolve()
    path = (folder / key).resolve()
    if not path.is_relative_to(folder):
        raise SinkBusy(f"the key {key} leads out of {folder}; fix the prefix")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, body)
    except OSError as error:
        raise SinkBusy(f"cannot write to {folder}: {error.strerror or error}") from error
