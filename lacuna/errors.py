"""All errors that lacuna raises on purpose, as one tree.

    LacunaError
    ├── RequestError                 the request is wrong; a retry fails again
    │   ├── EmptyBodyError           the body is empty or holds no image
    │   ├── MalformedRequestError    the body or a parameter is malformed
    │   ├── UnsupportedMediaTypeError  the body or a part has an unsupported type
    │   ├── NotAcceptableError       no media type in `Accept` can be produced
    │   ├── BodyTooLargeError        the body has too many bytes
    │   ├── ImageTooLargeError       the image has too many pixels
    │   ├── InvalidImageError        the image is damaged or not an image
    │   ├── InvalidMaskError         the mask is damaged or does not match the image
    │   ├── ChannelMismatchError     the image has a wrong number of channels
    │   ├── NotGeoreferencedError    the image lies nowhere, and the answer needs its place
    │   ├── TooDetailedError         the labels have too many outlines for the answer
    │   ├── UnknownModelError        there is no such model
    │   ├── UnknownVersionError      the model has no such version
    │   ├── UnknownRequestError      no request of this id is known
    │   ├── UnauthenticatedError     the request has no known key, but needs one
    │   ├── ForbiddenError           the key does not allow the request
    │   └── SlowBodyError            the body did not arrive in time
    ├── UnavailableError             the server cannot answer now; a retry may succeed
    │   ├── OverloadedError          the server admits no more work
    │   ├── NotReadyError            the model is loading, or the server shuts down
    │   ├── OutOfMemoryError         memory does not suffice for the request now
    │   └── DeadlineExceededError    the answer took longer than the client's timeout
    ├── ConfigurationError           a setting is misspelt or out of range
    ├── MissingExtraError            an extra is not installed, or another module hides it
    ├── SceneError                   a scene cannot be segmented, continued or written
    └── ModelError                   a model cannot be served
        ├── MissingManifestError     manifest.json is missing
        ├── InvalidManifestError     manifest.json breaks its schema
        ├── ChecksumMismatchError    a file differs from its checksum in manifest.json
        ├── InvalidGraphError        the graph of the model cannot be loaded
        ├── SignatureMismatchError   the model lacks required inputs or outputs
        ├── PrecisionError           the model cannot run in the precision that is set
        └── InferenceError           the model failed, or returned wrong outputs

LacunaWarning is no error: an answer comes with it.

Each class has a stable `code` for programs. Its message is for people: it states the rule, then
what came. `service.listening.statuses` alone maps classes to HTTP statuses and gRPC codes.
"""

from __future__ import annotations

from typing import ClassVar

_MAX_MESSAGE = 1000
"""Most characters of a message about a request."""


class LacunaError(Exception):
    """Root of all errors that lacuna raises on purpose.

    Attributes:
        code: stable name of the kind of error, for programs.
        message: one sentence for people.
    """

    code: ClassVar[str]

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class LacunaWarning(UserWarning):
    """Warning of the server about an answer that may be wrong. It is no error.

    Attributes:
        code: stable name of the kind of warning, for programs.
        message: one or two sentences for people.
    """

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code, self.message = code, message


