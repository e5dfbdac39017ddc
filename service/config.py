"""The settings: composed here of the parts that obey them, and read from the environment.

The only module that reads the environment. Every variable has the prefix `LACUNA_`, and two
underscores between levels. A variable with the prefix that names no setting stops the start: a
misspelt limit must not silently be none. Whether there are traces is asked by OpenTelemetry's own
variables, whose names and meanings are a standard.

What stands below a setting, in Markdown, is its row in docs/configuration.md; `make docs` writes it
there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from lacuna.errors import ConfigurationError
from lacuna.raster.limits import ImageLimits
from service.core.admission import AdmissionPolicy
from service.core.batching import BatchPolicy
from service.core.versions import LATEST, VersionPolicy, is_model_name
from service.engine.lifecycle.repository import RepositoryPolicy
from service.engine.segmenter import EnginePolicy
from service.engine.watchdog import WATCHDOG_S
from service.web.body import BodyLimits
from service.web.connection import ConnectionTimeouts

PREFIX = "LACUNA_"
DELIMITER = "__"
DEMO_REPOSITORY = Path(__file__).parent / "demo" / "models"

LogFormat = Literal["auto", "json", "text"]


def _check_versions(text: str) -> str:
    return str(VersionPolicy.parse(text))


def _check_name(name: str) -> str:
    if not is_model_name(name):
        raise ValueError("a name must be up to 100 letters, digits, dots, dashes and _")
    return name


def _check_label(name: str) -> str:
    if name == LATEST:
        raise ValueError("latest is always the highest version that answers")
    return _check_name(name)


VersionsText = Annotated[str, AfterValidator(_check_versions)]
ModelName = Annotated[str, AfterValidator(_check_name)]
TcpPort = Annotated[int, Field(ge=0, le=65535)]
LabelName = Annotated[str, AfterValidator(_check_label)]


@dataclass(frozen=True)
class Unset:
    """What it means to leave a setting out, where its default says that to nobody.

    Attributes:
        meaning: in the documentation, instead of the default.
    """

    meaning: str


class _Group(BaseModel):
    """Settings that belong together."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Limits(_Group):
    """How large a request may be, and how long it is waited for."""

    body_bytes: PositiveInt = BodyLimits.body_bytes
    """bytes of a request's body: a 4096 × 4096 RGB float32 array and its mask"""
    image_pixels: PositiveInt = ImageLimits.image_pixels
    """height × width of an image, read from its header"""
    image_channels: PositiveInt = ImageLimits.image_channels
    """channels of an image, alpha included"""
    head_s: PositiveFloat = ConnectionTimeouts.head_s
    """seconds in which the head of a request must come"""
    idle_s: PositiveFloat = BodyLimits.idle_s
    """seconds in which something of a body must come, or of an answer be taken"""
    body_s: PositiveFloat = BodyLimits.body_s
    """seconds in which all of it must: the largest body at 6 Mbit/s"""
    keep_alive_s: PositiveInt = ConnectionTimeouts.keep_alive_s
    """seconds that a connection may be idle between two requests; longer than a proxy in front
    keeps it"""


class Engine(_Group):
    """How models are run."""

    workers: Annotated[PositiveInt | None, Unset("one for each core")] = None
    """model calls at once"""
    threads: Annotated[PositiveInt | None, Unset("cores / workers")] = None
    """TensorFlow's threads for each call"""
    # With less, images would fall into windows that are mostly halo.
    window_pixels: Annotated[int, Field(ge=256 * 256)] = EnginePolicy.window_pixels
    """the largest window a model is given; larger images are tiled. The demo model takes 620 bytes
    of memory a pixel for each worker"""
    warmup_pixels: NonNegativeInt = BatchPolicy.max_pixels
    """how large the calls are, images × height × width, that are run before a model is ready"""
    watchdog_s: PositiveFloat = WATCHDOG_S
    """seconds that a call may take before `/livez` fails"""


