"""Private attributes of libraries that we use: an upgrade that takes one away fails here, and not on somebody's node."""

from __future__ import annotations

import inspect

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiortc import RTCPeerConnection, RTCRtpReceiver
from aiortc.jitterbuffer import JitterBuffer

from streamproc.webrtc.inbound import _BUFFER
from streamproc.webrtc.outbound import _ENCODER, _STAMP


async def test_aiokafka() -> None:
    consumer, producer = (
        AIOKafkaConsumer(bootstrap_servers="127.0.0.1:1"),
        AIOKafkaProducer(bootstrap_servers="127.0.0.1:1"),
    )
    try:
        check_aiokafka(consumer, producer)
    finally:
        await consumer.stop()
        await producer.stop()


def check_aiokafka(consumer: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
    assert isinstance(consumer._client, AIOKafkaClient)
    assert callable(AIOKafkaClient.force_metadata_update) and callable(AIOKafkaClient.add_topic)
    assert "self._coordinator = GroupCoordinator(" in inspect.getsource(AIOKafkaConsumer)
    assert callable(GroupCoordinator.request_rejoin)
    assert inspect.iscoroutinefunction(producer._sender.close)
    names = list(inspect.signature(producer._partition).parameters)
    assert names == ["topic", "partition", "key", "value", "serialized_key", "serialized_value"]


async def test_aiortc() -> None:
    connection = RTCPeerConnection()
    try:
        transceiver = connection.addTransceiver("video")
        assert isinstance(transceiver.receiver, RTCRtpReceiver)
        assert isinstance(getattr(transceiver.receiver, _BUFFER), JitterBuffer)
        assert list(inspect.signature(JitterBuffer.add).parameters) == ["self", "packet"]
        assert transceiver._codecs == [] and transceiver._get_mline_index() is None
        ice = transceiver.receiver.transport.transport
        assert isinstance(ice._connection._protocols, list)
        assert "packet._data = " in inspect.getsource(RTCRtpReceiver)
        assert inspect.iscoroutinefunction(transceiver.receiver._send_rtcp_pli)
        assert callable(transceiver.sender._send_keyframe)
        assert hasattr(transceiver.sender, _ENCODER) and hasattr(transceiver.sender, _STAMP)
    finally:
        await connection.close()
