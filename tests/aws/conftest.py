"""An endpoint on an in-memory supervisor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streamproc.aws.arns import Arns
from streamproc.aws.bindings import Resolver
from streamproc.aws.buckets import Buckets
from streamproc.aws.core import Core
from streamproc.aws.operations.all import handlers
from streamproc.aws.service import operation_models
from streamproc.aws.stream_builder import Builder
from streamproc.aws.wire import Endpoint
from streamproc.aws.work import Workers
from streamproc.aws_protocol.keys import Key
from streamproc.config.node import AwsSettings, Bindings, Limits
from streamproc.logic.pages import PageTokens
from streamproc.perception.objects import ObjectModels
from streamproc.perception.stills import Stills
from streamproc.store.database import Database
from streamproc.store.tokens import TokenStore
from tests.aws.memory import MemoryProcessors
from tests.aws.plain_faces import plain_faces
from tests.aws.plain_jobs import PlainZoo, plain_jobs
from tests.aws.record import watched
from tests.aws.serving import client, serving
from tests.aws.signing import ACCESS_KEY, SECRET

BINDINGS = Bindings.model_validate(
    {
        "streams": {"front-door": {"type": "rtsp", "url": "rtsp://127.0.0.1:1/cam"}, "kafka-*": {"type": "kafka"}},
        "data_streams": {"faces": {"type": "file", "directory": "records"}},
        "topics": {"alerts": {"type": "webhook", "url": "http://127.0.0.1:1/hook"}},
        "buckets": {"videos": {"type": "file", "directory": "videos"}},
    }
)


def make_core(processors: MemoryProcessors, folder: Path, objects: ObjectModels) -> Core:
    resolver = Resolver(BINDINGS, AwsSettings(), lambda: False, folder)
    (folder / "videos").mkdir(exist_ok=True)
    database = Database(folder)
    return Core(
        processors=processors,
        faces=plain_faces(folder),
        jobs=plain_jobs(database),
        stills=Stills(objects),
        arns=Arns("us-east-1", "123456789012"),
        resolver=resolver,
        builder=Builder(resolver, Arns("us-east-1", "123456789012"), lambda name: name != "nobody", 120),
        buckets=Buckets(resolver.bindings.buckets, AwsSettings()),
        pages=PageTokens(b"test"),
        tokens=TokenStore(database),
        limits=Limits(),
        workers=Workers(1),
    )


@pytest.fixture
def processors() -> MemoryProcessors:
    return MemoryProcessors()


@pytest.fixture
def core(processors: MemoryProcessors, tmp_path: Path) -> Iterator[Core]:
    objects = ObjectModels(PlainZoo)
    made = make_core(processors, tmp_path, objects)
    yield made
    made.workers.close()
    objects.close()


@pytest.fixture
def endpoint(core: Core) -> Endpoint:
    return Endpoint(operation_models(), watched(handlers(core)), {ACCESS_KEY: Key(ACCESS_KEY, SECRET)})


@pytest.fixture
def url(endpoint: Endpoint) -> Iterator[str]:
    with serving(endpoint) as address:
        yield address


@pytest.fixture
def rekognition(url: str) -> Any:
    return client(url)
