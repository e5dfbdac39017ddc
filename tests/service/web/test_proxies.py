"""Proxies in front of the server: whose headers are obeyed, and what of paths is a prefix."""

import asyncio
import json
import logging
import re
import socket
from types import SimpleNamespace
from urllib.parse import urljoin

import httpx2
import numpy as np
import pytest
import requests
import tritonclient.http as triton

from lacuna.client import Client
from lacuna.errors import ConfigurationError
from service.core.admission import AdmissionPolicy
from service.listening.access import AccessControl
from service.listening.keys import KeyRing
from service.web.access import name_client
from service.web.app import make_app
from service.web.proxies import ProxyLayer, ProxyPolicy, check_proxy, read_prefix
from tests.support.apps import (
    encode_image,
    load_repository,
    make_repository_folder,
    make_services,
    serve,
)
from tests.support.live import find_address, run_server
from tests.support.reverse_proxy import Forwarding, forward
from tests.support.waiting import wait_until

PROXY, INNER, CLIENT, STRANGER = "10.0.0.1", "10.0.0.2", "203.0.113.7", "198.51.100.9"
TRUSTED = ("10.0.0.0/8", "2001:db8:f::1")
OWN = {"v1", "v2", "static"}
PIXELS = np.arange(63, dtype=np.uint8).reshape(7, 9) * 4
IMAGE = encode_image(PIXELS)
# The fake model's labels: three equal classes, by the mean of the pixels at most two steps away.
LABELS = [
    [
        int(PIXELS[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3].mean() * 3 / 256)
        for x in range(PIXELS.shape[1])
    ]
    for y in range(PIXELS.shape[0])
]


def pass_through(*headers, peer=PROXY, path="/livez", root_path="", trusted=TRUSTED):
    """Return what is left of a request behind the layer."""
    seen = []

    async def app(scope, receive, send):
        seen.append(scope)

    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    scope = {"type": "http", "path": path, "root_path": "", "headers": encoded, "scheme": "http"}
    layer = ProxyLayer(app, ProxyPolicy(trusted, root_path), OWN)
    asyncio.run(layer(scope | {"client": peer and (peer, 5000)}, None, None))
    scope = seen[0]
    client = scope["client"] and scope["client"][0]
    return SimpleNamespace(
        client=client, path=scope["path"], prefix=scope["root_path"], scheme=scope["scheme"]
    )


def test_the_address_that_a_trusted_proxy_forwards_is_the_clients():
    assert pass_through(("x-forwarded-for", CLIENT)).client == CLIENT


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        (f"{CLIENT}, {INNER}", CLIENT),
        (f"{CLIENT},{INNER},10.9.9.9", CLIENT),
        (f"1.1.1.1, {CLIENT}, {INNER}", CLIENT),  # the first was there when the client sent it
        (f"{PROXY}, {CLIENT}, {INNER}", CLIENT),  # even if it claims to be one of ours
        (f"{INNER}, {PROXY}", INNER),  # a client that stands among the proxies
    ],
)
def test_of_several_hops_the_last_that_is_no_proxy_of_ours_counts(forwarded, client):
    assert pass_through(("x-forwarded-for", forwarded)).client == client


def test_several_headers_are_one_list():
    headers = [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", f"{CLIENT}, {INNER}")]

    assert pass_through(*headers).client == CLIENT


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("2001:DB8:0:1::7", "2001:db8:0:1::7"),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ("2001:db8::7, 2001:0db8:000f::0001", "2001:db8::7"),
        (f"{CLIENT}:40312", CLIENT),
        (f"::ffff:{CLIENT}", CLIENT),
    ],
)
def test_addresses_are_read_in_every_form_and_named_in_one(forwarded, client):
    assert pass_through(("x-forwarded-for", forwarded)).client == client


