"""The task that publishes feature tables to the online store of a deployed environment; only where a use case declares it."""

from typing import TYPE_CHECKING

from ml.spec.online_policy import OnlinePolicy
from pipelines.declarations.job import AnyTask, Task

if TYPE_CHECKING:
    from pipelines.declarations.use_case import UseCase

PUBLISH = "publish"
"""The key of the task."""
MARGIN_MINUTES = 30
"""How much longer than its wait for the pipelines the task may take."""


def publishing_task(use_case: "UseCase", policy: OnlinePolicy, *, after: AnyTask) -> Task:
    """Return the task that lets the platform bring the online tables of a use case up to its feature tables."""
    return Task(
        key=PUBLISH,
        entry="pipelines.tasks.predictions.online_publication:publish_online",
        description="publish what has changed in the feature tables to the online store, and measure how far it is behind",
        after=(after,),
        reads=(*use_case.feature_tables, use_case.table("findings")),
        writes=(use_case.table("findings"), use_case.table("findings_history")),
        timeout_minutes=policy.wait_minutes + MARGIN_MINUTES,
    )
