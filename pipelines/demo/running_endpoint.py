"""Prod's endpoint as the demonstration runs it: opened on this machine, asked what was asked in past months, and ended."""

import datetime as dt
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import psycopg
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from pipelines.command_line.interrupts import last_words
from pipelines.declarations.answers import ROLLOUT_ID
from pipelines.demo.demo_run import DemoRun
from pipelines.demo.request_stream import Clients, Lot, SentRequest, lots, wait_until
from pipelines.demo.steps import YEAR_END, rollback_step
from pipelines.execution.context import Context, TaskError
from pipelines.execution.windows import month_of
from pipelines.lakehouse.lakehouse import Lakehouse
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.lakehouse.registry.model_version import ModelVersion
from pipelines.lakehouse.registry.rollout_state import RolloutState
from pipelines.online.local_postgres import local_postgres, stop_postgres
from pipelines.serving.endpoint import EndpointOptions, opened_endpoint
from pipelines.serving.limits import Limits
from pipelines.serving.server import serving_beside
from pipelines.tasks.predictions.publishing import FeatureSnapshot, feature_snapshot
from pipelines.tasks.versions.promotion import EVALUATED_UNTIL

LIMITS = Limits(deadline_seconds=30.0, follow_seconds=0.5, carry_seconds=2.0, publish_seconds=600.0)
"""The store is published before each hour of requests, not by the clock."""
REASON = "it has to show on requests that it answers what it has shown on stored ones"


@dataclass
class RunningEndpoint:
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

    def send(self, days: int) -> tuple[list[Lot], list[SentRequest]]:
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
            raise TaskError(f"scores of the {answered:,} requests of {state.rollout_id} are missing in {use_case.table('answers').address}.")  # fmt: skip


@contextmanager
def running_endpoint(
    run: DemoRun, lakehouse: Lakehouse, last: ModelVersion, limits: Limits
) -> Iterator[RunningEndpoint]:
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
    online = lakehouse.folder / "online"
    with local_postgres(online) as store, last_words(partial(stop_postgres, online)):
        run.steps(lakehouse, [rollback_step(REASON)])
        with (
            opened_endpoint(
                lakehouse, run.use_case, options, store=store, folder=folder, token=token, say=say
            ) as application,
            serving_beside(application, limits) as port,
        ):  # fmt: skip
            yield RunningEndpoint(
                context=context,
                clients=Clients(port, token),
                features=feature_snapshot(context),
                store=store,
                now=began,
            )
