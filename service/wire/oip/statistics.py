"""Answering `GET /v2/models/{name}/stats`."""

from __future__ import annotations

from typing import Any

from service.core.statistics import (
    BatchStatistics,
    Duration,
    EngineStatistics,
    ModelStatistics,
)


def describe_statistics(
    name: str, version: str, requests: ModelStatistics, work: EngineStatistics
) -> dict[str, Any]:
    """Give an element of `model_stats`.

    An execution is a call of the model: windows of several images share calls, and those of one
    large image are spread over many.

    Args:
        name: of the model.
        version: of the model.
        requests: what became of those for that version.
        work: that was done with it.
    """
    stages = requests.stages
    return {
        "name": name,
        "version": version,
        "last_inference": round(requests.last_s * 1000),
        "inference_count": work.images,
        "execution_count": work.calls,
        "inference_stats": {
            "success": _describe(requests.success),
            "fail": _describe(requests.fail),
            "queue": _describe(stages["queue"]),
            "compute_input": _describe(stages["decode"]),
            "compute_infer": _describe(stages["infer"]),
            "compute_output": _describe(stages["encode"]),
            "cache_hit": _describe(Duration()),
            "cache_miss": _describe(Duration()),
        },
        "batch_stats": [
            _describe_batch(windows, batch) for windows, batch in sorted(work.batches.items())
        ],
        # Of models that give several responses to a request, and of memory that is attributed.
        "response_stats": {},
        "memory_usage": [],
    }


def _describe_batch(windows: int, batch: BatchStatistics) -> dict[str, Any]:
    return {
        "batch_size": windows,
        "compute_input": _describe(batch.input),
        "compute_infer": _describe(batch.infer),
        "compute_output": _describe(batch.output),
    }


def _describe(duration: Duration) -> dict[str, int]:
    return {"count": duration.count, "ns": round(duration.total_s * 1e9)}
