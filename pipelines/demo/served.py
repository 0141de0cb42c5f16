"""After the year: prod's endpoint answers requests while a challenger takes over step by step, and a bad one is returned.

The year's last champion gives the alias back and has to earn it again, now by what it answers: as a shadow, then for 10% and
50% of the requests. Real requests of the months after it was trained are sent in the order of time to the endpoint of this
machine, with the online store published up to the hour of each; the declared job decides, after every ten days of requests, by
the gate of the use case on labels that were due and by guards. No stage, verdict or latency is known beforehand.
"""

import datetime as dt
import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import psycopg
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.rollout.decision import said
from ml.spec.rollout_policy import RolloutPolicy, RolloutWay
from pipelines.declarations.answers import ROLLOUT_ID, SHADOW_OF
from pipelines.declarations.use_case import UseCase
from pipelines.demo.demo_run import DemoRun
from pipelines.demo.request_stream import Asked, Clients, Lot, lots, milliseconds, wait_until
from pipelines.demo.shuffled import register_shuffled
from pipelines.demo.steps import YEAR_END, rollback_step, rollout_step
from pipelines.execution.context import Context, TaskError
from pipelines.execution.windows import month_of
from pipelines.lakehouse.lakehouse import Lakehouse
from pipelines.lakehouse.registry.aliases import BASELINE, CHAMPION
from pipelines.lakehouse.registry.model_version import ModelVersion
from pipelines.lakehouse.registry.rollout_state import RolloutState, current_rollout
from pipelines.online.local_postgres import PostgresError, local_postgres
from pipelines.serving.endpoint import EndpointOptions, opened_endpoint
from pipelines.serving.limits import Limits
from pipelines.serving.server import serving_beside
from pipelines.tasks.promotion import EVALUATED_UNTIL, begin_rollout
from pipelines.tasks.publishing import FeatureSnapshot, feature_snapshot

POLICY = RolloutPolicy(way=RolloutWay.CANARY, shadow_first=True, most_score_drift=0.75, latency_floor=0.25)
"""Two guards are wider than by default. The first champion was replaced because its inputs had drifted, so the scores of the
one after it are far from its own on the same requests (on stored predictions of June to December by 0.07 to 0.51): the guard is to
find a version that answers something else altogether, and the gate, which is not changed, which of the two is better. And the
machine has other work meanwhile: up to a quarter of a second a slower challenger is no worse here.
"""
LIMITS = Limits(deadline_seconds=30.0, follow_seconds=0.5, carry_seconds=2.0, publish_seconds=600.0)
"""The store is published before each hour of requests, not by the clock."""
DAYS = 10
"""After the requests of so many days a challenger is judged, twice as many at first: the gate needs two weeks."""
REASON = "it has to show on requests that it answers what it has shown on stored ones"
COLUMNS, WIDTHS = ("challenger", "flights of", "by champion", "by challenger", "failed", "p50 ms", "p99 ms", "decision"), (15, 15, 11, 13, 6, 7, 7, 0)  # fmt: skip


def served(use_case: UseCase) -> UseCase:
    """Return a use case as the demonstration serves it: a new champion takes over step by step."""
    return replace(use_case, rollout=POLICY)


def run_served(run: DemoRun, *, days: int = DAYS, limits: Limits = LIMITS) -> int:
    """Run the part of the demonstration that serves; return how many requests were not answered.

    Parameters
    ----------
    run
        Of the use case as `served` returns it; prod's year is over.
    days
        After the requests of so many days the challenger is judged.
    limits
        Of the endpoint.

    Raises
    ------
    TaskError
        If a job of it failed, or the endpoint did not get as far as the registry in time.
    """
    with run.open("prod") as lakehouse:
        models, model = lakehouse.models, run.use_case.model
        last, first = models.by_alias(model, CHAMPION), models.by_alias(model, BASELINE)
        what = f"prod: {run.use_case.name}, requests reach the endpoint while a challenger takes over"
        run.write(what, True)
        if last.number == first.number:
            run.write(f"  left out: v{last.number} has been champion all the year, so there is no challenger", False)
            return 0
        try:
            with _opened(run, lakehouse, last, limits) as stage:
                return _lived_through(run, lakehouse, stage, last, days=days)
        except PostgresError as error:
            run.write(f"  left out: {error}", False)
            return 0


