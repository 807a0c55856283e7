"""Tags of stream processors and collections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamproc.aws.arns import rekognition_resource
from streamproc.aws.core import Core
from streamproc.aws.faults import not_found
from streamproc.aws.operations.processors import MAX_TAGS, view_of
from streamproc.aws.operations.table import Served
from streamproc.aws.wire import Call
from streamproc.aws_protocol.faults import AwsFault
from streamproc.threads import FACES


async def _read(core: Core, arn: str) -> dict[str, str]:
    kind, name = rekognition_resource(arn)
    if kind == "streamprocessor":
        return dict((await view_of(core, name)).config.tags)
    if kind == "collection":
        return dict((await FACES.run(core.faces.describe_collection, name)).tags)
    raise _unknown(arn)


async def _write(core: Core, arn: str, tags: Mapping[str, str]) -> None:
    kind, name = rekognition_resource(arn)
    if kind == "streamprocessor":
        view = await view_of(core, name)
        await core.processors.update(name, view.config.model_copy(update={"tags": dict(tags)}))
        return
    if kind == "collection":
        await FACES.run(core.faces.set_tags, name, tags)
        return
    raise _unknown(arn)


def _unknown(arn: str) -> AwsFault:
    return not_found(f"The resource: {arn} does not exist.")


async def tag(core: Core, call: Call) -> dict[str, Any]:
    arn = call.input["ResourceArn"]
    tags = await _read(core, arn) | call.input["Tags"]
    if len(tags) > MAX_TAGS:
        raise AwsFault("ServiceQuotaExceededException", f"A resource can have at most {MAX_TAGS} tags.")
    await _write(core, arn, tags)
    return {}


async def untag(core: Core, call: Call) -> dict[str, Any]:
    arn, gone = call.input["ResourceArn"], set(call.input["TagKeys"])
    tags = await _read(core, arn)
    await _write(core, arn, {key: value for key, value in tags.items() if key not in gone})
    return {}


async def list_all(core: Core, call: Call) -> dict[str, Any]:
    return {"Tags": await _read(core, call.input["ResourceArn"])}


_ONLY_THESE = "Stream processors and collections; there are no custom models here."

OPERATIONS: dict[str, Served] = {
    "TagResource": Served(tag, notes=_ONLY_THESE),
    "UntagResource": Served(untag, notes=_ONLY_THESE),
    "ListTagsForResource": Served(list_all, notes=_ONLY_THESE),
}
