"""A to D: images of one kind, many at a time. The server's throughput as a ratio to the loop's."""

from __future__ import annotations

from typing import Any, NamedTuple

from benchmarks.comparison import BEYOND, TIMEOUT_S, Setup, drive, prepare, prepare_alone, summarize
from benchmarks.loop_tuning import WARMUP_S, find_best_settings, measure_loop
from service.bench.load_profile import LoadProfile
from service.bench.workload import Workload, parse_sizes


class Scenario(NamedTuple):
    """Workload on which the server is compared with the loop.

    Attributes:
        title: short description.
        images: images to send.
        connections: number of connections.
        target: lowest acceptable ratio of server to loop.
        precision: precision of the server; the loop computes in float32.
    """

    title: str
    images: Workload
    connections: int
    target: float
    precision: str = "float32"


def list_scenarios() -> dict[str, Scenario]:
    """List the workloads on which the server is compared with the loop."""
    sparse = Workload(32, (parse_sizes("512"),), (0.4,), BEYOND)
    title = "512×512, 60 % missing beyond lines and swaths"
    return {
        "A": Scenario("64×64", Workload(256, (parse_sizes("64"),)), 32, 0.87),
        "B": Scenario("48…384, all different", Workload(256, (parse_sizes("48-384"),)), 16, 1.15),
        "C": Scenario("1024×1024", Workload(8, (parse_sizes("1024"),)), 4, 1.02),
        "D": Scenario(title, sparse, 8, 1.7),
        "D16": Scenario(f"{title}, bfloat16", sparse, 8, 2.2, "bfloat16"),
    }


def compare_throughput(setup: Setup, name: str, scenario: Scenario) -> dict[str, Any]:
    """Measure the throughput of loop and server in turn."""
    workload = setup.adapt(scenario.images)
    if scenario.precision == "float32":
        setup.log(f"{name}: {scenario.title}: the loop labels each image alone")
        requests = prepare(setup, name, workload)
    else:
        setup.log(f"{name}: {scenario.title}: the server labels each image alone")
        requests = prepare_alone(setup, workload)
    setup.log(f"{name}: finding the best settings of the loop")
    settings = find_best_settings(setup.loops, name, workload, max(setup.loops))
    # The last before the rounds: meanwhile the idle server has given its memory back.
    setup.log(f"{name}: the server answers each image")
    first = LoadProfile(scenario.connections, requests=len(requests), timeout_s=TIMEOUT_S)
    reports = [drive(setup, requests, first)]
    profile = LoadProfile(
        scenario.connections, duration_s=setup.seconds, warmup_s=WARMUP_S, timeout_s=TIMEOUT_S
    )
    rounds = []
    for number in range(setup.rounds):
        # The second one finds the machine warmer, so the order alternates.
        if number % 2:
            reports.append(drive(setup, requests, profile))
        plain = measure_loop(setup.loops, name, settings, setup.seconds)
        if not number % 2:
            reports.append(drive(setup, requests, profile))
        ratio = reports[-1].megapixels_per_s / plain["megapixels_per_s"]
        rounds.append({"ratio": ratio, "loop": plain, "server": reports[-1].to_json()})
        setup.log(f"{name}: round {number + 1}: {ratio:.3f}")
    for loop in setup.loops.values():
        loop.forget(name)
    return {
        "title": f"{scenario.title}, {scenario.connections} connections",
        "target": scenario.target,
        "settings": settings._asdict(),
        "rounds": rounds,
        **summarize(reports),
    }