def _lived_through(run: DemoRun, lakehouse: Lakehouse, stage: "Stage", last: ModelVersion, *, days: int) -> int:
    run.write(_line(COLUMNS), True)
    asked = [one for challenger in (last, None) for one in _rollout(run, lakehouse, stage, challenger, days=days)]
    failed = [one for one in asked if one.failed]
    why = f": {failed[0].status} {failed[0].message}" if failed else ""
    rows = sum(one.rows for one in asked)
    run.write(f"  {rows:,} flights in {len(asked):,} requests, {len(failed) or 'none'} failed{why}", False)
    return len(failed)


@dataclass
class Stage:
    """The running endpoint, and how far its requests have come.

    Attributes
    ----------
    now
        The requests of days before it were sent.
    looks
        How often a challenger was judged.
    """

    context: Context
    clients: Clients
    features: FeatureSnapshot
    store: str
    now: dt.datetime
    looks: int = 0

    def send(self, days: int) -> tuple[list[Lot], list[Asked]]:
        """Send the requests of the next days, each hour's with the features that were known when it began."""
        sent = lots(self.context.lakehouse, self.context.use_case, self.now, days=days)
        asked = []
        with psycopg.connect(self.store, autocommit=True) as connection:
            for lot in sent:
                self.features.publish(connection, until=lot.since)
                asked += self.clients.ask(lot.requests)
        self.now += dt.timedelta(days=days)
        return sent, asked

    def follow(self, state: RolloutState | None) -> None:
        """Wait until the endpoint does what the registry says.

        Raises
        ------
        TaskError
            If it does not in time.
        """
        champion = self.context.lakehouse.models.by_alias(self.context.use_case.model, CHAMPION)
        expected = {
            "version": champion.number,
            "challenger": state.version if state else None,
            "challenger_answers_percent": state.percentage if state else None,
        }
        if not wait_until(lambda: {name: self.clients.version().get(name) for name in expected} == expected):
            raise TaskError(f"the endpoint does not follow the registry: it says {self.clients.version()}.")

    def await_shadows(self, state: RolloutState, answered: int) -> None:
        """Wait until each answer that a rollout has had is in the table, and the other version's score of the request.

        Raises
        ------
        TaskError
            If they are not in time.
        """
        tables, use_case = self.context.lakehouse.tables, self.context.use_case

        def kept() -> bool:
            left_out = int(self.clients.version().get("left_out_of_the_shadow", 0))
            found = sum(
                tables.read(use_case.table(name)).where(F.col(ROLLOUT_ID) == state.rollout_id).count()
                for name in ("answers", "failed_answers")
            )
            return found + left_out >= 2 * answered

        if not wait_until(kept):
            raise TaskError(f"scores of the {answered:,} requests of {state.rollout_id} are missing in {use_case.table('answers').address} ({SHADOW_OF}).")  # fmt: skip


