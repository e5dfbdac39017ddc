"""Record of one request, for the log, the client, the metrics and the traces."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from lacuna.appearance.comparison import AnswerWarning, write_warnings
from service.core.statistics import PixelCounts
from service.engine.progress import Progress

WARNINGS_HEADER = "X-Lacuna-Warnings"
"""Header of an answer that may be wrong: a JSON array of objects with `code` and `message`."""


class RequestRecord:
    """Record of a request, filled in while it is handled. It measures the duration of its context.

    Args:
        protocol: `native`, `oip`, `tfserving` or `preview`.
        count: Callback at the end, with the record, its seconds and the exception that ended it.

    Attributes:
        protocol: Protocol of the request.
        model: Name of the model; empty while unknown.
        version: Version of the model; empty while unknown.
        images: Number of images; None while unknown.
        size: Height and width in pixels, if there is only one image.
        pixels: Numbers of pixels of all images; None until they are segmented.
        warnings: Warnings about the answer.
        progress: Progress that its client can watch; None if it cannot.
        stages_s: Seconds spent in each stage.
        starts_s: Start time of each stage, by `time.perf_counter`.
        began_s: Arrival time of the request, by the same clock.
    """

    __slots__ = (
        "_count",
        "began_s",
        "images",
        "model",
        "pixels",
        "progress",
        "protocol",
        "size",
        "stages_s",
        "starts_s",
        "version",
        "warnings",
    )

    def __init__(
        self, protocol: str, count: Callable[[RequestRecord, float, BaseException | None], None]
    ) -> None:
        self.protocol = protocol
        self.model = self.version = ""
        self.images: int | None = None
        self.size: tuple[int, int] | None = None
        self.pixels: PixelCounts | None = None
        self.warnings: tuple[AnswerWarning, ...] = ()
        self.progress: Progress | None = None
        self.stages_s: dict[str, float] = {}
        self.starts_s: dict[str, float] = {}
        self.began_s = 0.0
        self._count = count

    def __enter__(self) -> Self:
        self.began_s = time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._count(self, time.perf_counter() - self.began_s, error)

    def begin_stage(self, name: str) -> None:
        """Record that a stage begins now.

        Args:
            name: One of `STAGES`.
        """
        self.starts_s[name] = time.perf_counter()

    def end_stage(self, name: str) -> None:
        """Record that a stage ends now."""
        self.stages_s[name] = time.perf_counter() - self.starts_s[name]

    def add_stages(self, after: str, stages_s: Mapping[str, float]) -> None:
        """Record stages that followed one another.

        Args:
            after: Stage before them.
            stages_s: Seconds spent in each.
        """
        start_s = self.starts_s[after] + self.stages_s[after]
        for name, seconds in stages_s.items():
            self.starts_s[name], self.stages_s[name] = start_s, seconds
            start_s += seconds

    def describe_for_log(self) -> dict[str, str | int | float]:
        """Return the fields of the request's log line."""
        facts: dict[str, str | int | float] = {"model": self.model, "version": self.version}
        if self.size is not None:
            facts["height"], facts["width"] = self.size
        elif self.images is not None:
            facts["images"] = self.images
        if self.pixels is not None:
            facts["valid_pixels"] = self.pixels.valid
            facts["computed_pixels"] = self.pixels.computed
        if self.warnings:
            facts["warnings"] = self._list_warnings()
        for stage, seconds in self.stages_s.items():
            facts[f"{stage}_ms"] = round(seconds * 1000, 2)
        return facts

    def describe_for_client(self) -> dict[str, str]:
        """Return headers of the response: timings, computed pixels and warnings."""
        headers = {
            "Server-Timing": ", ".join(
                [f"{stage};dur={seconds * 1000:.3f}" for stage, seconds in self.stages_s.items()]
            )
        }
        if self.pixels is not None:
            headers["Lacuna-Computed-Pixels"] = str(self.pixels.computed)
        if self.warnings:
            headers[WARNINGS_HEADER] = write_warnings(self.warnings)
        return headers

    def describe_for_trace(self) -> dict[str, str | int]:
        """Return attributes of the request's span."""
        facts: dict[str, str | int] = {"protocol": self.protocol}
        if self.model:
            facts |= {"model.name": self.model, "model.version": self.version}
        if self.size is not None:
            facts["image.height"], facts["image.width"] = self.size
        elif self.images is not None:
            facts["images"] = self.images
        if self.warnings:
            facts["warnings"] = self._list_warnings()
        if self.pixels is not None:
            facts |= {f"pixels.{kind}": n for kind, n in self.pixels._asdict().items()}
        return facts

    def _list_warnings(self) -> str:
        return ",".join(warning.code for warning in self.warnings)
