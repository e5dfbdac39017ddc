"""Manifests for Kubernetes: rendered by kustomize, and held to the schemas of their kinds."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
KSERVE = ROOT / "deploy" / "kserve"
COMPONENTS = sorted(path.name for path in (KUBERNETES / "components").iterdir())
OLDEST = "1.30"
"""Oldest Kubernetes that the manifests are for: it is the first that sleeps in preStop."""
SCHEMAS = Path(os.environ.get("CRD_SCHEMAS") or ROOT.parent / "shared" / "schemas")
"""Folder of CustomResourceDefinitions, which are not ours to keep here."""

Manifest = dict[str, Any]

BUILT_IN = ("v1", "apps/v1", "autoscaling/v2", "policy/v1", "networking.k8s.io/v1")
_COMMANDS = {"kustomize": ("kustomize", "build"), "kubectl": ("kubectl", "kustomize")}


def render(folder: Path) -> list[Manifest]:
    """Render a kustomization; skip the test where neither kustomize nor kubectl is there."""
    command = next((words for name, words in _COMMANDS.items() if shutil.which(name)), None)
    if command is None:
        pytest.skip("neither kustomize nor kubectl is there")
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


@functools.cache
def render_with(*components: str) -> list[Manifest]:
    """Render the base with components. The result is shared and must not be changed."""
    with tempfile.TemporaryDirectory() as folder:
        return render_overlay(Path(folder), *components)


def render_overlay(folder: Path, *components: str, **fields: Any) -> list[Manifest]:
    """Render the base with components, as an overlay of somebody's own.

    Args:
        folder: Empty folder for the overlay.
        components: Names of the components.
        fields: Further fields of the kustomization.
    """

    def locate(place: Path) -> str:
        # Kustomize takes no absolute paths, and follows links of the folder before `..`.
        return os.path.relpath(place, folder.resolve())

    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [locate(KUBERNETES / "base")],
        "components": [locate(KUBERNETES / "components" / name) for name in components],
    } | fields
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return render(folder)


def read_manifests(folder: Path) -> Iterator[Manifest]:
    """Yield the manifests in a folder, as they stand in their files: no patches and no rules."""
    for path in sorted(folder.rglob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            is_whole = not path.stem.endswith(("kustomization", "-patch"))
            if is_whole and "kind" in document:
                yield document


def find(manifests: list[Manifest], kind: str) -> Manifest:
    """Return the only manifest of a kind."""
    (found,) = (manifest for manifest in manifests if manifest["kind"] == kind)
    return found


def list_containers(manifests: list[Manifest]) -> list[Manifest]:
    """List the containers of the Deployment, with those that run before."""
    spec = find(manifests, "Deployment")["spec"]["template"]["spec"]
    return [*spec.get("initContainers", ()), *spec["containers"]]


def validate(manifest: Manifest) -> None:
    """Validate a manifest, strictly; skip the test if the schema of its kind is not there.

    Raises:
        jsonschema.ValidationError: if a field is unknown, missing or of another type.
    """
    if manifest["apiVersion"] in BUILT_IN:
        for version in (OLDEST, kubernetes_validate.latest_version()):
            kubernetes_validate.validate(manifest, version, strict=True)
        return
    schema = _find_schema(manifest)
    if schema is None:
        pytest.skip(f"there is no schema of {manifest['kind']} in {SCHEMAS}")
    jsonschema.Draft202012Validator(schema).validate(manifest)


def _find_schema(manifest: Manifest) -> Manifest | None:
    """Return the schema of a custom resource, which allows no unknown fields."""
    group, version = manifest["apiVersion"].split("/")
    for path in sorted(SCHEMAS.rglob("*.y*ml")):
        for definition in yaml.load_all(path.read_text(), yaml.CSafeLoader):
            spec = definition.get("spec", {}) if isinstance(definition, dict) else {}
            if (spec.get("group"), spec.get("names", {}).get("kind")) == (group, manifest["kind"]):
                (found,) = (item for item in spec["versions"] if item["name"] == version)
                return _close(found["schema"]["openAPIV3Schema"])
    return None


def _close(schema: Any) -> Any:
    """Return a schema whose objects have no other fields than it names."""
    if isinstance(schema, list):
        return [_close(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _close(item) for name, item in schema.items()}
    is_open = closed.get("x-kubernetes-preserve-unknown-fields", False)
    if closed.get("type") == "object" and "properties" in closed and not is_open:
        closed.setdefault("additionalProperties", False)
    return closed
