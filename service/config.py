"""Settings of the server, read from the environment.

No other module reads the environment. Each part of the settings is composed of the defaults of the
modules that obey it. Every variable has the prefix `LACUNA_`, with two underscores between levels.
An unknown variable with this prefix stops the start, so that a misspelt limit is not ignored.
Variables that Kubernetes and Docker inject for a service or container of our name are ignored.
Tracing is configured by the standard variables of OpenTelemetry. On SageMaker and Vertex AI, the
platform's variables and folders take the place of defaults.

The docstring of a setting, in Markdown, is its row in docs/configuration.md; `make docs` writes the
page.
"""

from __future__ import annotations

import os
import re
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
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from lacuna.errors import ConfigurationError
from lacuna.raster.limits import ImageLimits
from service.artifacts import SCHEME, Artifacts
from service.core.admission import AdmissionPolicy
from service.core.batching import BatchPolicy
from service.core.versions import LATEST, VersionPolicy, is_model_name
from service.engine.lifecycle.repository import RepositoryPolicy
from service.engine.segmenter import EnginePolicy
from service.engine.watchdog import WATCHDOG_S
from service.variables import is_injected, suggest_names
from service.web.body import BodyLimits
from service.web.connection import ConnectionTimeouts
from service.web.proxies import check_proxy, read_prefix

PREFIX = "LACUNA_"
DELIMITER = "__"
DEMO_REPOSITORY = (Path(__file__).parent / "demo" / "models").resolve()

DEFAULT_PORT = 8000
SAGEMAKER_PORT = 8080
SAGEMAKER_FOLDER = Path("/opt/ml/model")
"""Folder into which SageMaker unpacks a model. It exists nowhere else."""

_ROUTE = re.compile(r"/[\w./~:@!$&'()*+,;=-]*", re.ASCII)

LogFormat = Literal["auto", "json", "text"]
LogLevel = Literal["debug", "info", "warning", "error"]


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


VersionsText = Annotated[str, AfterValidator(_check_versions)]
ModelName = Annotated[str, AfterValidator(_check_name)]
TcpPort = Annotated[int, Field(ge=0, le=65535)]
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


class _Group(BaseModel):
    """Group of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Limits(_Group):
    """Limits on the size and the duration of a request."""

    body_bytes: PositiveInt = BodyLimits.body_bytes
    """largest body of a request, in bytes; the default fits a 4096 × 4096 RGB float32 array and
    its mask"""
    image_pixels: PositiveInt = ImageLimits.image_pixels
    """largest height × width of an image, read from its header"""
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
    window_pixels: Annotated[int, Field(ge=256 * 256)] = EnginePolicy.window_pixels
    """largest height × width of a window in one model call; larger images are tiled. The demo model
    takes 620 bytes of memory per pixel and worker"""
    warmup_pixels: NonNegativeInt = BatchPolicy.max_pixels
    """largest images × height × width of the warm-up calls that run before a model is ready"""
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
    85 % of what the container's or the machine's memory leaves beside the models"""
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
    model_versions: Annotated[dict[ModelName, VersionsText], Unset("none")] = {}
    """versions of single models to serve, as JSON: `{"groundcover": "1,3"}`"""
    labels: Annotated[dict[ModelName, dict[LabelName, NonNegativeInt]], Unset("none")] = {}
    """labels of versions, as JSON: `{"groundcover": {"stable": 1, "canary": 2}}`"""
    max_pending: Annotated[dict[ModelName, PositiveInt], Unset("no limit")] = {}
    """largest number of concurrent requests of single models, as JSON: `{"groundcover": 64}`"""
    image_pixels: Annotated[dict[ModelName, PositiveInt], Unset("none")] = {}
    """largest height × width of an image for single models, as JSON: `{"groundcover": 1048576}`; at
    most `LACUNA_LIMITS__IMAGE_PIXELS`, which applies to all other models"""
    drain_s: NonNegativeFloat = RepositoryPolicy.drain_s
    """seconds to wait for the requests that use an unloaded version before it is dropped; these
    requests are never cancelled"""


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


def find_port(sagemaker: Path = SAGEMAKER_FOLDER) -> int:
    """Return the port that a hosting platform expects, else 8000.

    Args:
        sagemaker: folder that exists on SageMaker.

    Raises:
        ConfigurationError: if a variable of the platform is not a port.
    """
    name, text = _read_first("AIP_HTTP_PORT", "SAGEMAKER_BIND_TO_PORT")
    if not text:
        return SAGEMAKER_PORT if sagemaker.is_dir() else DEFAULT_PORT
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 65536):
        raise ConfigurationError(f"{name} must be a port; it is {text[:100]}")
    return int(text)


