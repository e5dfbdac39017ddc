import json
import os
import subprocess
import sys

import pytest

from service.engine.scheduling import SWITCH_S

_PREPARE = """
import json, os, sys

from service.config import Settings
from service.local.process import prepare_process

prepare_process(Settings(memory_limit_bytes=int(sys.argv[1])))
print(json.dumps({
    "primitives": int(os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"]),
    "system allocator": os.environ.get("TF_ONEDNN_USE_SYSTEM_ALLOCATOR"),
    "switch interval": sys.getswitchinterval(),
    "policy": os.sched_getscheduler(0),
}))
"""


def prepare(limit_bytes):
    """Prepare a process of a server with a limit; give what is set then."""
    chosen = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "TF_ONEDNN_USE_SYSTEM_ALLOCATOR")
    inherited = {name: value for name, value in os.environ.items() if name not in chosen}
    command = [sys.executable, "-c", _PREPARE, str(limit_bytes)]
    return json.loads(subprocess.check_output(command, env=inherited, text=True))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other allocators")
def test_memory_and_threads_are_set_for_the_whole_process():
    small, large = prepare(2 << 30), prepare(4 << 30)

    assert small["primitives"] < large["primitives"]
    assert large["system allocator"] == "1"
    assert large["switch interval"] == pytest.approx(SWITCH_S)
    assert large["policy"] == os.SCHED_BATCH
