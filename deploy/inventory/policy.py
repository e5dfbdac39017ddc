"""Licences: those that metadata name, those that the table gives, and which of them are allowed."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

from license_expression import get_spdx_licensing

TABLE: dict[str, Any] = tomllib.loads(Path(__file__).with_name("licenses.toml").read_text())
"""Contents of licenses.toml."""

_LICENSING = get_spdx_licensing()


def normalize(name: str) -> str:
    """Return a distribution's name as PEP 503 normalizes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def find_license(distribution: Distribution) -> str:
    """Return the licence of a distribution as an SPDX expression.

    The first of: `License-Expression`, the table, and `License` if it is an SPDX identifier.

    Raises:
        ValueError: if there is none.
    """
    metadata = distribution.metadata.json
    name = normalize(distribution.metadata["Name"])
    stated = metadata.get("license_expression") or TABLE["distributions"].get(name)
    if stated is None and metadata.get("license") in _LICENSING.known_symbols:
        stated = metadata["license"]
    if not stated:
        raise ValueError(
            "a distribution must state its licence in SPDX, or stand in licenses.toml; "
            f"{name} states {metadata.get('license')!r}"
        )
    return str(stated)


def check_license(name: str, expression: str) -> None:
    """Check that a licence is allowed.

    Args:
        name: What has the licence.
        expression: SPDX expression.

    Raises:
        ValueError: if none of its alternatives is.
    """
    if not any(
        alternative <= set(TABLE["allowed"]) for alternative in _list_alternatives(expression)
    ):
        raise ValueError(
            f"licences must be among those that licenses.toml allows; {name} has {expression}"
        )


def _list_alternatives(expression: str) -> list[set[str]]:
    """List the sets of licences of which one set must be accepted."""
    parsed = _LICENSING.dnf(_LICENSING.parse(expression))
    alternatives = parsed.args if isinstance(parsed, _LICENSING.OR) else (parsed,)
    return [
        {str(part) for part in (each.args if isinstance(each, _LICENSING.AND) else (each,))}
        for each in alternatives
    ]