class Batch(_Group):
    """How windows share calls."""

    max_pixels: PositiveInt = BatchPolicy.max_pixels
    """pixels of a call, images × height × width; a larger window goes alone"""
    max_wait_s: NonNegativeFloat = BatchPolicy.max_wait_s
    """seconds that a window waits for others to fill its batch"""


class Admission(_Group):
    """When a request is refused with 429."""

    max_wait_s: PositiveFloat = AdmissionPolicy.max_wait_s
    """predicted seconds in the queue above which a request is refused"""
    max_pending: PositiveInt = AdmissionPolicy.max_pending
    """requests taken in and not yet answered"""
    max_pending_bytes: PositiveInt = AdmissionPolicy.max_pending_bytes
    """bytes of their bodies together"""
    max_share: Annotated[float, Field(gt=0, le=1)] = AdmissionPolicy.max_share
    """of these three, for one client: a key, or an address where there are no keys; 1 behind a
    proxy that all clients come through"""


class RepositorySettings(_Group):
    """What is served of the model repository, and when it is looked at."""

    poll_s: NonNegativeFloat = RepositoryPolicy.poll_s
    """seconds between two looks at the repository's files; 0 for never"""
    versions: VersionsText = str(VersionPolicy())
    """which versions of a model are served: `latest`, `latest:2`, `all`, or numbers as `1,3`"""
    model_versions: Annotated[dict[ModelName, VersionsText], Unset("as above")] = {}
    """the same for single models, as JSON: `{"groundcover": "1,3"}`"""
    labels: Annotated[dict[ModelName, dict[LabelName, NonNegativeInt]], Unset("none")] = {}
    """names of versions, as JSON: `{"groundcover": {"stable": 1, "canary": 2}}`"""
    max_pending: Annotated[dict[ModelName, PositiveInt], Unset("no limit")] = {}
    """requests that a model may be answering at once, as JSON: `{"groundcover": 64}`"""
    image_pixels: Annotated[dict[ModelName, PositiveInt], Unset("the server's")] = {}
    """height × width of an image for a model, as JSON: `{"groundcover": 1048576}`; at most
    `LACUNA_LIMITS__IMAGE_PIXELS`"""
    drain_s: NonNegativeFloat = RepositoryPolicy.drain_s
    """seconds that the work of an unloaded version is waited for before it is dropped; it is never
    cut off"""


