"""The names that Azure DevOps, the pipelines and the account stack must share, so that federated identities fit."""

from collections.abc import Mapping
from types import MappingProxyType

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
SIGN_IN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "account": ("main", "nightly"),
        "dev": (REVIEWS, "main", "nightly"),
        "staging": ("main", "nightly"),
        "prod": ("main", "release", "nightly"),
    }
)
"""What is reached, and the pipelines that may use its service connection: to deploy, to plan, to look for drift."""
APPROVED = ("account", "prod")
"""What is deployed only after somebody has approved it."""
OPEN_TO_PULL_REQUESTS = ("dev",)
"""What the code of a pull request may sign in to; every other service connection serves main and release tags alone."""


def place(environment: str) -> str:
    """Return the name of an environment's service connection, of its Azure DevOps environment and of its agents."""
    return f"lakehouse-{environment}"


def connection_subject(organisation: str, project: str, environment: str) -> str:
    """Return the subject of a service connection's token, as Azure DevOps issues it."""
    return f"sc://{organisation}/{project}/{place(environment)}"


def pipeline_subject(organisation: str, project: str, environment: str) -> str:
    """Return the subject of the token of the pipeline that deploys an environment."""
    return f"p://{organisation}/{project}/{DEPLOYED_BY[environment]}"