@pytest.mark.parametrize(
    "forwarded",
    [
        "",
        ",",
        "unknown",
        "_hidden",
        "a.b.c.d",
        "999.1.1.1",
        "[2001:db8::7",
        "é\x00\x1b[31m",
        f"{CLIENT}, unknown",
        f"{CLIENT}, unknown, {INNER}",
        "1" * 5000,
    ],
)
def test_without_a_usable_address_the_proxys_own_stays(forwarded):
    assert pass_through(("x-forwarded-for", forwarded)).client == PROXY


@pytest.mark.parametrize("peer", [STRANGER, "2001:db8:f::2", "11.0.0.1", None, "testclient"])
def test_headers_of_anybody_else_are_ignored(peer):
    seen = pass_through(
        ("x-forwarded-for", CLIENT),
        ("x-forwarded-prefix", "/lacuna"),
        ("x-forwarded-proto", "https"),
        peer=peer,
        path="/lacuna/livez",
    )

    assert (seen.client, seen.path, seen.prefix) == (peer, "/lacuna/livez", "")
    assert seen.scheme == "http"


def test_a_proxy_with_an_ipv6_address_is_trusted_however_it_is_written():
    trusted = ("2001:0db8:000f:0000::1",)
    forwarded = ("x-forwarded-for", CLIENT)

    assert pass_through(forwarded, peer="2001:db8:f::1", trusted=trusted).client == CLIENT


def test_the_scheme_comes_from_a_trusted_proxy():
    assert pass_through(("x-forwarded-proto", "https")).scheme == "https"


PREFIXED = ("x-forwarded-prefix", "/lacuna")


@pytest.mark.parametrize(
    ("path", "inner"),
    [
        ("/lacuna/v1/segment", "/v1/segment"),  # not removed by the proxy
        ("/v1/segment", "/v1/segment"),  # removed
        ("/lacuna/", "/"),
        ("/lacuna", "/"),
        ("/lacunae/v1", "/lacunae/v1"),
    ],
)
@pytest.mark.parametrize("by_header", [True, False])
def test_a_prefix_is_known_whether_the_proxy_removes_it_or_not(path, inner, by_header):
    seen = (
        pass_through(PREFIXED, path=path)
        if by_header
        else pass_through(path=path, root_path="/lacuna", peer=STRANGER)
    )

    assert seen.path == inner
    assert seen.prefix == ("" if inner.startswith("/lacuna") else "/lacuna")


def test_a_prefix_is_removed_once():
    assert pass_through(PREFIXED, path="/lacuna/lacuna/v1/segment").path == "/lacuna/v1/segment"


def test_the_prefix_of_a_proxy_stands_above_the_configured_one():
    given = ("x-forwarded-prefix", "/tools/lacuna/")
    seen = pass_through(given, path="/tools/lacuna/livez", root_path="/other")

    assert (seen.path, seen.prefix) == ("/livez", "/tools/lacuna")


@pytest.mark.parametrize(
    "given",
    [
        "",
        "/",
        "lacuna",
        "//evil.example",
        "/a/../b",
        "/./a",
        '/"><script>',
        "/a b",
        "/%2e",
        "/v1",
        "/static/x",
        "https://evil.example/",
        "/é",
    ],
)
def test_an_unusable_prefix_of_a_proxy_is_ignored(given):
    seen = pass_through(("x-forwarded-prefix", given), root_path="/lacuna")

    assert (seen.path, seen.prefix) == ("/livez", "/lacuna")


def test_what_is_no_request_passes():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope)

    asyncio.run(ProxyLayer(app, ProxyPolicy(TRUSTED), OWN)({"type": "lifespan"}, None, None))

    assert seen == [{"type": "lifespan"}]


@pytest.mark.parametrize("text", ["10.0.0.1", "10.0.0.0/8", "::1", "fd00::/8"])
def test_a_proxy_is_an_address_or_a_network(text):
    assert check_proxy(text) == text


@pytest.mark.parametrize("text", ["*", "", "proxy.example", "10.0.0.1/8", "0.0.0.0/0", "::/0"])
def test_nothing_else_is_trusted_least_of_all_everybody(text):
    with pytest.raises(ValueError, match=r"appear|must not hold all|host bits"):
        check_proxy(text)


