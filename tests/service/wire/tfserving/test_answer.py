"""What is sent, byte for byte."""

import numpy as np
import pytest

from lacuna.sample import Segmentation
from service.wire.tfserving.answer import render_predict
from service.wire.tfserving.request import SIGNATURES, PredictRequest

LABELS = np.array([[0, 1], [255, 0]], np.uint8)
PROBABILITIES = np.where(LABELS[..., None] == range(2), np.float32(0.75), np.float32(0.25))
FIRST = Segmentation(LABELS, PROBABILITIES)
SECOND = Segmentation(LABELS[:1, :1], PROBABILITIES[:1, :1])

LABELS_TEXT = b"[[0,1],[255,0]]"
PROBABILITIES_TEXT = (
    b"[[[0.75000000,0.25000000],[0.25000000,0.75000000]],"
    b"[[0.25000000,0.25000000],[0.75000000,0.25000000]]]"
)


def render(signature, *, by_rows, segmentations=(FIRST, SECOND)):
    return render_predict(PredictRequest([], SIGNATURES[signature], by_rows), segmentations)


def test_rows_of_several_outputs_are_objects():
    assert render("serving_default", by_rows=True) == (
        b'{"predictions":[{"labels":'
        + LABELS_TEXT
        + b',"probabilities":'
        + PROBABILITIES_TEXT
        + b'},{"labels":[[0]],"probabilities":[[[0.75000000,0.25000000]]]}]}'
    )


def test_rows_of_one_output_are_bare():
    assert render("labels", by_rows=True) == b'{"predictions":[' + LABELS_TEXT + b",[[0]]]}"


def test_columns_of_several_outputs_have_names():
    assert render("serving_default", by_rows=False) == (
        b'{"outputs":{"labels":['
        + LABELS_TEXT
        + b',[[0]]],"probabilities":['
        + PROBABILITIES_TEXT
        + b",[[[0.75000000,0.25000000]]]]}}"
    )


def test_the_column_of_one_output_is_bare():
    assert render("labels", by_rows=False) == b'{"outputs":[' + LABELS_TEXT + b",[[0]]]}"


def test_probabilities_that_were_not_computed_are_a_fault_of_ours():
    with pytest.raises(ValueError, match="segmentation must have probabilities"):
        render("serving_default", by_rows=True, segmentations=[Segmentation(LABELS)])
