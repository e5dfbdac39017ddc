"""Catalogue of the models on a server, and of their classes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.client.calls import HttpCall, Steps
from lacuna.client.result import ClassInfo
from lacuna.errors import UnknownModelError
from lacuna.sample import INVALID_LABEL

MODELS = HttpCall("GET", "/v1/models", may_lack=True)

# Paul Tol's bright scheme, whose colours are distinct with any colour vision.
_COLORS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb")


class Catalog:
    """Cache of the server's descriptions of its models."""

    def __init__(self) -> None:
        self._models: list[dict[str, Any]] = []

    def list_models(self) -> Steps[list[dict[str, Any]]]:
        """Request the models as `GET /v1/models` describes them; none if there is no such route."""
        reply = yield MODELS
        if reply.status == 200:
            self._models = list(json.loads(reply.content)["models"])
        return self._models

    def find_model(self, name: str | None, version: str | None = None) -> Steps[Mapping[str, Any]]:
        """Find the description of a model that is served.

        Args:
            name: of the model; None for the default one, or the only one.
            version: of the model; None for the highest that is served.

        Returns:
            The description; empty if there is none.
        """
        found = choose_model(self._models, name, version)
        if not found:
            yield from self.list_models()
            found = choose_model(self._models, name, version)
        return found

    def find_name(self, name: str | None, version: str | None = None) -> Steps[str]:
        """Return the name, or that of the default or only model if no name is given.

        Raises:
            UnknownModelError: if there are several models and no default, or the server does not
                list them.
        """
        if name is not None:
            return name
        model = yield from self.find_model(None, version)
        if not model:
            raise UnknownModelError(
                "model must be named, unless the server serves just one or has a default"
            )
        return str(model["name"])


def choose_model(
    models: Sequence[Mapping[str, Any]], name: str | None, version: str | None
) -> Mapping[str, Any]:
    """Choose the description of a model that is served.

    Args:
        models: descriptions, as `GET /v1/models` gives them.
        name: of the model; None for the default one, or the only one.
        version: of the model, or its label; None for the highest that is served.

    Returns:
        The description; empty if there is none, or several models and no default.
    """
    if name is None:
        name = find_default(models)
    ready = [
        model
        for model in models
        if "classes" in model
        and name in (None, model["name"])
        and version in (None, model["version"], *model.get("labels", ()))
    ]
    if len({model["name"] for model in ready}) != 1:
        return {}
    return max(ready, key=lambda model: int(model["version"]))


def find_default(models: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the name of the model that answers requests that name none; None if none is marked.

    Args:
        models: descriptions, as `GET /v1/models` gives them.
    """
    return next((model["name"] for model in models if model.get("default")), None)


def read_classes(described: Sequence[Mapping[str, Any]]) -> tuple[ClassInfo, ...]:
    """Read the classes as the server describes them."""
    return tuple(
        ClassInfo(int(entry["id"]), str(entry["name"]), str(entry["color"])) for entry in described
    )


def name_classes(model: Mapping[str, Any], labels: NDArray[np.uint8]) -> tuple[ClassInfo, ...]:
    """Return the classes of a model, or made-up names of the labels if they are not described.

    Args:
        model: its description; may be empty.
        labels: of an answer.
    """
    if "classes" in model:
        return read_classes(model["classes"])
    found = (int(label) for label in np.unique(labels) if label != INVALID_LABEL)
    return tuple(ClassInfo(n, f"class {n}", _COLORS[n % len(_COLORS)]) for n in found)
