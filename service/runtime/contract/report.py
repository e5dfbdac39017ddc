"""Report of the contract check."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from service.runtime.seams import Seams

BATCH_MATES = "batch-mates"
"""Name of the part that compares images with the same beside others."""


class Check(NamedTuple):
    """Result of one part of the contract check.

    Attributes:
        name: Name of the part.
        passed: True if the model passes it.
        detail: Measured values, for people.
    """

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class ContractReport:
    """Report of the contract check.

    Attributes:
        checks: Result of each part.
        seams: What seams change, if the model breaks the contract and large images may still be cut
            into overlapping tiles; None otherwise.
    """

    checks: tuple[Check, ...]
    seams: Seams | None = None

    @cached_property
    def holds(self) -> bool:
        """True if images may be padded, batched and tiled without changing an output."""
        return all(check.passed for check in self.checks)

    @cached_property
    def may_batch(self) -> bool:
        """True if images of one size may share a batch."""
        return BATCH_MATES not in self.failed

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the parts that failed."""
        return tuple(check.name for check in self.checks if not check.passed)
