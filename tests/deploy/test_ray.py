"""deploy/ray/serve.yaml is what Ray Serve takes, and names what there is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from service.config import PREFIX, Settings

CONFIG = Path(__file__).parents[2] / "deploy" / "ray" / "serve.yaml"

# In a process of its own: Ray's packages warn while they are imported. One for all copies, because
# that import takes seconds.
_CHECK = """
import json, sys, yaml
from ray._common.utils import import_attr
from ray.serve.schema import ServeDeploySchema

def check(text):
    schema = ServeDeploySchema.model_validate(yaml.safe_load(text))
    for application in schema.applications:
        bound = import_attr(application.import_path)
        for deployment in application.deployments:
            assert deployment.name == bound._bound_deployment.name, deployment.name
            policy = deployment.autoscaling_config["policy"]
            import_attr(policy["policy_function"])(**policy["policy_kwargs"])

def explain(text):
    try:
        check(text)
    except Exception as error:
        return f"{type(error).__name__}: {error}"

print(json.dumps([explain(text) for text in json.load(sys.stdin)]))
"""

_BREAKS = {
    ("max_ongoing_requests: 100", "max_ongoing_requests: 0"): "max_ongoing_requests",
    ("serving:app", "serving:nothing"): "nothing",
    ("- name: lacuna\n        ray", "- name: other\n        ray"): "other",
    ("target_busy: 0.7", "target_busy: 0"): "target_busy",
    ("autoscaling:QueuePolicy", "autoscaling:Policy"): "Policy",
}
"""Words of the fault that is found if a part of the configuration is replaced by another."""


@pytest.fixture(scope="module")
def faults():
    """Faults of the configuration as it is, and of each broken copy; None if there is none."""
    text = CONFIG.read_text()
    copies = {part: text.replace(*part) for part in _BREAKS}
    result = subprocess.run(
        [sys.executable, "-c", _CHECK],
        input=json.dumps([text, *copies.values()]),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return dict(zip([None, *copies], json.loads(result.stdout.splitlines()[-1]), strict=True))


def test_the_configuration_is_what_ray_serve_takes(faults):
    assert faults[None] is None


@pytest.mark.parametrize("part", _BREAKS)
def test_a_broken_copy_fails(part, faults):
    assert part[0] in CONFIG.read_text()

    assert _BREAKS[part] in faults[part]


def test_its_variables_are_settings_and_the_drain_is_as_long_as_the_servers():
    text = CONFIG.read_text()
    (application,) = yaml.safe_load(text)["applications"]
    commented = [line.strip("# ").partition(":")[0] for line in text.splitlines()]
    names = [name for name in commented if name.startswith(PREFIX)]

    assert set(application["runtime_env"]["env_vars"]) <= set(names)
    assert len(names) == 3
    for name in names:
        assert name.removeprefix(PREFIX).lower() in Settings.model_fields
    (deployment,) = application["deployments"]
    drain_s = Settings.model_fields["drain_s"].default
    assert deployment["graceful_shutdown_timeout_s"] >= drain_s
