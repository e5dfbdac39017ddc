"""Statistics of models, for `GET /v2/models/{name}/stats`."""

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
    """Return an element of `model_stats`.

    An execution is a call of the model. Windows of several images share a call, and the windows of
    one large image take several calls.

    Args:
        name: name of the model.
        version: version of the model.
        requests: statistics of the requests for that version.
        work: statistics of the engine's calls of that version.
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
        # Triton fills these for models with several responses per request, and for memory use.
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
