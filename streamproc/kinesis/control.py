"""The control operations: streams are made, described, listed, changed, tagged and deleted."""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from streamproc.aws_protocol.faults import AwsFault
from streamproc.config.kinesis_video import KinesisVideoSettings
from streamproc.core.errors import InputError
from streamproc.kinesis.log import VideoLog, now_ms
from streamproc.kinesis.sessions import Sessions
from streamproc.kinesis.streams import VideoStream
from streamproc.kinesis.wire import Call, invalid
from streamproc.threads import ARCHIVE

_MOST_LISTED = 10_000
_LONGEST_RETENTION_H = 87_600
"""Ten years, the service's most."""


class ControlOperations:
    """One method an operation; each takes a Call and gives the output structure."""

    def __init__(
        self, video: VideoLog, sessions: Sessions, settings: KinesisVideoSettings, region: str, account: str
    ) -> None:
        self._video = video
        self._streams = video.streams
        self._sessions = sessions
        self._settings = settings
        self._arn_head = f"arn:aws:kinesisvideo:{region}:{account}:stream"

    def arn(self, stream: VideoStream) -> str:
        return f"{self._arn_head}/{stream.name}/{stream.created_ms}"

    async def create_stream(self, call: Call) -> dict[str, Any]:
        if not self._settings.create:
            raise AwsFault(
                "AccessDeniedException", "Streams may not be created here: kinesis_video.create is false.", 403
            )
        given = call.input
        stream = await ARCHIVE.run(
            self._streams.create,
            given["StreamName"],
            now_ms(),
            media_type=given.get("MediaType"),
            device_name=given.get("DeviceName"),
            kms_key_id=given.get("KmsKeyId"),
            retention_hours=given.get("DataRetentionInHours", 0),
            tags=given.get("Tags"),
        )
        await self._video.told()
        return {"StreamARN": self.arn(stream)}

    async def describe_stream(self, call: Call) -> dict[str, Any]:
        return {"StreamInfo": self._info(await self._stream(call))}

    async def list_streams(self, call: Call) -> dict[str, Any]:
        condition = call.input.get("StreamNameCondition") or {}
        names = await ARCHIVE.run(self._streams.names, condition.get("ComparisonValue", ""))
        if call.key is not None:
            names = [name for name in names if call.key.may_use_stream(name)]
        page, token = page_of(names, call.input.get("NextToken"), call.input.get("MaxResults", _MOST_LISTED))
        infos = [self._info(stream) for name in page if (stream := self._streams.find(name)) is not None]
        return {"StreamInfoList": infos, "NextToken": token}

    async def get_data_endpoint(self, call: Call) -> dict[str, Any]:
        await self._stream(call)
        return {"DataEndpoint": self._settings.public_url or call.base_url}

    async def delete_stream(self, call: Call) -> dict[str, Any]:
        stream = await self._stream(call)
        await self._video.delete(stream, call.input.get("CurrentVersion"))
        await self._video.told()
        return {}

    async def update_stream(self, call: Call) -> dict[str, Any]:
        names = {"DeviceName": "device_name", "MediaType": "media_type"}
        columns = {column: call.input[name] for name, column in names.items() if name in call.input}
        await self._change(call, columns)
        return {}

    async def update_data_retention(self, call: Call) -> dict[str, Any]:
        stream = await self._stream(call)
        by = call.input["DataRetentionChangeInHours"]
        hours = stream.retention_hours + (by if call.input["Operation"] == "INCREASE_DATA_RETENTION" else -by)
        if not 0 <= hours <= _LONGEST_RETENTION_H:
            raise invalid(f"The retention would be {hours} hours; it must be 0 to {_LONGEST_RETENTION_H}.")
        await self._change(call, {"retention_hours": hours})
        return {}

    async def tag_stream(self, call: Call) -> dict[str, Any]:
        stream = await self._stream(call)
        await ARCHIVE.run(self._streams.tag, stream.name, call.input["Tags"])
        await self._video.told()
        return {}

    async def untag_stream(self, call: Call) -> dict[str, Any]:
        stream = await self._stream(call)
        await ARCHIVE.run(self._streams.untag, stream.name, call.input["TagKeyList"])
        await self._video.told()
        return {}

    async def list_tags_for_stream(self, call: Call) -> dict[str, Any]:
        return {"Tags": dict((await self._stream(call)).tags)}

    async def _change(self, call: Call, columns: Mapping[str, object]) -> None:
        stream = await self._stream(call)
        await ARCHIVE.run(self._streams.change, stream.name, call.input["CurrentVersion"], **columns)
        await self._video.told()

    async def _stream(self, call: Call) -> VideoStream:
        return await find_stream(self._video, call)

    def _info(self, stream: VideoStream) -> dict[str, Any]:
        return {
            "StreamName": stream.name,
            "StreamARN": self.arn(stream),
            "DeviceName": stream.device_name,
            "MediaType": stream.media_type,
            "KmsKeyId": stream.kms_key_id or "arn:aws:kms:local:000000000000:alias/aws/kinesisvideo",
            "Version": stream.version,
            "Status": "ACTIVE",
            "CreationTime": stream.created_ms / 1000,
            "DataRetentionInHours": stream.retention_hours,
        }


async def find_stream(video: VideoLog, call: Call) -> VideoStream:
    """The stream that a call is about. Raises AwsFault or NotFound."""
    if call.stream is None:
        raise invalid("Give StreamName or StreamARN.")
    return await video.stream(call.stream)


def page_of(names: Sequence[str], token: str | None, size: int) -> tuple[list[str], str | None]:
    """A page of sorted names and the token of the next. Raises InputError for a token that was not given here."""
    begin = bisect_right(names, read_token(token)) if token else 0
    page = list(names[begin : begin + size])
    return page, make_token(page[-1]) if page and begin + size < len(names) else None


def make_token(last: str) -> str:
    """A page token in the alphabet that the service's pattern allows."""
    return base64.b64encode(last.encode()).decode("ascii")


def read_token(token: str) -> str:
    """The name or number behind which a page begins. Raises InputError."""
    try:
        return base64.b64decode(token, validate=True).decode()
    except (binascii.Error, ValueError):
        raise InputError("NextToken was not given by this endpoint.") from None
