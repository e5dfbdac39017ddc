"""Everything that can go wrong, as one tree.

    LacunaError
    ├── RequestError                 the request is at fault; sending it again will not help
    │   ├── EmptyBodyError           there is nothing to read
    │   ├── MalformedRequestError    the body or a parameter cannot be understood
    │   ├── UnsupportedMediaTypeError  the body's or a part's type is not one we read
    │   ├── NotAcceptableError       no type the caller accepts can be produced
    │   ├── BodyTooLargeError        more bytes than the server takes
    │   ├── ImageTooLargeError       more pixels than the server takes
    │   ├── InvalidImageError        not an image, or a damaged one
    │   ├── InvalidMaskError         not a mask, or not one that fits the image
    │   ├── ChannelMismatchError     the model wants another number of channels
    │   ├── UnknownModelError        no such model here
    │   ├── UnknownVersionError      the model has no such version
    │   ├── UnauthenticatedError     a key is needed, and none came that is known
    │   ├── ForbiddenError           the key does not open this door
    │   └── SlowBodyError            the body did not arrive in time
    ├── UnavailableError             the server cannot answer now; sending it again may help
    │   ├── OverloadedError          there is more to do already than the server promises to
    │   ├── NotReadyError            the model is still loading, or the server is going away
    │   └── DeadlineExceededError    the answer did not come in the time the caller allowed
    ├── ConfigurationError           a setting is misspelt or out of its range
    └── ModelError                   a model folder cannot be served
        ├── MissingManifestError     manifest.json is not there
        ├── InvalidManifestError     manifest.json is there and wrong
        ├── InvalidGraphError        the SavedModel cannot be loaded
        ├── SignatureMismatchError   the SavedModel has not the inputs and outputs we call
        └── InferenceError           the SavedModel failed, or broke its word, while running

A class carries a stable `code` for programs; its message is for people and states the rule,
then what came. What HTTP status a class becomes is decided in `service.web.problems` alone.
"""

from __future__ import annotations

from typing import ClassVar


class LacunaError(Exception):
    """Root of all errors that this service raises on purpose.

    Attributes:
        code: stable name of the kind of error, for programs.
        message: one sentence for people.
    """

    code: ClassVar[str]

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class RequestError(LacunaError):
    """The request is at fault."""


class EmptyBodyError(RequestError):
    """The request has no body, or its body holds no image."""

    code = "empty_body"


class MalformedRequestError(RequestError):
    """The body or a parameter cannot be understood."""

    code = "malformed_request"


class UnsupportedMediaTypeError(RequestError):
    """The type of the body, or of a part of it, is not one that the service reads."""

    code = "unsupported_media_type"


class NotAcceptableError(RequestError):
    """None of the types named by `Accept` can be produced."""

    code = "not_acceptable"


class BodyTooLargeError(RequestError):
    """The body has more bytes than the service takes."""

    code = "body_too_large"


class ImageTooLargeError(RequestError):
    """The image has more pixels than the service takes."""

    code = "image_too_large"


class InvalidImageError(RequestError):
    """The bytes are no image, or a damaged one."""

    code = "invalid_image"


class InvalidMaskError(RequestError):
    """The mask is none, or does not fit the image."""

    code = "invalid_mask"


class ChannelMismatchError(RequestError):
    """The image has not the number of channels that the model takes."""

    code = "channel_mismatch"


class UnknownModelError(RequestError):
    """No model of that name is served."""

    code = "unknown_model"


class UnknownVersionError(RequestError):
    """The model has no such version."""

    code = "unknown_version"


class UnauthenticatedError(RequestError):
    """A key is needed, and the request has none that is known."""

    code = "unauthenticated"


class ForbiddenError(RequestError):
    """The request asks for what its key does not allow, or nobody may do."""

    code = "forbidden"


class SlowBodyError(RequestError):
    """The body did not arrive in the time that the server gives it."""

    code = "slow_body"


class UnavailableError(LacunaError):
    """The service cannot answer at the moment."""


class NotReadyError(UnavailableError):
    """The model is still loading, or the service is shutting down."""

    code = "not_ready"


class OverloadedError(UnavailableError):
    """There is more work already than the server takes upon itself.

    Args:
        message: one sentence for people.
        reason: what there is too much of, for metrics.
        retry_after_s: in how many seconds the same request would be taken in.
    """

    code = "overloaded"

    def __init__(self, message: str, reason: str = "", retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after_s = retry_after_s


class DeadlineExceededError(UnavailableError):
    """The answer did not come within the time that the caller allowed."""

    code = "deadline_exceeded"


class ConfigurationError(LacunaError):
    """A setting is misspelt or out of its range; the service does not start."""

    code = "invalid_configuration"


class ModelError(LacunaError):
    """A model cannot be served."""


class MissingManifestError(ModelError):
    """The model folder has no manifest."""

    code = "missing_manifest"


class InvalidManifestError(ModelError):
    """The manifest cannot be read or breaks its schema."""

    code = "invalid_manifest"


class InvalidGraphError(ModelError):
    """The SavedModel cannot be loaded."""

    code = "invalid_graph"


class SignatureMismatchError(ModelError):
    """The SavedModel's signatures are not the ones that the service calls."""

    code = "signature_mismatch"


class InferenceError(ModelError):
    """The model failed while running, or returned what its signature does not promise."""

    code = "inference_failed"
