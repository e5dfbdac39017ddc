"""Answering `GET /v2/models/{name}/stats`."""

from __future__ import annotations

from typing import Any

from service.core.statistics import Duration, ModelStatistics


def describe_statistics(name: str, version: str, statistics: ModelStatistics) -> dict[str, Any]:
    """Give an element of `model_stats`.

    An execution is an image that the model was run for: windows of several images share calls, and
    those of one large image are spread over many.

    Args:
        name: of the model.
        version: of the model.
        statistics: of that version.
    """
    stages = statistics.stages
    return {
        "name": name,
        "version": version,
        "last_inference": round(statistics.last_s * 1000),
        "inference_count": statistics.images,
        "execution_count": statistics.executions,
        "inference_stats": {
            "success": _describe(statistics.success),
            "fail": _describe(statistics.fail),
            "queue": _describe(stages["queue"]),
            "compute_input": _describe(stages["decode"]),
            "compute_infer": _describe(stages["infer"]),
            "compute_output": _describe(stages["encode"]),
            "cache_hit": _describe(Duration()),
            "cache_miss": _describe(Duration()),
        },
        "batch_stats": [],
    }


def _describe(duration: Duration) -> dict[str, int]:
    return {"count": duration.count, "ns": round(duration.total_s * 1e9)}
