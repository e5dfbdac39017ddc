"""Simulated clusters, in cases whose answers are known without a simulation."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from benchmarks.cluster import draw_table, main, make_scenario, parse
from benchmarks.simulation.autoscaler import (
    Autoscaler,
    Behavior,
    Policy,
    propose_by_mean,
    propose_by_total,
)
from benchmarks.simulation.balancing import BALANCERS
from benchmarks.simulation.deployment import Deployment
from benchmarks.simulation.events import Events
from benchmarks.simulation.pods import Pod
from benchmarks.simulation.rules import RULES
from benchmarks.simulation.scenario import Scenario
from benchmarks.simulation.traffic import BURST_FACTOR, MIXES, Request, Shape, Traffic
from benchmarks.simulation.work import COST, PodPolicy, measure_work, plan
from service.core.admission import AdmissionPolicy
from service.core.placement import Canvas

OPEN = AdmissionPolicy(max_wait_s=1e6, max_pending=10**6, max_pending_bytes=10**12, max_share=1)
OVERLOAD = Traffic(rate=60.0, seconds=60.0)


def run(scenario):
    return Deployment(scenario).run()


# Requests


def test_events_happen_in_the_order_of_their_times_and_then_of_their_addition():
    events, seen = Events(), []
    for time_s, name in ((2.0, "c"), (1.0, "a"), (1.0, "b"), (3.0, "late")):
        events.add(time_s, lambda name=name: seen.append((events.now_s, name)))

    events.run_until(2.5)

    assert seen == [(1.0, "a"), (1.0, "b"), (2.0, "c")]
    assert events.now_s == 2.5


@pytest.mark.parametrize("mix", MIXES)
def test_requests_arrive_in_order_and_at_the_rate(mix):
    requests = Traffic(rate=50.0, seconds=200.0, mix=mix).draw(np.random.default_rng(0))

    assert all(first.arrived_s <= second.arrived_s for first, second in pairwise(requests))
    # Four standard deviations of a Poisson distribution.
    assert len(requests) == pytest.approx(10_000, abs=400)


def test_bursts_are_five_times_the_rate():
    requests = Traffic(rate=20.0, seconds=900.0, load="bursts").draw(np.random.default_rng(0))
    times = np.array([request.arrived_s for request in requests])

    inside = ((times >= 400) & (times < 580)).sum() / 180
    outside = (times < 400).sum() / 400
    assert inside / outside == pytest.approx(BURST_FACTOR, rel=0.05)


def test_a_wave_brings_the_mean_rate():
    requests = Traffic(rate=20.0, seconds=600.0, load="wave").draw(np.random.default_rng(0))

    assert len(requests) == pytest.approx(12_000, abs=440)


# Pods


def test_the_mean_wait_of_one_worker_is_that_of_an_m_d_1_queue():
    policy = PodPolicy(workers=1, admission=OPEN)
    service_s = measure_work(policy, Shape(512, 512))
    use = 0.6
    traffic = Traffic(rate=use / service_s, seconds=6000.0, mix="512")

    outcome = run(Scenario(traffic, pods=1, rule="fixed", pod=policy))

    waits_s = [answer.wait_s for answer in outcome.answers]
    # Pollaczek and Khinchine, for equal service times.
    assert np.mean(waits_s) == pytest.approx(use * service_s / (2 * (1 - use)), rel=0.1)
    assert {round(answer.latency_s - answer.wait_s, 9) for answer in outcome.answers} == {
        round(service_s, 9)
    }


def test_an_image_alone_takes_what_its_cost_predicts():
    pod = Pod(PodPolicy(), 0.0, 0.0, 0.0)
    pod.offer(Request(5.0, Shape(256, 256), "a"))

    (call,) = pod.begin_calls(5.0)

    assert call.ends_s - 5.0 == pytest.approx(COST.predict(256 * 256) + PodPolicy().request_s)
    (answer,) = pod.end_call(call)
    assert answer == (0.0, pytest.approx(call.ends_s - 5.0))
    assert pod.pending == 0


def test_small_images_share_a_call():
    pod = Pod(PodPolicy(workers=1), 0.0, 0.0, 0.0)
    for number in range(17):
        pod.offer(Request(0.0, Shape(64, 64), f"client-{number}"))

    (call,) = pod.begin_calls(0.0)

    assert len(call.windows) == 16
    assert call.ends_s == pytest.approx(COST.predict(16 * 64 * 64) + 16 * PodPolicy().request_s)


def test_a_large_image_is_shared_by_idle_workers_alone():
    assert len(plan(COST, Shape(1024, 1024), 2)) == 2
    assert plan(COST, Shape(1024, 1024), 0) == [Canvas((1024, 1024))]


def test_a_pod_refuses_what_its_admission_refuses():
    pod = Pod(PodPolicy(admission=AdmissionPolicy(max_pending=2, max_share=1)), 0.0, 0.0, 0.0)
    refusals = [pod.offer(Request(0.0, Shape(64, 64), "a")) for _ in range(3)]

    assert refusals[:2] == [None, None]
    assert refusals[2].reason == "pending"


# Clusters


@pytest.mark.parametrize(
    ("rule", "balance"),
    [*((rule, "two") for rule in RULES), *(("both", balance) for balance in BALANCERS)],
)
def test_no_request_is_lost(rule, balance):
    outcome = run(Scenario(OVERLOAD, pods=2, rule=rule, balance=balance))

    assert outcome.arrived == len(outcome.answers) + outcome.refused.total() + outcome.pending
    assert outcome.refused.total() > 0


def test_a_run_depends_on_its_seed_alone():
    scenario = Scenario(replace(OVERLOAD, seconds=20.0), pods=2)
    outcome = run(scenario)

    assert run(scenario) == outcome
    assert run(replace(scenario, seed=1)) != outcome


def test_a_fixed_number_of_pods_costs_its_time():
    outcome = run(Scenario(OVERLOAD, pods=3, rule="fixed"))

    assert outcome.pod_s == pytest.approx(180.0)
    assert {sample.pods for sample in outcome.samples} == {3}


def test_new_pods_get_requests_when_they_have_started():
    traffic = replace(OVERLOAD, seconds=120.0, rate=40.0)
    outcome = run(Scenario(traffic, pods=2, pull_s=20.0, load_s=30.0))
    asked_s = next(sample.time_s for sample in outcome.samples if sample.pods > 2)
    ready_s = next(sample.time_s for sample in outcome.samples if sample.ready > 2)

    # The next decision before the change, and the one after the pods are ready.
    assert 30 <= ready_s - asked_s <= 60


def test_pods_that_are_not_needed_end_after_their_last_answer():
    traffic = Traffic(rate=0.5, seconds=400.0, mix="C")
    outcome = run(Scenario(traffic, pods=8))

    assert outcome.samples[-1].pods == 2
    assert outcome.arrived == len(outcome.answers) + outcome.pending
    assert 2 * 400 < outcome.pod_s < 8 * 400


def test_requests_in_turn_are_spread_evenly():
    choose = BALANCERS["turn"](np.random.default_rng(0))
    pods = [Pod(PodPolicy(), 0.0, 0.0, 0.0) for _ in range(3)]

    assert [choose(pods, "a") for _ in range(4)] == [*pods, pods[0]]


def test_the_pod_with_the_fewest_pending_requests_is_chosen():
    pods = [Pod(PodPolicy(), 0.0, 0.0, 0.0) for _ in range(3)]
    for pod in (pods[0], pods[2]):
        pod.offer(Request(0.0, Shape(64, 64), "a"))

    assert BALANCERS["least"](np.random.default_rng(0))(pods, "a") is pods[1]


def test_a_kept_connection_moves_only_when_its_pod_ends():
    choose = BALANCERS["connection"](np.random.default_rng(0))
    pods = [Pod(PodPolicy(), 0.0, 0.0, 0.0) for _ in range(8)]
    first = choose(pods, "a")

    assert all(choose(pods, "a") is first for _ in range(20))
    first.is_closing = True
    pods.remove(first)
    assert choose(pods, "a") in pods


# The autoscaler


@pytest.mark.parametrize(
    ("pods", "values", "target", "proposal"),
    [
        (3, [200, 200, 200], 100, 6),  # twice the target, twice the pods
        (4, [50, 50, 50, 50], 100, 2),
        (50, [90] * 50, 75, 60),
        (10, [109] * 10, 100, 10),  # within the tolerance of 10 %
        (10, [91] * 10, 100, 10),
        (10, [111] * 10, 100, 12),  # rounded up
        (3, [], 100, 3),  # nothing is known
        (5, [0] * 5, 100, 0),  # the smallest number is not a matter of the metric
    ],
)
def test_a_mean_proposes_as_kubernetes_documents(pods, values, target, proposal):
    assert propose_by_mean(pods, values, target) == proposal


@pytest.mark.parametrize(
    ("pods", "values", "waiting", "proposal"),
    [
        # Counted as 0: 4 × 200 over 8 pods is the target.
        (8, [200] * 4, {"unready": 4}, 8),
        (8, [300] * 4, {"unready": 4}, 12),
        # A smaller deviation than the number of pods asked for already: no shrinking.
        (8, [150] * 4, {"unready": 4}, 8),
        # Not counted where the proposal is to shrink, and missing ones count as the target.
        (8, [50] * 4, {"unready": 4}, 2),
        (8, [50] * 4, {"missing": 4}, 6),
        (8, [300] * 4, {"missing": 4}, 12),
    ],
)
def test_pods_without_a_value_hold_a_proposal_back(pods, values, waiting, proposal):
    assert propose_by_mean(pods, values, 100, **waiting) == proposal


@pytest.mark.parametrize(("total", "proposal"), [(800, 8), (430, 4), (350, 4), (0, 0)])
def test_a_sum_proposes_as_keda_does(total, proposal):
    assert propose_by_total(4, total, 100) == proposal


def test_the_largest_proposal_of_the_metrics_counts():
    assert Autoscaler(Behavior()).decide(0.0, 4, [2, 7, 5]) == 7


def test_pods_shrink_to_the_largest_proposal_of_the_window():
    autoscaler = Autoscaler(Behavior(down_window_s=300.0))
    pods = [autoscaler.decide(15.0 * step, 10, [number]) for step, number in enumerate([8, 9, 4])]

    assert pods == [10, 10, 10]  # the number at the beginning counts as well
    assert autoscaler.decide(310.0, 10, [4]) == 9
    assert autoscaler.decide(316.0, 9, [3]) == 4


def test_pods_grow_to_the_smallest_proposal_of_the_window():
    autoscaler = Autoscaler(Behavior(up_window_s=60.0))

    assert autoscaler.decide(0.0, 2, [8]) == 2
    assert autoscaler.decide(61.0, 2, [6]) == 6


@pytest.mark.parametrize(("pods", "most"), [(1, 5), (2, 6), (4, 8), (10, 20)])
def test_kubernetes_lets_pods_double_or_four_be_added(pods, most):
    assert Autoscaler(Behavior()).decide(0.0, pods, [1000]) == most


def test_changes_count_within_the_period_of_a_policy():
    autoscaler = Autoscaler(Behavior(up=(Policy("Percent", 300, 60.0),)))

    pods = [4]
    for second in (0, 15, 30, 45, 60):
        pods.append(autoscaler.decide(float(second), pods[-1], [1000]))
    assert pods == [4, 16, 16, 16, 16, 64]


def test_the_policy_that_allows_most_counts_as_in_the_documentation_of_kubernetes():
    # 80 pods become 10: 10 % in a minute while that is more than four pods.
    down = (Policy("Pods", 4, 60.0), Policy("Percent", 10, 60.0))
    autoscaler = Autoscaler(Behavior(down=down, down_window_s=0.0))

    pods = [80]
    while pods[-1] > 10:
        pods.append(autoscaler.decide(60.0 * len(pods), pods[-1], [10]))
    steps = [first - second for first, second in pairwise(pods)]
    assert steps[:2] == [8, 8]
    assert all(step == 4 for before, step in zip(pods, steps[:-1], strict=False) if before <= 40)
    assert pods[-1] == 10


def test_the_number_of_pods_stays_within_its_bounds():
    autoscaler = Autoscaler(Behavior(min_pods=2, max_pods=5, down_window_s=0.0))

    assert autoscaler.decide(0.0, 4, [100]) == 5
    assert autoscaler.decide(15.0, 5, [0]) == 2


# The command


def test_the_command_prints_what_happened(capsys):
    arguments = ["--pods", "1", "--seconds", "20", "--mix", "A", "--start-seconds", "60"]
    scenario = make_scenario(parse(arguments))

    main([*arguments, "--json"])

    told = json.loads(capsys.readouterr().out)
    assert told == json.loads(json.dumps(run(scenario).summarize() | {"reasons": {}}))
    assert (scenario.pull_s, scenario.load_s) == (20.0, 40.0)
    assert draw_table(run(scenario)).row_count == 7
