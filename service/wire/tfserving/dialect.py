"""TensorFlow Serving's REST API as a dialect."""

from __future__ import annotations

from dataclasses import dataclass

from lacuna.raster.limits import ImageLimits
from service.wire.dialect import LIGHT_NUMBERS, Answer, Body, Reply, RequestHead
from service.wire.tfserving.answer import render_predict
from service.wire.tfserving.request import PredictRequest, parse_predict, parses_at_once

JSON = "application/json"


@dataclass(frozen=True)
class TfServingDialect:
    """Reads and answers `POST /v1/models/{name}:predict`.

    Attributes:
        limits: of the images in a request.
        name: of the protocol.
    """

    limits: ImageLimits
    name: str = "tfserving"

    def parses_at_once(self, _: RequestHead, body_bytes: int) -> bool:
        """Tell whether parsing takes less time than handing it to a thread and back."""
        return parses_at_once(body_bytes)

    def parse(self, _: RequestHead, body: Body) -> PredictRequest:
        """Read a request; see `parse_predict`."""
        return parse_predict(body, self.limits)

    def renders_at_once(self, _: PredictRequest, numbers: int) -> bool:
        """Tell whether rendering so many numbers takes less time than a thread costs."""
        return numbers <= LIGHT_NUMBERS

    def render(self, asked: PredictRequest, answer: Answer) -> Reply:
        """Write an answer; see `render_predict`."""
        return Reply({"Content-Type": JSON}, render_predict(asked, answer.segmentations))
