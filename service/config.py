"""Settings of the server, read from the environment.

Only this module, `service.platforms` and `service.variables` read the environment. Every variable
has the prefix `LACUNA_`, with two underscores between levels. An unknown variable with this prefix
stops the start, so that a misspelt limit is not ignored. Variables that Kubernetes and Docker
inject for a service or container of our name are ignored. Tracing is configured by the standard
variables of OpenTelemetry.

The docstring of a setting, in Markdown, is its row in docs/configuration.md; `make docs` writes the
page.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    Field,
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
from service.config_groups import (
    Admission,
    BatchSettings,
    Engine,
    GrpcPort,
    Limits,
    ModelName,
    OipSettings,
    ProxySettings,
    RepositorySettings,
    RootPath,
    TcpPort,
    Unset,
    split_list,
)
from service.platforms import find_port, find_repository
from service.variables import find_cache_folder, is_injected, read_first, suggest_names

PREFIX = "LACUNA_"
DELIMITER = "__"

LogFormat = Literal["auto", "json", "text"]
LogLevel = Literal["debug", "info", "warning", "error"]


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
    grpc_port: Annotated[GrpcPort, Unset("8001")] = None
    """port for [gRPC](grpc.md), on the same address, 0 for any free one; `off` for none. Unless it
    is set, the server does without gRPC where it is not installed or the port is taken"""
    api_keys: Annotated[SecretStr | None, Unset("none")] = None
    """[keys](#keys) that requests need, separated by commas"""
    api_keys_file: Annotated[Path | None, Unset("none")] = None
    """file with the keys that requests need, one per line"""
    admin_key: Annotated[SecretStr | None, Unset("none")] = None
    """[key](#keys) that loading and unloading models needs; without it, both are forbidden"""
    admin_key_file: Annotated[Path | None, Unset("none")] = None
    """file with the key that loading and unloading models needs"""
    docs: bool = True
    """whether to serve `/docs`, `/openapi.json` and gRPC's reflection"""
    metrics_port: Annotated[TcpPort | None, Unset("the port of the server")] = None
    """separate port for `/metrics`, on the same address, 0 for any free one"""
    model_repository: Annotated[Path, Unset("the demo's models")] = Field(
        default_factory=find_repository
    )
    """folder with the files `<model>/<version>/saved_model.pb` or `model.onnx`; the default is
    another one on [SageMaker](sagemaker.md) and [Vertex AI](vertex-ai.md)"""
    models: Annotated[tuple[ModelName, ...], NoDecode, Unset("all")] = ()
    """names of the models to serve, separated by commas. With one name, the repository may also be
    the folder of this model, or of one version of it, which is then version 1"""
    memory_limit_bytes: Annotated[PositiveInt | None, Unset("the container's or the machine's")] = (
        None
    )
    """[memory](operations.md#memory) that the process may take, in bytes. The largest windows, the
    number of compiled shapes that are kept and the memory for requests follow from it"""
    repository: RepositorySettings = RepositorySettings()
    limits: Limits = Limits()
    engine: Engine = Engine()
    batch: BatchSettings = BatchSettings()
    admission: Admission = Admission()
    oip: OipSettings = OipSettings()
    proxy: ProxySettings = ProxySettings()
    root_path: Annotated[RootPath, Unset("none")] = ""
    """prefix under which a [proxy](operations.md#reverse-proxies) shows the server, such as
    `/lacuna`; whether the proxy removes it or not"""
    cache_folder: Annotated[Path, Unset("the user's cache")] = Field(
        default_factory=find_cache_folder
    )
    """folder for the calibrations of models, which shorten the next start, also that of
    `lacuna segment` without a server; the default is `$XDG_CACHE_HOME/lacuna` or
    `~/.cache/lacuna`"""
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
    _check_default_model(settings)
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


def wants_traces() -> bool:
    """Return True if OpenTelemetry's variables name an endpoint for traces.

    Raises:
        ConfigurationError: if the endpoint is not an HTTP address, or the exporter or protocol is
            not supported.
    """
    off = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    endpoint, address = read_first(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"
    )
    _, exporter = read_first("OTEL_TRACES_EXPORTER")
    if off or not address or exporter == "none":
        return False
    if not address.startswith(("http://", "https://")):
        # The message leaves the value out, because it may contain a password.
        raise ConfigurationError(f"{endpoint} must begin with http:// or https://; it does not")
    if exporter not in ("", "otlp"):
        raise ConfigurationError(f"OTEL_TRACES_EXPORTER must be otlp or none; it is {exporter}")
    protocol, spoken = read_first(
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"
    )
    if spoken not in ("", "http/protobuf"):
        raise ConfigurationError(f"{protocol} must be http/protobuf; it is {spoken}")
    return True


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
    """Check that every listener has a port of its own, or the server finds its own port taken."""
    port = settings.metrics_port
    if port and port == settings.port:
        raise ConfigurationError(
            f"{PREFIX}METRICS_PORT must not be {PREFIX}PORT; both are {port}: without "
            f"{PREFIX}METRICS_PORT metrics are on the port of the server"
        )
    others = {"PORT": settings.port, "METRICS_PORT": port}
    for name, other in others.items():
        if settings.grpc_port and settings.grpc_port == other:
            raise ConfigurationError(
                f"{PREFIX}GRPC_PORT must not be {PREFIX}{name}; both are {other}"
            )


def _check_default_model(settings: Settings) -> None:
    """Check that the default model is one of those to serve. No other one is ever loaded."""
    name = settings.repository.default_model
    if name and settings.models and name not in settings.models:
        raise ConfigurationError(
            f"{PREFIX}REPOSITORY__DEFAULT_MODEL must be one of {PREFIX}MODELS, "
            f"{', '.join(settings.models)}; it is {name}"
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
