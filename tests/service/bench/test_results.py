import numpy as np
import pytest

from lacuna.raster.npy import write_npy
from service.bench.results import count_differing_labels

LABELS = np.random.default_rng(0).integers(0, 3, (20, 30), np.uint8)


def test_the_same_bytes_differ_in_nothing():
    assert count_differing_labels(write_npy(LABELS), write_npy(LABELS)) == 0


def test_the_same_labels_in_another_order_differ_in_nothing():
    assert count_differing_labels(write_npy(LABELS), write_npy(np.asfortranarray(LABELS))) == 0


def test_each_label_that_differs_counts():
    other = LABELS.copy()
    other[3, 4:9] += 1

    assert count_differing_labels(write_npy(LABELS), write_npy(other)) == 5


@pytest.mark.parametrize("answer", [b"", b"{}", write_npy(LABELS)[:-1], write_npy(LABELS.T)])
def test_what_is_no_answer_to_the_request_differs_everywhere(answer):
    assert count_differing_labels(write_npy(LABELS), answer) == LABELS.size
