"""The service's caps are defaults: config lifts them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from streamproc.aws.core import Core
from streamproc.aws.operations.all import handlers
from streamproc.aws.service import operation_models
from streamproc.aws.setup import maxima
from streamproc.aws.wire import Endpoint
from streamproc.config.node import Limits
from tests.aws.memory import MemoryProcessors
from tests.builders.requests import BOX, HOME, unsigned

WIDE = Limits(max_session_seconds=600, max_regions=12, max_inline_image_bytes=6_000_000, max_processors=1)


@pytest.fixture
def wide(core: Core) -> Endpoint:
    lifted = replace(core, limits=WIDE, builder=replace(core.builder, max_duration_s=WIDE.max_session_seconds))
    return Endpoint(operation_models(maxima(WIDE)), handlers(lifted), {})


async def ask(endpoint: Endpoint, operation: str, **body: Any) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((await endpoint.handle(unsigned(operation, body))).body)
    return answer


async def test_lifted(wide: Endpoint, processors: MemoryProcessors) -> None:
    made = await ask(wide, "CreateStreamProcessor", Name="a", RegionsOfInterest=[BOX] * 12, **HOME)
    assert "StreamProcessorArn" in made and len(processors.rows["a"].config.regions) == 12
    assert "SessionId" in await ask(wide, "StartStreamProcessor", Name="a", StopSelector={"MaxDurationInSeconds": 600})
    assert processors.starts[-1][1].duration_s == 600
    refused = await ask(wide, "StartStreamProcessor", Name="a", StopSelector={"MaxDurationInSeconds": 601})
    assert refused["__type"] == "InvalidParameterException"


async def test_the_number_of_processors(wide: Endpoint) -> None:
    await ask(wide, "CreateStreamProcessor", Name="a", **HOME)
    refused = await ask(wide, "CreateStreamProcessor", Name="b", **HOME)
    assert refused["__type"] == "LimitExceededException"
    assert refused["Message"] == "Stream processor limit exceeded for account, limit - 1."


def test_the_defaults_are_the_models_own() -> None:
    model = operation_models()
    for shape, most in maxima(Limits()).items():
        from streamproc.aws.service import service_model

        assert service_model().shape_for(shape).metadata["max"] == most
    assert model
