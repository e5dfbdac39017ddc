"""Groups of settings, composed of the defaults of the modules that obey them.

The docstring of a setting, in Markdown, is its row in docs/configuration.md; `make docs` writes the
page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PlainValidator,
    PositiveFloat,
    PositiveInt,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import NoDecode

from lacuna.raster.limits import ImageLimits
from service.core.admission import AdmissionPolicy
from service.core.batching import BatchPolicy
from service.core.versions import LATEST, VersionPolicy, is_model_name
from service.engine.lifecycle.repository import RepositoryPolicy
from service.engine.watchdog import WATCHDOG_S
from service.listening.body_limits import BodyLimits
from service.runtime.precision import PrecisionSetting
from service.web.connection import ConnectionTimeouts
from service.web.proxies import check_proxy, read_prefix

MAX_PORT = 65535


def _check_versions(text: str) -> str:
    return str(VersionPolicy.parse(text))


def _check_name(name: str) -> str:
    if not is_model_name(name):
        raise ValueError("a name must have up to 100 letters, digits, dots, dashes and _")
    return name


def _check_label(name: str) -> str:
    if name == LATEST:
        raise ValueError("a label must not be latest, which is always the highest version")
    return _check_name(name)


def _read_grpc_port(value: Any) -> Any:
    """Read a port or `off`; as one type, so that an error names the setting alone."""
    text = str(value).strip().lower()
    if value is None or text == "off":
        return None if value is None else "off"
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= MAX_PORT):
        raise ValueError(f"it must be a port from 0 to {MAX_PORT}, or off; it is {value}")
    return int(text)


VersionsText = Annotated[str, AfterValidator(_check_versions)]
ModelName = Annotated[str, AfterValidator(_check_name)]
TcpPort = Annotated[int, Field(ge=0, le=MAX_PORT)]
GrpcPort = Annotated[int | Literal["off"] | None, PlainValidator(_read_grpc_port)]
LabelName = Annotated[str, AfterValidator(_check_label)]
ProxyAddress = Annotated[str, AfterValidator(check_proxy)]
RootPath = Annotated[str, AfterValidator(read_prefix)]


@dataclass(frozen=True)
class Unset:
    """Meaning of a setting's default, for the documentation.

    Attributes:
        meaning: Text that the documentation shows instead of the default.
    """

    meaning: str


def find_meaning(field: FieldInfo) -> str:
    """Return the meaning of a setting's default; empty if the default speaks for itself."""
    return next((entry.meaning for entry in field.metadata if isinstance(entry, Unset)), "")


class _Group(BaseModel):
    """Group of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Limits(_Group):
    """Limits on the size and the duration of a request."""

    body_bytes: PositiveInt = BodyLimits.body_bytes
    """largest body of a request, in bytes; the default fits a 4096 × 4096 RGB float32 array and
    its mask"""
    image_pixels: PositiveInt = ImageLimits.image_pixels
    """largest height × width of an image, read from its header; with more than four channels,
    height × width × channels is at most four times this"""
    image_channels: PositiveInt = ImageLimits.image_channels
    """largest number of channels of an image, alpha included"""
    head_s: PositiveFloat = ConnectionTimeouts.head_s
    """seconds in which the head of a request must arrive"""
    idle_s: PositiveFloat = BodyLimits.idle_s
    """longest pause in seconds while a client sends a body or reads an answer"""
    body_s: PositiveFloat = BodyLimits.body_s
    """seconds in which a body must arrive completely, and an answer be read; the default is enough
    for the largest body at 6 Mbit/s"""
    keep_alive_s: PositiveInt = ConnectionTimeouts.keep_alive_s
    """seconds that a connection may be idle between two requests; set it longer than the keep-alive
    timeout of a proxy in front"""


class Engine(_Group):
    """Settings of the engine that runs models."""

    workers: Annotated[PositiveInt | None, Unset("one per core")] = None
    """number of concurrent model calls"""
    threads: Annotated[PositiveInt | None, Unset("cores / workers")] = None
    """number of TensorFlow's threads for each model call"""
    # Smaller windows would be mostly halo.
    window_pixels: Annotated[
        int | None, Field(ge=256 * 256), Unset("from `LACUNA_MEMORY_LIMIT_BYTES`, at most 1300000")
    ] = None
    """largest height × width of a window in one model call; larger images are tiled. A call of the
    demo takes 730 bytes of memory per pixel. By default, calls of all workers may take half of what
    the memory leaves beside 0.8 GB"""
    precision: PrecisionSetting = RepositoryPolicy.precision
    """[precision](operations.md#precision) of the models' arithmetic: `float32`; `bfloat16`, which
    needs about 60 % of the time where the CPU has instructions for it and changes a few labels;
    `auto`, bfloat16 on such a CPU if a model keeps its contract, else float32"""
    warmup_pixels: NonNegativeInt = BatchPolicy.max_pixels
    """largest images × height × width of the calls that run before a model is ready, except for
    those that are timed"""
    watchdog_s: PositiveFloat = WATCHDOG_S
    """seconds after which a running model call makes `/livez` fail"""


