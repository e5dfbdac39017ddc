"""The cost of masking is measured on what is exported today."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_shipped_model_is_measured_against_two_plain_networks_at_each_size():
    finished = subprocess.run(
        [sys.executable, "benchmarks/speed.py", "1"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "TF_ENABLE_ONEDNN_OPTS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    row = r"(\d+)²: masked [\d.]+ ms; ([\d.]+) × plain; ([\d.]+) × plain, aligned widths"
    rows = re.findall(row, finished.stdout)

    assert [side for side, *_ in rows] == ["64", "256", "512"]
    assert all(float(ratio) > 0 for _, *ratios in rows for ratio in ratios)
