"""Puts the endpoint together from the node's config and the rooms behind it, and mounts it on a server."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import structlog
from aiohttp import web
from botocore.exceptions import BotoCoreError
from botocore.session import Session

from streamproc.aws.arns import Arns
from streamproc.aws.bindings import Resolver
from streamproc.aws.buckets import Buckets
from streamproc.aws.core import Core
from streamproc.aws.http import mount
from streamproc.aws.operations.all import handlers
from streamproc.aws.ports import ProcessorApi
from streamproc.aws.service import operation_models
from streamproc.aws.stream_builder import Builder
from streamproc.aws.wire import Endpoint
from streamproc.aws.work import Workers
from streamproc.aws_protocol.keys import load_keys
from streamproc.config.node import Limits, NodeConfig
from streamproc.core.errors import NotFound
from streamproc.faces.service import FaceService
from streamproc.jobs.service import JobService
from streamproc.logic.pages import PageTokens
from streamproc.perception.stills import Stills
from streamproc.store.database import Database
from streamproc.store.tokens import TokenStore, page_secret
from streamproc.threads import CONTROL

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EndpointServices:
    """What the endpoint stands on."""

    config: NodeConfig
    folder: Path
    """Of the config: relative paths of bindings and of credentials_file start here."""
    database: Database
    processors: ProcessorApi
    faces: FaceService
    jobs: JobService
    stills: Stills
    own_stream: Callable[[str], bool] = lambda name: False
    """Whether a name is that of one of this node's own video streams."""


async def setup(app: web.Application, node: EndpointServices, environ: Mapping[str, str] = os.environ) -> Endpoint:
    """Serve AWS requests at ``POST /`` of ``app``. Raises ConfigError for keys that cannot be used."""
    keys = load_keys(node.config.server, node.folder, environ)
    if not keys:
        log.warning("no_access_keys", served="this host only, whoever signs the requests")
    models = await CONTROL.run(operation_models, maxima(node.config.limits))  # reads botocore's files
    await CONTROL.run(has_credentials)
    endpoint = Endpoint(models, handlers(make_core(node)), keys)
    mount(app, endpoint, node.config.limits.max_body_bytes)
    return endpoint


def make_core(node: EndpointServices) -> Core:
    """The core calls of the endpoint, on this node."""
    aws = node.config.aws
    resolver = make_resolver(node.config, node.folder, node.own_stream)
    arns = Arns(aws.region, aws.account)
    return Core(
        processors=node.processors,
        faces=node.faces,
        jobs=node.jobs,
        stills=node.stills,
        arns=arns,
        resolver=resolver,
        builder=Builder(resolver, arns, partial(_has_collection, node.faces), node.config.limits.max_session_seconds),
        buckets=Buckets(resolver.bindings.buckets, aws),
        pages=PageTokens(page_secret(node.database)),
        tokens=TokenStore(node.database),
        limits=node.config.limits,
        workers=Workers(),
    )


def make_resolver(config: NodeConfig, folder: Path, own_stream: Callable[[str], bool] = lambda name: False) -> Resolver:
    """What names mean on this node."""
    return Resolver(config.bindings, config.aws, has_credentials, folder, own_stream)


def _has_collection(faces: FaceService, name: str) -> bool:
    try:
        faces.store.get(name)
    except NotFound:
        return False
    return True


def maxima(limits: Limits) -> dict[str, int]:
    """The service model's maxima that config lifts, by the name of their shape."""
    return {
        "MaxDurationInSecondsULong": limits.max_session_seconds,
        "RegionsOfInterest": max(limits.max_regions, 0),
        "ImageBlob": limits.max_inline_image_bytes,
    }


@lru_cache(maxsize=1)
def has_credentials() -> bool:
    """Whether the usual AWS chain has any. Asked once: the chain's last resort is a network call."""
    try:
        return Session().get_credentials() is not None
    except BotoCoreError:
        return False
