import re
from pathlib import Path

import pytest

from lacuna.errors import ConfigurationError
from lacuna.raster.limits import ImageLimits
from service import config
from service.artifacts import Artifacts
from service.assembly import make_repository_policy
from service.config import Settings, list_injected_variables, list_variables, read_settings
from service.core.versions import VersionPolicy
from service.engine.lifecycle.repository import RepositoryPolicy
from service.listening.body_limits import BodyLimits
from service.platforms import (
    DEMO_MODEL,
    DEMO_REPOSITORY,
    find_artifacts,
    find_demo_model,
    find_port,
    find_repository,
    read_vertex_routes,
)
from service.variables import is_injected

PLATFORM_VARIABLES = [
    "AIP_HTTP_PORT",
    "AIP_HEALTH_ROUTE",
    "AIP_PREDICT_ROUTE",
    "AIP_STORAGE_URI",
    "SAGEMAKER_BIND_TO_PORT",
    "STORAGE_EMULATOR_HOST",
    "GCE_METADATA_HOST",
]


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for name in [*list_variables(), *PLATFORM_VARIABLES]:
        monkeypatch.delenv(name, raising=False)


def test_the_name_of_a_model_to_serve_must_be_one_that_a_model_may_have():
    with pytest.raises(ConfigurationError, match=r"LACUNA_MODELS.* up to 100 letters, digits"):
        read_settings(models="mine,bad name")


def test_the_defaults_are_those_of_the_parts_that_obey_them():
    settings = read_settings()

    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.model_repository == DEMO_REPOSITORY
    assert settings.limits.body_bytes == BodyLimits().body_bytes
    assert settings.limits.image_pixels == ImageLimits().image_pixels
    assert settings.limits.image_channels == ImageLimits().image_channels


def test_variables_are_read_from_the_environment(monkeypatch):
    monkeypatch.setenv("LACUNA_PORT", "9000")
    monkeypatch.setenv("LACUNA_LIMITS__BODY_BYTES", "1000")
    monkeypatch.setenv("LACUNA_MODELS", "a, b,")
    monkeypatch.setenv("LACUNA_MODEL_REPOSITORY", "/models")

    settings = read_settings()

    assert settings.port == 9000
    assert settings.limits.body_bytes == 1000
    assert settings.limits.image_pixels == ImageLimits().image_pixels
    assert settings.models == ("a", "b")
    assert settings.model_repository == Path("/models")


def test_an_option_goes_before_the_environment(monkeypatch):
    monkeypatch.setenv("LACUNA_PORT", "9000")

    assert read_settings(port=9001, host=None).port == 9001


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("LACUNA_PROT", "LACUNA_PORT"),
        ("LACUNA_LIMITS__BODYBYTES", "LACUNA_LIMITS__BODY_BYTES"),
        ("LACUNA_BODY_BYTES", "LACUNA_LIMITS__BODY_BYTES"),
        ("lacuna_hosts", "LACUNA_HOST"),
        ("LACUNA_METRIC_PORT", "LACUNA_METRICS_PORT"),
    ],
)
def test_a_misspelt_variable_stops_the_start_and_the_nearest_setting_is_named(
    monkeypatch, name, nearest
):
    monkeypatch.setenv(name, "1")

    with pytest.raises(ConfigurationError, match=f"{name} is not") as caught:
        read_settings()
    assert re.search(rf"did you mean {nearest}\b", caught.value.message)


def test_a_variable_that_resembles_no_setting_stops_the_start_with_all_of_them(monkeypatch):
    monkeypatch.setenv("LACUNA_FROB", "1")

    with pytest.raises(ConfigurationError) as caught:
        read_settings()
    assert caught.value.message == (
        f"a variable with the prefix LACUNA_ must be one of {', '.join(list_variables())}; "
        "LACUNA_FROB is not"
    )


# Of a service, as Kubernetes documents it, and of a link of Docker's.
KUBERNETES = {
    "SERVICE_HOST": "10.96.0.12",
    "SERVICE_PORT": "8000",
    "SERVICE_PORT_HTTP": "8000",
    "PORT": "tcp://10.96.0.12:8000",
    "PORT_8000_TCP": "tcp://10.96.0.12:8000",
    "PORT_8000_TCP_PROTO": "tcp",
    "PORT_8000_TCP_PORT": "8000",
    "PORT_8000_TCP_ADDR": "10.96.0.12",
}
DOCKER = {
    "NAME": "/web/lacuna",
    "PORT": "tcp://172.17.0.5:8000",
    "PORT_8000_TCP": "tcp://172.17.0.5:8000",
    "PORT_8000_TCP_ADDR": "172.17.0.5",
    "ENV_PATH": "/usr/bin:/bin",
}


