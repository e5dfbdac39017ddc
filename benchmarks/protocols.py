"""Cost of gRPC beside REST: the same images by both, for workload A.

    python benchmarks/protocols.py [--side 64] [--connections 32] [--rounds 5] [--seconds 4]

One server answers the Open Inference Protocol over HTTP and over gRPC in turn, with raw tensors and
labels alone. Both load generators use one connection for each client, send what was encoded
beforehand, and parse no more of an answer than they check. They share the cores of the server, so
their own cost is printed, too.

A second server has handlers that do nothing. The difference of their costs is that of the libraries
alone. It bounds gRPC's throughput, if all else costs the same.

The exit status is 1 if a label differed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import httpx2
import numpy as np

from benchmarks.empty_server import start_empty_server
from benchmarks.processes import start_server
from benchmarks.rows import Row, write_rows
from benchmarks.rpc_connection import PreparedCall, RpcConnection
from lacuna.sample import Sample
from service.bench.connection import ClientConnection
from service.bench.load import run_in_loop
from service.bench.workload import Workload, draw_samples, parse_sizes
from service.interfaces.messages import find_message
from service.listening.sockets import open_listeners

DEMO = Path(__file__).parents[1] / "service" / "demo" / "models" / "groundcover" / "1"
METHOD = "/inference.GRPCInferenceService/ModelInfer"
_RATIO = 0.95
HEADER = "Inference-Header-Content-Length"


class Measured(NamedTuple):
    """Result of a measurement.

    Attributes:
        rate_per_s: requests for each second.
        server_us: processor time of the server for a request, in microseconds.
        client_us: processor time of the load generator for a request, in microseconds.
    """

    rate_per_s: float
    server_us: float
    client_us: float


def encode_rest(sample: Sample, model: str) -> bytes:
    """Return a whole request over HTTP."""
    tensors = {"image": ("UINT8", sample.image[None]), "mask": ("BOOL", sample.mask[None])}
    inputs = [
        {
            "name": name,
            "datatype": datatype,
            "shape": array.shape,
            "parameters": {"binary_data_size": array.nbytes},
        }
        for name, (datatype, array) in tensors.items()
    ]
    outputs = [{"name": "labels", "parameters": {"binary_data": True}}]
    head = json.dumps({"inputs": inputs, "outputs": outputs}).encode()
    body = head + b"".join(array.tobytes() for _, array in tensors.values())
    lines = [
        f"POST /v2/models/{model}/infer HTTP/1.1",
        "Host: benchmark",
        f"{HEADER}: {len(head)}",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def encode_rpc(sample: Sample, model: str) -> bytes:
    """Return a message for gRPC."""
    message = find_message("inference.ModelInferRequest")(model_name=model)
    for name, datatype, array in (
        ("image", "UINT8", sample.image[None]),
        ("mask", "BOOL", sample.mask[None]),
    ):
        message.inputs.add(name=name, datatype=datatype, shape=array.shape)
        message.raw_input_contents.append(array.tobytes())
    message.outputs.add(name="labels")
    encoded: bytes = message.SerializeToString()
    return encoded


async def load_rest(server: httpx2.URL, requests: list[bytes], connections: int, s: float) -> int:
    """Load the server over HTTP, and return the number of answers."""

    async def use(first: int) -> int:
        connection = await ClientConnection.open(server)
        count = 0
        while time.perf_counter() < ends_s:
            answer = await connection.exchange(requests[(first + count) % len(requests)])
            if answer.status != 200:
                raise RuntimeError(f"a request must be answered; its status is {answer.status}")
            count += 1
        await connection.close()
        return count

    ends_s = time.perf_counter() + s
    return sum(await asyncio.gather(*[use(number) for number in range(connections)]))


async def load_rpc(
    port: int, calls: list[PreparedCall], answers: list[bytes], connections: int, s: float
) -> int:
    """Load the server over gRPC, and return the number of answers."""

    async def use(first: int) -> int:
        connection = await RpcConnection.open("127.0.0.1", port, METHOD)
        count = 0
        while time.perf_counter() < ends_s:
            index = (first + count) % len(calls)
            if await connection.call(calls[index]) != answers[index]:
                raise RuntimeError("a request must be answered as it was at first; it was not")
            count += 1
        await connection.close()
        return count

    ends_s = time.perf_counter() + s
    return sum(await asyncio.gather(*[use(number) for number in range(connections)]))


def read_cpu_s(server: httpx2.URL) -> float:
    """Return the processor time of the server since its start, in seconds."""
    text = httpx2.get(server.join("/metrics")).text
    found = re.search(r"^process_cpu_seconds_total (\S+)", text, re.MULTILINE)
    if found is None:
        raise RuntimeError("the metrics must tell the processor time; they do not")
    return float(found[1])


def measure(server: httpx2.URL, load: Callable[[], Coroutine[Any, Any, int]]) -> Measured:
    """Load the server, and measure it and the load generator."""
    server_s, client_s, began_s = read_cpu_s(server), time.process_time(), time.perf_counter()
    count = run_in_loop(load)
    seconds = time.perf_counter() - began_s
    client_s = time.process_time() - client_s
    server_s = read_cpu_s(server) - server_s
    return Measured(count / seconds, server_s / count * 1e6, client_s / count * 1e6)


def ask_rest(server: httpx2.URL, requests: list[bytes]) -> list[bytes]:
    """Return the labels of each image over HTTP."""

    async def ask() -> list[bytes]:
        connection = await ClientConnection.open(server)
        answers = [await connection.exchange(request) for request in requests]
        await connection.close()
        return [answer.body[_read_length(answer.head) :] for answer in answers]

    return run_in_loop(ask)


def ask_rpc(port: int, requests: list[bytes]) -> list[bytes]:
    """Return the encoded answer to each request, by gRPC's own client."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(METHOD)
        return [call(request) for request in requests]


