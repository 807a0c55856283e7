"""Whether a topic that a request names is there at all: a job's end would else be told to nobody, and nobody would hear of that."""

from __future__ import annotations

import asyncio

import structlog

from connectors.catalog import make_sink
from connectors.context import ConnectorContext
from connectors.sns.sink import SnsSink
from streamproc.aws.bindings import Resolver
from streamproc.aws.faults import invalid_parameter
from streamproc.core.errors import SinkDenied, SinkError

log = structlog.get_logger(__name__)

PATIENCE_S = 3.0
"""A client waits; a topic that cannot be asked in time is believed to be there."""


async def check_topic(resolver: Resolver, arn: str) -> None:
    """Raises AwsFault where SNS says that there is no such topic, Unbound where it means nothing here.

    Who may publish but not look, or has no network just now, is let through: deliveries wait, and say why.
    """
    ref = resolver.topic(arn)
    if ref.type != "sns":
        return
    sink = make_sink(ref, ConnectorContext())
    assert isinstance(sink, SnsSink)
    try:
        async with asyncio.timeout(PATIENCE_S):
            await sink.look()
    except SinkDenied as error:
        if error.missing:
            raise invalid_parameter(
                f"Request has invalid parameters. NotificationChannel.SNSTopicArn: SNS topic {arn} doesn't exist."
            ) from None
    except (SinkError, TimeoutError) as error:
        log.warning("topic_not_looked_at", topic=arn, reason=str(error) or type(error).__name__)
    finally:
        await sink.aclose()