@contextmanager
def _opened(run: DemoRun, lakehouse: Lakehouse, last: ModelVersion, limits: Limits) -> Iterator[Stage]:
    """Give the endpoint of prod, which answers with the champion before the last one; nothing of it runs afterwards."""
    if lakehouse.folder is None:
        raise TaskError("the demonstration serves on this machine only.")
    began = month_of(dt.datetime.fromisoformat(last.tags[EVALUATED_UNTIL])).end
    folder, token = lakehouse.folder / "serving" / run.use_case.name, secrets.token_urlsafe(32)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def say(text: str) -> None:
        if run.verbose:
            run.write(f"    {text}", False)

    context = Context(lakehouse=lakehouse, use_case=run.use_case, run_id="demonstration", now=YEAR_END, say=say)
    options = EndpointOptions(until=began, limits=limits)
    with local_postgres(lakehouse.folder / "online") as store:
        run.steps(lakehouse, [rollback_step(REASON)])
        with (
            run.working("prod: the endpoint is opened"),
            opened_endpoint(
                lakehouse, run.use_case, options, store=store, folder=folder, token=token, say=say
            ) as application,
            serving_beside(application, limits) as port,
        ):  # fmt: skip
            yield Stage(
                context=context,
                clients=Clients(port, token),
                features=feature_snapshot(context),
                store=store,
                now=began,
            )


def _rollout(
    run: DemoRun, lakehouse: Lakehouse, stage: Stage, challenger: ModelVersion | None, *, days: int
) -> list[Asked]:  # fmt: skip
    """Live through the rollout of a challenger, by default a bad one that no gate has seen; return what clients saw."""
    models, model = lakehouse.models, run.use_case.model
    champion = models.by_alias(model, CHAMPION)
    if challenger is None:
        with run.working("prod: a version is fitted on shuffled labels"):
            challenger = register_shuffled(stage.context, champion)
        run.write(f"  v{challenger.number} is offered: fitted on shuffled labels, and seen by no gate", False)
    begin_rollout(
        stage.context, challenger, champion=champion.number, rollout_id=f"demonstration of v{challenger.number}",
        at=YEAR_END + dt.timedelta(days=stage.looks),
    )  # fmt: skip
    everything: list[Asked] = []
    while (state := current_rollout(models, model)) is not None:
        stage.follow(state)
        with run.working(f"prod: requests of {stage.now:%B}, v{state.version} at {said(state.percentage)}"):
            sent, asked = stage.send(days if everything else 2 * days)
            everything += asked
            stage.await_shadows(state, sum(len(one.versions) for one in everything))
        stage.looks += 1
        over = "" if sent else "there are no more requests"
        run.steps(lakehouse, [rollout_step(stage.looks, stop=over)], quiet=True)
        run.write(_row(state, sent, asked, _decision(lakehouse, run.use_case)), False)
    stage.follow(None)
    return everything


def _row(state: RolloutState, sent: Sequence[Lot], asked: Sequence[Asked], decision: str) -> str:
    dates = f"{sent[0].since:%m-%d} to {sent[-1].since:%m-%d}" if sent else "-"
    versions = [version for one in asked for version in one.versions]
    cells = (
        f"v{state.version} {said(state.percentage)}", dates, f"{versions.count(state.champion):,}",
        f"{versions.count(state.version):,}", f"{sum(one.failed for one in asked):,}", f"{milliseconds(asked, 0.5):.1f}",
        f"{milliseconds(asked, 0.99):.1f}", decision,
    )  # fmt: skip
    return _line(cells)


def _decision(lakehouse: Lakehouse, use_case: UseCase) -> str:
    """Return the newest decision about a challenger in short: what becomes of it, and the rules that were not met."""
    rows = lakehouse.tables.read(use_case.table("rollouts")).toArrow().to_pylist()
    newest = max(rows, key=lambda row: row["decided_at"])
    failed = [reason["rule"].replace("_", " ") for reason in json.loads(newest["reasons"]) if not reason["passed"]]
    what = str(newest["sentence"]).partition(":")[0].replace("version ", "v")
    return what + (f" ({', '.join(dict.fromkeys(failed))})" if failed else "")


def _line(cells: Sequence[str]) -> str:
    left = (0, 1, len(cells) - 1)
    padded = (cell.ljust(w) if i in left else cell.rjust(w) for i, (cell, w) in enumerate(zip(cells, WIDTHS, strict=True)))  # fmt: skip
    return " ".join(padded).rstrip()
