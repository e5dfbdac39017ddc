# ruff: noqa: INP001, T201 (a script of .ci/exercise-image)
"""Asks a running Prometheus for every rule that it took, and for every query of the dashboard.

python3 ask_prometheus.py http://127.0.0.1:9090/api/v1
"""

import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

DASHBOARD = Path(__file__).parents[1] / "deploy" / "grafana" / "dashboards" / "lacuna.json"
SOON_S = 60
"""Seconds within which rules must be evaluated whose interval is shorter."""


def ask(api: str, path: str, **parameters: str) -> dict:
    """Get an answer's data."""
    url = f"{api}/{path}?{urllib.parse.urlencode(parameters)}"
    with urllib.request.urlopen(url, timeout=30) as response:  # noqa: S310 (loopback)
        return json.load(response)["data"]


def list_rules(api: str) -> list[dict]:
    """List the rules with their groups' intervals, once those were evaluated that are soon."""
    give_up_s = time.monotonic() + SOON_S
    while True:
        groups = ask(api, "rules")["groups"]
        rules = [rule | {"interval": g["interval"]} for g in groups for rule in g["rules"]]
        if not any(map(is_late, rules)) or time.monotonic() > give_up_s:
            return rules
        time.sleep(0.5)


def is_late(rule: dict) -> bool:
    """Return whether a rule was not evaluated, and should have been."""
    return rule["health"] == "unknown" and rule["interval"] < SOON_S


def list_queries() -> list[str]:
    """List the queries of the dashboard, as Grafana sends them."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    queries = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    return [q.replace("$__rate_interval", "5m").replace("$instance", ".*") for q in queries]


def main(api: str) -> int:
    """Print what is wrong, and return the exit status."""
    rules = list_rules(api)
    faults = [
        f"{rule['name']}: {rule['health']} {rule.get('lastError', '')}"
        for rule in rules
        if rule["health"] == "err" or is_late(rule)
    ]

    def has_result(query: str) -> bool:
        try:
            return bool(ask(api, "query", query=query)["result"])
        except urllib.error.HTTPError as error:
            faults.append(f"{query}: {error.read().decode()}")
            return False

    # The others are not waited for: what they will evaluate is asked for.
    for rule in rules:
        if rule["health"] == "unknown":
            has_result(rule["query"])
    queries = list_queries()
    answered = sum(map(has_result, queries))
    print(f"{len(rules)} rules; {len(queries)} queries, {answered} have an answer now")
    print("\n".join(faults))
    return 1 if faults or not rules or not answered else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
