"""What the Azure roles of an identity lack, and which of them are too wide."""

from collections.abc import Iterator

from infra.devops.actual_state import ActualState
from infra.devops.desired_state import Stage
from infra.devops.step import SetupStep
from infra.permissions.azure_roles import PRIVILEGED, AzureRole

CONDITION_VERSION = "2.0"


def plan_roles(actual: ActualState, stage: Stage, application: str) -> Iterator[SetupStep]:
    """Yield the steps that give an identity its roles, after those that take away what would give it any other."""
    for scope, wanted in stage.roles.items():
        held = actual.roles.get((stage.application, scope), frozenset())
        names = {role.name for role in wanted}
        for role in sorted(held - set(wanted)):
            # Azure keeps one assignment of a role on a scope: one with another condition goes before the right one comes.
            if role.name in PRIVILEGED or (role.name in names and role.condition):
                yield SetupStep(
                    what=f"take the role {role.name} on {scope} from {stage.application}",
                    reason="it is wider than the roles that the stacks assign"
                    if role.name in PRIVILEGED
                    else "its condition is not the one that is needed",
                    command=("role", "assignment", "delete", "--assignee", application, "--role", role.name, "--scope", scope),
                )  # fmt: skip
        for role in wanted:
            if role not in held:
                yield SetupStep(
                    what=f"give {stage.application} the role {role.name} on {scope}"
                    + (", for the roles that its stacks assign alone" if role.condition else ""),
                    reason=f"the pipelines deploy {stage.name} and reach its state with this identity",
                    command=(
                        "role", "assignment", "create", "--assignee", application, "--role", role.name, "--scope", scope,
                        *_condition(role), "--output", "none",
                    ),
                )  # fmt: skip


def _condition(role: AzureRole) -> tuple[str, ...]:
    return ("--condition", role.condition, "--condition-version", CONDITION_VERSION) if role.condition else ()
