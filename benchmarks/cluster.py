"""Simulation of 1 to 256 pods behind a balancer, with Kubernetes' autoscaler.

    python benchmarks/cluster.py --pods 4 --load 0.5 --traffic bursts --rule both
    python benchmarks/cluster.py --picture

A simulation of discrete events. Each pod has the server's own queue, batching, windows, costs and
admission (`service.core`, `lacuna.windows`); the times of calls are those that its cost predicts.
Not simulated are the network, the memory for images, retries of clients, and nodes that must start
before their pods. A run depends on nothing but its options. With --picture, the experiments of
docs/scaling.md are run, which takes three minutes, and docs/pictures/scaling.svg and .json are
written.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.simulation.balancing import BALANCERS
from benchmarks.simulation.deployment import Deployment
from benchmarks.simulation.experiments import make_traffic, run_all
from benchmarks.simulation.picture import draw_picture
from benchmarks.simulation.rules import RULES
from benchmarks.simulation.scenario import RECOMMENDED, Outcome, Scenario
from benchmarks.simulation.traffic import LOADS, MIXES

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the options."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pods", type=int, default=4, help="pods at the beginning")
    parser.add_argument("--load", type=float, default=0.5, help="part of what these can answer")
    parser.add_argument("--seconds", type=float, default=900.0)
    parser.add_argument("--traffic", choices=LOADS, default="steady")
    parser.add_argument("--mix", choices=MIXES, default="mixed", help="sizes of the images")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--balance", choices=BALANCERS, default="two")
    parser.add_argument("--rule", choices=RULES, default="fixed", help="metrics of the autoscaler")
    parser.add_argument("--wait-target", type=float, default=Scenario.wait_target_s)
    parser.add_argument("--load-target", type=float, default=Scenario.load_target)
    parser.add_argument("--max-pods", type=int, default=RECOMMENDED.max_pods)
    parser.add_argument("--start-seconds", type=float, default=30.0, help="until a pod is ready")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--picture", action="store_true", help="run the documented experiments")
    return parser.parse_args(arguments)


def make_scenario(options: argparse.Namespace) -> Scenario:
    """Make the scenario that the options describe."""
    return Scenario(
        make_traffic(
            options.pods * options.load,
            options.seconds,
            load=options.traffic,
            mix=options.mix,
            clients=options.clients,
        ),
        pods=options.pods,
        rule=options.rule,
        wait_target_s=options.wait_target,
        load_target=options.load_target,
        behavior=replace(RECOMMENDED, max_pods=options.max_pods),
        balance=options.balance,
        pull_s=options.start_seconds / 3,
        load_s=options.start_seconds * 2 / 3,
        seed=options.seed,
    )


def draw_table(outcome: Outcome) -> Table:
    """Draw the outcome of one run as a table."""
    numbers = outcome.summarize()
    table = Table("", "", box=None, show_header=False)
    table.add_row("requests", f"{numbers['arrived']:,.0f}")
    table.add_row("p50, p99", f"{numbers['p50_s']:.3f} s, {numbers['p99_s']:.3f} s")
    table.add_row("p99 of the wait in the queue", f"{numbers['wait_p99_s']:.3f} s")
    table.add_row("refused", f"{numbers['refused']:.2%} {dict(outcome.refused) or ''}")
    table.add_row("pending at the end", f"{numbers['pending']:.0f}")
    table.add_row("pods at most", f"{numbers['most_pods']:.0f}")
    table.add_row("pod-hours", f"{numbers['pod_hours']:.2f}")
    return table


def main(arguments: list[str] | None = None) -> None:
    """Run one scenario and print it, or all experiments and draw them."""
    options, console = parse(arguments), Console()
    if options.picture:
        results = run_all(console.print)
        (PICTURES / "scaling.json").write_text(json.dumps(results, indent=1) + "\n")
        (PICTURES / "scaling.svg").write_text(draw_picture(results))
        return
    outcome = Deployment(make_scenario(options)).run()
    if options.json:
        print(json.dumps(outcome.summarize() | {"reasons": dict(outcome.refused)}))
    else:
        console.print(draw_table(outcome))


if __name__ == "__main__":
    main()
