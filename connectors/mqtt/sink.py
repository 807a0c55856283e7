"""Events as messages, states as retained messages, a processor as a device of Home Assistant."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import structlog

from connectors.context import ConnectorContext
from connectors.mqtt.commands import CommandError, obey
from connectors.mqtt.discovery import Offer, device
from connectors.mqtt.messages import interrupted, message
from connectors.mqtt.node import NodeOnBroker
from connectors.mqtt.picture import fitting
from connectors.mqtt.settings import MqttSinkSettings
from connectors.mqtt.sharing import node_on_broker
from connectors.mqtt.states import figures, states, to_json
from connectors.mqtt.topics import Topics
from streamproc.contracts import NOWHERE, Delivery, Images
from streamproc.core.errors import MediaError, StreamprocError
from streamproc.core.event import Event, EventType
from streamproc.core.status import Figures, ProcessorStatus
from streamproc.threads import PREPARED
from streamproc.trouble import Trouble

log = structlog.get_logger(__name__)

_PATIENCE_S = 5.0
_RETIRE_S = 3.0
_SHOWN = frozenset({EventType.LABEL_DETECTED, EventType.FACE_MATCHED, EventType.FACE_UNKNOWN})


class MqttSink:
    """``PREFIX/NODE/PROCESSOR/event`` and others; see docs/home-assistant.md for every topic."""

    guarantee = (
        "every event at least once, in the order of its session; the broker has confirmed it (PUBACK) before it counts as delivered. "
        "Repeated under the same ``id`` when a confirmation was lost. States are retained and always those of this moment"
    )

    def __init__(self, settings: MqttSinkSettings, context: ConnectorContext) -> None:
        self._settings = settings
        self._context = context
        self._refused = Trouble("mqtt_command_refused", "mqtt_command_obeyed", processor=context.processor)
        self._node: NodeOnBroker | None = None
        self._status: ProcessorStatus | None = None
        self._retired = False
        self._pictured: datetime | None = None
        """When what the last published picture shows was."""
        self._measured = float("-inf")
        """When figures were published last, by the loop's clock."""

    def locate(self, event: Event) -> Images:
        """Pictures go to a topic, which is no place that others could look at."""
        return NOWHERE

    async def deliver(self, delivery: Delivery) -> None:
        node = self._attached()
        topics = self._topics(node, delivery.event.processor)
        await node.connection.ready(_PATIENCE_S)
        pictures = delivery.pictures
        if pictures is not None and self._settings.pictures and not self._retired and delivery.event.type in _SHOWN:
            await self._show_picture(node, delivery.event, pictures.frame)
        topic, payload = message(delivery, topics, self._settings.format)
        await node.connection.publish(topic, payload, qos=self._settings.qos)

    async def _show_picture(self, node: NodeOnBroker, event: Event, jpeg: bytes) -> None:
        """Before its message, so that who hears of an event finds its picture. Not where a later one is shown already."""
        if self._pictured is not None and event.at.wall < self._pictured:
            return
        topics = self._topics(node, event.processor)
        try:
            await node.keep_now(topics, topics.hero, await PREPARED.run(fitting, jpeg))
        except MediaError as error:
            log.warning("mqtt_picture_unreadable", event_id=event.id, reason=str(error))
        else:
            self._pictured = event.at.wall

    # -- states

    def status(self, status: ProcessorStatus) -> None:
        """Publish what is different from last time; figures alone every ``status_every``."""
        if self._retired:
            return
        node, settings = self._attached(), self._settings
        topics = self._topics(node)
        now = asyncio.get_running_loop().time()
        if self._status is None or _settled(self._status) != _settled(status):
            offer = Offer(settings.commands, settings.format == "plain", settings.pictures, settings.configuration_url)
            config = {} if topics.config is None else {topics.config: to_json(device(topics, status.watched, offer))}
            messages = config | states(status, topics) | dict([figures(status, topics)])
            painted_over = self._masks_are_new(status)
            if painted_over:
                self._pictured = datetime.now(UTC)
            node.show(self, topics, messages, settings.pictures and not painted_over)
            self._measured = now
        elif now - self._measured >= settings.status_every:
            node.keep(topics, *figures(status, topics))
            self._measured = now
        gap = interrupted(self._status, status, datetime.now(UTC), topics) if settings.format == "plain" else None
        if gap is not None:
            node.tell(*gap)
        if self._status is None and settings.commands:
            node.obey(self, topics, self._obey)
        self._status = status

    def _masks_are_new(self, status: ProcessorStatus) -> bool:
        """What was shown before may show what is to be hidden now. What an output of before has shown, nobody knows."""
        before = self._status.watched.masks if self._status is not None else ()
        return status.watched.masks != before

    async def retire(self) -> None:
        """Leave nothing on the broker: the output was taken out of its processor's document, or the processor deleted."""
        node = self._attached()
        topics = self._topics(node)
        self._retired = True
        if node.retire(self, topics):
            await node.removed(topics, _RETIRE_S)

    async def aclose(self) -> None:
        node, self._node = self._node, None
        if node is not None:
            await node.detach(self)

    def _topics(self, node: NodeOnBroker, processor: str | None = None) -> Topics:
        name = processor or self._context.processor
        return replace(node.topics, discovery=self._settings.discovery or None).processor(name)

    def _attached(self) -> NodeOnBroker:
        if self._node is None:
            self._node = node_on_broker(self._settings, self._context)
            self._node.attach(self)
        return self._node

    # -- commands

    async def _obey(self, what: str, payload: str) -> None:
        name, control = self._context.processor, self._context.control
        if control is None:
            return
        try:
            if what == "snapshot" and not self._settings.pictures:
                raise CommandError("this output publishes no pictures; set pictures: true")
            picture = await obey(control, name, what, payload)
        except (StreamprocError, CommandError) as error:
            self._refused.met(error, command=what)
        except Exception:  # the boundary of a command: whatever it did, the next one is obeyed
            log.exception("mqtt_command_failed", processor=name, command=what)
        else:
            self._refused.over()
            log.info("mqtt_command", processor=name, command=what, payload=payload)
            if picture is not None and self._node is not None:
                topics = self._topics(self._node)
                self._node.keep(topics, topics.hero, await PREPARED.run(fitting, picture))


def _settled(status: ProcessorStatus) -> ProcessorStatus:
    """Without what is different at every look."""
    return replace(status, figures=Figures(people=status.figures.people, visits=status.figures.visits))
