"""What an answer costs: our endpoint beside MLflow's two servers, the same version's files, store and requests, in turn.

All of them look the features of every request up in the same Postgres. Ours also checks a token and each value, and journals each
answer. Client and servers are on one machine; the client asks at fixed rates (`benchmarks.simulation.open_loop`), so latencies hold
the time that a request waited. The highest rate is the last of a ladder that is answered within a tenth of a second, at the 99th
percentile, without a failure. MLflow's servers run by the interpreter of ``requirements/serving_peer.txt``: both need an older FastAPI
than we have. Without it they are left out.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.models import Model as ModelFiles

from benchmarks.limits import Figure, Limit, judge
from benchmarks.simulation import open_loop, served_model
from benchmarks.simulation.open_loop import Load
from pipelines.lakehouse.registry.local_stores import no_default_folder
from pipelines.lakehouse.registry.storing import save
from pipelines.online.local_postgres import local_postgres
from pipelines.scoring.served import ONLINE_STORE

OURS, MLFLOW, MLSERVER = "ours", "mlflow models serve", "MLServer"
EACH = Limit(what="seconds for each request, 16 clients", alternative=MLFLOW, at_most=1 / 3)
LIMITS = (EACH,)
RATES = (50, 200)
LADDER = tuple(round(50 * 1.25**step) for step in range(20))
"""Requests a second that are tried one after the other for the highest."""
SUSTAINED_SECONDS = 0.1
LOOKED_UP_SECONDS = 0.025
"""The 99th percentile of ours at 200 requests a second, each with a look-up of all features."""
PROMOTIONS, PROMOTED_RATE, PROMOTION_SECONDS = 20, 100, 5
CLIENTS = 16
IDLE_SECONDS = 60
WARM = 200


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask the servers in turn; return 1 if a limit is not held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10, help="of each run of requests (default %(default)s)")
    parser.add_argument(
        "--peer", type=Path, default=Path(".venv-serving-peer/bin/python"), help="interpreter that has MLflow's servers"
    )
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, local_postgres(Path(folder, "store")) as store:
        files = Path(folder, "model")
        asked = _prepared(files, store)
        servers = {OURS: partial(_ours, files, store)}
        if options.peer.exists():
            peer = options.peer.absolute()
            servers |= {MLFLOW: partial(_mlflow, files, store, peer), MLSERVER: partial(_mlserver, files, store, peer)}
        else:
            print(f"  {options.peer} does not exist: MLflow's servers are left out; `make bench` makes it")
        scores, each, late, failed = {}, {}, False, 0
        for name, server in servers.items():
            with server() as port:
                scores[name] = _scores(port, asked[:5])
                each[name], at_200 = _measured(name, port, asked, options.seconds)
                if name == OURS:
                    late = at_200 > LOOKED_UP_SECONDS
                    failed = _promoted(port, asked, files.parent / served_model.CHAMPION_FILE)
    if len({str(found) for found in scores.values()}) > 1:
        raise SystemExit(f"the servers disagree: {scores}")
    print(
        f"  {'ABOVE LIMIT' if late else 'within limit'}  {OURS}, 99th percentile at 200 a second: {LOOKED_UP_SECONDS * 1e3:.0f} ms"
    )
    print(
        f"  {'ABOVE LIMIT' if failed else 'within limit'}  failed requests during {PROMOTIONS} promotions: {failed}, at most 0"
    )
    compared = [Figure(limit=EACH, seconds=each[OURS], alternative_seconds=each[MLFLOW])] if MLFLOW in each else []
    return judge(compared) or int(late or failed > 0)


def _prepared(files: Path, store: str) -> list[dict[str, Any]]:
    """Write the files of a version, publish its features, and return requests."""
    function = served_model.declared_function()
    spec = next(one for one in served_model.DECLARED.estimators if "HistGradient" in one.estimator)
    model, rows = served_model.fitted(spec)
    rows.to_parquet(files.parent / "rows.parquet")
    (files.parent / served_model.CHAMPION_FILE).write_text("1")
    with no_default_folder():
        save(
            files, model, written_for=ModelFiles(), input_example=rows.head(2),
            output_example=model.predict_proba(rows)[:2, 1], pip_requirements=None, sidecar={}, function=function,
        )  # fmt: skip
    served_model.fill(store, function)
    return served_model.requests(function, 100)


def _measured(name: str, port: int, asked: list[dict[str, Any]], seconds: float) -> tuple[float, float]:
    """Print the latencies of a server; return its seconds for each request under load, and the 99th percentile at 200 a second."""
    _run(port, asked[:1], rate=20, seconds=WARM / 20)
    together = _run(port, asked[:1], clients=CLIENTS, seconds=seconds)
    print(
        f"  {name}, {CLIENTS} clients at once: {len(together.seconds) / together.elapsed:.0f} requests a second",
        flush=True,
    )
    at_200 = float("inf")
    for rows in (1, 100):
        for rate in RATES:
            load = _run(port, asked[:rows], rate=rate, seconds=seconds)
            print(f"  {name}, {rows} rows at {rate} a second: {_words(load)}", flush=True)
            if (rows, rate) == (1, 200) and not _failures(load):
                at_200 = float(np.quantile(load.seconds, 0.99))
            _wait_until_idle(port, asked[:1])
        print(
            f"  {name}, {rows} rows: {_highest(port, asked[:rows], seconds)} requests a second are the most", flush=True
        )
        _wait_until_idle(port, asked[:1])
    return together.elapsed / max(1, len(together.seconds)), at_200


def _wait_until_idle(port: int, asked: list[dict[str, Any]]) -> None:
    """Wait until a server has worked off what it was asked, at most a minute: the next run is not about the one before."""
    until = time.monotonic() + IDLE_SECONDS
    while time.monotonic() < until:
        load = _run(port, asked, rate=5, seconds=1)
        if not _failures(load) and max(load.seconds) < 1:
            return


def _highest(port: int, asked: list[dict[str, Any]], seconds: float) -> int:
    """Return the highest rate of the ladder that is borne; 0 if none is."""
    borne = 0
    for rate in LADDER:
        load = _run(port, asked, rate=rate, seconds=seconds / 2)
        if _failures(load) or np.quantile(load.seconds, 0.99) > SUSTAINED_SECONDS:
            break
        borne = rate
    return borne


def _promoted(port: int, asked: list[dict[str, Any]], champion: Path) -> int:
    """Promote a version after the other while requests come; return how many failed, or how many promotions were not seen.

    Each version is compiled anew. The next one is promoted once the one before answers.
    """
    seconds = PROMOTIONS * PROMOTION_SECONDS

    def promote() -> None:
        until = time.monotonic() + seconds - PROMOTION_SECONDS
        for number in range(2, PROMOTIONS + 2):
            new = champion.with_suffix(".new")
            new.write_text(str(number))
            new.replace(champion)
            while _version(port) != number and time.monotonic() < until:
                time.sleep(0.2)
            time.sleep(0.5)

    promoting = threading.Thread(target=promote)
    promoting.start()
    load = _run(port, asked[:1], rate=PROMOTED_RATE, seconds=seconds)
    promoting.join()
    print(
        f"  {OURS}, {PROMOTIONS} promotions at {PROMOTED_RATE} a second: {_words(load)}; {len(load.versions)} versions answered"
    )
    return _failures(load) + (PROMOTIONS + 1 - len(load.versions))


def _version(port: int) -> int:
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/version", headers={"Authorization": f"Bearer {served_model.TOKEN}"}
    )
    with urllib.request.urlopen(asked, timeout=60) as answer:  # noqa: S310 - as above
        return int(json.loads(answer.read())["version"])


def _failures(load: Load) -> int:
    return sum(count for status, count in load.statuses.items() if status != 200)


def _words(load: Load) -> str:
    failures = {status or "unanswered": count for status, count in load.statuses.items() if status != 200}
    failed = f", not answered with 200: {failures}" if failures else ""
    if not load.seconds:
        return f"nothing was answered{failed}"
    median, late = np.quantile(load.seconds, (0.5, 0.99)) * 1e3
    return f"p50 {median:.1f} ms, p99 {late:.1f} ms of {len(load.seconds)}{failed}"


def _run(port: int, rows: list[dict[str, Any]], **how: float) -> Load:
    """Let a process of its own ask."""
    asked = {"port": port, "request": _request(rows), **how}
    done = subprocess.run(  # noqa: S603 - our own client
        [sys.executable, open_loop.__file__], input=json.dumps(asked), capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    return Load(**{**found, "statuses": {int(status): count for status, count in found["statuses"].items()}})


def _request(rows: list[dict[str, Any]]) -> str:
    body = json.dumps({"dataframe_records": rows})
    return (
        "POST /invocations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {served_model.TOKEN}\r\nContent-Length: {len(body.encode())}\r\n\r\n{body}"
    )


def _scores(port: int, rows: list[dict[str, Any]]) -> list[float]:
    with socket.create_connection(("127.0.0.1", port), timeout=120) as connection:
        connection.sendall(_request(rows).replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1).encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    text = answer.partition(b"\r\n\r\n")[2]
    return [row["score"] for row in json.loads(text[text.index(b"{") : text.rindex(b"}") + 1])["predictions"]]


@contextmanager
def _ours(files: Path, store: str) -> Iterator[int]:
    port = _free_port()
    command = [sys.executable, served_model.__file__, str(files), store, str(port)]
    yield from _started(command, {"PYTHONPATH": str(Path.cwd())}, port)


@contextmanager
def _mlflow(files: Path, store: str, interpreter: Path) -> Iterator[int]:
    port = _free_port()
    words = ["models", "serve", "-m", str(files), "--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    given = {ONLINE_STORE: store, "PYTHONPATH": "", "PATH": f"{interpreter.parent}:{os.environ['PATH']}"}
    yield from _started([str(interpreter), "-m", "mlflow", *words, "--workers", "1"], given, port)


@contextmanager
def _mlserver(files: Path, store: str, interpreter: Path) -> Iterator[int]:
    """One worker, in the process of the server, as the others have."""
    port, settings = _free_port(), files.parent / "mlserver"
    settings.mkdir(exist_ok=True)
    (settings / "model-settings.json").write_text(
        json.dumps({
            "name": "model", "implementation": "mlserver_mlflow.MLflowRuntime", "parameters": {"uri": str(files)},
        })
    )  # fmt: skip
    (settings / "settings.json").write_text(
        json.dumps({
            "host": "127.0.0.1", "http_port": port, "grpc_port": _free_port(), "metrics_port": _free_port(),
            "parallel_workers": 0,
        })
    )  # fmt: skip
    command = [str(interpreter.parent / "mlserver"), "start", str(settings)]
    yield from _started(command, {ONLINE_STORE: store, "PYTHONPATH": ""}, port)


def _started(command: list[str], environment: Mapping[str, str], port: int) -> Iterator[int]:
    """Give the port of a server once it answers, and end it and what it has started."""
    server = subprocess.Popen(  # noqa: S603 - our own interpreter, or that of the peer
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
        yield port
    finally:
        os.killpg(server.pid, 9)
        server.wait()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