def find_cache_folder() -> Path:
    """Give the user's folder for what can be made again (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "lacuna"


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter=DELIMITER,
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
    )

    host: str = "127.0.0.1"
    """address to listen on"""
    port: TcpPort = 8000
    """port to listen on, 0 for any free one"""
    api_keys: Annotated[SecretStr | None, Unset("none")] = None
    """[keys](#keys) that requests need, with commas"""
    api_keys_file: Annotated[Path | None, Unset("none")] = None
    """file of the same, one a line"""
    admin_key: Annotated[SecretStr | None, Unset("none")] = None
    """the [key](#keys) that models may be loaded and unloaded with"""
    admin_key_file: Annotated[Path | None, Unset("none")] = None
    """file of the same"""
    docs: bool = True
    """whether `/docs` and `/openapi.json` are there"""
    metrics_port: Annotated[TcpPort | None, Unset("that of all else")] = None
    """port for `/metrics` alone, on the same address, 0 for any free one"""
    model_repository: Annotated[Path, Unset("the demo's")] = DEMO_REPOSITORY
    """folder of `<model>/<version>/saved_model.pb`"""
    models: Annotated[tuple[str, ...], NoDecode, Unset("all")] = ()
    """names of the models to serve, with commas"""
    repository: RepositorySettings = RepositorySettings()
    limits: Limits = Limits()
    engine: Engine = Engine()
    batch: Batch = Batch()
    admission: Admission = Admission()
    cache_folder: Annotated[Path, Unset("the user's")] = Field(default_factory=find_cache_folder)
    """what was measured of a model, for the next start; `$XDG_CACHE_HOME/lacuna` or
    `~/.cache/lacuna`"""
    drain_s: Annotated[float, Field(ge=0)] = 25.0
    """seconds that running requests are given after SIGTERM; with 3 s to end in, less than the 30 s
    of Kubernetes"""
    log_format: LogFormat = "auto"
    """`json`, a line an event; `text`, for people; `auto`, text on a terminal"""

    @field_validator("models", mode="before")
    @classmethod
    def _split_names(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value


def list_variables() -> list[str]:
    """List every environment variable that the settings are read from."""
    return [variable for variable, _ in list_fields()]


def list_fields(
    model: type[BaseModel] = Settings, prefix: str = PREFIX
) -> Iterator[tuple[str, FieldInfo]]:
    """List every environment variable with the field that it sets.

    Args:
        model: whose fields they are; groups of fields are opened.
        prefix: of its variables.
    """
    for name, field in model.model_fields.items():
        kind = field.annotation
        variable = prefix + name.upper()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from list_fields(kind, variable + DELIMITER)
        else:
            yield variable, field


def read_settings(**overrides: Any) -> Settings:
    """Read the settings from the environment.

    Args:
        **overrides: go before the environment; those that are None do not count.

    Raises:
        ConfigurationError: if a value is out of its range, or a variable with our prefix names no
            setting; the message names every fault.
    """
    known = list_variables()
    unknown = sorted(
        name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in known
    )
    if unknown:
        raise ConfigurationError(
            f"a variable with the prefix {PREFIX} must be one of {', '.join(known)}; "
            f"{', '.join(unknown)} is not"
        )
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        settings = Settings(**given)
    except SettingsError as error:
        raise ConfigurationError(
            f"settings must be readable: {error}: {error.__cause__}"
        ) from error
    except ValidationError as error:
        faults = "; ".join(
            f"{PREFIX}{DELIMITER.join(str(part) for part in fault['loc']).upper()}: "
            f"{fault['msg']}; it is {fault['input']!r}"
            for fault in error.errors(include_url=False)
        )
        raise ConfigurationError(f"settings must be in range: {faults}") from error
    _check_image_pixels(settings)
    return settings


def wants_traces() -> bool:
    """Tell whether OpenTelemetry's variables ask for traces: whether they name an endpoint.

    Raises:
        ConfigurationError: if the endpoint is no address, or is to be spoken to in another way than
            OTLP over HTTP.
    """
    off = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    endpoint, address = _read_first(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"
    )
    _, exporter = _read_first("OTEL_TRACES_EXPORTER")
    if off or not address or exporter == "none":
        return False
    if not address.startswith(("http://", "https://")):
        # What it is stays unsaid: a password may stand in it.
        raise ConfigurationError(f"{endpoint} must begin with http:// or https://; it does not")
    if exporter not in ("", "otlp"):
        raise ConfigurationError(f"OTEL_TRACES_EXPORTER must be otlp or none; it is {exporter}")
    protocol, spoken = _read_first(
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"
    )
    if spoken not in ("", "http/protobuf"):
        raise ConfigurationError(f"{protocol} must be http/protobuf; it is {spoken}")
    return True


def _read_first(*names: str) -> tuple[str, str]:
    """Give the name and the value of the first variable that is set; an empty one is not."""
    for name in names:
        value = os.environ.get(name, "").strip()
        if value:
            return name, value
    return names[-1], ""


def _check_image_pixels(settings: Settings) -> None:
    """Hold the models' limits to the server's: a larger one would be a promise it does not keep."""
    most = settings.limits.image_pixels
    larger = {
        name: pixels for name, pixels in settings.repository.image_pixels.items() if pixels > most
    }
    if larger:
        told = ", ".join(f"{name}'s is {pixels}" for name, pixels in larger.items())
        raise ConfigurationError(
            f"{PREFIX}REPOSITORY{DELIMITER}IMAGE_PIXELS must be at most "
            f"{PREFIX}LIMITS{DELIMITER}IMAGE_PIXELS, {most}; {told}"
        )
