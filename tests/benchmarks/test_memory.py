"""The memory of a server is measured on the code of today."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_memory_is_read_after_the_start_after_many_sizes_and_with_a_huge_image(tmp_path):
    options = ["--sizes", "2", "--requests", "4", "--huge", "512", "--starts", "1"]
    rows = tmp_path / "rows.json"

    subprocess.run(
        [sys.executable, "benchmarks/memory.py", *options, "--rows", rows],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=True,
    )

    found = {row["key"]: row["value"] for row in json.loads(rows.read_text())}
    assert 1 < found.pop("start-cached") < found.pop("start-cold")
    assert found.keys() == {"memory-warm", "memory-sizes", "memory-huge"}
    assert all(0.1 < gigabytes < 10 for gigabytes in found.values())
