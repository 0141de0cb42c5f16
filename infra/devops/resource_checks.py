"""Approvals, locks, branch controls and required templates on service connections, environments and agent pools.

Checks are not in a pipeline's file, so who changes that file does not change them; what they admit is in
https://learn.microsoft.com/en-us/azure/devops/pipelines/process/approvals.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from infra.devops.actual_state import ActualState, Json, address, project_url
from infra.devops.desired_state import DesiredState
from infra.devops.step import SetupStep, rest, satisfies

APPROVAL = {"id": "8C6F20A7-A545-4486-9777-F762FAFE0D4D", "name": "Approval"}
REQUIRED_TEMPLATE_CHECK = {"id": "4020e66e-b0f3-47e1-bc88-48f3cc59b5f3", "name": "ExtendsCheck"}
LOCK = {"id": "2EF31AD6-BAA0-403A-8B45-2CBC9B4E5563", "name": "ExclusiveLock"}
TASK_CHECK = {"id": "fe1de3ee-a436-41b4-bb20-f6eb4cb879a7", "name": "Task Check"}
BRANCH_CONTROL = {"id": "86b05a0c-73e6-4f7d-b3cf-e38f3b39a75b", "name": "evaluatebranchProtection", "version": "0.0.1"}
DAYS_IN_THE_QUEUE_MINUTES = 7 * 24 * 60
DAY_TO_APPROVE_MINUTES = 24 * 60
"""An older plan is refused, so a later approval could only fail (``maximumAge`` of .azuredevops/templates/apply.yml)."""

TITLES = {REQUIRED_TEMPLATE_CHECK["id"]: "Required template"}
"""The usual name of a check whose name in the API says little."""
THINGS = {"endpoint": "service connection", "environment": "environment", "queue": "agent pool"}
"""The API's name of a kind of resource, and its usual name."""


def lock() -> dict[str, Any]:
    """Return the check that lets only one run at a time deploy."""
    return {"type": LOCK, "settings": {}, "timeout": DAYS_IN_THE_QUEUE_MINUTES}


def approval(approvers: str) -> dict[str, Any]:
    """Return the check that requires the approval of one member of a group who did not start the run."""
    settings = {
        "approvers": [{"id": approvers}], "minRequiredApprovers": 1, "requesterCannotBeApprover": True,
        "instructions": "Read the plan of the stage before: exactly it is applied, by its hash. "
        "Refuse a commit that is not on main, and a run with the tag judged-by-another-commit that nobody has announced.",
    }  # fmt: skip
    return {"type": APPROVAL, "settings": settings, "timeout": DAY_TO_APPROVE_MINUTES}


def branch_control(branches: Sequence[str]) -> dict[str, Any]:
    """Return the check that admits only runs of some branches or tags."""
    inputs = {"allowedBranches": ", ".join(branches), "ensureProtectionOfBranch": "false"}
    settings = {"displayName": "Branch control", "definitionRef": BRANCH_CONTROL, "inputs": inputs, "retryInterval": 5}
    return {"type": TASK_CHECK, "settings": settings, "timeout": 60}


def required_template(project: str, repository: str, ref: str, path: str) -> dict[str, Any]:
    """Return the check that admits only runs whose pipeline extends a template as it is on a ref.

    There is one template, because the documentation does not say whether a run has to extend one of several or all of them.
    https://registry.terraform.io/providers/microsoft/azuredevops/latest/docs/resources/check_required_template has the
    settings; the check decides at once, so it waits for nothing.
    """
    template = {
        "repositoryType": "git", "repositoryName": f"{project}/{repository}", "repositoryRef": ref, "templatePath": path,
    }  # fmt: skip
    return {"type": REQUIRED_TEMPLATE_CHECK, "settings": {"extendsChecks": [template]}}


def plan_check(
    actual: ActualState, desired: DesiredState, key: str, place: str, check: dict[str, Any], waits_for: str = ""
) -> Iterator[SetupStep]:
    """Yield the step that adds or corrects one check of a resource; none if it is right."""
    kind, _, identifier = key.partition("/")
    alike = [c for c in actual.checks.get(key, ()) if _is_same_check(c, check)]
    found = next((c for c in alike if not _wrong(c, check)), next(iter(alike), None))
    wrong = "it does not exist" if found is None else _wrong(found, check)
    if not wrong:
        return
    base, path = project_url(desired), "pipelines/checks/configurations"
    desired_settings = check if found is None else _keeping_stricter_settings(found, check)
    body = {**desired_settings, "resource": {"type": kind, "id": identifier, "name": place}}
    name = TITLES.get(check["type"]["id"], "") or check["settings"].get("displayName", check["type"]["name"])
    if found is None:
        command = rest("post", address(base, path), body)
    else:
        command = rest(
            "patch", address(base, f"{path}/{found['id']}"), {**body, "id": found["id"], "isDisabled": False}
        )
    yield SetupStep(
        what=f"{'correct' if found else 'add'} the check {name} of the {THINGS[kind]} {place}",
        reason=wrong,
        command=command,
        waits_for=waits_for,
    )


def _wrong(found: Json, check: Mapping[str, Any]) -> str:
    desired_settings = _keeping_stricter_settings(found, check)
    if found.get("isDisabled"):
        return "it is switched off"
    if not satisfies(found.get("settings") or {}, desired_settings["settings"]):
        return "it is set otherwise"
    if "timeout" not in desired_settings:
        return ""
    timeout = found.get("timeout", desired_settings["timeout"])
    return (
        ""
        if timeout == desired_settings["timeout"]
        else f"it waits {timeout} minutes, {desired_settings['timeout']} is the maximum"
    )


def _keeping_stricter_settings(found: Json, check: Mapping[str, Any]) -> dict[str, Any]:
    """Return the desired check with the settings of the existing one that are stricter.

    Stricter are a shorter timeout and further approvers, if so many of them must approve that ours are among them.
    """
    stated, settings = found.get("settings") or {}, dict(check["settings"])
    if "approvers" in settings:
        given, least = [one["id"] for one in stated.get("approvers", ())], int(stated.get("minRequiredApprovers", 0))
        if settings["approvers"][0]["id"] in given and least >= len(given):
            settings |= {"approvers": [{"id": one} for one in given], "minRequiredApprovers": least}
    if "timeout" not in check:
        return {**check, "settings": settings}
    return {**check, "settings": settings, "timeout": min(check["timeout"], found.get("timeout", check["timeout"]))}


def _is_same_check(found: Json, check: Mapping[str, Any]) -> bool:
    if str(found["type"]["id"]).lower() != check["type"]["id"].lower():
        return False
    definition = check["settings"].get("definitionRef")
    stated = (found.get("settings") or {}).get("definitionRef") or {}
    return definition is None or str(stated.get("id", "")).lower() == definition["id"]
