"""Whatever comes, there is an answer, and it is never a mistake of ours."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.model import ListShape, MapShape, Shape, StructureShape
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamproc.aws.operations.all import OPERATIONS, handlers
from streamproc.aws.service import operation_models, service_model
from streamproc.aws.wire import Endpoint
from streamproc.aws_protocol.sigv4 import Signed
from streamproc.perception.objects import ObjectModels
from tests.aws.conftest import make_core
from tests.aws.memory import MemoryProcessors
from tests.aws.plain_faces import picture
from tests.aws.plain_jobs import PlainZoo
from tests.aws.shapes import text

MODELS = operation_models()
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def values(shape: Shape, depth: int = 0) -> st.SearchStrategy[Any]:
    """Mostly what the shape means, now and then anything at all."""
    return st.one_of(_meant(shape, depth), _meant(shape, depth), _meant(shape, depth), JUNK)


def _meant(shape: Shape, depth: int) -> st.SearchStrategy[Any]:
    if isinstance(shape, StructureShape):
        required = {name: values(shape.members[name], depth + 1) for name in shape.required_members}
        rest = {n: values(m, depth + 1) for n, m in shape.members.items() if n not in required}
        return st.fixed_dictionaries(required, optional=rest)
    if isinstance(shape, ListShape):
        return st.lists(values(shape.member, depth + 1), max_size=3)
    if isinstance(shape, MapShape):
        return st.dictionaries(st.text("abc:é", max_size=4), values(shape.value, depth + 1), max_size=3)
    if shape.type_name == "string":
        names = st.sampled_from(["porch", "", "a/b", "..", "x" * 300, "\x00", "front-door"])
        enum = st.sampled_from(shape.metadata["enum"]) if shape.metadata.get("enum") else names
        return st.one_of(st.just(text(shape)), enum, st.text(max_size=6))
    if shape.type_name == "boolean":
        return st.booleans()
    if shape.type_name == "blob":
        return st.sampled_from(["", "aGVsbG8=", "%%%", base64.b64encode(picture(100, 64)).decode()])
    return st.one_of(st.integers(-2, 300), st.floats(-1, 101), st.integers())


REQUESTS = st.one_of(
    [st.tuples(st.just(name), values(service_model().operation_model(name).input_shape)) for name in sorted(OPERATIONS)]
)


async def _serve(requests: list[tuple[str, Any]], endpoint: Endpoint) -> None:
    for name, body in requests:
        headers = {"x-amz-target": f"RekognitionService.{name}", "content-type": "application/x-amz-json-1.1"}
        data = body if isinstance(body, bytes) else json.dumps(body).encode("utf-8", "surrogatepass")
        response = await endpoint.handle(Signed("POST", "/", "", headers, data))
        assert response.status in (200, 400), (name, body, response.body)
        assert response.status == 200 or response.code in MODELS[name].errors
        json.loads(response.body)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Endpoint:
    """One for all examples: what one leaves behind is what the next finds."""
    return Endpoint(
        MODELS, handlers(make_core(MemoryProcessors(), tmp_path_factory.mktemp("fuzz"), ObjectModels(PlainZoo))), {}
    )


@dataclass(frozen=True)
class Footprint:
    """What this process holds."""

    threads: int
    files: int
    resident_mb: float

    @staticmethod
    def now() -> Footprint:
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return Footprint(threading.active_count(), len(os.listdir("/proc/self/fd")), pages * 4096 / 1e6)


@pytest.mark.leaves("the endpoint of this module begins its threads with the first picture")
def test_sequences_of_requests_and_what_they_leave_behind(shared: Endpoint) -> None:
    held: list[Footprint] = []

    @settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(REQUESTS, min_size=3, max_size=8))
    def serve(requests: list[tuple[str, Any]]) -> None:
        asyncio.run(_serve(requests, shared))
        held.append(Footprint.now())

    serve()
    warm, last = held[len(held) // 3], held[-1]
    assert last.threads <= warm.threads + 2
    assert last.files <= warm.files + 8
    # Some 300 requests: what each leaves in the store and in Hypothesis is a few kilobytes.
    assert last.resident_mb <= warm.resident_mb + 40


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(OPERATIONS)), st.binary(max_size=300))
def test_raw_bytes(shared: Endpoint, name: str, body: bytes) -> None:
    asyncio.run(_serve([(name, body)], shared))


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["x-amz-target", "content-type", "authorization", "host", "x-amz-date"]), st.text(max_size=60)
    )
)
def test_any_headers(headers: dict[str, str]) -> None:
    from streamproc.aws_protocol.keys import Key

    endpoint = Endpoint(MODELS, {}, {"A": Key("A", "s")})
    response = asyncio.run(endpoint.handle(Signed("POST", "/", "", headers, b"{}")))
    assert response.status == 400