@pytest.mark.parametrize("injected", [KUBERNETES, DOCKER])
@pytest.mark.parametrize("service", ["LACUNA", "LACUNA_WEB", "LACUNA_METRICS", "LACUNA_LIMITS__X"])
def test_variables_of_a_service_of_our_name_are_ignored(monkeypatch, injected, service):
    defaults = read_settings()
    for name, value in injected.items():
        monkeypatch.setenv(f"{service}_{name}", value)

    assert read_settings() == defaults
    assert list_injected_variables() == sorted(f"{service}_{name}" for name in injected)


def test_an_ipv6_address_and_another_protocol_are_no_port(monkeypatch):
    monkeypatch.setenv("LACUNA_PORT", "udp://[fd00::1]:53")

    assert read_settings().port == 8000
    assert read_settings(port=9001).port == 9001


def test_a_port_beside_the_variables_of_a_service_is_obeyed(monkeypatch):
    monkeypatch.setenv("LACUNA_SERVICE_HOST", "10.96.0.12")
    monkeypatch.setenv("LACUNA_PORT", "9000")

    assert read_settings().port == 9000


@pytest.mark.parametrize(
    ("text", "port"), [("0", 0), (" 9001 ", 9001), ("off", "off"), ("OFF", "off")]
)
def test_grpc_has_a_port_or_none(monkeypatch, text, port):
    monkeypatch.setenv("LACUNA_GRPC_PORT", text)

    assert read_settings().grpc_port == port


@pytest.mark.parametrize("text", ["abc", "-1", "65536", "1.5", "", "９"])
def test_what_is_no_port_of_grpc_stops_the_start_and_names_the_setting(monkeypatch, text):
    monkeypatch.setenv("LACUNA_GRPC_PORT", text)

    with pytest.raises(ConfigurationError) as raised:
        read_settings()
    assert raised.value.message == (
        "settings must be in range: LACUNA_GRPC_PORT: it must be a port from 0 to 65535, or off; "
        f"it is {text}"
    )


@pytest.mark.parametrize("value", ["9000", "10.96.0.12:8000", "tcp:8000", "://8000"])
def test_what_is_no_address_of_a_service_is_misspelt(monkeypatch, value):
    monkeypatch.setenv("LACUNA_WEB_PORT", value)

    with pytest.raises(ConfigurationError, match="LACUNA_WEB_PORT is not"):
        read_settings()


def test_no_setting_is_taken_for_a_variable_of_a_service():
    for name in list_variables():
        assert not is_injected(name, "9000")
        assert not is_injected(name, "/models")


def test_every_value_out_of_range_is_named(monkeypatch):
    monkeypatch.setenv("LACUNA_PORT", "70000")
    monkeypatch.setenv("LACUNA_LIMITS__IMAGE_PIXELS", "0")

    with pytest.raises(ConfigurationError) as caught:
        read_settings()
    assert "LACUNA_PORT" in caught.value.message
    assert "LACUNA_LIMITS__IMAGE_PIXELS" in caught.value.message
    assert "70000" in caught.value.message


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("LACUNA_PROXY__TRUSTED", "0.0.0.0/0", "must not hold all addresses"),
        ("LACUNA_ROOT_PATH", "lacuna/", "a prefix of paths must be"),
        ("LACUNA_PROXY__TRUSTED", "10.0.0.1/8", "10.0.0.1/8 has host bits set"),
        ("LACUNA_PORT", "70000", "Input should be less than or equal to 65535"),
    ],
)
def test_a_value_out_of_range_is_stated_once_after_the_rule(monkeypatch, name, value, reason):
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError) as caught:
        read_settings()
    assert f": {reason}" in caught.value.message
    assert caught.value.message.count("; it is ") == 1


@pytest.mark.parametrize("port", ["8212", "8000"])
def test_the_port_of_the_metrics_must_not_be_that_of_the_server(monkeypatch, port):
    monkeypatch.setenv("LACUNA_METRICS_PORT", port)

    with pytest.raises(ConfigurationError, match=f"LACUNA_PORT; both are {port}"):
        read_settings(port=int(port))
    assert read_settings(port=8001).metrics_port == int(port)


def test_what_is_served_of_the_repository_is_read(monkeypatch):
    monkeypatch.setenv("LACUNA_REPOSITORY__POLL_S", "0")
    monkeypatch.setenv("LACUNA_REPOSITORY__VERSIONS", "latest:2")
    monkeypatch.setenv("LACUNA_REPOSITORY__MODEL_VERSIONS", '{"a": "3, 1"}')
    monkeypatch.setenv("LACUNA_REPOSITORY__LABELS", '{"a": {"stable": 3}}')
    monkeypatch.setenv("LACUNA_REPOSITORY__MAX_PENDING", '{"a": 8}')

    policy = make_repository_policy(read_settings().repository)

    assert policy == RepositoryPolicy(
        0.0,
        VersionPolicy(2),
        {"a": VersionPolicy(None, ("1", "3"))},
        {"a": {"stable": "3"}},
        {"a": 8},
    )


