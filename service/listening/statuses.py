"""Table of errors: their HTTP statuses and gRPC codes, and when a retry is worth it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from lacuna import errors

RETRY_LATER_S = 5
"""Seconds for a retry where the end of a state is not known, such as the load of a model. A retry
is cheap."""

INTERNAL_ERROR = "internal_error"
"""Code of an unexpected exception, in place of the code of a `LacunaError`."""

UNEXPECTED = "unexpected error; the log has the details under this request's id"
"""Message about an unexpected exception."""


class Status(NamedTuple):
    """Status of an error.

    Attributes:
        http: HTTP status.
        grpc: name of the gRPC code.
    """

    http: int
    grpc: str


STATUSES: Mapping[type[errors.LacunaError], Status] = MappingProxyType(
    {
        errors.EmptyBodyError: Status(400, "INVALID_ARGUMENT"),
        errors.MalformedRequestError: Status(400, "INVALID_ARGUMENT"),
        errors.UnsupportedMediaTypeError: Status(415, "INVALID_ARGUMENT"),
        errors.NotAcceptableError: Status(406, "INVALID_ARGUMENT"),
        # As gRPC itself answers a message over its limit.
        errors.BodyTooLargeError: Status(413, "RESOURCE_EXHAUSTED"),
        errors.ImageTooLargeError: Status(413, "INVALID_ARGUMENT"),
        errors.InvalidImageError: Status(422, "INVALID_ARGUMENT"),
        errors.InvalidMaskError: Status(422, "INVALID_ARGUMENT"),
        errors.ChannelMismatchError: Status(422, "INVALID_ARGUMENT"),
        errors.NotGeoreferencedError: Status(422, "INVALID_ARGUMENT"),
        errors.TooDetailedError: Status(422, "INVALID_ARGUMENT"),
        errors.UnknownModelError: Status(404, "NOT_FOUND"),
        errors.UnknownVersionError: Status(404, "NOT_FOUND"),
        errors.UnknownRequestError: Status(404, "NOT_FOUND"),
        errors.UnauthenticatedError: Status(401, "UNAUTHENTICATED"),
        errors.ForbiddenError: Status(403, "PERMISSION_DENIED"),
        errors.SlowBodyError: Status(408, "DEADLINE_EXCEEDED"),
        errors.OverloadedError: Status(429, "RESOURCE_EXHAUSTED"),
        errors.NotReadyError: Status(503, "UNAVAILABLE"),
        errors.OutOfMemoryError: Status(503, "UNAVAILABLE"),
        errors.DeadlineExceededError: Status(504, "DEADLINE_EXCEEDED"),
        errors.ConfigurationError: Status(500, "INTERNAL"),
        errors.MissingExtraError: Status(500, "INTERNAL"),
        errors.SceneError: Status(500, "INTERNAL"),
        errors.MissingManifestError: Status(500, "INTERNAL"),
        errors.InvalidManifestError: Status(500, "INTERNAL"),
        errors.ChecksumMismatchError: Status(500, "INTERNAL"),
        errors.InvalidGraphError: Status(500, "INTERNAL"),
        errors.SignatureMismatchError: Status(500, "INTERNAL"),
        errors.PrecisionError: Status(500, "INTERNAL"),
        errors.InferenceError: Status(500, "INTERNAL"),
    }
)


def find_retry_s(error: errors.LacunaError) -> float | None:
    """Return the seconds after which a retry is worth it; None where it is not."""
    if isinstance(error, (errors.OverloadedError, errors.OutOfMemoryError)):
        return error.retry_after_s
    return RETRY_LATER_S if isinstance(error, errors.NotReadyError) else None
