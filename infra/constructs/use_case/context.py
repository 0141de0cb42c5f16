"""What every construct of one use case is given: the workspace, what it shares, and the use case itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from databricks.sdk.service.iam import PermissionLevel

from infra.config.model import Team
from infra.constructs.workspace.catalog import EnvironmentCatalog
from infra.constructs.workspace.compute import SharedCompute
from infra.constructs.workspace.context import WorkspaceContext
from infra.permissions.grants import permissions
from infra.permissions.roles import Object
from infra.synthesis.stack import Resource
from pipelines.declarations.use_case import UseCase


@dataclass(frozen=True, kw_only=True)
class UseCaseContext:
    """One use case in the workspace of one environment.

    Attributes
    ----------
    catalog, compute, experiments
        What all use cases of the workspace share; `experiments` is the folder of their experiments.
    receivers
        Application ids of the service principals of the environments that copy the use case's model from this one.
    variables
        Environment variables of the jobs' clusters.
    is_branch
        Whether it is there for a time: its schemas go with what they hold, no job has a schedule, nothing watches its tables.
    """

    workspace: WorkspaceContext
    catalog: EnvironmentCatalog
    compute: SharedCompute
    experiments: Resource
    team: Team
    use_case: UseCase
    receivers: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    is_branch: bool = False

    def permit(self, kind: Object, *label: str, jobs: PermissionLevel, **target: Any) -> Resource:
        """Add the permissions on one object of the use case, for its people and for the jobs."""
        groups = permissions(kind, self.workspace.deployment.holders, frozenset({self.use_case.name}))
        return self.workspace.permit(*label, groups=groups, jobs=jobs, **target)

    @property
    def tags(self) -> dict[str, str]:
        """The tags of everything that belongs to the use case."""
        return dict(self.workspace.deployment.tags(self.team, self.use_case.name))
