"""The Dockerfile and the compose file say what a hardened server needs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lacuna.distribution import VERSION
from service.config import Settings, list_variables
from service.platforms import DEFAULT_PORT, SAGEMAKER_FOLDER, SAGEMAKER_PORT
from service.rpc.server import DEFAULT_PORT as DEFAULT_GRPC_PORT
from service.web.server import CLOSING_S
from tests.support.apps import load_repository, make_repository_folder
from tests.support.live import serve_live

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
IMAGE = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
LACUNA = SERVICES["lacuna"]
START = ROOT / "deploy" / "container" / "start.py"
HEALTHCHECK = ROOT / "deploy" / "container" / "healthcheck.py"
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
OF_THE_BUILD = {
    "version": "VERSION",
    "revision": "REVISION",
    "created": "CREATED",
    "base.name": "BASE_IMAGE",
}
"""Labels of the image, with the arguments of its build that they show."""


def find_instruction(name, text=IMAGE):
    (value,) = re.findall(rf"^{name} ((?:.*\\\n)*.*)$", text, re.MULTILINE)
    return value


def ask_health(**environment):
    command = [sys.executable, "-IS", str(HEALTHCHECK)]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=30, check=False
    )


def test_every_stage_begins_with_the_base_that_was_asked_for():
    assert re.search(r"^ARG BASE_IMAGE=python:3\.11-slim$", DOCKERFILE, re.MULTILINE)
    bases = set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))
    stages = set(re.findall(r"^FROM \S+ AS (\w+)", DOCKERFILE, re.MULTILINE))

    assert bases - stages == {"${BASE_IMAGE}"}
    assert find_instruction("FROM") == "system"
    assert re.search(r"^FROM \$\{BASE_IMAGE\} AS system$", DOCKERFILE, re.MULTILINE)


def test_what_is_installed_is_locked_and_hashed():
    lines = re.sub(r"\\\n\s*", " ", DOCKERFILE)
    installs = re.findall(r"(\S+) install\b([^&|;}>\n]*)", lines)
    own = {"--no-build-isolation", "--no-deps", "--target", "/opt/lacuna", "/build"}
    locked = re.compile(r"(--report \S+ )?--require-hashes -r /build/requirements/\w+\.txt")

    packages = []
    for program, arguments in installs:
        if program == "apt-get":
            packages += [word for word in arguments.split() if not word.startswith("-")]
        elif not locked.fullmatch(arguments.strip()):
            assert set(arguments.split()) == {*own, "/build/service"}
    assert sorted(packages) == ["binutils", "libjemalloc2"]
    assert len(installs) == 5


def test_the_image_runs_as_a_user_that_is_a_number_and_not_root():
    user, group = map(int, find_instruction("USER").split(":"))

    assert user > 0
    assert group > 0


@pytest.mark.parametrize("name", ["ENTRYPOINT", "CMD"])
def test_signals_reach_the_server_because_no_shell_stands_between(name):
    commands = re.findall(rf"^(?:{name}|    {name}) (.*)$", IMAGE, re.MULTILINE)

    assert commands
    assert all(isinstance(json.loads(command), list) for command in commands)


def test_the_images_settings_are_settings():
    names = re.findall(r"\b(LACUNA_\w+)=", IMAGE)

    assert names
    assert set(names) <= set(list_variables())
    assert set(LACUNA["environment"]) <= set(list_variables())


def test_the_image_names_what_it_is_and_no_host():
    for label in ("title", "description", "licenses"):
        assert f"org.opencontainers.image.{label}=" in IMAGE
    for label, argument in OF_THE_BUILD.items():
        assert f'org.opencontainers.image.{label}="${{{argument}}}"' in IMAGE
    for file in ("Dockerfile", "docker-compose.yml", ".dockerignore", "Makefile"):
        hosts = re.findall(r"\w+\.(?:io|com|org|dev)/", (ROOT / file).read_text())
        assert not hosts, file


def test_the_same_sources_make_the_same_labels():
    def list_arguments():
        command = ["make", "-n", "image", "ENGINE=podman", f"PYTHON={sys.executable}"]
        environment = {**os.environ, "SOURCE_DATE_EPOCH": "1767225600"}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        return dict(re.findall(r"--build-arg (\w+)=(\S*)", done.stdout))

    arguments = list_arguments()
    assert arguments == list_arguments()
    assert set(arguments) == set(OF_THE_BUILD.values())
    assert arguments["CREATED"] == "2026-01-01T00:00:00Z"
    assert arguments["VERSION"] == VERSION


def test_what_describes_the_image_does_not_stay_in_it():
    assert "COPY --from=inventory /usr/share/doc/lacuna /usr/share/doc/lacuna\n" in IMAGE
    assert "/opt/tools" not in IMAGE


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_can_do_no_more_than_it_must(name):
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert "privileged" not in service
    assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_open_to_this_machine_only(name):
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name]["ports"])


def test_the_server_is_limited():
    limits = LACUNA["deploy"]["resources"]["limits"]

    assert {"cpus", "memory", "pids"} <= set(limits)


def test_it_is_not_killed_before_it_has_drained():
    grace_s = int(LACUNA["stop_grace_period"].removesuffix("s"))

    assert grace_s > int(LACUNA["environment"]["LACUNA_DRAIN_S"]) + CLOSING_S
    assert grace_s > Settings.model_fields["drain_s"].default + CLOSING_S


def test_models_are_a_volume_that_cannot_be_written_to():
    # The folder of the demo, which is served where nothing else is set, stands for this one.
    folder = re.search(r"ln -s (\S+) /opt/lacuna/service/demo/models", DOCKERFILE)[1]
    (volume,) = [volume for volume in LACUNA["volumes"] if volume.endswith(":ro")]

    assert volume.endswith(f"}}:{folder}:ro")
    default = re.search(r":-([^}]+)\}", volume)[1]
    assert (ROOT / default / "groundcover").is_dir()


def test_what_was_measured_is_kept_on_a_volume_of_the_images_user():
    folder = re.search(r"LACUNA_CACHE_FOLDER=(\S+)", IMAGE)[1]
    user, group = find_instruction("USER").split(":")
    (volume,) = [volume for volume in LACUNA["volumes"] if not volume.endswith(":ro")]

    assert volume == f"cache:{folder}"
    assert "cache" in COMPOSE["volumes"]
    # Engines give an empty volume the owner of the folder that it is mounted on.
    assert f"RUN mkdir -p {folder} && chown {user}:{group} {folder}\n" in IMAGE
    assert "tmpfs" not in LACUNA


def test_health_is_asked_for_as_in_the_image():
    asked = find_instruction("HEALTHCHECK").split("CMD ")[1]

    assert LACUNA["healthcheck"]["test"] == ["CMD", *json.loads(asked)]
    assert Path(json.loads(asked)[-1]).name == HEALTHCHECK.name


def test_monitoring_is_there_if_it_is_wanted():
    assert "profiles" not in LACUNA
    others = {name: service for name, service in SERVICES.items() if name != "lacuna"}

    assert set(others) == {"prometheus", "grafana"}
    assert all(service["profiles"] == ["monitoring"] for service in others.values())


def test_every_variable_of_the_compose_file_is_documented():
    variables = set(re.findall(r"\$\{(\w+):-", (ROOT / "docker-compose.yml").read_text()))

    assert variables == set(re.findall(r"^\| `([A-Z_]+)` \|", OPERATIONS, re.MULTILINE))


def test_a_ready_server_is_healthy(tmp_path):
    with serve_live(load_repository(make_repository_folder(tmp_path))) as address:
        done = ask_health(LACUNA_HOST="0.0.0.0", LACUNA_PORT=address.split(":")[1])  # noqa: S104

    assert done.returncode == 0
    assert json.loads(done.stdout)["status"] == "ready"


@pytest.mark.parametrize("name", ["AIP_HTTP_PORT", "SAGEMAKER_BIND_TO_PORT"])
def test_health_is_asked_for_where_a_platform_has_the_server_listen(tmp_path, name):
    with serve_live(load_repository(make_repository_folder(tmp_path))) as address:
        host, port = address.split(":")
        done = ask_health(**{"LACUNA_HOST": host, name: port})

    assert done.returncode == 0


def test_the_health_check_knows_sagemakers_folder_and_port():
    text = HEALTHCHECK.read_text()

    assert f'SAGEMAKER_FOLDER = "{SAGEMAKER_FOLDER}"' in text
    assert f"SAGEMAKER_PORT = {SAGEMAKER_PORT}" in text
    assert f"DEFAULT_PORT = {DEFAULT_PORT}" in text
    ports = {str(SAGEMAKER_PORT), str(DEFAULT_PORT), str(DEFAULT_GRPC_PORT)}
    assert ports == set(find_instruction("EXPOSE").split())


def test_the_image_leaves_the_choice_of_models_and_port_to_the_platform():
    set_by_image = dict(re.findall(r"\b(LACUNA_\w+)=(\S+)", IMAGE))

    assert not {"LACUNA_MODEL_REPOSITORY", "LACUNA_PORT"} & set(set_by_image)


def test_the_address_of_a_service_is_not_taken_for_the_port():
    done = ask_health(LACUNA_PORT="tcp://10.96.0.12:8000", LACUNA_HOST="127.0.0.123")

    # Whether anybody listens there does not matter here: it was asked.
    assert done.stdout
    assert not done.stderr


def test_a_server_without_models_is_not_and_says_so(tmp_path):
    with serve_live(load_repository(tmp_path), wait=False) as address:
        host, port = address.split(":")
        done = ask_health(LACUNA_HOST=host, LACUNA_PORT=port)

    assert done.returncode == 1
    assert json.loads(done.stdout)["status"] == "not ready"


def test_where_nobody_listens_nothing_is_healthy(unused_port):
    done = ask_health(LACUNA_PORT=str(unused_port))

    assert done.returncode == 1
    assert "/readyz must answer" in done.stdout
    assert not done.stderr


@pytest.fixture
def unused_port():
    import socket  # noqa: PLC0415

    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets it meanwhile
        yield held.getsockname()[1]


def test_what_goes_into_the_image_is_named_one_by_one():
    ignored = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)

    assert ignored[0] == "*"
    kept = [line[1:] for line in ignored if line.startswith("!")]
    for source in " ".join(copied).split():
        assert any(source == name or source.startswith(f"{name}/") for name in kept), source
    for name in kept:
        assert (ROOT / name).exists()


def test_gdal_and_proj_find_the_images_data_whatever_is_set_outside(tmp_path):
    (tmp_path / "lacuna").mkdir()
    (tmp_path / "lacuna" / "__init__.py").touch()
    (tmp_path / "lacuna" / "cli.py").write_text(
        "import json, os, sys\n"
        "def main(prog_name):\n"
        "    print(json.dumps([dict(os.environ), 'rasterio' in sys.modules]))\n"
    )
    outside = ("GDAL_DATA", "PROJ_DATA", "PROJ_LIB", "GDAL_DRIVER_PATH", "PROJ_NETWORK")
    environment = dict.fromkeys(outside, "/nowhere") | {"PYTHONPATH": str(tmp_path)}

    done = subprocess.run(
        [sys.executable, str(START)], env=environment, capture_output=True, check=True, timeout=30
    )

    found, is_loaded = json.loads(done.stdout)
    assert (Path(found["GDAL_DATA"]) / "gdalvrt.xsd").is_file()
    assert (Path(found["PROJ_DATA"]) / "proj.db").is_file()
    assert found["PROJ_NETWORK"] == "OFF"
    assert not {"PROJ_LIB", "GDAL_DRIVER_PATH"} & found.keys()
    assert not is_loaded
