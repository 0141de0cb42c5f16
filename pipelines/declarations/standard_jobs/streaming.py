"""The job that scores requests as they come; only where a use case declares that it streams."""

from dataclasses import replace
from typing import TYPE_CHECKING

from ml.spec.streaming_policy import StreamingPolicy, StreamTrigger
from pipelines.declarations.asset import Layer, Table, column, key
from pipelines.declarations.job import Job, Parameter, Schedule, Task
from pipelines.declarations.standard_jobs.parameters import ALIAS, UNTIL

if TYPE_CHECKING:
    from pipelines.declarations.use_case import UseCase

STREAM = "stream"
"""The name of the job."""
GRACE_MINUTES = 60
"""How long a run may take to end after its hours are over."""


def streaming_job(use_case: "UseCase", policy: StreamingPolicy) -> Job:
    """Return the job that refreshes features and scores what is new: by a schedule, or all the time.

    The run of a continuous job ends by itself after the declared hours, so its timeout is later.
    """
    trigger = Parameter(
        name="trigger", default=policy.trigger.value, choices=tuple(one.value for one in StreamTrigger),
        description="available_now: score what is there and end; continuous: go on, unless `until` is given",
    )  # fmt: skip
    bronze = tuple(dict.fromkeys((use_case.spine.table, *(source.table for source in use_case.sources))))
    built = tuple(feature.table for feature in use_case.features)
    longest = policy.run_hours * 60 + GRACE_MINUTES if policy.is_continuous else None
    stream = Task(
        key="stream",
        entry="pipelines.tasks.predictions.streaming:stream",
        description="refresh the feature tables by what is new in bronze, score the requests that have come, append once",
        parameters=(UNTIL, ALIAS, trigger),
        reads=(
            *bronze,
            *use_case.feature_tables,
            use_case.table("ingests"),
            use_case.table("refreshes"),
            use_case.table("predictions"),
            use_case.table("streams"),
            use_case.table("findings"),
            use_case.model,
        ),
        writes=(
            *built,
            use_case.table("refreshes"),
            use_case.table("predictions"),
            use_case.table("streams"),
            use_case.table("findings"),
            use_case.table("findings_history"),
        ),
        retries=0,
        timeout_minutes=longest or 60,
    )
    return Job(
        use_case=use_case.name,
        name=STREAM,
        description="score requests as they come, with the model version an alias points to",
        tasks=(stream,),
        schedule=Schedule(cron=policy.schedule) if policy.schedule else None,
        continuous=policy.is_continuous,
        timeout_minutes=longest or 120,
        expected_minutes=longest or 30,
    )


def streams_table(predictions: Table) -> Table:
    """Return the table of how far the stream of the use case has come that has a table of predictions."""
    return replace(
        predictions,
        layer=Layer.MONITORING,
        name="streams",
        comment="how far the stream has come: what it has taken in and scored, one row for each alias",
        columns=(
            key("alias"),
            key("source", comment="the table of the requests"),
            key("source_version", "bigint", "up to which its rows have been taken in"),
            column("source_commit", "string", "digest of that version's commit, where the engine reads by versions"),
            key("until", "timestamp", "the requests that fell due before it have been looked at"),
            key("run_id"),
            key("recorded_at", "timestamp"),
        ),
        primary_key=("alias",),
    )
