"""A collector of OpenTelemetry's spans, on this machine and for one test."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span


class Collector(NamedTuple):
    """What has come so far.

    Attributes:
        address: of the collector, for `OTEL_EXPORTER_OTLP_ENDPOINT`.
        received: spans by resource and library, as they came.
    """

    address: str
    received: list[ResourceSpans]

    @property
    def spans(self) -> dict[str, Span]:
        """All spans by their names, which differ."""
        return {
            span.name: span
            for resource in self.received
            for scope in resource.scope_spans
            for span in scope.spans
        }

    @property
    def resource(self) -> dict[str, str]:
        """What is said of the process that sent the first spans."""
        attributes = self.received[0].resource.attributes
        return {attribute.key: attribute.value.string_value for attribute in attributes}


@contextmanager
def run_collector() -> Iterator[Collector]:
    """Take spans by OTLP over HTTP."""
    received: list[ResourceSpans] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            known = self.path == "/v1/traces"
            if known:
                received.extend(ExportTraceServiceRequest.FromString(body).resource_spans)
            self.send_response(200 if known else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Collector(f"http://127.0.0.1:{server.server_port}", received)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
