# ruff: noqa: INP001, T201 (a script of .ci/exercise-image)
"""Asks a running Prometheus whether it took the alert rules, and for every query of the dashboard.

python3 ask_prometheus.py http://127.0.0.1:9090/api/v1
"""

import json
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

DASHBOARD = Path(__file__).parents[1] / "deploy" / "grafana" / "dashboards" / "lacuna.json"
EVALUATED_S = 60


def ask(api: str, path: str, **parameters: str) -> dict:
    """Get an answer's data."""
    url = f"{api}/{path}?{urllib.parse.urlencode(parameters)}"
    with urllib.request.urlopen(url, timeout=30) as response:  # noqa: S310 (loopback)
        return json.load(response)["data"]


def list_rules(api: str) -> list[dict]:
    """List the alert rules once every one was evaluated."""
    give_up_s = time.monotonic() + EVALUATED_S
    while True:
        rules = [rule for group in ask(api, "rules")["groups"] for rule in group["rules"]]
        if all(rule["health"] != "unknown" for rule in rules) or time.monotonic() > give_up_s:
            return rules
        time.sleep(1)


def main(api: str) -> int:
    """Print what is wrong, and give the exit status."""
    rules = list_rules(api)
    faults = [f"{rule['name']}: {rule['health']}" for rule in rules if rule["health"] != "ok"]
    panels = json.loads(DASHBOARD.read_text())["panels"]
    queries = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    answered = 0
    for query in queries:
        text = query.replace("$__rate_interval", "5m").replace("$instance", ".*")
        try:
            answered += bool(ask(api, "query", query=text)["result"])
        except urllib.error.HTTPError as error:
            faults.append(f"{query}: {error.read().decode()}")
    print(f"{len(rules)} rules; {len(queries)} queries, {answered} have an answer now")
    print("\n".join(faults))
    return 1 if faults or not rules or not answered else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
