"""Addresses where no cluster is: told in one line, and soon."""

import socket
import subprocess
import sys
from contextlib import closing

import pytest
from click.testing import CliRunner

from lacuna import segment_scene
from lacuna.cli import main
from service.platforms import DEMO_REPOSITORY

_COMMAND = "from lacuna.cli import main; main()"
IMAGE = DEMO_REPOSITORY.parent / "samples" / "groundcover" / "swath.png"


def run(address, tmp_path, *options):
    arguments = ["segment", str(IMAGE), "-o", str(tmp_path / "labels.npy"), "--ray", address]
    return CliRunner().invoke(main, [*arguments, *options])


@pytest.fixture
def closed():
    """Address of a port that nobody listens on."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        yield "{}:{}".format(*taken.getsockname())


@pytest.mark.parametrize(
    "address", ["nonsense", "ray://127.0.0.1:10001", "127.0.0.1:99999", ":6379", "http://a:6379"]
)
def test_an_address_of_another_form_is_refused(address, tmp_path):
    result = run(address, tmp_path)

    assert result.exit_code == 1
    assert result.stderr == (
        "Error: the address of a cluster must be auto, or host:port as `ray start` prints it; it "
        f"is {address}\n"
    )


def test_an_address_where_nobody_listens_is_told_at_once(closed, tmp_path):
    result = run(closed, tmp_path)

    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"Error: a Ray cluster must answer at {closed}; ")
    assert list(tmp_path.iterdir()) == []


def test_a_program_gets_the_same_error(closed, tmp_path):
    from service.cluster.pool import ClusterError  # noqa: PLC0415

    with pytest.raises(ClusterError, match="must answer"):
        segment_scene(IMAGE, tmp_path / "labels.tif", ray=closed)


def test_servers_and_a_cluster_are_not_combined(closed, tmp_path):
    result = run(closed, tmp_path, "--url", "http://127.0.0.1:1")

    assert result.exit_code == 2
    assert "--url and --ray must not be combined" in result.stderr
    with pytest.raises(ValueError, match="must not be combined"):
        segment_scene(IMAGE, tmp_path / "labels.tif", ray=closed, url="http://127.0.0.1:1")


def test_an_unknown_model_is_told_before_the_cluster_is_asked(tmp_path):
    result = run("nonsense", tmp_path, "--model", "nobody")

    assert result.exit_code == 1
    assert "nobody is not, but aerial, groundcover" in result.stderr


def run_apart(tmp_path, address, code=_COMMAND):
    arguments = ["segment", str(IMAGE), "-o", str(tmp_path / "labels.npy"), "--ray", address]
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


_WITHOUT_RAY = """
import sys
sys.modules["ray"] = None
from lacuna.cli import main
main()
"""


def test_without_the_extra_the_error_says_how_to_install_it(tmp_path):
    result = run_apart(tmp_path, "auto", _WITHOUT_RAY)

    assert result.returncode == 1
    assert "needs the extra `ray`: pip install 'lacuna-segmentation[ray]'" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["segment", "--help"]])
def test_help_does_not_import_ray(arguments):
    code = "import sys; from lacuna.cli import main; main(standalone_mode=False); "
    code += "sys.exit('ray' in sys.modules)"

    result = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, timeout=60, check=False
    )

    assert result.returncode == 0


@pytest.mark.slow
def test_a_port_where_something_else_listens_is_told_in_half_a_minute(tmp_path):
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        address = "{}:{}".format(*silent.getsockname())
        result = run_apart(tmp_path, address)

    assert result.returncode == 1
    assert result.stderr == (
        f"Error: a Ray cluster must answer at {address}; nothing came in 30 s\n"
    )
