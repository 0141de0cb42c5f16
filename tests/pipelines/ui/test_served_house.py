"""`ui` serves the page of an environment that has run, and every link into MLflow leads to what it names."""

import html
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

ROOT = Path(__file__).parents[3]
UNTIL, SAMPLE = "until=2013-03-01", "sample=0.1"
MINUTES = 5


def command(*words: str | Path) -> list[str]:
    """The words of a command of pipelines."""
    return [sys.executable, "-m", "pipelines", *map(str, words)]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with blanks and letters beyond ASCII in its path, in which dev has built features and trained."""
    root = tmp_path_factory.mktemp("ein Haus mit Tür") / "lake hoùse"
    for job, more in (("flight_delay.features", ()), ("flight_delay.training", ("--param", SAMPLE))):
        done = subprocess.run(command("run", job, "--env", "dev", "--root", root, "--param", UNTIL, *more), cwd=ROOT, capture_output=True, text=True, check=False)  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    return root


@pytest.fixture(scope="module")
def served(house: Path) -> Iterator[str]:
    """The address that `ui` prints, with its token; it ends as Ctrl-C ends it."""
    with subprocess.Popen(command("ui", "--root", house), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:  # fmt: skip
        assert running.stdout is not None
        said, until = [], time.monotonic() + 60 * MINUTES
        while not (found := re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", "".join(said))):
            line = running.stdout.readline()
            assert line and time.monotonic() < until, "".join(said)  # noqa: PT018 - one condition: it still speaks
            said.append(line)
        yield found.group()
        os.kill(running.pid, signal.SIGINT)
        assert running.stdout.read().splitlines()[-1] == "ended."  # and nothing about what to run again
        assert running.wait(timeout=60) == 130


class Visitor:
    """Who has opened the printed address."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self.host, self.cookie = parts.netloc, ""
        status, _, headers = self.ask(f"{parts.path}?{parts.query}")
        assert status == 303
        self.cookie = headers["Set-Cookie"].partition(";")[0]

    def ask(self, path: str) -> tuple[int, str, http.client.HTTPMessage]:
        """Status, content and headers of an answer."""
        connection = http.client.HTTPConnection(self.host, timeout=60)
        connection.request("GET", path, headers={"Cookie": self.cookie} if self.cookie else {})
        answer = connection.getresponse()
        found = answer.status, answer.read().decode(), answer.headers
        connection.close()
        return found

    def mlflow(self, path: str, **asked: str) -> dict[str, dict[str, str]]:
        """What MLflow's own interface says, as its pages ask it."""
        status, text, _ = self.ask(f"/mlflow/dev/ajax-api/2.0/mlflow/{path}?{urlencode(asked)}")
        assert status == 200, text
        answer: dict[str, dict[str, str]] = json.loads(text)
        return answer


def links(page: str) -> set[str]:
    """The addresses of a page's links into MLflow."""
    return {html.unescape(found) for found in re.findall(r'class="when-served" href="([^"]*)"', page)}


def test_every_link_into_mlflow_leads_to_what_it_names(served: str) -> None:
    """The experiment, each version and its run are known to MLflow behind the same door, from both pages."""
    visitor = Visitor(served)
    status, house, _ = visitor.ask("/")
    assert status == 200
    assert '<html lang="en" class="served">' in house
    status, report, _ = visitor.ask("/pages/dev-flight_delay.html")
    assert status == 200
    found = links(house)
    assert links(report) <= found
    assert visitor.ask("/mlflow/dev/")[0] == 200
    kinds = set()
    for address in found - {"/mlflow/dev/"}:
        kind, *names = address.partition("#/")[2].split("/")
        kinds.add(kind)
        if kind == "experiments":
            assert visitor.mlflow("experiments/get", experiment_id=names[0])["experiment"]["name"] == "flight_delay"
        elif kind == "runs":
            assert visitor.mlflow("runs/get", run_id=names[0])["run"]
        else:
            version = visitor.mlflow("model-versions/get", name=names[0], version=names[2])["model_version"]
            assert f"/mlflow/dev/#/runs/{version['run_id']}" in found
    assert kinds == {"experiments", "runs", "models"}
    assert {address for address in found if "/models/" in address} & links(report)


def test_the_page_opens_from_disk_with_lineage_and_the_reason_for_missing_links(house: Path, served: str) -> None:
    """What `ui` wrote is not marked as served."""
    assert served
    text = (house / "house.html").read_text(encoding="utf-8")
    assert '<html lang="en">' in text
    assert "This page is opened from disk" in text
    assert "lineage of flight delay" in text
