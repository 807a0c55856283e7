"""The stream processors."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC
from typing import Any

from streamproc.aws import stream_builder, stream_settings
from streamproc.aws.bindings import Unbound
from streamproc.aws.core import Core
from streamproc.aws.faults import in_use, invalid_parameter, not_found
from streamproc.aws.operations.table import Served
from streamproc.aws.ports import ProcessorView
from streamproc.aws.stream_builder import DEFAULT_DURATION_S
from streamproc.aws.topics import check_topic
from streamproc.aws.wire import Call
from streamproc.aws_protocol.faults import AwsFault
from streamproc.config.processor import ProcessorConfig
from streamproc.core.errors import AlreadyExists, InUse, NotFound
from streamproc.core.start import StartRequest

MAX_TAGS = 200


def wire_status(view: ProcessorView) -> str:
    """A label processor is STARTING for its whole session, as the service has it; face search gets to RUNNING."""
    if view.state == "refused":
        return "FAILED"
    if view.state == "running" and view.config.faces is None:
        return "STARTING"
    return view.state.upper()


async def view_of(core: Core, name: str) -> ProcessorView:
    try:
        return await core.processors.view(name)
    except NotFound:
        raise not_found(f"The stream processor: {name} does not exist.") from None


async def create(core: Core, call: Call) -> dict[str, Any]:
    request, name = call.input, call.input["Name"]
    stream_settings.check_create(request)
    existing = await core.processors.views()
    if any(view.name == name for view in existing):
        raise in_use("Stream processor name already in use.")
    if len(existing) >= core.limits.max_processors:
        limit = core.limits.max_processors
        raise AwsFault("LimitExceededException", f"Stream processor limit exceeded for account, limit - {limit}.")
    config = core.builder.build(name, stream_settings.kept(request), request.get("Tags") or {})
    if "NotificationChannel" in request:
        with suppress(Unbound):  # the processor says so itself, when it is started
            await check_topic(core.resolver, request["NotificationChannel"]["SNSTopicArn"])
    try:
        await core.processors.create(name, config)
    except AlreadyExists:
        raise in_use("Stream processor name already in use.") from None
    return {"StreamProcessorArn": core.arns.processor(name)}


async def describe(core: Core, call: Call) -> dict[str, Any]:
    view = await view_of(core, call.input["Name"])
    return {
        "Name": view.name,
        "StreamProcessorArn": core.arns.processor(view.name),
        "Status": wire_status(view),
        "StatusMessage": view.message if view.state in ("failed", "refused") else None,
        "CreationTimestamp": view.created.astimezone(UTC),
        "LastUpdateTimestamp": view.updated.astimezone(UTC),
        **stream_settings.describe(view.name, view.config, core.arns),
    }


async def list_all(core: Core, call: Call) -> dict[str, Any]:
    views = {view.name: view for view in await core.processors.views() if call.may_touch(view.name)}
    names, token = core.pages.page(
        "ListStreamProcessors", sorted(views), call.input.get("NextToken"), call.input.get("MaxResults"), core.clock()
    )
    shown = [views[name] for name in names]
    state = core.processors.state_elsewhere
    return {
        "StreamProcessors": [
            {"Name": view.name, "Status": wire_status(replace(view, state=state(view.name) or view.state))}
            for view in shown
        ],
        "NextToken": token,
    }


async def start(core: Core, call: Call) -> dict[str, Any]:
    name = call.input["Name"]
    at = stream_settings.check_start(call.input)
    view = await view_of(core, name)
    if view.state in ("starting", "running", "stopping"):
        raise in_use()
    view = await _resolve_again(core, view)
    duration = (call.input.get("StopSelector") or {}).get("MaxDurationInSeconds")
    if view.config.faces is not None:
        duration = None  # face search runs until it is stopped
    elif duration is None and "create" in view.config.aws:
        duration = DEFAULT_DURATION_S
    try:
        session = await core.processors.start(name, StartRequest(at, duration, dict(call.input)))
    except InUse:
        raise in_use() from None
    return {} if view.config.faces is not None else {"SessionId": session}


async def _resolve_again(core: Core, view: ProcessorView) -> ProcessorView:
    """A binding may have come since the processor was made."""
    config = _rebuilt(core, view, view.config.aws.get("create"))
    return view if config == view.config else await core.processors.update(view.name, config)


def _rebuilt(core: Core, view: ProcessorView, created: dict[str, Any] | None) -> ProcessorConfig:
    if created is None:  # not made here: its document is its owner's
        return view.config
    return core.builder.build(view.name, created, view.config.tags)


async def stop(core: Core, call: Call) -> dict[str, Any]:
    view = await view_of(core, call.input["Name"])
    if view.state not in ("starting", "running"):
        raise in_use("Processor not available for stopping stream.")
    try:
        await core.processors.stop(view.name)
    except InUse:
        raise in_use("Processor not available for stopping stream.") from None
    return {}


async def update(core: Core, call: Call) -> dict[str, Any]:
    view = await view_of(core, call.input["Name"])
    created = view.config.aws.get("create")
    if view.config.faces is not None:
        raise invalid_parameter("Request has invalid parameters. A FaceSearch stream processor cannot be updated.")
    if view.origin == "file":
        raise invalid_parameter(
            "Request has invalid parameters. This stream processor belongs to a config file; edit the file."
        )
    shown = created if created is not None else stream_settings.describe(view.name, view.config, core.arns)
    changed = stream_settings.updated(shown, call.input)
    if view.state in ("starting", "running", "stopping"):
        raise in_use()
    if created is not None:
        await core.processors.update(view.name, _rebuilt(core, view, changed))
        return {}
    # Made by the control API: only what was asked for changes.
    kept = changed.get("RegionsOfInterest") == shown.get("RegionsOfInterest")
    await core.processors.update(view.name, stream_builder.edited(view.config, changed, keep_regions=kept))
    return {}


async def delete(core: Core, call: Call) -> dict[str, Any]:
    view = await view_of(core, call.input["Name"])
    if view.origin == "file":
        raise in_use("Cannot delete stream processor. It belongs to a config file; remove the file instead.")
    try:
        if wire_status(view) == "STARTING":  # how the service tells users to get rid of one that is stuck
            await core.processors.stop(view.name)
        await core.processors.delete(view.name)
    except InUse:
        raise in_use("Cannot delete stream processor.") from None
    return {}


OPERATIONS: dict[str, Served] = {
    "CreateStreamProcessor": Served(
        create,
        ignored={
            "RoleArn": "there are no roles here: outputs use the credentials of their binding or the usual AWS chain",
            "DataSharingPreference.OptIn": "kept and shown; nothing leaves the box",
        },
        notes="A stream may feed several processors. Identical names are refused, identical requests too.",
    ),
    "DescribeStreamProcessor": Served(describe),
    "ListStreamProcessors": Served(list_all),
    "StartStreamProcessor": Served(
        start,
        notes="Selectors are optional. On sources that cannot go back (RTSP, files) any StartSelector means the first frame, "
        "or now. Start of a face search answers without SessionId.",
    ),
    "StopStreamProcessor": Served(stop, notes="Ends a label session early too, with its end-of-session notification."),
    "UpdateStreamProcessor": Served(update, notes="Only while stopped, and not for FaceSearch, as the service has it."),
    "DeleteStreamProcessor": Served(
        delete, notes="A label processor is STARTING for its session; Delete ends the session."
    ),
}