def find_repository(sagemaker: Path = SAGEMAKER_FOLDER) -> Path:
    """Return the folder of models that a hosting platform has filled, else the demo's.

    Args:
        sagemaker: folder that SageMaker fills.
    """
    uri = read_storage_uri()
    if uri and not uri.startswith(SCHEME):
        return Path(uri)
    return sagemaker if sagemaker.is_dir() and any(sagemaker.iterdir()) else DEMO_REPOSITORY


def read_storage_uri() -> str:
    """Return where Vertex AI keeps the models: a folder, or `gs://…`; empty for none."""
    return _read_first("AIP_STORAGE_URI")[1]


def find_artifacts(settings: Settings) -> Artifacts | None:
    """Return the folder in Google Cloud Storage that holds the models; None if it is not there."""
    uri = read_storage_uri()
    if "model_repository" in settings.model_fields_set or not uri.startswith(SCHEME):
        return None
    # Google's own variables, for other storages and metadata servers.
    _, storage = _read_first("STORAGE_EMULATOR_HOST")
    _, metadata = _read_first("GCE_METADATA_HOST")
    plain = Artifacts(uri)
    return Artifacts(
        uri,
        storage.rstrip("/") or plain.api_url,
        f"http://{metadata}" if metadata else plain.metadata_url,
    )


