"""Number of replicas that the queue asks for."""

from types import SimpleNamespace

import pytest

from service.cluster.autoscaling import BUSY, WAITING, QueuePolicy


def ask(waiting_s, busy, policy=None):
    metrics = {
        WAITING: dict(enumerate(waiting_s)),
        BUSY: dict(enumerate(busy)),
    }
    context = SimpleNamespace(aggregated_metrics=metrics, target_num_replicas=3)
    wanted, state = (policy or QueuePolicy())(context)
    assert state == {}
    return wanted


def test_waiting_work_is_shared_out_by_what_each_replica_may_have():
    policy = QueuePolicy(target_waiting_s=0.5, target_busy=0.5)

    assert ask([2.0, 1.0], [0.0, 0.0], policy) == 6


def test_replicas_that_are_busy_stay_though_nothing_waits():
    policy = QueuePolicy(target_waiting_s=0.5, target_busy=0.5)

    assert ask([0, 0, 0, 0], [1, 1, 0.5, 0.5], policy) == 6


def test_idle_replicas_are_not_wanted():
    assert ask([0, 0], [0, 0]) == 0


@pytest.mark.parametrize("metrics", [None, {}, {WAITING: {}}, {BUSY: {}}])
def test_without_statistics_nothing_changes(metrics):
    context = SimpleNamespace(aggregated_metrics=metrics, target_num_replicas=3)

    assert QueuePolicy()(context) == (3, {})


@pytest.mark.parametrize("targets", [(0, 0.7), (0.5, -1)])
def test_targets_must_be_positive(targets):
    with pytest.raises(ValueError, match="must be more than 0"):
        QueuePolicy(*targets)
