"""Scores of networks to compare, over the seeds of their trainings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.comparison.curves import FRACTIONS, Curves
from model.data.nodata import PATTERNS_TO_COMPARE
from model.network import NetworkConfig
from model.scoring.flips import Flips

ALL_PATTERNS = "all"
"""Name of the mean over the patterns."""


@dataclass(frozen=True)
class ScoredRun:
    """Scores of one training.

    Attributes:
        config: of the training, from its record.
        curves: mean IoU by pattern and fraction.
        flips: labels that change with the canvas.
    """

    config: Mapping[str, Any]
    curves: Curves
    flips: Flips


@dataclass(frozen=True)
class RunGroup:
    """Trainings that differ only in their seed.

    Attributes:
        name: distinguishes it from the other groups.
        runs: in the order of their seeds.
    """

    name: str
    runs: Sequence[ScoredRun]

    def mean(self, pattern: str) -> NDArray[np.float64]:
        """Return the mean over the seeds of the mean IoU, float64, for each fraction."""
        return self._gather(pattern).mean(axis=0)

    def spread(self, pattern: str) -> NDArray[np.float64]:
        """Return half the distance from the worst seed to the best, for each fraction."""
        return np.ptp(self._gather(pattern), axis=0) / 2

    def _gather(self, pattern: str) -> NDArray[np.float64]:
        names = list(PATTERNS_TO_COMPARE) if pattern == ALL_PATTERNS else [pattern]
        curves = [[run.curves[name] for name in names] for run in self.runs]
        return np.asarray(curves, np.float64).mean(axis=1)


def check_comparable(records: Sequence[Mapping[str, Any]]) -> None:
    """Check that runs can be compared.

    Args:
        records: of the runs, from `load_run`.

    Raises:
        ValueError: if one was trained on a folder of images, or two have the same configuration
            and seed.
    """
    known = set()
    for record in records:
        config = record["config"]
        if "dataset" in record:
            raise ValueError(
                "only trainings of a preset can be compared, on textures that none of them used. "
                f"Received: {config['name']}, trained on {record['dataset']['folder']}"
            )
        kind = _identify(config), config["seed"]
        if kind in known:
            raise ValueError(
                "runs to compare must differ in more than their folder. Received: two of seed "
                f"{config['seed']} and of the same configuration"
            )
        known.add(kind)


def group_runs(runs: Sequence[ScoredRun]) -> list[RunGroup]:
    """Group runs that differ only in their seed, in their order but masked networks first."""
    groups: dict[str, list[ScoredRun]] = {}
    for run in sorted(runs, key=lambda run: run.config.get("twin") is not None):
        groups.setdefault(_identify(run.config), []).append(run)
    facts = [dict(_flatten(_strip(group[0].config))) for group in groups.values()]
    names = {name for fact in facts for name in fact}
    differing = {name for name in names if len({fact.get(name) for fact in facts}) > 1}
    return [
        RunGroup(_name(fact, differing), sorted(group, key=lambda run: run.config["seed"]))
        for fact, group in zip(facts, groups.values(), strict=True)
    ]


def _strip(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what defines a group. Settings that an old record lacks have their defaults."""
    kept = {name: value for name, value in config.items() if name not in ("seed", "description")}
    return {"twin": None, **kept, "network": NetworkConfig(**config["network"]).to_json()}


def _identify(config: Mapping[str, Any]) -> str:
    return json.dumps(_strip(config), sort_keys=True)


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", json.dumps(value)


def _name(facts: Mapping[str, str], differing: set[str]) -> str:
    twin, normalization = (json.loads(facts[name]) for name in ("twin", "network.normalization"))
    parts = [f"plain, {twin}" if twin else "masked"]
    if not twin and normalization != "area":
        parts.append(normalization)
    further = sorted(differing - {"twin", "network.normalization"})
    parts += [f"{name.rpartition('.')[2]} {facts.get(name, 'null')}" for name in further]
    return ", ".join(parts)


def describe_comparison(groups: Sequence[RunGroup]) -> dict[str, Any]:
    """Return a comparison as JSON values, rounded to four digits.

    Args:
        groups: from `group_runs`.
    """
    return {
        "data": "mosaics of textures held out from training",
        "missing": list(FRACTIONS),
        "spread": "half the distance from the worst seed to the best",
        "contestants": [_describe(group) for group in groups],
    }


def _describe(group: RunGroup) -> dict[str, Any]:
    return {
        "name": group.name,
        "config": _strip(group.runs[0].config),
        "seeds": [run.config["seed"] for run in group.runs],
        "mean_iou": {
            pattern: {
                "mean": group.mean(pattern).round(4).tolist(),
                "spread": group.spread(pattern).round(4).tolist(),
            }
            for pattern in (ALL_PATTERNS, *PATTERNS_TO_COMPARE)
        },
        "flips": [run.flips._asdict() for run in group.runs],
    }