def find_cache_folder() -> Path:
    """Return the user's cache folder (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "lacuna"


class Settings(BaseSettings):
    """All settings of the server."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter=DELIMITER,
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
    )

    host: str = "127.0.0.1"
    """address to listen on"""
    port: Annotated[TcpPort, Unset("8000")] = Field(default_factory=find_port)
    """port to listen on, 0 for any free one; the default is another one on
    [SageMaker](sagemaker.md) and [Vertex AI](vertex-ai.md)"""
    api_keys: Annotated[SecretStr | None, Unset("none")] = None
    """[keys](#keys) that requests need, separated by commas"""
    api_keys_file: Annotated[Path | None, Unset("none")] = None
    """file with the keys that requests need, one per line"""
    admin_key: Annotated[SecretStr | None, Unset("none")] = None
    """[key](#keys) that loading and unloading models needs; without it, both are forbidden"""
    admin_key_file: Annotated[Path | None, Unset("none")] = None
    """file with the key that loading and unloading models needs"""
    docs: bool = True
    """whether to serve `/docs` and `/openapi.json`"""
    metrics_port: Annotated[TcpPort | None, Unset("the port of the server")] = None
    """separate port for `/metrics`, on the same address, 0 for any free one"""
    model_repository: Annotated[Path, Unset("the demo model")] = Field(
        default_factory=find_repository
    )
    """folder with the files `<model>/<version>/saved_model.pb`; the default is another one on
    [SageMaker](sagemaker.md) and [Vertex AI](vertex-ai.md)"""
    models: Annotated[tuple[str, ...], NoDecode, Unset("all")] = ()
    """names of the models to serve, separated by commas"""
    repository: RepositorySettings = RepositorySettings()
    limits: Limits = Limits()
    engine: Engine = Engine()
    batch: BatchSettings = BatchSettings()
    admission: Admission = Admission()
    proxy: ProxySettings = ProxySettings()
    root_path: Annotated[RootPath, Unset("none")] = ""
    """prefix under which a [proxy](operations.md#reverse-proxies) shows the server, such as
    `/lacuna`; whether the proxy removes it or not"""
    cache_folder: Annotated[Path, Unset("the user's cache")] = Field(
        default_factory=find_cache_folder
    )
    """folder for the calibrations of models, which shorten the next start; the default is
    `$XDG_CACHE_HOME/lacuna` or `~/.cache/lacuna`"""
    drain_s: Annotated[float, Field(ge=0)] = 25.0
    """seconds after SIGTERM in which running requests may finish; with 3 s for the shutdown, the
    default is below the 30 s of Kubernetes"""
    log_format: LogFormat = "auto"
    """format of the log: `json`, one object per line; `text`, for people; `auto`, `text` on a
    terminal and `json` otherwise"""
    log_level: LogLevel = "info"
    """lowest level of the log's lines: `debug`, with the requests for health and metrics; `info`;
    `warning`, without the requests; `error`"""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 (pydantic's signature)
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read options first, then the environment without the variables that are injected."""
        if isinstance(env_settings, EnvSettingsSource):
            env_settings.env_vars = {
                name: value
                for name, value in env_settings.env_vars.items()
                if not is_injected(name, value or "")
            }
        return init_settings, env_settings

    @field_validator("models", mode="before")
    @classmethod
    def _split_names(cls, value: Any) -> Any:
        return split_list(value)


def list_variables() -> list[str]:
    """List the environment variables of all settings."""
    return [variable for variable, _ in list_fields()]


def list_fields(
    model: type[BaseModel] = Settings, prefix: str = PREFIX
) -> Iterator[tuple[str, FieldInfo]]:
    """Yield the environment variable and the field of each setting.

    Args:
        model: Model of the settings; its groups are expanded.
        prefix: Prefix of its variables.
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
        **overrides: Values that override the environment; None values are ignored.

    Raises:
        ConfigurationError: if a value is out of range, or a variable with the prefix is unknown.
            The message names every fault.
    """
    _check_names()
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
            f"{_describe_fault(fault)}"
            for fault in error.errors(include_url=False)
        )
        raise ConfigurationError(f"settings must be in range: {faults}") from error
    _check_image_pixels(settings)
    _check_ports(settings)
    return settings


def _describe_fault(fault: ErrorDetails) -> str:
    # Messages of validators here state the value themselves; pydantic puts a prefix before them.
    message = fault["msg"].removeprefix("Value error, ")
    return message if "; it is " in message else f"{message}; it is {fault['input']!r}"


def list_injected_variables() -> list[str]:
    """List the variables with our prefix that Kubernetes or Docker set, and that are ignored."""
    return sorted(
        name
        for name, value in os.environ.items()
        if name.upper().startswith(PREFIX) and is_injected(name, value)
    )


def read_vertex_routes() -> dict[str, str]:
    """Return the paths at which Vertex AI calls the server: `health` and `predict`, if any.

    Raises:
        ConfigurationError: if one is not a path.
    """
    paths = {"health": _read_first("AIP_HEALTH_ROUTE"), "predict": _read_first("AIP_PREDICT_ROUTE")}
    for name, text in paths.values():
        if text and not _ROUTE.fullmatch(text):
            raise ConfigurationError(
                f"{name} must be a path of letters, digits and any of /._~:@!$&'()*+,;=- after a "
                f"slash; it is {text[:100]}"
            )
    return {kind: text for kind, (_, text) in paths.items() if text}


def wants_traces() -> bool:
    """Return True if OpenTelemetry's variables name an endpoint for traces.

    Raises:
        ConfigurationError: if the endpoint is not an HTTP address, or the exporter or protocol is
            not supported.
    """
    off = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    endpoint, address = _read_first(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"
    )
    _, exporter = _read_first("OTEL_TRACES_EXPORTER")
    if off or not address or exporter == "none":
        return False
    if not address.startswith(("http://", "https://")):
        # The message leaves the value out, because it may contain a password.
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
    """Return the name and the value of the first variable that is set and not empty."""
    for name in names:
        value = os.environ.get(name, "").strip()
        if value:
            return name, value
    return names[-1], ""


def _check_names() -> None:
    """Check that each variable with the prefix names a setting."""
    known = list_variables()
    settings = {name for name in os.environ if name.upper().startswith(PREFIX)}
    unknown = sorted(
        name for name in settings.difference(list_injected_variables()) if name.upper() not in known
    )
    if not unknown:
        return
    nearest = {name: suggest_names(name, known, PREFIX) for name in unknown}
    allowed = "a setting" if all(nearest.values()) else f"one of {', '.join(known)}"
    faults = ", ".join(f"{name} is not{_suggest(names)}" for name, names in nearest.items())
    raise ConfigurationError(f"a variable with the prefix {PREFIX} must be {allowed}; {faults}")


def _suggest(names: list[str]) -> str:
    return f" (did you mean {' or '.join(names)}?)" if names else ""


def _check_ports(settings: Settings) -> None:
    """Check that metrics have a port of their own, or the server finds its own port taken."""
    port = settings.metrics_port
    if port and port == settings.port:
        raise ConfigurationError(
            f"{PREFIX}METRICS_PORT must not be {PREFIX}PORT; both are {port}: without "
            f"{PREFIX}METRICS_PORT metrics are on the port of the server"
        )


def _check_image_pixels(settings: Settings) -> None:
    """Check that no model's limit exceeds the server's. Such a limit would have no effect."""
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
