"""Where channels, rows and columns are, by the shapes of input and output."""

import pytest

from model.adopt.layout import find_layout
from model.adopt.source import AdoptionError, Source, TensorFacts


def find(image, scores):
    facts = (TensorFacts("image", (None, *image), "float32"),)
    facts += (TensorFacts("scores", (None, *scores), "float32"),)
    return find_layout(Source("ONNX", *facts, lambda image: image, None))


@pytest.mark.parametrize(
    ("image", "scores", "firsts", "outputs"),
    [
        ((None, None, 3), (None, None, 2), (False, False), 2),
        ((3, None, None), (2, None, None), (True, True), 2),
        ((3, None, None), (None, None, 2), (True, False), 2),
        ((3, 64, 64), (64, 64, 2), (True, False), 2),
        ((3, 64, 48), (32, 24, 2), (True, False), 2),
        ((64, 48, 3), (2, 64, 48), (False, True), 2),
        ((64, 64, 3), (64, 64, 64), (False, False), 64),
        ((13, 8, 8), (2, 8, 8), (True, True), 2),
        ((8, 8, 13), (8, 8, 2), (False, False), 2),
        ((64, 64, 3), (None, None, 2), (False, False), 2),
    ],
)
def test_input_and_output_may_have_different_layouts(image, scores, firsts, outputs):
    found = find(image, scores)

    assert (found.image_first, found.scores_first) == firsts
    assert found.outputs == outputs
    assert found.channels in image


def test_a_side_that_no_manifest_may_state_is_refused():
    with pytest.raises(AdoptionError, match=r"must be 1 to 8192 pixels; the input is image float"):
        find((8193, 16, 3), (8193, 16, 2))
