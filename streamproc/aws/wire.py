"""JSON 1.1 over HTTP, without the HTTP: bytes and headers in, bytes and headers out.

Order of the checks: size (by the caller, before the body is read), signature, target, JSON, shape, permission, operation.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from streamproc.aws.faults import access_denied, from_core, internal, invalid_parameter
from streamproc.aws.service import CONTENT_TYPE, OperationModel, target_prefix
from streamproc.aws_protocol.faults import AwsFault
from streamproc.aws_protocol.keys import Key
from streamproc.aws_protocol.parse import Faults
from streamproc.aws_protocol.sigv4 import Signed, check_claim, verify
from streamproc.core.errors import InputError, StreamprocError
from streamproc.web.json_body import parse_object

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer ready for the wire."""

    status: int
    headers: dict[str, str]
    body: bytes
    operation: str = "unknown"
    code: str = ""
    """The error's code; empty on success."""


@dataclass(frozen=True, slots=True)
class Call:
    """One validated request on its way to its operation."""

    operation: str
    input: dict[str, Any]
    key: Key | None
    """Who calls; None where the endpoint has no keys."""

    def may_touch(self, processor: str) -> bool:
        return self.key is None or self.key.may_touch(processor)


Handler = Callable[[Call], Awaitable[dict[str, Any]]]
"""Returns the output structure as the service model has it; raises AwsFault or a StreamprocError."""

PassOn = Callable[[str, str, Signed], Awaitable[Response | None]]
"""Of a processor, an operation and the request as it came; None: it is to be answered here."""
OF_A_RUN = frozenset(f"{verb}StreamProcessor" for verb in ("Describe", "Start", "Stop", "Update", "Delete"))
"""Operations that ask what a processor is doing, or change that."""


