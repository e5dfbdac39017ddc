import asyncio
import logging

import pytest
from starlette.testclient import TestClient

from lacuna.errors import ConfigurationError
from service.assembly import (
    assemble_services,
    check_repository,
    fetch_models,
    make_key_ring,
    make_server,
    warn_of_open_access,
)
from service.config import list_variables, read_settings
from service.platforms import DEMO_REPOSITORY
from service.runtime.fake import FakeRuntime
from service.web.access import check_access
from service.web.app import make_app
from service.web.proxies import ProxyPolicy
from tests.support.apps import make_repository_folder
from tests.support.cloud_storage import serve_objects
from tests.support.repositories import write_version
from tests.support.waiting import wait_until

KEY, OTHER, ADMIN = "a-client-key-0001", "a-client-key-0002", "the-key-of-an-admin"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch, tmp_path):
    for name in list_variables():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LACUNA_MODEL_REPOSITORY", str(make_repository_folder(tmp_path / "models")))
    monkeypatch.setenv("LACUNA_CACHE_FOLDER", str(tmp_path / "cache"))


def make_services(settings):
    return assemble_services(settings, lambda folder, allocation: FakeRuntime())


def test_keys_come_from_a_file_and_from_the_environment(monkeypatch, tmp_path):
    file, admin = tmp_path / "keys", tmp_path / "admin"
    file.write_text(f"# team\n{KEY}\n")
    admin.write_text(f"{ADMIN}\n")
    monkeypatch.setenv("LACUNA_API_KEYS_FILE", str(file))
    monkeypatch.setenv("LACUNA_API_KEYS", OTHER)
    monkeypatch.setenv("LACUNA_ADMIN_KEY_FILE", str(admin))

    ring = make_key_ring(read_settings())

    assert ring.find(KEY.encode())
    assert ring.find(OTHER.encode())
    assert ring.find(ADMIN.encode()).is_admin


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("LACUNA_API_KEYS", "", "must hold a key"),
        ("LACUNA_API_KEYS", " , ", "must hold a key"),
        ("LACUNA_ADMIN_KEY", "", "must hold a key"),
        ("LACUNA_ADMIN_KEY", f"{ADMIN},{KEY}", "must be one; there are 2"),
        ("LACUNA_API_KEYS", "too-short", "16 to 512"),
        ("LACUNA_API_KEYS_FILE", "/nowhere/keys", "No such file"),
        ("LACUNA_ADMIN_KEY_FILE", "/", "directory"),
    ],
)
def test_a_place_for_keys_without_a_usable_one_stops_the_start(monkeypatch, name, value, words):
    monkeypatch.setenv(name, value)
    settings = read_settings()

    with pytest.raises(ConfigurationError, match=words) as caught:
        make_key_ring(settings)
    assert "too-short" not in caught.value.message


def test_an_empty_file_of_keys_opens_no_door(monkeypatch, tmp_path):
    (tmp_path / "keys").write_text("# none yet\n")
    monkeypatch.setenv("LACUNA_API_KEYS_FILE", str(tmp_path / "keys"))

    with pytest.raises(ConfigurationError, match="LACUNA_API_KEYS_FILE must hold a key"):
        make_key_ring(read_settings())


def test_settings_show_no_key(monkeypatch):
    monkeypatch.setenv("LACUNA_API_KEYS", KEY)
    monkeypatch.setenv("LACUNA_PORT", "70000")

    with pytest.raises(ConfigurationError) as caught:
        read_settings()
    monkeypatch.setenv("LACUNA_PORT", "7000")

    assert KEY not in caught.value.message
    assert KEY not in repr(read_settings())
    assert KEY not in str(read_settings().model_dump())


@pytest.mark.parametrize(
    ("host", "keys", "warned"),
    [
        ("127.0.0.1", None, False),
        ("::1", None, False),
        ("localhost", None, False),
        ("0.0.0.0", None, True),  # noqa: S104 (nothing listens there)
        ("::", None, True),
        ("192.168.1.5", None, True),
        ("some-host", None, True),
        ("0.0.0.0", KEY, False),  # noqa: S104
    ],
)
def test_doors_that_are_open_to_others_are_warned_of(monkeypatch, caplog, host, keys, warned):
    monkeypatch.setenv("LACUNA_HOST", host)
    if keys:
        monkeypatch.setenv("LACUNA_API_KEYS", keys)
    settings = read_settings()
    services = make_services(settings)

    with caplog.at_level(logging.WARNING):
        warn_of_open_access(settings, services)
    services.exchange.pipeline.segmenter.close()

    assert any("EVERYBODY" in line.message for line in caplog.records) is warned


