import pytest

from service.core.makespan import predict_makespan


@pytest.mark.parametrize(
    ("costs", "workers", "seconds"),
    [
        ([], 2, 0),
        ([3], 2, 3),
        ([3, 1, 2], 1, 6),
        ([1, 1, 2], 2, 2),  # the longest first, whatever the order
        ([1, 1, 2, 4], 2, 4),
        ([5, 4, 3, 3, 3], 2, 10),  # the best would be 9
        ([1, 2, 3], 5, 3),
    ],
)
def test_workers_share_calls(costs, workers, seconds):
    assert predict_makespan(costs, workers) == seconds