class Endpoint:
    """Answers requests. ``keys`` empty: nobody is asked who they are (the caller sees to it that only this host is let in)."""

    def __init__(
        self,
        models: Mapping[str, OperationModel],
        handlers: Mapping[str, Handler],
        keys: Mapping[str, Key],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._models = models
        self._handlers = handlers
        self.keys = keys
        self._clock = clock
        self._prefix = target_prefix() + "."
        self.passed_on: PassOn | None = None
        """Asked before an operation about one processor: the answer of the node that runs it."""

    async def handle(self, request: Signed) -> Response:
        """Answer one request; every error becomes a response of the service, whatever the bytes are."""
        request_id = str(uuid.uuid4())
        name = request.headers.get("x-amz-target", "").removeprefix(self._prefix)
        model = self._models.get(name)
        try:
            key = verify(request, self.keys, self._clock()) if self.keys else None
            model = self._find(request)
            name = model.name
            call = Call(name, self._read(model, request.body), key)
            self._check_permission(call)
            if self.passed_on is not None and (answer := await self._elsewhere(call, request)) is not None:
                return answer
            output = model.write(await self._handlers[name](call))
            return Response(200, _headers(request_id), _dump(output), name)
        except AwsFault as fault:
            return self._refuse(fault, request_id, model)
        except StreamprocError as error:
            return self._refuse(from_core(error, model.errors if model else ()), request_id, model)
        except Exception:  # the request boundary: a mistake of ours must not take the daemon down
            log.exception("request_failed", operation=name, request_id=request_id)
            return self._refuse(internal(), request_id, model)

    async def _elsewhere(self, call: Call, request: Signed) -> Response | None:
        name = _processor_of(call)
        if self.passed_on is None or name is None or call.operation not in OF_A_RUN:
            return None
        return await self.passed_on(name, call.operation, request)

    def refusal(self, headers: Mapping[str, str]) -> Response | None:
        """The answer to a request whose headers alone say that it is not let in; None: its body is worth reading."""
        try:
            if self.keys:
                check_claim(headers, self.keys, self._clock())
        except AwsFault as fault:
            return self.refuse(fault)
        return None

    def refuse(self, fault: AwsFault) -> Response:
        """The answer to a request that was not looked into (too large, wrong method...)."""
        return self._refuse(fault, str(uuid.uuid4()), None)

    def _find(self, request: Signed) -> OperationModel:
        target = request.headers.get("x-amz-target", "")
        model = self._models.get(target.removeprefix(self._prefix))
        if model is None or not target.startswith(self._prefix):
            raise AwsFault("UnknownOperationException", f"X-Amz-Target must be {self._prefix}OPERATION.")
        if request.headers.get("content-type", "").split(";")[0].strip() != CONTENT_TYPE:
            raise invalid_parameter(f"Content-Type must be {CONTENT_TYPE}.")
        return model

    def _read(self, model: OperationModel, body: bytes) -> dict[str, Any]:
        faults = Faults()
        document = _load(body)
        if isinstance(document, dict):
            if document.get("NextToken") == "":  # AWS's own samples send it on the first call
                del document["NextToken"]
            if model.name not in self._handlers:
                raise access_denied(
                    f"{model.name} is not served by streamproc; docs/aws-compatibility.md lists what is."
                )
        result = model.read(document, "", faults)
        if faults.messages:
            raise _shape_fault(faults, model)
        return result  # type: ignore[no-any-return]

    def _check_permission(self, call: Call) -> None:
        if call.key is None:
            return
        name = _processor_of(call)
        if not call.key.may_call(call.operation) or (name is not None and not call.key.may_touch(name)):
            resource = f"streamprocessor/{name}" if name else "*"
            raise access_denied(
                f"User: {call.key.access_key_id} is not authorized to perform: rekognition:{call.operation} "
                f"on resource: {resource}."
            )

    def _refuse(self, fault: AwsFault, request_id: str, model: OperationModel | None) -> Response:
        if model is not None and fault.code not in model.errors and fault.code not in _UNMODELLED:
            log.error("fault_not_modelled", operation=model.name, code=fault.code)
            fault = invalid_parameter(fault.message)
        body = {"__type": fault.code, "Code": fault.code, "Logref": request_id, "Message": fault.message}
        return Response(fault.status, _headers(request_id), _dump(body), model.name if model else "unknown", fault.code)


# Said before an operation is known or reached, as every AWS JSON service does.
_UNMODELLED = frozenset(
    {
        "UnknownOperationException",
        "MissingAuthenticationTokenException",
        "IncompleteSignatureException",
        "InvalidSignatureException",
        "UnrecognizedClientException",
        "RequestEntityTooLargeException",
    }
)

# Shapes whose limits have an error code of their own, and its text.
_OWN_CODES = {
    "ImageBlob": ("ImageTooLargeException", "Image size is too large."),
    "PaginationToken": ("InvalidPaginationTokenException", "Invalid Pagination Token"),
}


def _shape_fault(faults: Faults, model: OperationModel) -> AwsFault:
    codes = {_OWN_CODES.get(shape, ("InvalidParameterException", ""))[0] for shape in faults.shapes}
    code = codes.pop() if len(codes) == 1 else "InvalidParameterException"
    too_small_image = code == "ImageTooLargeException" and "less than or equal" not in faults.messages[0]
    if code not in model.errors or too_small_image:
        code = "InvalidParameterException"
    return AwsFault(code, faults.text())


def _processor_of(call: Call) -> str | None:
    """The stream processor that a call is about."""
    if "StreamProcessor" in call.operation:
        return call.input.get("Name")
    arn = str(call.input.get("ResourceArn", ""))
    return arn.rpartition(":streamprocessor/")[2] if ":streamprocessor/" in arn else None


def _load(body: bytes) -> Any:
    try:
        return parse_object(body or b"{}")
    except InputError:
        raise invalid_parameter("The request body must be one JSON object in UTF-8.") from None


def _dump(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


def _headers(request_id: str) -> dict[str, str]:
    return {"Content-Type": CONTENT_TYPE, "x-amzn-RequestId": request_id}
