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

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.errors import ConfigurationError
from service.formats.limits import ImageLimits
from service.web.body import BodyLimits

PREFIX = "LACUNA_"
DELIMITER = "__"
DEMO_REPOSITORY = Path(__file__).parent / "demo" / "models"

LogFormat = Literal["auto", "json", "text"]


class Limits(BaseModel):
    """How large a request may be.

    Attributes:
        body_bytes: bytes of a request's body.
        image_pixels: height × width of an image.
        image_channels: samples per pixel, alpha included.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    body_bytes: PositiveInt = BodyLimits.body_bytes
    image_pixels: PositiveInt = ImageLimits.image_pixels
    image_channels: PositiveInt = ImageLimits.image_channels


class Settings(BaseSettings):
    """Everything that can be set.

    Attributes:
        host: address to listen on.
        port: TCP port to listen on; 0 for any free one.
        model_repository: folder of `<model>/<version>/saved_model.pb`; the demo's by default.
        models: names of the models to serve, with commas between; all that are there by default.
        limits: how large a request may be.
        drain_s: seconds that running requests are given to finish after SIGTERM.
        log_format: `json`, a line an event; `text`, for people; `auto`, text on a terminal.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter=DELIMITER, frozen=True, extra="forbid"
    )

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    model_repository: Path = DEMO_REPOSITORY
    models: Annotated[tuple[str, ...], NoDecode] = ()
    limits: Limits = Limits()
    drain_s: Annotated[float, Field(ge=0)] = 30.0
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
        return Settings(**given)
    except ValidationError as error:
        faults = "; ".join(
            f"{PREFIX}{DELIMITER.join(str(part) for part in fault['loc']).upper()}: "
            f"{fault['msg']}; it is {fault['input']!r}"
            for fault in error.errors(include_url=False)
        )
        raise ConfigurationError(f"settings must be in range: {faults}") from error
