"""A receiver of OTLP on loopback, and telemetry as it was written or received."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass
class Received:
    """What came, by path."""

    address: str = ""
    bodies: list[tuple[str, bytes]] = field(default_factory=list)
    go: threading.Event = field(default_factory=threading.Event)

    def everything(self) -> bytes:
        """All bytes of all bodies."""
        return b"".join(body for _, body in self.bodies)


@contextmanager
def receiver(*, hangs: bool = False, answer: bytes = b"") -> Iterator[Received]:
    """Serve a receiver that keeps what it gets, or one that takes requests and never answers."""
    received = Received()
    if not hangs:
        received.go.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.bodies.append((self.path, body))
            received.go.wait(60)
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    received.address = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield received
    finally:
        received.go.set()
        server.shutdown()
        server.server_close()


def lines(folder: Path, signal: str) -> list[dict[str, Any]]:
    """Return what was written of a signal, a record for each line."""
    return [
        json.loads(line)
        for file in sorted((folder / "telemetry").glob(f"*.{signal}.jsonl"))
        for line in file.read_text().splitlines()
    ]


def spans(folder: Path) -> list[dict[str, Any]]:
    """Return the spans that were written, each with its attributes by name."""
    return [
        {**span, "attributes": _by_name(span)}
        for line in lines(folder, "traces")
        for resource in line["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


def events(folder: Path) -> list[dict[str, Any]]:
    """Return the events that were written, each with its attributes by name."""
    return [
        {**event, "attributes": _by_name(event)}
        for line in lines(folder, "logs")
        for resource in line["resourceLogs"]
        for scope in resource["scopeLogs"]
        for event in scope["logRecords"]
    ]


def metrics(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the points of each metric as of its newest line, each with its attributes by name."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in lines(folder, "metrics"):
        for metric in line["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]:
            (data,) = (metric[kind] for kind in ("sum", "gauge", "histogram") if kind in metric)
            found[metric["name"]] = [{**point, "attributes": _by_name(point)} for point in data["dataPoints"]]
    return found


def written(folder: Path) -> bytes:
    """All bytes of all files."""
    return b"".join(file.read_bytes() for file in sorted((folder / "telemetry").iterdir()))


def _by_name(record: dict[str, Any]) -> dict[str, Any]:
    return {one["key"]: next(iter(one["value"].values())) for one in record.get("attributes", [])}