@pytest.mark.parametrize(
    ("text", "prefix"),
    [("", ""), ("/", ""), ("/lacuna", "/lacuna"), ("/a/b-c/", "/a/b-c"), ("/.well-known", None)],
)
def test_a_prefix_is_normalised(text, prefix):
    assert read_prefix(text) == (text if prefix is None else prefix)


@pytest.mark.parametrize("segment", ["v1", "v2", "static", "samples", "livez", "docs", "metrics"])
def test_a_prefix_that_is_a_path_of_the_server_stops_the_start(tmp_path, segment):
    services = make_services(
        load_repository(tmp_path), proxies=ProxyPolicy(root_path=f"/{segment}/a")
    )

    with pytest.raises(ConfigurationError, match=r"must not begin with .*paths of the server"):
        make_app(services)


def test_without_a_proxy_no_request_passes_a_layer_for_it(tmp_path):
    repository = load_repository(tmp_path)

    assert not hasattr(make_app(make_services(repository)), "proxy_layer")
    assert hasattr(make_app(make_services(repository, proxies=ProxyPolicy(TRUSTED))), "proxy_layer")


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (CLIENT, CLIENT),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        (f"::ffff:{CLIENT}", CLIENT),
        ("not:an:address", "not:an:address"),
    ],
)
def test_all_addresses_of_an_ipv6_network_are_one_client(address, name):
    assert name_client({"client": (address, 5000)}) == name


def read_line(caplog, path):
    (record,) = [line for line in caplog.records if getattr(line, "path", None) == path]
    return record


def test_log_lines_carry_the_clients_address(tmp_path, caplog):
    with (
        caplog.at_level(logging.INFO),
        serve(load_repository(tmp_path)) as client,
    ):
        client.get("/v1/models", headers={"X-Forwarded-For": CLIENT})

    assert read_line(caplog, "/v1/models").client == "testclient"


def test_log_lines_carry_the_address_that_a_trusted_proxy_forwards(tmp_path, caplog):
    services = make_services(load_repository(tmp_path), proxies=ProxyPolicy(("127.0.0.1",)))
    with caplog.at_level(logging.INFO), run_server(services) as server:
        url = f"http://{find_address(server, ready=False)}/v1/models"
        httpx2.get(url, headers={"X-Forwarded-For": f"{STRANGER}, {CLIENT}"})

        # The line is written after the answer.
        assert wait_until(lambda: any(hasattr(line, "client") for line in caplog.records))
    assert read_line(caplog, "/v1/models").client == CLIENT


def test_behind_a_proxy_each_client_has_a_share_of_its_own(tmp_path):
    services = make_services(
        load_repository(make_repository_folder(tmp_path)),
        admission=AdmissionPolicy(max_pending=2, max_share=0.5),
        proxies=ProxyPolicy(("127.0.0.1",)),
    )
    with run_server(services) as server:
        address = find_address(server)
        host, port = address.split(":")

        def ask(client):
            headers = {"X-Forwarded-For": client}
            return httpx2.post(f"http://{address}/v1/segment", content=IMAGE, headers=headers)

        with socket.create_connection((host, int(port))) as slow:
            head = f"POST /v1/segment HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {CLIENT}\r\n"
            slow.sendall(f"{head}Content-Length: 1000\r\n\r\n".encode())
            assert wait_until(lambda: services.gate.pending == 1)

            assert ask(CLIENT).json()["code"] == "overloaded"
            assert ask(STRANGER).status_code == 200


FORWARDINGS = {
    "removed, by setting": (Forwarding(), ProxyPolicy(root_path="/lacuna")),
    "kept, by setting": (Forwarding(strips=False), ProxyPolicy(root_path="/lacuna")),
    "removed, by header": (Forwarding(sends_prefix=True), ProxyPolicy(("127.0.0.1",))),
    "kept, by header": (
        Forwarding(strips=False, sends_prefix=True),
        ProxyPolicy(("127.0.0.1",)),
    ),
}