def test_by_default_the_repository_is_served_as_it_is_without_settings():
    assert make_repository_policy(read_settings().repository) == RepositoryPolicy()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PRECISION", '{"a": "int8"}'),
        ("PRECISION", "bfloat16"),
        ("VERSIONS", "newest"),
        ("MODEL_VERSIONS", '{"a": "01"}'),
        ("MODEL_VERSIONS", '{"../a": "1"}'),
        ("LABELS", '{"a": {"latest": 1}}'),
        ("LABELS", '{"a": {"stable": "one"}}'),
        ("LABELS", '{"a": '),
        ("MAX_PENDING", '{"a": 0}'),
        ("IMAGE_PIXELS", '{"a": 0}'),
        ("IMAGE_PIXELS", '{"a": "large"}'),
        ("IMAGE_PIXELS", "1000"),
        ("IMAGE_PIXELS", '{"../a": 1}'),
        ("POLL_S", "-1"),
    ],
)
def test_what_cannot_be_served_of_a_repository_stops_the_start(monkeypatch, name, value):
    monkeypatch.setenv(f"LACUNA_REPOSITORY__{name}", value)

    with pytest.raises(ConfigurationError, match=r"(?i)repository"):
        read_settings()


def test_precisions_of_all_models_and_of_single_ones_are_read(monkeypatch):
    monkeypatch.setenv("LACUNA_ENGINE__PRECISION", "auto")
    monkeypatch.setenv("LACUNA_REPOSITORY__PRECISION", '{"a": "bfloat16"}')

    settings = read_settings()
    policy = make_repository_policy(settings.repository, settings.engine.precision)

    assert [policy.choose_precision(name) for name in "ab"] == ["bfloat16", "auto"]


def test_a_precision_that_is_none_stops_the_start(monkeypatch):
    monkeypatch.setenv("LACUNA_ENGINE__PRECISION", "int8")

    with pytest.raises(ConfigurationError) as caught:
        read_settings()
    assert caught.value.message == (
        "settings must be in range: LACUNA_ENGINE__PRECISION: "
        "Input should be 'float32', 'bfloat16' or 'auto'; it is 'int8'"
    )


def test_a_model_may_be_as_large_as_the_server_lets_it(monkeypatch):
    monkeypatch.setenv("LACUNA_LIMITS__IMAGE_PIXELS", "1000")
    monkeypatch.setenv("LACUNA_REPOSITORY__IMAGE_PIXELS", '{"a": 1000, "b": 7}')

    assert read_settings().repository.image_pixels == {"a": 1000, "b": 7}


def test_a_model_that_may_be_larger_than_the_server_lets_it_stops_the_start(monkeypatch):
    monkeypatch.setenv("LACUNA_API_KEYS", "a-client-key-0001")
    monkeypatch.setenv("LACUNA_LIMITS__IMAGE_PIXELS", "1000")
    monkeypatch.setenv("LACUNA_REPOSITORY__IMAGE_PIXELS", '{"a": 999, "b": 1001, "c": 2000}')

    with pytest.raises(ConfigurationError) as caught:
        read_settings()
    assert caught.value.message == (
        "LACUNA_REPOSITORY__IMAGE_PIXELS must be at most LACUNA_LIMITS__IMAGE_PIXELS, 1000; "
        "b's is 1001, c's is 2000"
    )


def test_nothing_is_read_on_import():
    assert not any(isinstance(value, Settings) for value in vars(config).values())


@pytest.mark.parametrize("name", ["AIP_HTTP_PORT", "SAGEMAKER_BIND_TO_PORT"])
def test_a_platforms_port_is_the_default(monkeypatch, name):
    monkeypatch.setenv(name, "8085")
    asked = read_settings().port
    monkeypatch.setenv("LACUNA_PORT", "9000")

    assert asked == 8085
    assert read_settings().port == 9000


@pytest.mark.parametrize("text", ["tcp://10.0.0.1:80", "0", "65536", "-1", "8080.0", "٨٠٨٠"])
def test_a_platforms_port_that_is_none_stops_the_start(monkeypatch, text):
    monkeypatch.setenv("AIP_HTTP_PORT", text)

    with pytest.raises(ConfigurationError, match="AIP_HTTP_PORT must be a port"):
        read_settings()


def test_a_default_model_that_is_not_to_be_served_stops_the_start(monkeypatch):
    monkeypatch.setenv("LACUNA_REPOSITORY__DEFAULT_MODEL", "c")
    monkeypatch.setenv("LACUNA_MODELS", "a,b")

    rule = "LACUNA_REPOSITORY__DEFAULT_MODEL must be one of LACUNA_MODELS, a, b; it is c"
    with pytest.raises(ConfigurationError, match=rule):
        read_settings()
    monkeypatch.setenv("LACUNA_MODELS", "a,c")
    assert read_settings().repository.default_model == "c"


