"""What a request is refused with: codes of the service model, and the map from core errors to them.

Texts that clients compare literally are those of the developer guide's error table; where it has none they say what is
wrong and the fix.
"""

from __future__ import annotations

from collections.abc import Collection

from streamproc.aws_protocol.faults import AwsFault
from streamproc.core.errors import (
    AlreadyExists,
    BadPageToken,
    HeldUp,
    InputError,
    InUse,
    LimitExceeded,
    ModelUnavailable,
    NotFound,
    StreamprocError,
    TokenMismatch,
)
from streamproc.faces.images import ImageTooLarge, InvalidImageFormat
from streamproc.jobs.service import VideoTooLarge
from streamproc.jobs.sources import NO_OBJECT, InvalidObject


def invalid_parameter(message: str = "Request has invalid parameters.") -> AwsFault:
    return AwsFault("InvalidParameterException", message)


def not_found(message: str) -> AwsFault:
    return AwsFault("ResourceNotFoundException", message)


def in_use(message: str = "Specified resource is in use.") -> AwsFault:
    return AwsFault("ResourceInUseException", message)


def access_denied(message: str) -> AwsFault:
    return AwsFault("AccessDeniedException", message)


def internal() -> AwsFault:
    """Says nothing about the cause on purpose: that is in the log, under the request id."""
    return AwsFault("InternalServerError", "Internal server error", 500)


# Core error class -> codes to try in this order; the first that the operation models is used.
_CODES: tuple[tuple[type[StreamprocError], tuple[str, ...]], ...] = (
    (NotFound, ("ResourceNotFoundException", "InvalidParameterException")),
    (AlreadyExists, ("ResourceAlreadyExistsException", "ConflictException", "ResourceInUseException")),
    (InUse, ("ResourceInUseException", "ConflictException")),
    (LimitExceeded, ("LimitExceededException", "ServiceQuotaExceededException")),
    (TokenMismatch, ("IdempotentParameterMismatchException",)),
    (BadPageToken, ("InvalidPaginationTokenException",)),
    (HeldUp, ("ThrottlingException",)),
    (ModelUnavailable, ("ResourceNotReadyException", "ThrottlingException")),
    (ImageTooLarge, ("ImageTooLargeException",)),
    (InvalidImageFormat, ("InvalidImageFormatException",)),
    (VideoTooLarge, ("VideoTooLargeException",)),
    (InvalidObject, ("InvalidS3ObjectException",)),
    (InputError, ("InvalidParameterException",)),
)

# Where the service has one text for all causes.
_TEXTS = {
    "ImageTooLargeException": "Image size is too large.",
    "InvalidImageFormatException": "Request has invalid image format.",
    "InvalidS3ObjectException": NO_OBJECT,
}


def from_core(error: StreamprocError, modelled: Collection[str]) -> AwsFault:
    """The fault that tells ``error`` in a code that the operation models (``modelled``: its error names)."""
    for kind, codes in _CODES:
        if isinstance(error, kind):
            code = next((code for code in codes if code in modelled), "InvalidParameterException")
            return AwsFault(code, _TEXTS.get(code) or str(error))
    return internal()
