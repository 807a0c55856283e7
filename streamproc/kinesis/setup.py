"""Puts Kinesis Video together from the node's document and mounts it on a server."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog
from aiohttp import web

from connectors.context import ConnectorContext
from connectors.kafka.fragment_topic import FragmentTopic, Retention
from connectors.kafka.table import TableTopic
from streamproc.aws_protocol.keys import load_keys
from streamproc.config.cluster import ClusterSettings
from streamproc.config.kinesis_video import FolderStore, KafkaStore, KinesisVideoSettings
from streamproc.config.node import NodeConfig
from streamproc.kinesis.acks import AckError
from streamproc.kinesis.archive import ArchiveOperations
from streamproc.kinesis.control import ControlOperations
from streamproc.kinesis.folder import FolderFragments
from streamproc.kinesis.http import KinesisEndpoint, Rooms
from streamproc.kinesis.index import FragmentIndex
from streamproc.kinesis.kafka import KafkaFragments
from streamproc.kinesis.log import VideoLog
from streamproc.kinesis.models import operation_models
from streamproc.kinesis.sessions import Sessions
from streamproc.kinesis.sharing import SharedStreams
from streamproc.kinesis.store import FragmentStore
from streamproc.kinesis.streams import StreamTable
from streamproc.store.database import Database
from streamproc.threads import CONTROL, ENDING

log = structlog.get_logger(__name__)

DATABASE = "kinesis-video.db"
_FOLDER = "kinesis-video"
_HOUR_MS = 3_600_000
_CLOCKS_MS = 1000
"""The clocks of nodes may differ by so much: a fragment may be older by one than its stream is by another."""


@dataclass(frozen=True, slots=True)
class VideoStreams:
    """The streams of a node while the daemon runs."""

    video: VideoLog
    database: Database
    shared: SharedStreams | None = None
    """Where other nodes have the same."""

    async def close(self) -> None:
        if self.shared is not None:
            await self.shared.close()
        await self.video.close()
        await ENDING.run(self.database.close)


def video_settings(node: NodeConfig) -> KinesisVideoSettings:
    """As the document says it; where it names no store, a cluster's nodes share a topic of the cluster's and one that is alone has a folder."""
    settings = node.kinesis_video or KinesisVideoSettings()
    if node.cluster is None or "store" in settings.model_fields_set:
        return settings
    topic = node.cluster.connection("fragments")
    return settings.model_copy(update={"store": KafkaStore(type="kafka", **topic.model_dump())})


async def open_video_log(settings: KinesisVideoSettings, database: Database, context: ConnectorContext) -> VideoLog:
    """The streams and fragments of a data directory. ``context``: relative paths, and the name that brokers are told."""
    streams, index = StreamTable(database), FragmentIndex(database)
    video = VideoLog(streams, index, make_store(settings, streams, index, context))
    await video.open()
    return video


async def open_streams(node: NodeConfig, folder: Path, data_dir: Path) -> VideoStreams:
    """The node's streams, with the store's defaults where its document has no ``kinesis_video``. Raises InputError."""
    database = await CONTROL.run(Database, data_dir, DATABASE)
    context = ConnectorContext(processor="kinesis-video", base_dir=folder, data_dir=data_dir)
    settings = video_settings(node)
    if node.cluster is None or isinstance(settings.store, FolderStore):
        return VideoStreams(await open_video_log(settings, database, context), database)
    return await _open_shared(node.cluster, settings, database, context)


async def _open_shared(
    cluster: ClusterSettings, settings: KinesisVideoSettings, database: Database, context: ConnectorContext
) -> VideoStreams:
    """Streams and fragments that the nodes of a cluster have together."""
    streams, index = StreamTable(database), FragmentIndex(database)
    store = make_store(settings, streams, index, context)
    video = VideoLog(streams, index, store)
    shared = SharedStreams(video, database, TableTopic(cluster.connection("streams"), context), cluster.name)
    if isinstance(store, KafkaFragments):

        def since_ms(name: str) -> int:
            stream = streams.find(name) if shared.in_step.is_set() else None
            return stream.created_ms - _CLOCKS_MS if stream is not None else 0

        store.follow_others(since_ms, video.heard)
    await shared.open()
    await video.open()
    return VideoStreams(video, database, shared)


async def serve(
    app: web.Application, video: VideoLog, node: NodeConfig, folder: Path, environ: Mapping[str, str] = os.environ
) -> KinesisEndpoint:
    """Kinesis Video on ``app``. Raises ConfigError for keys."""
    settings = video_settings(node)
    keys = load_keys(node.server, folder, environ)
    models = await CONTROL.run(operation_models)  # reads botocore's files
    sessions = Sessions(settings.max_sessions, settings.max_buffered_bytes)
    video.deleted_listeners.append(lambda name: sessions.end(name, AckError.STREAM_DELETED, "the stream was deleted"))
    if isinstance(video.store, KafkaFragments):
        video.store.producers.append(sessions.sent)
    control = ControlOperations(video, sessions, settings, node.aws.region, node.aws.account)
    rooms = Rooms(video, sessions, control, ArchiveOperations(video))
    endpoint = KinesisEndpoint(rooms, models, keys, settings.max_sessions)
    endpoint.mount(app)
    return endpoint


def make_store(
    settings: KinesisVideoSettings, streams: StreamTable, index: FragmentIndex, context: ConnectorContext
) -> FragmentStore:
    """Not opened yet."""
    store = settings.store
    default_ms = round(store.retention * 1000)

    def retention_ms(name: str) -> int:
        stream = streams.find(name)
        if stream is None:
            return default_ms
        return stream.keep_ms or stream.retention_hours * _HOUR_MS or default_ms

    if isinstance(store, FolderStore):
        assert context.data_dir is not None
        directory = context.path(store.directory) if store.directory is not None else context.data_dir / _FOLDER
        return FolderFragments(
            directory,
            index,
            max_bytes=store.max_bytes,
            retention_ms=retention_ms,
            max_fragment_bytes=settings.max_fragment_bytes,
        )
    topic = FragmentTopic(store, context, Retention(default_ms, store.max_bytes))
    return KafkaFragments(topic, index, retention_ms=retention_ms, max_fragment_bytes=settings.max_fragment_bytes)
