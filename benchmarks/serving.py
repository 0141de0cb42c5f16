"""What an answer costs: our endpoint beside ``mlflow models serve``, the same version's files, store and requests, in turn.

Both look the features of every request up in the same Postgres. Ours also checks a token and each value, and journals each answer.
Client and servers are on one machine. Percentiles are printed; the limits are on ratios of medians, and of seconds for each request
with four clients at once.
"""

import argparse
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mlflow.models import Model as ModelFiles

from benchmarks.limits import Figure, Limit, judge
from benchmarks.simulation import served_model
from pipelines.lakehouse.registry.local_stores import no_default_folder
from pipelines.lakehouse.registry.storing import save
from pipelines.online.local_postgres import local_postgres
from pipelines.scoring.served import ONLINE_STORE

MLFLOW = "mlflow models serve"
LIMITS = (
    Limit(what="one row, median", alternative=MLFLOW, at_most=1.0),
    Limit(what="100 rows, median", alternative=MLFLOW, at_most=1.0),
    Limit(what="one row, four clients, seconds for each", alternative=MLFLOW, at_most=1 / 2),
)
CLIENTS = 4
Address = tuple[str, int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask both servers in turn; return 1 if ours is above a limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=150, help="requests of each kind (default %(default)s)")
    count = parser.parse_args(arguments).requests
    with (
        tempfile.TemporaryDirectory() as folder,
        local_postgres(Path(folder, "store")) as store,
        ExitStack() as running,
    ):
        files, function = Path(folder, "model"), served_model.declared_function()
        spec = next(one for one in served_model.DECLARED.estimators if "HistGradient" in one.estimator)
        model, rows = served_model.fitted(spec)
        rows.to_parquet(files.parent / "rows.parquet")
        scores = model.predict_proba(rows)[:, 1]
        with no_default_folder():
            save(
                files, model, written_for=ModelFiles(), input_example=rows.head(2), output_example=scores[:2],
                pip_requirements=None, sidecar={}, function=function,
            )  # fmt: skip
        served_model.fill(store, function)
        asked = served_model.requests(function, 100)
        servers = {
            "ours": running.enter_context(_ours(files, store)),
            MLFLOW: running.enter_context(_mlflow(files, store)),
        }
        _require_equal(servers, asked[:5])
        return judge(_figures(servers, asked, count))


def _figures(servers: dict[str, Address], asked: list[dict[str, object]], count: int) -> list[Figure]:
    found: list[dict[str, float]] = [{}, {}, {}]
    for name, address in servers.items():
        for place, rows in enumerate((1, 100)):
            seconds = sorted(_asked(address, asked[:rows], count))
            found[place][name] = statistics.median(seconds)
            print(
                f"  {name}, {rows} rows: p50 {seconds[count // 2] * 1e3:.1f} ms, p99 {seconds[int(count * 0.99)] * 1e3:.1f} ms"
            )
        found[2][name] = _together(address, asked[:1], count)
        print(f"  {name}, {CLIENTS} clients: {1 / found[2][name]:.0f} requests per second", flush=True)
    return [
        Figure(limit=limit, seconds=times["ours"], alternative_seconds=times[MLFLOW])
        for limit, times in zip(LIMITS, found, strict=True)
    ]


def _asked(address: Address, rows: list[dict[str, object]], count: int) -> list[float]:
    """Return the seconds of each of so many requests, one after the other on one connection; the first few are left out."""
    connection, body = http.client.HTTPConnection(*address, timeout=120), json.dumps({"dataframe_records": rows})
    seconds = []
    for _ in range(count + 10):
        begun = time.perf_counter()
        _answer(connection, body)
        seconds.append(time.perf_counter() - begun)
    return seconds[10:]


def _together(address: Address, rows: list[dict[str, object]], count: int) -> float:
    """Return the seconds for each request where several clients ask at once."""
    clients = [threading.Thread(target=_asked, args=(address, rows, count)) for _ in range(CLIENTS)]
    begun = time.perf_counter()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return (time.perf_counter() - begun) / (CLIENTS * (count + 10))


def _answer(connection: http.client.HTTPConnection, body: str) -> list[dict[str, object]]:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {served_model.TOKEN}"}
    connection.request("POST", "/invocations", body, headers)
    response = connection.getresponse()
    content = response.read()
    if response.status != 200:
        raise SystemExit(f"{response.status}: {content[:500]!r}")
    found: list[dict[str, object]] = json.loads(content)["predictions"]
    return found


def _require_equal(servers: dict[str, Address], asked: list[dict[str, object]]) -> None:
    """Stop unless both give the same scores."""
    body = json.dumps({"dataframe_records": asked})
    scores = [
        [row["score"] for row in _answer(http.client.HTTPConnection(*address, timeout=120), body)]
        for address in servers.values()
    ]
    if scores[0] != scores[1]:
        raise SystemExit(f"the servers disagree: {scores}")


@contextmanager
def _ours(files: Path, store: str) -> Iterator[Address]:
    port = _free_port()
    script = Path(served_model.__file__)
    yield from _started(
        [sys.executable, str(script), str(files), store, str(port)], {"PYTHONPATH": str(Path.cwd())}, port
    )


@contextmanager
def _mlflow(files: Path, store: str) -> Iterator[Address]:
    port = _free_port()
    words = ["models", "serve", "-m", str(files), "--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    yield from _started(
        [sys.executable, "-m", "mlflow", *words, "--workers", "1"],
        {ONLINE_STORE: store, "PYTHONPATH": "", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        port,
    )


def _started(command: list[str], environment: dict[str, str], port: int) -> Iterator[Address]:
    """Give the address of a server once it answers, and end it and what it has started."""
    server = subprocess.Popen(  # noqa: S603 - our own interpreter
        command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        cwd=tempfile.gettempdir(), start_new_session=True,
    )  # fmt: skip
    try:
        until = time.monotonic() + 300
        while True:
            with socket.socket() as trying:
                if trying.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if server.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"{' '.join(command)} does not answer")
            time.sleep(0.2)
        yield "127.0.0.1", port
    finally:
        os.killpg(server.pid, 9)
        server.wait()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
