"""The names that Azure DevOps, the pipelines and the account stack share, so that federated identities match."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from infra.config.model import AzureDevops

ISSUER = "https://vstoken.dev.azure.com"
BRANCH = "refs/heads/main"
RELEASE_TAGS = "refs/tags/v*"
REVIEWS = "pull-request"
"""The pipeline that validates a pull request."""
BRANCHES = "branch"
"""The pipeline that deploys a branch of use cases into dev."""
PIPELINES: Mapping[str, str] = MappingProxyType(
    {name: f"/.azuredevops/{name}.yml" for name in (REVIEWS, BRANCHES, "main", "release", "nightly")}
)
"""Pipeline to its file."""
REQUIRED_TEMPLATE = ".azuredevops/templates/lakehouse.yml"
"""What every pipeline extends, as it is on `BRANCH`: the stages that may sign in."""
DEPLOYED_BY: Mapping[str, str] = MappingProxyType(
    {"account": "main", "dev": "main", "staging": "main", "prod": "release"}
)
"""Each stage and the pipeline that deploys it."""
APPROVED = ("account", "prod")
"""The stages that are deployed only after an approval."""


@dataclass(frozen=True, kw_only=True)
class Connection:
    """The declaration of a service connection.

    Attributes
    ----------
    stage
        The environment, or the account, with whose identity it signs in.
    pipelines
        The pipelines that may use it: to deploy, to plan, to look for drift.
    branches
        The refs whose runs may use it; empty if the code of a pull request may sign in with it.
    approved
        Whether every use of it needs an approval, because a tag may be on a commit that nobody has reviewed.
    """

    stage: str
    pipelines: tuple[str, ...]
    branches: tuple[str, ...] = (BRANCH,)
    approved: bool = False


CONNECTIONS: Mapping[str, Connection] = MappingProxyType(
    {
        "account": Connection(stage="account", pipelines=("main", "nightly")),
        "dev": Connection(stage="dev", pipelines=(REVIEWS, BRANCHES, "main", "nightly"), branches=()),
        "staging": Connection(stage="staging", pipelines=("main", "nightly")),
        "prod": Connection(stage="prod", pipelines=("release",), branches=(RELEASE_TAGS,), approved=True),
        "prod-plan": Connection(stage="prod", pipelines=("main", "nightly")),
    }
)
"""The service connections of the pipelines. Prod has two: one for planning, one with which a release applies the plan."""


def working_in(stage: str) -> tuple[str, ...]:
    """Return the pipelines whose jobs run on the agents of a stage: those that sign in with its identity."""
    users = {pipeline for c in CONNECTIONS.values() if c.stage == stage for pipeline in c.pipelines}
    return tuple(pipeline for pipeline in PIPELINES if pipeline in users)


def served_in(stage: str) -> tuple[str, ...]:
    """Return the refs whose runs may use the agents of a stage; empty if the code of a pull request may run there."""
    served = [c.branches for c in CONNECTIONS.values() if c.stage == stage]
    return tuple(dict.fromkeys(ref for refs in served for ref in refs)) if all(served) else ()


def deployed_from(stage: str) -> str:
    """Return the refs whose runs may deploy a stage: those of the pipeline that deploys it."""
    return RELEASE_TAGS if DEPLOYED_BY[stage] == "release" else BRANCH


def place(name: str) -> str:
    """Return the name of a service connection, an environment or an agent pool in Azure DevOps."""
    return f"lakehouse-{name}"


def signs_in_as(devops: AzureDevops, connection: str) -> tuple[str, str]:
    """Return issuer and subject of a service connection's token: as the settings state them, else Azure DevOps' default."""
    stated = devops.federation.get(connection)
    if stated is not None:
        return stated.issuer, stated.subject
    return f"{ISSUER}/{devops.organisation_id}", f"sc://{devops.organisation}/{devops.project}/{place(connection)}"
