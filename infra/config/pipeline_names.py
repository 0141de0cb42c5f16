"""The names that Azure DevOps, the pipelines and the account stack must share, so that federated identities fit."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from infra.config.model import AzureDevops

ISSUER = "https://vstoken.dev.azure.com"
BRANCH = "refs/heads/main"
RELEASE_TAGS = "refs/tags/v*"
REVIEWS = "pull-request"
"""The pipeline that validates a pull request."""
PIPELINES: Mapping[str, str] = MappingProxyType(
    {name: f"/.azuredevops/{name}.yml" for name in (REVIEWS, "main", "release", "nightly")}
)
"""Pipeline to its file."""
DEPLOYED_BY: Mapping[str, str] = MappingProxyType(
    {"account": "main", "dev": "main", "staging": "main", "prod": "release"}
)
"""What is deployed, and the pipeline that does it."""
APPROVED = ("account", "prod")
"""What is deployed only after somebody has approved it."""


@dataclass(frozen=True, kw_only=True)
class Connection:
    """A service connection, declared.

    Attributes
    ----------
    stage
        The environment, or the account, as whose identity it signs in.
    pipelines
        Which may use it: to deploy, to plan, to look for drift.
    branches
        The refs whose runs it serves; empty if the code of a pull request may sign in with it.
    approved
        Whether every use of it is approved, whatever else a run says: a tag may stand on a commit nobody has reviewed.
    """

    stage: str
    pipelines: tuple[str, ...]
    branches: tuple[str, ...] = (BRANCH,)
    approved: bool = False


CONNECTIONS: Mapping[str, Connection] = MappingProxyType(
    {
        "account": Connection(stage="account", pipelines=("main", "nightly")),
        "dev": Connection(stage="dev", pipelines=(REVIEWS, "main", "nightly"), branches=()),
        "staging": Connection(stage="staging", pipelines=("main", "nightly")),
        "prod": Connection(stage="prod", pipelines=("release",), branches=(RELEASE_TAGS,), approved=True),
        "prod-plan": Connection(stage="prod", pipelines=("main", "nightly")),
    }
)
"""What the pipelines sign in with; prod is planned with another than the one that a release applies the plan with."""


def working_in(stage: str) -> tuple[str, ...]:
    """Return the pipelines whose jobs run on the agents of a stage: those that sign in as it."""
    users = {pipeline for c in CONNECTIONS.values() if c.stage == stage for pipeline in c.pipelines}
    return tuple(pipeline for pipeline in PIPELINES if pipeline in users)


def served_in(stage: str) -> tuple[str, ...]:
    """Return the refs whose runs the agents of a stage serve; empty if the code of a pull request may run there."""
    served = [c.branches for c in CONNECTIONS.values() if c.stage == stage]
    return tuple(dict.fromkeys(ref for refs in served for ref in refs)) if all(served) else ()


def place(name: str) -> str:
    """Return the name of a service connection; an environment and its agents in Azure DevOps are named the same way."""
    return f"lakehouse-{name}"


def signs_in_as(devops: AzureDevops, connection: str) -> tuple[str, str]:
    """Return issuer and subject of a service connection's token: as stated, or as Azure DevOps issues it by default."""
    stated = devops.federation.get(connection)
    if stated is not None:
        return stated.issuer, stated.subject
    return f"{ISSUER}/{devops.organisation_id}", f"sc://{devops.organisation}/{devops.project}/{place(connection)}"
