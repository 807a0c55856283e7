"""An endpoint on an in-memory supervisor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from streamproc.aws.arns import Arns
from streamproc.aws.bindings import Resolver
from streamproc.aws.core import Core
from streamproc.aws.keys import Key
from streamproc.aws.operations.all import handlers
from streamproc.aws.pages import PageTokens
from streamproc.aws.service import operation_models
from streamproc.aws.wire import Endpoint
from streamproc.config.box import AwsSettings, Bindings, Limits
from tests.aws.memory import MemoryProcessors
from tests.aws.serving import client, serving
from tests.aws.signing import ACCESS_KEY, SECRET

BINDINGS = Bindings.model_validate(
    {
        "streams": {"front-door": {"type": "rtsp", "url": "rtsp://127.0.0.1:1/cam"}, "kafka-*": {"type": "kafka"}},
        "data_streams": {"faces": {"type": "file", "directory": "records"}},
        "topics": {"alerts": {"type": "webhook", "url": "http://127.0.0.1:1/hook"}},
        "buckets": {"videos": {"type": "file", "directory": "/srv/videos"}},
    }
)


def make_core(processors: MemoryProcessors) -> Core:
    return Core(
        processors=processors,
        arns=Arns("us-east-1", "123456789012"),
        resolver=Resolver(BINDINGS, AwsSettings(), lambda: False),
        pages=PageTokens(b"test"),
        limits=Limits(),
    )


@pytest.fixture
def processors() -> MemoryProcessors:
    return MemoryProcessors()


@pytest.fixture
def endpoint(processors: MemoryProcessors) -> Endpoint:
    return Endpoint(operation_models(), handlers(make_core(processors)), {ACCESS_KEY: Key(ACCESS_KEY, SECRET)})


@pytest.fixture
def url(endpoint: Endpoint) -> Iterator[str]:
    with serving(endpoint) as address:
        yield address


@pytest.fixture
def rekognition(url: str) -> Any:
    return client(url)
