"""The job that reads the sources and refreshes the feature tables and the labels."""

from typing import TYPE_CHECKING

from pipelines.declarations.job import Job, Schedule, Size, Task
from pipelines.declarations.standard_jobs.parameters import LOCATION, SINCE, UNTIL
from pipelines.declarations.standard_jobs.publishing import publishing_task

if TYPE_CHECKING:
    from pipelines.declarations.use_case import UseCase


def features_job(use_case: "UseCase") -> Job:
    """Return the job that ingests the sources, then builds features and labels, and publishes features where declared."""
    bronze = tuple(source.table for source in use_case.sources)
    ingests, refreshes = use_case.table("ingests"), use_case.table("refreshes")
    ingest = Task(
        key="ingest",
        entry="pipelines.tasks.data.ingest:ingest",
        description="read each source's window, check its contract, append what holds, quarantine the rest",
        parameters=(SINCE, UNTIL, LOCATION),
        reads=(ingests,),
        writes=(*bronze, use_case.table("quarantine"), ingests),
    )
    build_features = Task(
        key="build_features",
        entry="pipelines.tasks.data.features:build_features",
        description="refresh the feature tables by what is new in bronze",
        after=(ingest,),
        reads=(*bronze, ingests, refreshes),
        writes=(*(feature.table for feature in use_case.features), refreshes),
    )
    build_labels = Task(
        key="build_labels",
        entry="pipelines.tasks.data.labels:build_labels",
        description="add the labels that have become known",
        after=(ingest,),
        reads=(*bronze, ingests, refreshes),
        writes=(use_case.labels.table, refreshes),
    )
    published = (publishing_task(use_case, use_case.online, after=build_features),) if use_case.online else ()
    return Job(
        use_case=use_case.name,
        name="features",
        description="read the sources, quarantine what breaks their contracts, refresh feature tables and labels",
        size=Size.MEDIUM,
        schedule=Schedule(cron="0 15 * * * ?"),
        tasks=(ingest, build_features, build_labels, *published),
    )
