"""The general settings of a project's pipelines: what no run may do, whatever its pipeline's file says."""

from collections.abc import Iterator

from infra.devops.actual_state import GENERAL_SETTINGS, ActualState, address, project_url
from infra.devops.desired_state import DesiredState
from infra.devops.step import SetupStep, rest

RESTRAINED = {
    "enforceSettableVar": "whoever starts a run adds no variable, which every step would have in its environment",
    "enforceJobAuthScope": "the token of a run is of its project alone",
    "enforceReferencedRepoScopedToken": "it reads the repositories that its pipeline names and no other",
    "enforceJobAuthScopeForForks": "so does the run of a fork",
    "enforceNoAccessToSecretsFromForks": "which gets neither secrets nor the rights of other runs",
}
"""General settings that must be on, and what each does: learn.microsoft.com/azure/devops/pipelines/security/inputs and, for the
others, learn.microsoft.com/azure/devops/pipelines/security/misc."""


def restrained(actual: ActualState, desired: DesiredState) -> Iterator[SetupStep]:
    """Yield the step that keeps runs to what their files state."""
    lacking = [setting for setting in RESTRAINED if actual.settings.get(setting) is not True]
    if lacking:
        yield SetupStep(
            what=f"keep the runs of {desired.project} to what their pipelines state",
            reason="not set: " + "; ".join(RESTRAINED[setting] for setting in lacking),
            command=rest("patch", address(project_url(desired), GENERAL_SETTINGS), dict.fromkeys(lacking, True)),
        )
