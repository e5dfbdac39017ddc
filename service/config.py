"""The settings: composed here of the parts that obey them, and read from the environment.

The only module that reads the environment. Every variable has the prefix `LACUNA_`, and two
underscores between levels. A variable with the prefix that names no setting stops the start: a
misspelt limit must not silently be none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
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
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from service.core.admission import AdmissionPolicy
from service.core.batching import BatchPolicy
from service.core.versions import LATEST, VersionPolicy, is_model_name
from service.engine.repository import RepositoryPolicy
from service.engine.segmenter import EnginePolicy
from service.engine.watchdog import WATCHDOG_S
from service.errors import ConfigurationError
from service.formats.limits import ImageLimits
from service.web.body import BodyLimits
from service.web.connection import Patience

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


class Limits(BaseModel):
    """How large a request may be, and how long it is waited for.

    Attributes:
        body_bytes: bytes of a request's body.
        image_pixels: height × width of an image.
        image_channels: samples per pixel, alpha included.
        head_s: seconds in which the head of a request must come.
        idle_s: seconds in which something of a body must come, or of an answer be taken.
        body_s: seconds in which all of it must.
        keep_alive_s: seconds that a connection may be idle between two requests.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    body_bytes: PositiveInt = BodyLimits.body_bytes
    image_pixels: PositiveInt = ImageLimits.image_pixels
    image_channels: PositiveInt = ImageLimits.image_channels
    head_s: PositiveFloat = Patience.head_s
    idle_s: PositiveFloat = BodyLimits.idle_s
    body_s: PositiveFloat = BodyLimits.body_s
    keep_alive_s: PositiveInt = Patience.keep_alive_s


class Engine(BaseModel):
    """How models are run.

    Attributes:
        workers: calls at once; one for each core by default.
        threads: of TensorFlow for each call; the cores divided by the workers by default.
        window_pixels: the largest window that a model is given; larger images are tiled.
        warmup_pixels: how large the calls are, N · H · W, that are run before the model is ready.
        watchdog_s: seconds that a call may take before `/livez` fails.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: PositiveInt | None = None
    threads: PositiveInt | None = None
    # With less, images would fall into windows that are mostly halo.
    window_pixels: Annotated[int, Field(ge=256 * 256)] = EnginePolicy.window_pixels
    warmup_pixels: NonNegativeInt = BatchPolicy.max_pixels
    watchdog_s: PositiveFloat = WATCHDOG_S


class Batch(BaseModel):
    """How windows share calls.

    Attributes:
        max_pixels: N · H · W of a call; a larger window goes alone.
        max_wait_s: seconds that a window waits for others to fill its batch.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_pixels: PositiveInt = BatchPolicy.max_pixels
    max_wait_s: NonNegativeFloat = BatchPolicy.max_wait_s


class Admission(BaseModel):
    """When a request is refused with 429.

    Attributes:
        max_wait_s: predicted seconds in the queue.
        max_pending: requests that were admitted and not yet answered.
        max_pending_bytes: their bodies, all together.
        max_share: of all that, for one client.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_wait_s: PositiveFloat = AdmissionPolicy.max_wait_s
    max_pending: PositiveInt = AdmissionPolicy.max_pending
    max_pending_bytes: PositiveInt = AdmissionPolicy.max_pending_bytes
    max_share: Annotated[float, Field(gt=0, le=1)] = AdmissionPolicy.max_share


class Repository(BaseModel):
    """What is served of the model repository, and when it is looked at.

    Attributes:
        poll_s: seconds between two looks at its files; 0 for never.
        versions: which versions of a model are served: `latest`, `latest:2`, `all` or `1,3`.
        model_versions: the same for single models, by their names.
        labels: for each model, names of versions.
        max_pending: for each model, how many requests it may be answering at once.
        image_pixels: for each model, height × width of an image; no more than the server's limit.
        drain_s: seconds that the work of an unloaded version is waited for; it is never cut off.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    poll_s: NonNegativeFloat = RepositoryPolicy.poll_s
    versions: VersionsText = str(VersionPolicy())
    model_versions: dict[ModelName, VersionsText] = {}
    labels: dict[ModelName, dict[LabelName, NonNegativeInt]] = {}
    max_pending: dict[ModelName, PositiveInt] = {}
    image_pixels: dict[ModelName, PositiveInt] = {}
    drain_s: NonNegativeFloat = RepositoryPolicy.drain_s


def find_cache_folder() -> Path:
    """Give the user's folder for what can be made again (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "lacuna"


class Settings(BaseSettings):
    """Everything that can be set.

    Attributes:
        host: address to listen on.
        port: TCP port to listen on; 0 for any free one.
        api_keys: that requests are answered for, with commas; nobody needs one if there is none.
        api_keys_file: of the same, one a line.
        admin_key: that models may be loaded and unloaded with.
        admin_key_file: of the same.
        docs: whether `/docs` and `/openapi.json` are there.
        metrics_port: TCP port that `/metrics` is on instead; 0 for any free one.
        model_repository: folder of `<model>/<version>/saved_model.pb`; the demo's by default.
        models: names of the models to serve, with commas between; all that are there by default.
        repository: what is served of it, and when it is looked at.
        limits: how large a request may be.
        engine: how models are run.
        batch: how windows share calls.
        admission: when a request is refused.
        cache_folder: where what was measured of a model is kept for the next start.
        drain_s: seconds that running requests are given to finish after SIGTERM. The default ends
            within the 30 s that Kubernetes gives.
        log_format: `json`, a line an event; `text`, for people; `auto`, text on a terminal.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter=DELIMITER, frozen=True, extra="forbid"
    )

    host: str = "127.0.0.1"
    port: TcpPort = 8000
    api_keys: SecretStr | None = None
    api_keys_file: Path | None = None
    admin_key: SecretStr | None = None
    admin_key_file: Path | None = None
    docs: bool = True
    metrics_port: TcpPort | None = None
    model_repository: Path = DEMO_REPOSITORY
    models: Annotated[tuple[str, ...], NoDecode] = ()
    repository: Repository = Repository()
    limits: Limits = Limits()
    engine: Engine = Engine()
    batch: Batch = Batch()
    admission: Admission = Admission()
    cache_folder: Path = Field(default_factory=find_cache_folder)
    drain_s: Annotated[float, Field(ge=0)] = 25.0
    log_format: LogFormat = "auto"

    @field_validator("models", mode="before")
    @classmethod
    def _split_names(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value


def list_variables() -> list[str]:
    """List every environment variable that the settings are read from."""
    return list(_list_variables(Settings, PREFIX))


def _list_variables(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        variable = prefix + name.upper()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _list_variables(kind, variable + DELIMITER)
        else:
            yield variable


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
