"""Is it the data, the model or the platform? One answer per use case, from what status shows anyway. Pure."""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml.monitoring.findings import WHILE_IT_LASTS
from ml.spec.errors import ROOMS
from pipelines.declarations.urgency import CauseArea
from pipelines.on_call.alerts import area_of
from pipelines.telemetry.identity import with_trace

READS_FEEDS = "ingest"
"""The task that fails where a delivery cannot be taken."""
UNFORESEEN = re.compile(rf"({'|'.join(ROOMS)})[\w.]*, line \d+: ")
"""How the sentence of an error begins that nobody foresaw: with a place in our code (`ml.spec.errors.sentence_of`)."""
UPSTREAM_FAILED = "upstream failed"
FAILED = ("failed", "timed out", UPSTREAM_FAILED, "interrupted", "internal error")


@dataclass(frozen=True, kw_only=True)
class Cause:
    """Where to look first.

    Attributes
    ----------
    area
        None where nothing is wrong.
    """

    area: CauseArea | None
    sentence: str


def newest_window(
    findings: Sequence[Mapping[str, Any]], *, judged: dt.datetime | None = None
) -> list[Mapping[str, Any]]:
    """Return the findings that still stand: those of the newest month that has any, each alert of a day included.

    Parameters
    ----------
    findings
        With ``kind``, ``window_start`` and ``window_end``, in any order.
    judged
        The end of the newest day that the daily alarm has judged: what it finds each day for as long as it lasts, and has
        not found of that day, is over.
    """
    findings = [
        one for one in findings if judged is None or one["kind"] not in WHILE_IT_LASTS or one["window_end"] >= judged
    ]
    if not findings:
        return []
    newest = max(one["window_start"] for one in findings)
    return [
        one for one in findings if (one["window_start"].year, one["window_start"].month) == (newest.year, newest.month)
    ]


def failed_first(runs: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the runs of tasks that failed; those that only waited for another one count where no other failed.

    Parameters
    ----------
    runs
        The last run of each task, with ``state``.
    """
    failed = [run for run in runs if run["state"] in FAILED]
    return [run for run in failed if run["state"] != UPSTREAM_FAILED] or failed


def named(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the jobs of runs with their tasks, each job once: ``a.training (tasks assemble and evaluate)``."""
    by_job: dict[str, list[str]] = {}
    for run in runs:
        by_job.setdefault(run["job"], []).append(run["task"])
    return [f"{job} (task{'s' if len(tasks) > 1 else ''} {_enumerated(tasks)})" for job, tasks in by_job.items()]


def errors_of(runs: Sequence[Mapping[str, Any]], *, said: str = "") -> tuple[str, ...]:
    """Return what the tasks that failed have said, each with its job and, where telemetry was on, its trace.

    Parameters
    ----------
    runs
        The last run of each task, with ``state``, ``error`` and ``trace_id``.
    said
        What has been said already: an error that it quotes is left out.
    """
    return tuple(
        with_trace(f"{run['job']}, task {run['task']}: {run['error'] or run['state']}", run["trace_id"])
        for run in failed_first(runs)
        if not (run["error"] and run["error"] in said)
    )


def undelivered(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what runs that could not take a delivery said, each with its job: the feed's mistake, not the platform's.

    Parameters
    ----------
    runs
        The last run of each task, with ``state`` and ``error``.
    """
    return [
        f"{run['job']}: {run['error']}"
        for run in runs
        if run["task"] == READS_FEEDS and run["state"] == "failed" and not UNFORESEEN.match(run["error"] or "")
    ]


def likely_cause(
    *,
    failed: Sequence[str],
    findings: Sequence[Mapping[str, Any]],
    champion: int | None,
    ever_ran: bool,
    undelivered: Sequence[str] = (),
    gone: Sequence[str] = (),
    lost: str = "",
    at: str = "",
) -> Cause:
    """Return where the cause of what is wrong lies most likely.

    A job that failed is looked at before all findings, and data before the model: a broken feed makes a good model look
    bad, never the other way round. A feed that could not be taken comes first of all, because other jobs fail without it.

    Parameters
    ----------
    failed
        Addresses of jobs (or jobs and tasks) whose last run failed.
    undelivered
        Of these, what those said that could not take a delivery: `undelivered`.
    gone
        Addresses of jobs whose process was killed.
    lost
        What is said of a champion whose alias or version was deleted: every job that asks for it fails, whatever failed first.
    at
        The options by which a command reaches the environment.
    findings
        Newest findings, with ``kind`` and ``message``.
    champion
        Number of the champion; None for none.
    ever_ran
        Whether any job has run.
    """
    if not ever_ran:
        return Cause(
            area=CauseArea.PLATFORM, sentence=f"platform: no job has run yet; run mlops first-run {at}".rstrip()
        )
    if lost:
        remedy = re.sub(r"--env \w+ (?=--reason)", lambda _found: f"{at} ", lost) if at else lost
        return Cause(area=CauseArea.MODEL, sentence=f"model: {remedy}")
    if undelivered:
        jobs = {one.partition(":")[0] for one in undelivered}
        others = [one for one in failed if one.partition(" (")[0] not in jobs]
        after = f" After it look at {_enumerated(others)}, which failed last too" if others else ""
        return Cause(area=CauseArea.DATA, sentence=f"data: {' '.join(undelivered)}{after}")
    if gone:
        return Cause(
            area=CauseArea.PLATFORM,
            sentence=f"platform: the process of {_enumerated(gone)} is gone; to see what it left behind, run mlops doctor {at}".rstrip(),
        )
    if failed:
        return Cause(
            area=CauseArea.PLATFORM,
            sentence=f"platform: {_enumerated(failed)} failed last; repair that before you read findings",
        )
    by_area = {area: [one for one in findings if area_of(one["kind"]) is area] for area in CauseArea}
    for area in (CauseArea.PLATFORM, CauseArea.DATA, CauseArea.MODEL):
        if by_area[area]:
            kinds = _enumerated(list(dict.fromkeys(one["kind"].replace("_", " ") for one in by_area[area])))
            return Cause(area=area, sentence=f"{area}: {kinds}; first: {by_area[area][0]['message']}")
    if champion is None:
        return Cause(area=CauseArea.MODEL, sentence="model: there is no champion yet, so nothing is scored")
    return Cause(area=None, sentence=f"nothing: no job failed, no finding, version {champion} is champion")


def _enumerated(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1]