@pytest.fixture(scope="module", params=FORWARDINGS.values(), ids=FORWARDINGS)
def address(request, tmp_path_factory):
    """Host, port and prefix of a server behind a proxy."""
    forwarding, policy = request.param
    root = make_repository_folder(tmp_path_factory.mktemp("models"))
    services = make_services(load_repository(root), proxies=policy)
    with (
        run_server(services) as server,
        forward(find_address(server), forwarding) as proxy,
    ):
        yield f"{proxy}/lacuna"


def test_our_client_works_under_a_prefix(address):
    with Client(f"http://{address}") as client:
        models = client.models()
        results = [client.segment(PIXELS).labels]
    with Client(f"http://{address}/", protocol="oip") as client:
        results.append(client.segment(PIXELS).labels)
    with Client(f"http://{address}", protocol="tfserving") as client:
        results.append(client.segment(PIXELS).labels)

    assert [model.name for model in models] == ["fake"]
    for labels in results:
        assert labels.tolist() == LABELS


def test_stock_clients_work_under_a_prefix(address):
    client = triton.InferenceServerClient(address)
    image = triton.InferInput("image", [1, 7, 9, 1], "UINT8").set_data_from_numpy(
        PIXELS[None, ..., None]
    )
    labels = client.infer("fake", [image]).as_numpy("labels")
    url = f"http://{address}/v1/models/fake:predict"
    row = {"image": PIXELS.tolist()}
    answer = requests.post(
        url, json={"instances": [row], "signature_name": "labels"}, timeout=60
    ).json()
    client.close()

    assert labels[0].tolist() == answer["predictions"][0] == LABELS


def test_errors_keep_the_shape_of_their_protocol_under_a_prefix(address):
    unknown = [requests.get(f"http://{address}{path}", timeout=60) for path in ("/v2/x", "/x")]

    assert [answer.status_code for answer in unknown] == [404, 404]
    assert list(unknown[0].json()) == ["error"]
    assert unknown[1].json()["code"] == "not_found"


def test_the_openapi_document_leads_to_the_prefix(address):
    script = requests.get(f"http://{address}/docs/start.js", timeout=60).text
    document = requests.get(f"http://{address}/openapi.json", timeout=60).json()

    assert json.dumps("openapi.json") in script
    assert document["servers"] == [{"url": "/lacuna"}]


@pytest.mark.parametrize("path", ["", "/"])
def test_everything_that_the_page_links_to_is_there(address, path):

    url = f"http://{address}{path}"
    page = requests.get(url, timeout=60)
    links = re.findall(r'(?:href|src)="([^"#]+)"', page.text)

    assert page.status_code == 200
    assert len(links) > 6
    for link in links:
        assert urljoin(url, link).startswith(f"http://{address}/")
        assert requests.get(urljoin(url, link), timeout=60).status_code == 200


def test_without_a_prefix_the_page_links_relatively_so_that_any_proxy_may_remove_one(tmp_path):
    services = make_services(load_repository(make_repository_folder(tmp_path)))
    with (
        run_server(services) as server,
        forward(find_address(server), Forwarding()) as proxy,
    ):
        page = requests.get(f"http://{proxy}/lacuna/", timeout=60).text
        script = requests.get(f"http://{proxy}/lacuna/static/main.js", timeout=60)

    assert 'src="static/main.js"' in page
    assert script.status_code == 200


def test_keys_are_asked_for_under_a_prefix(tmp_path):
    with serve(
        load_repository(tmp_path),
        access_control=AccessControl(KeyRing(["a-client-key-0001"])),
        proxies=ProxyPolicy(root_path="/lacuna"),
    ) as client:
        statuses = {
            path: client.get(path).status_code
            for path in ("/lacuna/livez", "/lacuna/", "/lacuna/v1/models", "/lacuna/lacuna/livez")
        }

    assert list(statuses.values()) == [200, 200, 401, 401]
