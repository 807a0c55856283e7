"""The three services of Kinesis Video as tables, out of botocore's models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from botocore.loaders import Loader
from botocore.model import ServiceModel

from streamproc.aws_protocol.parse import Reader, ReaderCompiler
from streamproc.aws_protocol.serialize import Writer, WriterCompiler

SERVICES = ("kinesisvideo", "kinesis-video-media", "kinesis-video-archived-media")


@dataclass(frozen=True, slots=True)
class OperationModel:
    """One operation."""

    name: str
    path: str
    read: Reader
    write: Writer | None
    """None where there is no output."""
    errors: Mapping[str, int]
    """HTTP status by the error's name."""


def operation_models() -> list[OperationModel]:
    """Every operation of the three services. Reads botocore's files."""
    return [operation for service in SERVICES for operation in _of(service)]


def _of(service: str) -> list[OperationModel]:
    model = ServiceModel(Loader().load_service_model(service, "service-2"), service)
    readers, writers = ReaderCompiler(), WriterCompiler()
    made = []
    for name in model.operation_names:
        operation = model.operation_model(name)
        output = operation.output_shape
        streams = output is not None and operation.has_streaming_output
        made.append(
            OperationModel(
                name,
                operation.http["requestUri"],
                readers.reader(operation.input_shape),
                None if output is None or streams else writers.writer(output),
                {
                    shape.name: int(shape.metadata.get("error", {}).get("httpStatusCode", 400))
                    for shape in operation.error_shapes
                },
            )
        )
    return made
