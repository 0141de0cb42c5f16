"""After the year: prod's endpoint answers requests while a challenger takes over step by step, and a bad one is returned.

The year's last champion gives the alias back and has to earn it again, now by what it answers: as a shadow, then for 10% and
50% of the requests. Real requests of the months after it was trained are sent in the order of time to the endpoint of this
machine, with the online store published up to the hour of each; the declared job decides, after every ten days of requests, by
the gate of the use case on labels that were due and by guards. No stage, verdict or latency is known beforehand.
"""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import replace

from ml.rollout.decision import said
from ml.spec.rollout_policy import RolloutPolicy, RolloutWay
from pipelines.declarations.use_case import UseCase
from pipelines.demo.demo_run import DemoRun
from pipelines.demo.request_stream import Lot, SentRequest, milliseconds
from pipelines.demo.running_endpoint import LIMITS, RunningEndpoint, running_endpoint
from pipelines.demo.shuffled import register_shuffled
from pipelines.demo.steps import YEAR_END, rollout_step
from pipelines.lakehouse.lakehouse import Lakehouse
from pipelines.lakehouse.registry.aliases import BASELINE, CHAMPION
from pipelines.lakehouse.registry.model_version import ModelVersion
from pipelines.lakehouse.registry.rollout_state import RolloutState, current_rollout
from pipelines.online.local_postgres import PostgresError
from pipelines.serving.limits import Limits
from pipelines.tasks.versions.promotion import begin_rollout

POLICY = RolloutPolicy(way=RolloutWay.CANARY, shadow_first=True, most_score_drift=0.75, latency_floor=0.25)
"""Two guards are wider than by default. The first champion was replaced because its inputs had drifted, so the scores of the
one after it are far from its own on the same requests (on stored predictions of June to December by 0.07 to 0.51): the guard is to
find a version that answers something else altogether, and the gate, which is not changed, which of the two is better. And the
machine has other work meanwhile: up to a quarter of a second a slower challenger is no worse here.
"""
NAMED = 3
"""So many rules that a challenger has not met are named in a line."""
DAYS = 10
"""After the requests of so many days a challenger is judged, twice as many at first: the gate needs two weeks."""
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
            with running_endpoint(run, lakehouse, last, limits) as endpoint:
                return _lived_through(run, lakehouse, endpoint, last, days=days)
        except PostgresError as error:
            run.write(f"  left out: {error}", False)
            return 0


def _lived_through(
    run: DemoRun, lakehouse: Lakehouse, endpoint: RunningEndpoint, last: ModelVersion, *, days: int
) -> int:
    run.write(_line(COLUMNS), True)
    asked = [one for challenger in (last, None) for one in _rollout(run, lakehouse, endpoint, challenger, days=days)]
    failed = [one for one in asked if one.failed]
    why = f": {failed[0].status} {failed[0].message}" if failed else ""
    rows = sum(one.rows for one in asked)
    run.write(f"  {rows:,} flights in {len(asked):,} requests, {len(failed) or 'none'} failed{why}", False)
    return len(failed)


def _rollout(
    run: DemoRun, lakehouse: Lakehouse, endpoint: RunningEndpoint, challenger: ModelVersion | None, *, days: int
) -> list[SentRequest]:  # fmt: skip
    """Live through the rollout of a challenger, by default a bad one that no gate has seen; return what clients saw."""
    models, model = lakehouse.models, run.use_case.model
    champion = models.by_alias(model, CHAMPION)
    if challenger is None:
        with run.working("prod: a version is fitted on shuffled labels"):
            challenger = register_shuffled(endpoint.context, champion)
        run.write(f"  v{challenger.number} is offered: fitted on shuffled labels, and seen by no gate", False)
    begin_rollout(
        endpoint.context, challenger, champion=champion.number, rollout_id=f"demonstration of v{challenger.number}",
        at=YEAR_END + dt.timedelta(days=endpoint.looks),
    )  # fmt: skip
    everything: list[SentRequest] = []
    while (state := current_rollout(models, model)) is not None:
        endpoint.follow(state)
        with run.working(f"prod: requests of {endpoint.now:%B}, v{state.version} at {said(state.percentage)}"):
            sent, asked = endpoint.send(days if everything else 2 * days)
            everything += asked
            endpoint.await_shadows(state, sum(len(one.versions) for one in everything))
        endpoint.looks += 1
        over = "" if sent else "there are no more requests"
        run.steps(lakehouse, [rollout_step(endpoint.looks, stop=over)], quiet=True)
        run.write(_row(state, sent, asked, _decision(lakehouse, run.use_case)), False)
    endpoint.follow(None)
    return everything


def _row(state: RolloutState, sent: Sequence[Lot], asked: Sequence[SentRequest], decision: str) -> str:
    dates = f"{sent[0].since:%m-%d} to {sent[-1].since:%m-%d}" if sent else "-"
    versions = [version for one in asked for version in one.versions]
    cells = (
        f"v{state.version} {said(state.percentage)}", dates, f"{versions.count(state.champion):,}",
        f"{versions.count(state.version):,}", f"{sum(one.failed for one in asked):,}", f"{milliseconds(asked, 0.5):.1f}",
        f"{milliseconds(asked, 0.99):.1f}", decision,
    )  # fmt: skip
    return _line(cells)


def _decision(lakehouse: Lakehouse, use_case: UseCase) -> str:
    """Return the newest decision about a challenger in short: what becomes of it, and the first rules that were not met."""
    rows = lakehouse.tables.read(use_case.table("rollouts")).toArrow().to_pylist()
    newest = max(rows, key=lambda row: row["decided_at"])
    broken = [reason["rule"].replace("_", " ") for reason in json.loads(newest["reasons"]) if not reason["passed"]]
    failed = list(dict.fromkeys(broken))
    more = f" and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
    what = str(newest["sentence"]).partition(":")[0].replace("version ", "v")
    return what + (f" ({', '.join(failed[:NAMED])}{more})" if failed else "")


def _line(cells: Sequence[str]) -> str:
    left = (0, 1, len(cells) - 1)
    padded = (cell.ljust(w) if i in left else cell.rjust(w) for i, (cell, w) in enumerate(zip(cells, WIDTHS, strict=True)))  # fmt: skip
    return " ".join(padded).rstrip()
