"""The compatibility page does not lie: what it calls served was read, or came, somewhere in the tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamproc.aws.compatibility import structures_of
from streamproc.aws.operations.all import OPERATIONS
from streamproc.aws.operations.table import ABSENT_MEMBERS
from streamproc.aws.service import service_model
from tests.aws.record import READ, WRITTEN


@pytest.fixture(autouse=True)
def everything_ran(request: pytest.FixtureRequest) -> None:
    files = {item.path.name for item in request.session.items if item.path.parent == Path(__file__).parent}
    here = {path.name for path in Path(__file__).parent.glob("test_*.py")}
    split = hasattr(request.config, "workerinput") and not request.config.getoption("loadgroup")
    if files != here or split:
        pytest.skip("only some of this folder's tests run in this process")


def test_what_is_called_served_is_read() -> None:
    missing = [
        f"{operation}.{member}"
        for operation, served in OPERATIONS.items()
        for member in service_model().operation_model(operation).input_shape.members
        if member not in served.ignored and f"{operation}.{member}" not in READ
    ]
    assert missing == []


def test_what_is_called_served_comes() -> None:
    missing, wrong = [], []
    for operation, served in OPERATIONS.items():
        shape = service_model().operation_model(operation).output_shape
        for member in shape.members:
            came = f"{shape.name}.{member}" in WRITTEN
            if member in served.absent and came:
                wrong.append(f"{operation}.{member}")
            if member not in served.absent and not came:
                missing.append(f"{operation}.{member}")
    for name, structure in structures_of("answer").items():
        for member in structure.members:
            path = f"{name}.{member}"
            if path in ABSENT_MEMBERS and path in WRITTEN:
                wrong.append(path)
            if path not in ABSENT_MEMBERS and path not in WRITTEN:
                missing.append(path)
    assert (missing, wrong) == ([], [])
