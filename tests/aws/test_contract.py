"""Every constraint of the service model holds, at it and over it, for every operation that is served."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamproc.aws.operations.all import OPERATIONS
from streamproc.aws.service import operation_models, service_model
from streamproc.aws.wire import Endpoint
from streamproc.aws_protocol.parse import Faults
from tests.aws.shapes import cases
from tests.builders.requests import unsigned

MODELS = operation_models()


async def never(call: Any) -> dict[str, Any]:
    raise AssertionError("a request that breaks a constraint got through")


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
async def test_every_constraint(operation: str) -> None:
    endpoint = Endpoint(MODELS, dict.fromkeys(OPERATIONS, never), {})
    shape = service_model().operation_model(operation).input_shape
    count = 0
    for case in cases(shape):
        for body in case.at:
            faults = Faults()
            MODELS[operation].read(body, "", faults)
            assert faults.messages == [], f"{case.path} at {case.constraint}"
        for body in case.over:
            response = await endpoint.handle(unsigned(operation, body))
            answer = json.loads(response.body)
            what = f"{case.path} over {case.constraint}: {answer}"
            if case.path == "NextToken" and body["NextToken"] == "":
                continue
            assert response.status == 400, what
            assert response.code in MODELS[operation].errors, what
            if response.code == "InvalidParameterException":
                assert case.path.split("[")[0].split(".")[-1] in answer["Message"], what
            count += 1
    assert count or not shape.members


@pytest.mark.parametrize("operation", sorted(set(MODELS) - set(OPERATIONS)))
async def test_what_is_not_served_says_so(operation: str) -> None:
    endpoint = Endpoint(MODELS, dict.fromkeys(OPERATIONS, never), {})
    response = await endpoint.handle(unsigned(operation, {}))
    assert response.status == 400 and response.code in MODELS[operation].errors
    assert "not served" in json.loads(response.body)["Message"]


def test_the_tables_name_members_of_the_model() -> None:
    for operation, served in OPERATIONS.items():
        model = service_model().operation_model(operation)
        for shape, paths in (
            (model.input_shape, (*served.ignored, *served.refused)),
            (model.output_shape, served.absent),
        ):
            for path in paths:
                here = shape
                for part in path.split("."):
                    here = getattr(here, "member", here)
                    assert part in here.members, f"{operation}: {path}"
                    here = here.members[part]


def test_every_operation_models_what_is_said_before_it_runs() -> None:
    for name, model in MODELS.items():
        assert {"AccessDeniedException", "InvalidParameterException", "InternalServerError"} <= model.errors, name
