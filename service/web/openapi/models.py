"""`GET /v1/models`."""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict

from service.engine.lifecycle.version_lifecycle import ModelState
from service.runtime.manifest import ClassSpec, ImageSpec
from service.web.openapi.errors import describe_problems
from service.web.openapi.operations import Operation, describe_success
from service.web.openapi.schemas import refer


class RequestLimits(TypedDict):
    """Limits of a request.

    Attributes:
        image_pixels: Most pixels of an image.
        body_bytes: Most bytes of a body, as sent and as decompressed.
    """

    image_pixels: int
    body_bytes: int


class ContractCheck(TypedDict):
    """Part of the contract check.

    Attributes:
        name: Name of the part.
        passed: Whether the model passes it.
        detail: Measured values, for people.
    """

    name: str
    passed: bool
    detail: str


class SeamDifferences(TypedDict):
    """Difference that seams of tiles make on random images.

    Attributes:
        overlap: Pixels that neighbouring tiles share.
        differing: Number of labels that differ.
        pixels: Number of labels that were compared.
        shift: Largest difference of a probability.
    """

    overlap: int
    differing: int
    pixels: int
    shift: float


class Contract(TypedDict):
    """Result of the contract check.

    Attributes:
        padding_invariant: Whether no answer depends on padding, batches and tiles.
        exact_windows: Whether windows give what the whole image gives.
        served: How the model is served, for people.
        seams: What seams change; null if there are none or they change nothing.
        checks: Parts of the check.
    """

    padding_invariant: bool
    exact_windows: bool
    served: str
    seams: SeamDifferences | None
    checks: list[ContractCheck]


class PrecisionAgreement(TypedDict):
    """Comparison of a model's outputs with those of float32.

    Attributes:
        images: `random` or `samples`: images that were compared.
        pixels: Number of valid pixels.
        differing: Number of pixels with another label.
        shift: Largest difference of a probability.
    """

    images: str
    pixels: int
    differing: int
    shift: float


class ModelPrecision(TypedDict):
    """Precision of a model's arithmetic.

    Attributes:
        used: `float32` or `bfloat16`.
        agreement: Comparisons with float32; empty for float32 itself.
    """

    used: str
    agreement: list[PrecisionAgreement]


class ModelDescription(TypedDict):
    """Version of a model. What follows `limits` is there once it is loaded.

    Attributes:
        name: Name of the model.
        version: Version of the model; empty if it has none.
        state: State of the version.
        reason: Why it failed, waits, or does not serve its current files; empty otherwise.
        default: Whether requests that name no model are for this one.
        labels: Labels of the version.
        limits: Limits of a request.
        description: Description for people.
        checksum: SHA-256 of all files of the model; empty without any.
        image: Images that the model takes.
        classes: Classes, class 0 first.
        total_stride: Side in pixels of a cell of the coarsest level. Windows begin on multiples.
        receptive_radius: Distance in pixels beyond which no pixel influences another.
        contract: Result of the contract check.
        precision: Precision of the arithmetic.
        training: Description of the training, free form.
        scores: Scores of the model, free form.
    """

    name: str
    version: str
    state: ModelState
    reason: str
    default: bool
    labels: list[str]
    limits: RequestLimits
    description: NotRequired[str]
    checksum: NotRequired[str]
    image: NotRequired[ImageSpec]
    classes: NotRequired[list[ClassSpec]]
    total_stride: NotRequired[int]
    receptive_radius: NotRequired[int]
    contract: NotRequired[Contract]
    precision: NotRequired[ModelPrecision]
    training: NotRequired[dict[str, Any]]
    scores: NotRequired[dict[str, Any]]


class ModelList(TypedDict):
    """All versions of all models.

    Attributes:
        models: The versions.
    """

    models: list[ModelDescription]


SCHEMAS = (ModelList,)

_EXAMPLE = {
    "models": [
        {
            "name": "groundcover",
            "version": "1",
            "state": "ready",
            "reason": "",
            "default": True,
            "labels": ["latest", "stable"],
            "limits": {"image_pixels": 16777216, "body_bytes": 234881024},
            "description": "Grass, gravel and brick.",
            "checksum": "",
            "image": {"channels": 3, "dtype": "uint8"},
            "classes": [{"id": 0, "name": "grass", "color": "#66a61e"}],
            "total_stride": 8,
            "receptive_radius": 44,
            "contract": {
                "padding_invariant": False,
                "exact_windows": False,
                "served": "Served in batches of one size, unpadded.",
                "seams": {"overlap": 96, "differing": 2, "pixels": 36864, "shift": 0.004},
                "checks": [
                    {"name": "canvas", "passed": False, "detail": "83 of 30414 pixels differ"}
                ],
            },
            "precision": {"used": "float32", "agreement": []},
            "training": {},
            "scores": {},
        }
    ]
}

LIST_MODELS = Operation(
    "list_models",
    "List the models and versions, with their classes, contracts and limits",
    {
        **describe_success("All versions.", refer(ModelList), _EXAMPLE),
        **describe_problems(401, 500, 503),
    },
)