def test_each_model_has_its_limit_of_pixels_and_names_that_no_model_has_do_nothing(monkeypatch):
    monkeypatch.setenv("LACUNA_REPOSITORY__IMAGE_PIXELS", '{"fake": 1000, "ghost": 1}')
    services = make_services(read_settings())
    services.exchange.pipeline.segmenter.close()

    assert services.exchange.find_limits("fake").most_pixels == 1000
    assert services.exchange.find_limits("other").most_pixels == 4096 * 4096
    assert [status.name for status in services.repository.statuses] == ["fake"]


@pytest.mark.parametrize(
    ("models", "default", "expected"),
    [
        (None, None, "aerial"),
        (None, "groundcover", "groundcover"),
        ("groundcover", None, "groundcover"),
    ],
)
def test_the_demo_has_a_default_unless_a_setting_names_another(
    monkeypatch, models, default, expected
):
    monkeypatch.setenv("LACUNA_MODEL_REPOSITORY", str(DEMO_REPOSITORY))
    for name, value in (("MODELS", models), ("REPOSITORY__DEFAULT_MODEL", default)):
        if value is not None:
            monkeypatch.setenv(f"LACUNA_{name}", value)
    services = make_services(read_settings())
    services.exchange.pipeline.segmenter.close()

    assert services.repository.default_model == expected


@pytest.mark.parametrize("place", ["missing", "file"])
def test_a_repository_that_is_no_folder_stops_the_start(monkeypatch, tmp_path, place):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LACUNA_MODEL_REPOSITORY", str(tmp_path / place))
    settings = read_settings()

    with pytest.raises(ConfigurationError, match="must be a folder that can be read"):
        check_repository(settings)


@pytest.mark.parametrize("given", ["m", "m/1"])
def test_a_model_or_a_version_that_is_given_for_its_repository_stops_the_start(
    monkeypatch, tmp_path, given
):
    write_version(tmp_path, "m/1")
    monkeypatch.setenv("LACUNA_MODEL_REPOSITORY", str(tmp_path / given))

    with pytest.raises(ConfigurationError, match=r"saved_model\.pb is in .*: give its parent"):
        check_repository(read_settings())


@pytest.mark.parametrize("given", ["m", "m/1"])
def test_how_to_serve_a_model_alone_is_said_where_it_is_given_for_its_repository(
    monkeypatch, tmp_path, given
):
    write_version(tmp_path, "m/1")
    monkeypatch.setenv("LACUNA_MODEL_REPOSITORY", str(tmp_path / given))

    with pytest.raises(ConfigurationError, match="name it with LACUNA_MODELS or --models"):
        check_repository(read_settings())

    for poll_s in ("10", "0"):
        monkeypatch.setenv("LACUNA_REPOSITORY__POLL_S", poll_s)
        check_repository(read_settings(models="mine"))


@pytest.mark.parametrize("given", ["m", "m/1"])
def test_a_model_that_is_given_for_its_repository_is_not_several(monkeypatch, tmp_path, given):
    write_version(tmp_path, "m/1")
    monkeypatch.setenv("LACUNA_MODEL_REPOSITORY", str(tmp_path / given))

    with pytest.raises(ConfigurationError, match=r"saved_model\.pb is in .*: give its parent"):
        check_repository(read_settings(models="mine,other"))


def test_a_version_of_the_only_model_has_no_leading_zeros(monkeypatch, tmp_path):
    write_version(tmp_path, "0001")
    monkeypatch.setenv("LACUNA_MODEL_REPOSITORY", str(tmp_path))

    with pytest.raises(ConfigurationError, match=r"0001 is no version.*: name it 1"):
        check_repository(read_settings(models="mine"))


def test_a_repository_with_a_model_stops_no_start_whatever_else_it_holds(monkeypatch, tmp_path):
    for place in ("m/1", "2", "n/0001"):
        write_version(tmp_path, place)
    monkeypatch.setenv("LACUNA_MODEL_REPOSITORY", str(tmp_path))

    check_repository(read_settings())


def test_an_empty_repository_may_be_filled_later(monkeypatch, tmp_path):
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("LACUNA_MODEL_REPOSITORY", str(tmp_path / "empty"))
    check_repository(read_settings())

    monkeypatch.setenv("LACUNA_REPOSITORY__POLL_S", "0")
    with pytest.raises(ConfigurationError, match="must hold <model>/<version>"):
        check_repository(read_settings())

    # Who has the admin key may load a model.
    monkeypatch.setenv("LACUNA_ADMIN_KEY", ADMIN)
    check_repository(read_settings())


def test_the_keys_of_the_settings_are_read_again(monkeypatch, tmp_path):
    file = tmp_path / "keys"
    file.write_text(KEY)
    monkeypatch.setenv("LACUNA_API_KEYS_FILE", str(file))
    services = make_services(read_settings())
    services.exchange.pipeline.segmenter.close()

    def is_known(key):
        scope = {"headers": [(b"x-api-key", key.encode())], "path": "/v2"}
        return check_access(services.access_control, scope) is None

    assert (is_known(KEY), is_known(OTHER)) == (True, False)
    file.write_text(OTHER)
    asyncio.run(services.key_files.read_again())
    assert (is_known(KEY), is_known(OTHER)) == (False, True)


