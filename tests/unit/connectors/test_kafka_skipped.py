"""Fragments of a topic that cannot be read are counted where an operator looks."""

from __future__ import annotations

from connectors.context import ConnectorContext
from connectors.kafka.settings import KafkaSourceSettings
from connectors.kafka.source import KafkaSource
from streamproc import metrics
from streamproc.core.media import Gap, GapReason


def test_a_skipped_fragment_is_counted_by_reason() -> None:
    source = KafkaSource(KafkaSourceSettings(bootstrap_servers="127.0.0.1:1", topic="door"), ConnectorContext("skips"))
    count = metrics.FRAGMENTS_SKIPPED.labels("skips", GapReason.CORRUPT.value)
    gap = source._report("fragment 7: no keyframe", GapReason.CORRUPT)
    assert isinstance(gap, Gap) and gap.detail == "fragment 7: no keyframe"
    assert count._value.get() == 1 and source.skipped == 1
