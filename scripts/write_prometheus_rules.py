"""Writes the PrometheusRules of deploy/kubernetes from the rules of deploy/prometheus.

python scripts/write_prometheus_rules.py

There is one for each file of `rule_files`. Rules are copied as text, so that their comments stay.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import indent

import yaml

DEPLOY = Path(__file__).parents[1] / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
MANIFEST = DEPLOY / "kubernetes" / "components" / "monitoring" / "prometheusrules.yaml"
_HEAD = """\
# From deploy/prometheus/{file.name}, by `make docs`.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: lacuna-{file.stem}
  labels:
    app.kubernetes.io/name: lacuna
spec:
"""


def list_rule_files() -> list[Path]:
    """List the files of rules that Prometheus reads."""
    configuration = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    return [PROMETHEUS / name for name in configuration["rule_files"]]


def write_rules() -> str:
    """Return the manifests as the rules are now."""
    return "---\n".join(
        _HEAD.format(file=file) + indent(file.read_text(), "  ") for file in list_rule_files()
    )


if __name__ == "__main__":
    MANIFEST.write_text(write_rules())