def test_the_server_obeys_its_settings(monkeypatch):
    monkeypatch.setenv("LACUNA_LIMITS__KEEP_ALIVE_S", "7")
    monkeypatch.setenv("LACUNA_LIMITS__IDLE_S", "8")
    monkeypatch.setenv("LACUNA_LIMITS__BODY_S", "9")
    monkeypatch.setenv("LACUNA_METRICS_PORT", "0")
    monkeypatch.setenv("LACUNA_DOCS", "false")
    settings = read_settings()
    services = make_services(settings)
    server = make_server(settings, services)
    services.exchange.pipeline.segmenter.close()

    assert server.config.timeout_keep_alive == 7
    assert (services.body_limits.idle_s, services.body_limits.body_s) == (8, 9)
    assert (services.operator_routes.docs, services.operator_routes.metrics) == (False, False)


def test_the_models_of_vertex_are_downloaded_and_its_paths_answered(monkeypatch, tmp_path):
    monkeypatch.delenv("LACUNA_MODEL_REPOSITORY")
    with serve_objects("bucket", {"models/scenes/3/saved_model.pb": b"graph"}) as storage:
        monkeypatch.setenv("AIP_STORAGE_URI", "gs://bucket/models")
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage.url)
        monkeypatch.setenv("GCE_METADATA_HOST", storage.url.removeprefix("http://"))
        monkeypatch.setenv("AIP_HEALTH_ROUTE", "/health")
        monkeypatch.setenv("AIP_PREDICT_ROUTE", "/predict")
        monkeypatch.setenv("LACUNA_API_KEYS", KEY)
        settings = fetch_models(read_settings())
    services = make_services(settings)
    with TestClient(make_app(services)) as client:
        assert wait_until(lambda: client.get("/health").status_code == 200)
        models = client.get("/v1/models", headers={"X-API-Key": KEY}).json()["models"]
        unknown = client.post("/predict", json={"instances": [[[1]]]})

    assert settings.model_repository == tmp_path / "cache" / "artifacts"
    assert [(model["name"], model["version"]) for model in models] == [("scenes", "3")]
    assert unknown.status_code == 401


def test_models_that_are_here_are_not_downloaded():
    settings = read_settings()

    assert fetch_models(settings) is settings


def test_proxies_and_the_prefix_reach_the_application(monkeypatch):
    monkeypatch.setenv("LACUNA_PROXY__TRUSTED", "10.0.0.1")
    monkeypatch.setenv("LACUNA_ROOT_PATH", "/lacuna")

    services = make_services(read_settings())

    assert services.proxies == ProxyPolicy(("10.0.0.1",), "/lacuna")


@pytest.mark.parametrize(
    ("variable", "outputs"),
    [
        (None, ["labels", "probabilities", "confidence", "support"]),
        ("all", ["labels", "probabilities", "confidence", "support"]),
        ("labels", ["labels"]),
    ],
)
def test_a_setting_says_what_a_request_that_names_no_output_gets(monkeypatch, variable, outputs):
    if variable is not None:
        monkeypatch.setenv("LACUNA_OIP__DEFAULT_OUTPUTS", variable)
    tensor = {"name": "image", "datatype": "UINT8", "shape": [1, 1, 2, 1], "data": [7, 9]}
    services = make_services(read_settings())
    with TestClient(make_app(services)) as client:
        assert wait_until(lambda: services.is_ready)
        answer = client.post("/v2/models/fake/infer", json={"inputs": [tensor]}).json()

    assert [output["name"] for output in answer["outputs"]] == outputs


@pytest.mark.parametrize(
    ("variables", "window_pixels"),
    [
        ({"MEMORY_LIMIT_BYTES": "2000000000"}, 410_958),
        ({"MEMORY_LIMIT_BYTES": "1"}, 65_536),
        ({"MEMORY_LIMIT_BYTES": "2000000000", "ENGINE__WINDOW_PIXELS": "70000"}, 70_000),
    ],
)
def test_the_largest_window_follows_from_the_memory_unless_it_is_set(
    monkeypatch, variables, window_pixels
):
    monkeypatch.setenv("LACUNA_ENGINE__WORKERS", "2")
    for name, value in variables.items():
        monkeypatch.setenv(f"LACUNA_{name}", value)

    segmenter = make_services(read_settings()).exchange.pipeline.segmenter

    assert segmenter.window_pixels == window_pixels


def test_more_memory_than_there_is_does_not_count(monkeypatch):
    monkeypatch.setenv("LACUNA_MEMORY_LIMIT_BYTES", str(1 << 60))

    assert make_services(read_settings()).gate.memory.image_bytes < 1 << 50