@pytest.mark.parametrize("name", ["../m", "", "a b"])
def test_a_default_model_that_no_model_can_be_called_stops_the_start(monkeypatch, name):
    monkeypatch.setenv("LACUNA_REPOSITORY__DEFAULT_MODEL", name)

    with pytest.raises(ConfigurationError, match="REPOSITORY__DEFAULT_MODEL: a name must have"):
        read_settings()


def test_the_default_of_the_demo_is_that_of_no_other_repository(tmp_path):
    (tmp_path / DEMO_MODEL).mkdir()

    assert find_demo_model(DEMO_REPOSITORY) == DEMO_MODEL
    assert find_demo_model(tmp_path) is None


def test_on_sagemaker_port_and_folder_are_sagemakers(tmp_path):
    (tmp_path / "groundcover" / "1").mkdir(parents=True)

    assert (find_port(tmp_path), find_repository(tmp_path)) == (8080, tmp_path)


def test_on_sagemaker_without_model_data_the_demo_is_served(tmp_path):
    assert (find_port(tmp_path), find_repository(tmp_path)) == (8080, DEMO_REPOSITORY)


def test_elsewhere_nothing_is_sagemakers(tmp_path):
    nowhere = tmp_path / "nowhere"

    assert (find_port(nowhere), find_repository(nowhere)) == (8000, DEMO_REPOSITORY)


def test_vertex_names_paths_of_its_own(monkeypatch):
    none = read_vertex_routes()
    monkeypatch.setenv("AIP_HEALTH_ROUTE", "/v1/endpoints/1/deployedModels/2")
    monkeypatch.setenv("AIP_PREDICT_ROUTE", "/v1/endpoints/1/deployedModels/2:predict")

    assert none == {}
    assert read_vertex_routes() == {
        "health": "/v1/endpoints/1/deployedModels/2",
        "predict": "/v1/endpoints/1/deployedModels/2:predict",
    }


@pytest.mark.parametrize("text", ["health", "/{name}", "/a?b", "/a b", "http://host/a"])
def test_a_path_of_vertex_that_is_none_stops_the_start(monkeypatch, text):
    monkeypatch.setenv("AIP_HEALTH_ROUTE", text)

    with pytest.raises(ConfigurationError, match="AIP_HEALTH_ROUTE must be a path"):
        read_vertex_routes()


def test_models_that_vertex_keeps_in_a_folder_are_served_from_there(monkeypatch):
    monkeypatch.setenv("AIP_STORAGE_URI", "/mnt/artifacts")
    settings = read_settings()

    assert settings.model_repository == Path("/mnt/artifacts")
    assert find_artifacts(is_set="model_repository" in settings.model_fields_set) is None


def test_models_that_vertex_keeps_in_its_storage_are_downloaded(monkeypatch):
    monkeypatch.setenv("AIP_STORAGE_URI", "gs://bucket/models")
    found = find_artifacts(is_set=False)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://localhost:4443/")
    monkeypatch.setenv("GCE_METADATA_HOST", "169.254.169.254")
    other = find_artifacts(is_set=False)

    assert found == Artifacts("gs://bucket/models")
    assert other == Artifacts(
        "gs://bucket/models", "http://localhost:4443", "http://169.254.169.254"
    )


def test_a_repository_that_is_set_goes_before_a_platforms(monkeypatch):
    monkeypatch.setenv("AIP_STORAGE_URI", "gs://bucket/models")
    monkeypatch.setenv("LACUNA_MODEL_REPOSITORY", "/models")
    settings = read_settings()

    assert settings.model_repository == Path("/models")
    assert find_artifacts(is_set="model_repository" in settings.model_fields_set) is None


def test_proxies_are_addresses_and_networks(monkeypatch):
    monkeypatch.setenv("LACUNA_PROXY__TRUSTED", "10.0.0.0/8, ::1,")
    monkeypatch.setenv("LACUNA_ROOT_PATH", "/tools/lacuna/")
    settings = read_settings()

    assert settings.proxy.trusted == ("10.0.0.0/8", "::1")
    assert settings.root_path == "/tools/lacuna"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LACUNA_PROXY__TRUSTED", "*"),
        ("LACUNA_PROXY__TRUSTED", "10.0.0.0/8,0.0.0.0/0"),
        ("LACUNA_PROXY__TRUSTED", "proxy.example"),
        ("LACUNA_ROOT_PATH", "lacuna"),
        ("LACUNA_ROOT_PATH", "/a/../b"),
    ],
)
def test_a_proxy_or_prefix_that_is_none_stops_the_start(monkeypatch, name, value):
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError, match=name):
        read_settings()
