"""Statistics of the Open Inference Protocol."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from service.web.openapi.errors import describe_errors
from service.web.openapi.operations import (
    MODEL,
    Operation,
    describe_success,
)
from service.web.openapi.schemas import refer

_Count = Annotated[int, Field(ge=0)]


class Duration(TypedDict):
    """Count and total time of events.

    Attributes:
        count: Number of events.
        ns: Nanoseconds of all together.
    """

    count: _Count
    ns: _Count


class InferenceStatistics(TypedDict):
    """Statistics of requests.

    Attributes:
        success: Answered requests, from the body to the answer.
        fail: Requests that failed after their model was found.
        queue: Wait until the first window runs.
        compute_input: Parsing and decoding.
        compute_infer: From the start of the first window to the end of the last.
        compute_output: Encoding.
        cache_hit: None, because there is no cache.
        cache_miss: None, because there is no cache.
    """

    success: Duration
    fail: Duration
    queue: Duration
    compute_input: Duration
    compute_infer: Duration
    compute_output: Duration
    cache_hit: Duration
    cache_miss: Duration


class BatchStatistics(TypedDict):
    """Statistics of calls of the model with one number of windows.

    Attributes:
        batch_size: Number of windows.
        compute_input: Assembly of the batch.
        compute_infer: Call of the model.
        compute_output: Extraction of the results.
    """

    batch_size: _Count
    compute_input: Duration
    compute_infer: Duration
    compute_output: Duration


class ModelStatistics(TypedDict):
    """Statistics of a version of a model since the start of the server.

    Attributes:
        name: Name of the model.
        version: Version of the model.
        last_inference: Time of the last answer, in milliseconds since 1970; 0 for none.
        inference_count: Segmented images.
        execution_count: Completed calls of the model.
        inference_stats: Statistics of requests.
        batch_stats: Statistics of calls by their number of windows.
        response_stats: Empty.
        memory_usage: Empty.
    """

    name: str
    version: str
    last_inference: _Count
    inference_count: _Count
    execution_count: _Count
    inference_stats: InferenceStatistics
    batch_stats: list[BatchStatistics]
    response_stats: dict[str, Any]
    memory_usage: list[Any]


class Statistics(TypedDict):
    """Statistics of versions of models.

    Attributes:
        model_stats: Statistics of each version.
    """

    model_stats: list[ModelStatistics]


SCHEMAS = (Statistics,)

_DURATION = {"count": 3, "ns": 41000000}
_NEVER = {"count": 0, "ns": 0}
_STATISTICS = {
    "model_stats": [
        {
            "name": "groundcover",
            "version": "1",
            "last_inference": 1767225600000,
            "inference_count": 3,
            "execution_count": 3,
            "inference_stats": {
                "success": _DURATION,
                "fail": _NEVER,
                "queue": _DURATION,
                "compute_input": _DURATION,
                "compute_infer": _DURATION,
                "compute_output": _DURATION,
                "cache_hit": _NEVER,
                "cache_miss": _NEVER,
            },
            "batch_stats": [],
            "response_stats": {},
            "memory_usage": [],
        }
    ]
}

_ANSWER = describe_success("Statistics.", refer(Statistics), _STATISTICS)

GET_STATISTICS = Operation(
    "get_inference_statistics",
    "Return the statistics of all models",
    {
        **_ANSWER,
        **describe_errors(401, 500, 503),
    },
)

GET_MODEL_STATISTICS = Operation(
    "get_model_statistics",
    "Return the statistics of a model",
    {**_ANSWER, **describe_errors(401, 404, 500, 503)},
    parameters=[MODEL],
)
