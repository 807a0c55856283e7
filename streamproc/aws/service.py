"""The service model as tables: every operation with its compiled reader and writer and the errors that it models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from botocore.loaders import Loader
from botocore.model import ServiceModel

from streamproc.aws_protocol.parse import Reader, ReaderCompiler
from streamproc.aws_protocol.serialize import Writer, WriterCompiler

CONTENT_TYPE = "application/x-amz-json-1.1"
SERVICE_NAME = "rekognition"


@dataclass(frozen=True, slots=True)
class OperationModel:
    """One operation as the service model has it."""

    name: str
    read: Reader
    write: Writer
    errors: frozenset[str]
    """Names of the errors that it models."""


@lru_cache(maxsize=1)
def service_model() -> ServiceModel:
    """botocore's own, as installed."""
    return ServiceModel(Loader().load_service_model(SERVICE_NAME, "service-2"), SERVICE_NAME)


def operation_models(maxima: Mapping[str, int] | None = None) -> dict[str, OperationModel]:
    """Every operation of the service by name. ``maxima`` lifts maxima of shapes by the shape's name."""
    model = service_model()
    readers, writers = ReaderCompiler(maxima), WriterCompiler()
    table = {}
    for name in model.operation_names:
        operation = model.operation_model(name)
        table[name] = OperationModel(
            name,
            readers.reader(operation.input_shape),
            writers.writer(operation.output_shape),
            frozenset(shape.name for shape in operation.error_shapes),
        )
    return table


def target_prefix() -> str:
    """What the X-Amz-Target header starts with, before the dot."""
    return str(service_model().metadata["targetPrefix"])
