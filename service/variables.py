"""Environment variables: injected ones, misspelt ones, the first that is set, and the cache's."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from pathlib import Path

# Kubernetes describes each service of the namespace in variables that begin with the service's
# name, and Docker each linked container. A service called `lacuna` has the prefix of our settings:
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_INJECTED_NAME = re.compile(
    r"\w+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_[A-Z]+(_\w+)?|ENV_\w+)"
)
_INJECTED_VALUES = {"_PORT": re.compile(r"[a-z]+://.*"), "_NAME": re.compile(r"/[^/]+/[^/]+")}

_MOST_SUGGESTIONS = 2


def is_injected(name: str, value: str) -> bool:
    """Return True if Kubernetes or Docker injects such a variable for a service or a container.

    Args:
        name: Name of the variable, in any case.
        value: Its value, which tells the address of a service from a port.
    """
    if _INJECTED_NAME.fullmatch(name.upper()):
        return True
    shape = _INJECTED_VALUES.get(name[-5:].upper())
    return shape is not None and shape.fullmatch(value) is not None


def suggest_names(name: str, known: Iterable[str], prefix: str) -> list[str]:
    """Return the known names that a misspelt one resembles most, the nearest first.

    Args:
        name: Misspelt name.
        known: Names to choose from.
        prefix: Prefix of all names, which says nothing about their resemblance.
    """
    bare = [candidate.removeprefix(prefix) for candidate in known]
    found = difflib.get_close_matches(name.upper().removeprefix(prefix), bare, _MOST_SUGGESTIONS)
    return [prefix + candidate for candidate in found]


def read_first(*names: str) -> tuple[str, str]:
    """Return the name and the value of the first variable that is set and not empty."""
    for name in names:
        value = os.environ.get(name, "").strip()
        if value:
            return name, value
    return names[-1], ""


def find_cache_folder() -> Path:
    """Return the folder that `LACUNA_CACHE_FOLDER` names, or else the user's.

    The user's folder is that of the XDG Base Directory Specification.

    Raises:
        RuntimeError: if no variable names a folder, and the user has no home.
    """
    _, folder = read_first("LACUNA_CACHE_FOLDER")
    if folder:
        return Path(folder)
    _, base = read_first("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "lacuna"