def read_labels(answer: bytes) -> bytes:
    """Return the labels in an answer over gRPC."""
    message = find_message("inference.ModelInferResponse").FromString(answer)
    labels: bytes = message.raw_output_contents[0]
    return labels


def _read_length(head: bytes) -> int:
    found = re.search(HEADER.lower().encode() + rb": *(\d+)", head)
    return int(found[1]) if found else 0


def summarize(rest: list[Measured], rpc: list[Measured]) -> str:
    """Return the medians over all rounds of what is compared."""
    rounds = list(zip(rest, rpc, strict=True))
    rate = statistics.median(other.rate_per_s / one.rate_per_s for one, other in rounds)
    cost = statistics.median(one.server_us / other.server_us for one, other in rounds)
    clients_us = [statistics.median(found.client_us for found in way) for way in (rest, rpc)]
    return (
        f"gRPC's throughput / REST's: {rate:.2f}; REST's processor time / gRPC's: {cost:.2f}; load "
        f"generators: REST {clients_us[0]:.0f} µs, gRPC {clients_us[1]:.0f} µs for each request"
    )


def summarize_empty(
    rest: list[Measured], empty_rest: list[Measured], empty_rpc: list[Measured]
) -> str:
    """Return what the libraries alone cost, and the bound of gRPC's throughput that follows."""
    costs_us = [
        [found.server_us + found.client_us for found in way]
        for way in (rest, empty_rest, empty_rpc)
    ]
    bound = statistics.median(
        all_us / (all_us + rpc_us - rest_us)
        for all_us, rest_us, rpc_us in zip(*costs_us, strict=True)
    )
    rest_us, rpc_us = map(statistics.median, costs_us[1:])
    return (
        f"handlers that do nothing: REST {rest_us:.0f} µs, gRPC {rpc_us:.0f} µs for each request, "
        f"with the load generator; so gRPC's throughput / REST's is at most {bound:.2f}"
    )


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("side", 64), ("connections", 32), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rows", type=Path, help="file to write the figures for the record to")
    options = parser.parse_args()
    (held,) = open_listeners("127.0.0.1", 0, "LACUNA_GRPC_PORT")
    port = held.getsockname()[1]
    held.close()
    os.environ["LACUNA_GRPC_PORT"] = str(port)
    model = DEMO.parent.name
    workload = Workload(64, (parse_sizes(str(options.side)),), channels=3)
    samples = [
        Sample(np.ascontiguousarray(s.image), np.ascontiguousarray(s.mask))
        for s in draw_samples(workload)
    ]
    rest = [encode_rest(sample, model) for sample in samples]
    rpc = [encode_rpc(sample, model) for sample in samples]
    load = options.connections, options.seconds
    with start_server(DEMO) as server:
        answers = ask_rpc(port, rpc)
        agree = [read_labels(answer) for answer in answers] == ask_rest(server, rest)
        calls = [PreparedCall(message) for message in rpc]
        with start_empty_server(len(answers[0])) as empty:
            empties = ask_rpc(empty.port, rpc)
            ways: dict[str, tuple[httpx2.URL, Callable[[], Coroutine[Any, Any, int]]]] = {
                "REST": (server, lambda: load_rest(server, rest, *load)),
                "gRPC": (server, lambda: load_rpc(port, calls, answers, *load)),
                "empty REST": (empty.url, lambda: load_rest(empty.url, rest, *load)),
                "empty gRPC": (empty.url, lambda: load_rpc(empty.port, calls, empties, *load)),
            }
            results: dict[str, list[Measured]] = {name: [] for name in ways}
            for _ in range(options.rounds):
                for name, (url, work) in ways.items():
                    results[name].append(found := measure(url, work))
                    print(
                        f"{name:10} {found.rate_per_s:7.1f} requests/s, server "
                        f"{found.server_us:6.0f} µs and client {found.client_us:4.0f} µs of "
                        "processor time each"
                    )
    print(f"labels {'agree' if agree else 'DIFFER'}")
    print(summarize(results["REST"], results["gRPC"]))
    print(summarize_empty(results["REST"], results["empty REST"], results["empty gRPC"]))
    if options.rows:
        pairs = zip(results["REST"], results["gRPC"], strict=True)
        ratio = statistics.median(rpc.rate_per_s / rest.rate_per_s for rest, rpc in pairs)
        title = f"{options.side}×{options.side}, {options.connections} connections: gRPC / REST"
        write_rows(options.rows, [Row("gRPC", title, ratio, _RATIO)])
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
