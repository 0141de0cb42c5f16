"""The online store of an environment: a Lakebase project of its workspace, to which the jobs publish feature tables.

https://learn.microsoft.com/en-us/azure/databricks/machine-learning/feature-store/online-feature-store

Terraform declares the store and its size. What is in it, `pipelines.tasks.predictions.online_publication` publishes, because the provider has
no resource for that. The environment's identity makes the store and runs the jobs, so it may publish to it and read it. The
administrators of the workspace may manage it; nobody else is given anything on it: the provider has no permissions of projects
at this version, and the endpoints ask the store with that identity's rights. Drift reads who has some nevertheless.
"""

from infra.constructs.workspace.context import WorkspaceContext
from infra.synthesis.stack import Resource
from pipelines.declarations.online_store import STORE

LABEL = "features"


def online_store(workspace: WorkspaceContext) -> Resource | None:
    """Add the online store; nothing where the settings of the environment state none."""
    serving = workspace.deployment.settings.serving
    if serving is None or serving.online_store is None:
        return None
    return workspace.add(
        "databricks_online_store",
        LABEL,
        prevent_destroy=workspace.deployment.settings.locks,
        name=STORE,
        capacity=serving.online_store.capacity.value,
        # Left out for none: a service that leaves zeros out of its answers would seem to have changed what was planned.
        read_replica_count=serving.online_store.read_replicas or None,
    )
