"""What the service exports, and what a query asks for."""

from __future__ import annotations

import re
from pathlib import Path

from service.engine.lifecycle.repository import ModelState
from service.engine.served import PREPARATION
from service.snapshot import WORKER_STATES
from service.telemetry import KINDS, OUTCOMES, STAGES
from tests.support.apps import load_repository, make_repository_folder, make_services

SUFFIXES = {
    "counter": ("",),  # its family is announced with `_total`
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
}

OF_PROMETHEUS = {"up"}

LABELS = {
    "model": None,
    "protocol": {"native", "oip", "tfserving"},
    "outcome": set(OUTCOMES),
    "stage": set(STAGES),
    "kind": set(KINDS),
    "reason": None,
    "version": None,
    "code": None,
    "state": {state.value for state in ModelState} | set(WORKER_STATES),
    "step": set(PREPARATION),
    "le": None,
    "job": {"lacuna"},
    "instance": None,
    "slo": {"errors", "latency", "refusals"},
}
"""Labels that a query may name, with their values where they are few."""


def list_families(folder: Path) -> dict[str, str]:
    """List the families of metrics that a server exports, with their types.

    When a series was begun is exported too, as `…_created`, and does not count here.

    Args:
        folder: empty; for a repository.
    """
    text = (
        make_services(load_repository(make_repository_folder(folder))).telemetry.render().decode()
    )
    families = re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE)
    return {name: kind for name, kind in families if not name.endswith("_created")}


def list_series(families: dict[str, str]) -> set[str]:
    """List the names that a query may ask for."""
    return OF_PROMETHEUS | {
        name + suffix for name, kind in families.items() for suffix in SUFFIXES[kind]
    }


_MATCHERS = re.compile(r"\{([^}]*)\}")
_MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_OPERATORS = {"and", "or", "unless", "bool", "offset"}


def find_series(query: str) -> set[str]:
    """Find the names of all series that a query asks for."""
    bare = _GROUPING.sub(" ", _MATCHERS.sub(" ", re.sub(r"\[[^\]]*\]", " ", query)))
    names = re.findall(r"(?<![\w.])([a-zA-Z_:][\w:]*)(?!\w)(?!\s*\()", bare)
    return set(names) - _OPERATORS


def find_labels(query: str) -> set[tuple[str, str]]:
    """Find the labels that a query names, each with every value it asks for, or with none."""
    matched = {
        (label, value)
        for matchers in _MATCHERS.findall(query)
        for label, values in _MATCHER.findall(matchers)
        for value in values.split("|")
    }
    grouped = {
        (label.strip(), "")
        for labels in _GROUPING.findall(query)
        for label in labels.split(",")
        if label.strip()
    }
    return matched | grouped
