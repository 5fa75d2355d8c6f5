"""A collector of OpenTelemetry traces: a server that takes OTLP over HTTP and keeps what it was sent."""

from __future__ import annotations

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse


class Seen(NamedTuple):
    """One span as it was sent."""

    name: str
    trace: str
    id: str
    parent: str
    process: str
    """``service.instance.id`` of its resource."""
    about: dict[str, str | int]
    failed: str
    """What its status says; empty when it did not fail."""


class Collector:
    """Use it as a context: it listens on a free port of the loopback."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        """As sent, without compression."""
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sent = self.rfile.read(int(self.headers["Content-Length"]))
                collector.bodies.append(gzip.decompress(sent) if self.headers.get("Content-Encoding") == "gzip" else sent)
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200 if self.path == "/v1/traces" else 404)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *arguments: Any) -> None:  # the name is the library's
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}/v1/traces"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def spans(self) -> list[Seen]:
        """Every span so far."""
        found = []
        for body in tuple(self.bodies):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                process = next(
                    one.value.string_value for one in resource.resource.attributes if one.key == "service.instance.id"
                )
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        about = {one.key: one.value.string_value or one.value.int_value for one in span.attributes}
                        ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
                        found.append(Seen(span.name, *ids, process, about, span.status.message))
        return found

    def named(self, name: str) -> list[Seen]:
        return [span for span in self.spans if span.name == name]