class BatchSettings(_Group):
    """Limits on batches."""

    max_pixels: PositiveInt = BatchPolicy.max_pixels
    """largest images × height × width of a batch; a larger window is a batch of its own"""
    max_wait_s: NonNegativeFloat = BatchPolicy.max_wait_s
    """longest time in seconds that a window waits for its batch to fill"""


class Admission(_Group):
    """Limits on the load, above which requests are refused with status 429."""

    max_wait_s: PositiveFloat = AdmissionPolicy.max_wait_s
    """longest predicted wait of a request in the queue, in seconds"""
    max_pending: PositiveInt = AdmissionPolicy.max_pending
    """largest number of requests that are admitted and not yet answered"""
    max_pending_bytes: PositiveInt = AdmissionPolicy.max_pending_bytes
    """largest sum of the bodies of these requests, in bytes; at most a third of
    `LACUNA_ADMISSION__MEMORY_BYTES`"""
    memory_bytes: Annotated[PositiveInt | None, Unset("measured")] = None
    """memory for all requests, in bytes: their bodies, images, labels and answers. By default it is
    85 % of what `LACUNA_MEMORY_LIMIT_BYTES` leaves beside the models and their calls"""
    max_share: Annotated[float, Field(gt=0, le=1)] = AdmissionPolicy.max_share
    """largest share of these limits for one client. A client is identified by its key, or by
    its address if it has none (of an IPv6 address, by the first 64 bits). Name proxies in
    `LACUNA_PROXY__TRUSTED`; set 1 where the addresses of clients stay unknown"""


class RepositorySettings(_Group):
    """Settings of the model repository."""

    poll_s: NonNegativeFloat = RepositoryPolicy.poll_s
    """seconds between two scans of the repository's files; 0 for no polling"""
    versions: VersionsText = str(VersionPolicy())
    """versions of each model to serve: `latest`, `latest:2`, `all`, or numbers such as `1,3`"""
    default_model: Annotated[ModelName | None, Unset("the only one; `aerial` of the demo")] = None
    """name of the model that answers requests that name none. If it is not in the repository, the
    log says so at the start, and these requests are refused until it is"""
    model_versions: Annotated[dict[ModelName, VersionsText], Unset("none")] = {}
    """versions of single models to serve, as JSON: `{"groundcover": "1,3"}`"""
    labels: Annotated[dict[ModelName, dict[LabelName, NonNegativeInt]], Unset("none")] = {}
    """labels of versions, as JSON: `{"groundcover": {"stable": 1, "canary": 2}}`"""
    max_pending: Annotated[dict[ModelName, PositiveInt], Unset("no limit")] = {}
    """largest number of concurrent requests of single models, as JSON: `{"groundcover": 64}`"""
    image_pixels: Annotated[dict[ModelName, PositiveInt], Unset("none")] = {}
    """largest height × width of an image for single models, as JSON: `{"groundcover": 1048576}`; at
    most `LACUNA_LIMITS__IMAGE_PIXELS`, which applies to all other models"""
    precision: Annotated[dict[ModelName, PrecisionSetting], Unset("none")] = {}
    """precision of single models, as JSON: `{"groundcover": "bfloat16"}`; all others have
    `LACUNA_ENGINE__PRECISION`"""
    drain_s: NonNegativeFloat = RepositoryPolicy.drain_s
    """seconds to wait for the requests that use an unloaded version before it is dropped; these
    requests are never cancelled"""


class OipSettings(_Group):
    """Settings of the Open Inference Protocol."""

    default_outputs: Literal["all", "labels"] = "all"
    """outputs of a request that names none: `all`, as the protocol says, or `labels`, which cost
    less and are a fraction of the size"""


class ProxySettings(_Group):
    """Settings of the reverse proxies in front of the server."""

    trusted: Annotated[tuple[ProxyAddress, ...], NoDecode, Unset("none")] = ()
    """addresses and networks of proxies, separated by commas, such as `10.0.0.0/8,::1`. The server
    obeys their `X-Forwarded-For`, `-Proto` and `-Prefix`, and nobody else's: see
    [proxies](operations.md#reverse-proxies)"""

    @field_validator("trusted", mode="before")
    @classmethod
    def _split_addresses(cls, value: Any) -> Any:
        return split_list(value)


def split_list(value: Any) -> Any:
    """Split text at its commas; return any other value as it is."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value