class RequestError(LacunaError):
    """Error in the request; a retry fails again.

    Args:
        message: one sentence for people. A long one is cut, because it may repeat what came.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message if len(message) <= _MAX_MESSAGE else message[:_MAX_MESSAGE] + "…")


class EmptyBodyError(RequestError):
    """Request without a body, or without an image in its body."""

    code = "empty_body"


class MalformedRequestError(RequestError):
    """Request with a malformed body or parameter."""

    code = "malformed_request"


class UnsupportedMediaTypeError(RequestError):
    """Body, or part of a body, of an unsupported type.

    Args:
        message: one sentence for people.
        codings: supported content codings, if the coding is what is not supported.
    """

    code = "unsupported_media_type"

    def __init__(self, message: str, codings: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.codings = codings


class NotAcceptableError(RequestError):
    """Request whose `Accept` allows no media type that can be produced."""

    code = "not_acceptable"


class BodyTooLargeError(RequestError):
    """Body with more bytes than the server accepts."""

    code = "body_too_large"


class ImageTooLargeError(RequestError):
    """Image with more pixels than the server accepts."""

    code = "image_too_large"


class InvalidImageError(RequestError):
    """Bytes that are not an image, or are a damaged one."""

    code = "invalid_image"


class InvalidMaskError(RequestError):
    """Mask that is damaged, or does not match its image."""

    code = "invalid_mask"


class ChannelMismatchError(RequestError):
    """Image with another number of channels than the model takes."""

    code = "channel_mismatch"


class NotGeoreferencedError(RequestError):
    """Image without a georeference, for an answer that needs one."""

    code = "not_georeferenced"


class TooDetailedError(RequestError):
    """Labels whose outlines are too many for an answer of polygons."""

    code = "too_detailed"


class UnknownModelError(RequestError):
    """Name of a model that is not served."""

    code = "unknown_model"


class UnknownVersionError(RequestError):
    """Version that the model does not have."""

    code = "unknown_version"


class UnknownRequestError(RequestError):
    """Id of a request that is not known: of another client, or ended long ago."""

    code = "unknown_request"


class UnauthenticatedError(RequestError):
    """Request that needs a key, but has none that is known."""

    code = "unauthenticated"


class ForbiddenError(RequestError):
    """Request that its key does not allow, or that no key allows."""

    code = "forbidden"


class SlowBodyError(RequestError):
    """Body that did not arrive in time."""

    code = "slow_body"


class UnavailableError(LacunaError):
    """Error of a server that cannot answer now; a retry may succeed."""


class NotReadyError(UnavailableError):
    """Request for a model that is still loading, or to a server that shuts down."""

    code = "not_ready"


class OverloadedError(UnavailableError):
    """Request that the server refuses because of its load.

    Args:
        message: one sentence for people.
        reason: name of the exceeded limit, for metrics.
        retry_after_s: seconds after which the same request would be admitted.
    """

    code = "overloaded"

    def __init__(self, message: str, reason: str = "", retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after_s = retry_after_s


class OutOfMemoryError(UnavailableError):
    """Request for which memory, or a thread, is lacking at the moment.

    Args:
        message: one sentence for people.
        retry_after_s: seconds after which a retry is worth it. When the others are done is not
            known.
    """

    code = "out_of_memory"

    def __init__(self, message: str, retry_after_s: float = 2.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DeadlineExceededError(UnavailableError):
    """Request whose answer took longer than the client's timeout."""

    code = "deadline_exceeded"


class ConfigurationError(LacunaError):
    """Setting that is misspelt or out of range. The server does not start."""

    code = "invalid_configuration"


class MissingExtraError(LacunaError):
    """Part of the package that an extra installs, and that is missing or hidden."""

    code = "missing_extra"


class SceneError(LacunaError):
    """Scene that cannot be segmented in windows, continued, or written."""

    code = "scene"


class ModelError(LacunaError):
    """Error in a model, which cannot be served."""


class MissingManifestError(ModelError):
    """Model folder without a manifest."""

    code = "missing_manifest"


class InvalidManifestError(ModelError):
    """Manifest that cannot be read, or that breaks its schema."""

    code = "invalid_manifest"


class ChecksumMismatchError(ModelError):
    """File of a model that is missing, added or changed, by the checksums in the manifest."""

    code = "checksum_mismatch"


class InvalidGraphError(ModelError):
    """Model whose graph cannot be loaded."""

    code = "invalid_graph"


class SignatureMismatchError(ModelError):
    """Model without the inputs and outputs that the server uses."""

    code = "signature_mismatch"


class PrecisionError(ModelError):
    """Model that cannot run in the precision that is set, or breaks its contract there."""

    code = "unsupported_precision"


class InferenceError(ModelError):
    """Model that failed while running, or whose outputs do not match its signature."""

    code = "inference_failed"
