"""Clients that other people's tools generate from the OpenAPI document, against a server.

`make test-slow` makes their environment. A tool that cannot be had is skipped.
"""

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path

import httpx2
import numpy as np
import pytest

from service.runtime.fake import FakeRuntime
from tests.support.apps import encode_image, load_repository, make_repository_folder
from tests.support.live import serve_live

HERE = Path(__file__).parent
ENVIRONMENT = HERE.parents[2] / ".venv" / "openapi-clients"
RNG = np.random.default_rng(8)
IMAGE = RNG.integers(0, 256, (5, 7), np.uint8)
MASK = RNG.random((5, 7)) < 0.7

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with serve_live(load_repository(make_repository_folder(tmp_path_factory.mktemp("m")))) as found:
        yield found


@pytest.fixture
def folder(address, tmp_path):
    """Folder with the document."""
    document = httpx2.get(f"http://{address}/openapi.json")
    (tmp_path / "openapi.json").write_bytes(document.content)
    return tmp_path


def find_tool(name):
    path = ENVIRONMENT / name
    if not path.exists():
        pytest.skip(
            f"the generator must be there: make .venv/openapi-clients.stamp; no {path.name}"
        )
    return path


def run(*command, folder, **options):
    # Tools find others beside themselves.
    path = f"{ENVIRONMENT / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PATH": path, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check_answers(text):
    """Compare the answers of a client with those of the model."""
    labels, whole = label(MASK), label(np.ones_like(MASK))
    answers = json.loads(text)

    assert answers["segmented"] == [int((labels == number).sum()) for number in range(3)]
    assert answers["whole"] == [int((whole == number).sum()) for number in range(3)]
    assert answers["inferred"] == labels.ravel().tolist()
    assert answers["predicted"] == {"predictions": [labels.tolist()]}
    assert answers["code"] == "unknown_model"


def label(mask):
    image = np.where(mask, IMAGE, 0).astype(np.float32)
    return FakeRuntime().run(image[None, ..., None], mask[None], probabilities=False).labels[0]


def write_scene():
    png = base64.b64encode(encode_image(IMAGE)).decode()
    return json.dumps({"image": IMAGE.tolist(), "mask": MASK.tolist(), "png": png})


def test_a_generated_client_in_python_segments(address, folder):
    generator = find_tool("bin/openapi-python-client")
    options = ["--path", "openapi.json", "--output-path", "generated", "--meta", "none"]
    options += ["--config", HERE / "python_client.yml", "--fail-on-warning"]
    run(generator, "generate", *options, folder=folder)

    program = [ENVIRONMENT / "bin" / "python", HERE / "python_client.py", f"http://{address}"]
    check_answers(run(*program, folder=folder, input=write_scene()))


def test_a_generated_client_in_typescript_is_well_typed_and_segments(address, folder):
    tools = find_tool("node_modules")
    (folder / "node_modules").symlink_to(tools)
    for name in ("client.ts", "tsconfig.json", "package.json"):
        shutil.copy(HERE / "typescript" / name, folder)
    run(tools / ".bin" / "openapi-typescript", "openapi.json", "-o", "api.d.ts", folder=folder)
    run(tools / ".bin" / "tsc", folder=folder)

    answers = run("node", "client.js", f"http://{address}", folder=folder, input=write_scene())
    check_answers(answers)
