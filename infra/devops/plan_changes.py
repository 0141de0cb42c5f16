"""Plans the changes from the actual to the desired state of Azure DevOps: a pure function, one step per change."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from infra.config.pipeline_names import (
    BRANCH,
    DEPLOYED_BY,
    REQUIRED_TEMPLATE,
    REVIEWS,
    deployed_from,
    served_in,
    working_in,
)  # fmt: skip
from infra.devops.actual_state import (
    GIT_NAMESPACE,
    ActualState,
    Json,
    PipelineAccess,
    address,
    project_url,
)
from infra.devops.desired_state import DesiredState, ServiceConnection, Stage
from infra.devops.identity_steps import identity_steps, token_of
from infra.devops.pipeline_settings import restrained
from infra.devops.resource_checks import THINGS, approval, branch_control, lock, plan_check, required_template
from infra.devops.step import SetupStep, rest, satisfies

CONTRIBUTE_TO_PULL_REQUESTS = 16384
"""The bit of the right in the namespace of Git repositories."""
REVIEWERS_POLICY = "fa4e907d-c16b-4a4c-9dfa-4906e5d171dd"
COMMENTS_POLICY = "c6a1889d-b943-4856-b76f-9e46bb6ee0df"
BUILD_POLICY = "0609b952-1397-4640-95ec-e00a01b2c241"


def plan_changes(actual: ActualState, desired: DesiredState) -> tuple[SetupStep, ...]:
    """Return the steps that make the actual state the desired one, in order; none if they agree.

    Parameters
    ----------
    actual
        What exists.
    desired
        What must exist.
    """
    if not actual.project or not actual.repository:
        missing = f"repository {desired.repository}" if actual.project else f"project {desired.project}"
        why = "it holds the code, so a person creates it and pushes"
        return (SetupStep(what=f"create the {missing} in {desired.url}", reason=why), *identity_steps(actual, desired))
    return (
        *identity_steps(actual, desired),
        *_connections(actual, desired),
        *_environments(actual, desired),
        *_agents(actual, desired),
        *_pipelines(actual, desired),
        *restrained(actual, desired),
        *_use(actual, desired),
        *_policies(actual, desired),
        *_rights(actual, desired),
    )


def _connections(actual: ActualState, desired: DesiredState) -> Iterator[SetupStep]:
    for stage in desired.stages:
        for connection in stage.connections:
            found = actual.connections.get(connection.place)
            if found is None:
                yield _connection(stage, connection, actual, desired)
            else:
                yield from _existing_connection(found, connection, actual, desired)


def _existing_connection(
    found: Json, connection: ServiceConnection, actual: ActualState, desired: DesiredState
) -> Iterator[SetupStep]:
    authorization = found.get("authorization", {})
    if authorization.get("scheme") != "WorkloadIdentityFederation":
        yield SetupStep(
            what=f"convert the service connection {connection.place} to workload identity federation, in its settings",
            reason=f"its scheme is {authorization.get('scheme')!r}: it keeps a secret",
        )
        return
    own = token_of(found)
    if connection.declared.stage != "account" and own != (connection.issuer, connection.subject):
        yield SetupStep(
            what=f"state issuer and subject of {connection.place} in account.yaml and deploy the account stack: "
            f"federation: {{{connection.name}: {{issuer: {own[0]}, subject: {own[1]}}}}}",
            reason=f"Azure DevOps signs it in as {own[1]}, the stack lets {connection.subject} in",
        )
    key, declared = f"endpoint/{found['id']}", connection.declared
    yield from _extending(actual, desired, key, connection.place)
    if declared.branches:
        yield from plan_check(actual, desired, key, connection.place, branch_control(declared.branches))
    if declared.approved:
        yield from _approved(actual, desired, key, connection.place)


def _connection(stage: Stage, connection: ServiceConnection, actual: ActualState, desired: DesiredState) -> SetupStep:
    application = actual.identities.applications.get(stage.application, "")
    subscription = stage.subscription_id or next(s.subscription_id for s in desired.stages if s.subscription_id)
    body = {
        "name": connection.place,
        "type": "azurerm",
        "url": "https://management.azure.com/",
        "data": {
            "environment": "AzureCloud", "scopeLevel": "Subscription", "creationMode": "Manual",
            "subscriptionId": subscription, "subscriptionName": connection.place,
        },
        "authorization": {
            "scheme": "WorkloadIdentityFederation",
            "parameters": {"serviceprincipalid": application, "tenantid": desired.tenant_id},
        },
        "isShared": False,
        "serviceEndpointProjectReferences": [
            {"name": connection.place, "projectReference": {"id": actual.project, "name": desired.project}}
        ],
    }  # fmt: skip
    return SetupStep(
        what=f"create the service connection {connection.place}, without a secret",
        reason=f"the pipelines sign in to {stage.name} with it",
        command=rest("post", address(desired.url, "serviceendpoint/endpoints"), body),
        waits_for="" if application else f"the Entra application {stage.application}",
    )


def _environments(actual: ActualState, desired: DesiredState) -> Iterator[SetupStep]:
    base = project_url(desired)
    for stage in desired.stages:
        found = actual.environments.get(stage.place)
        if found is None:
            body = {"name": stage.place, "description": f"what is deployed to {stage.name}"}
            yield SetupStep(
                what=f"create the environment {stage.place}",
                reason="a deployment is approved and locked by it",
                command=rest("post", address(base, "distributedtask/environments"), body),
            )
            continue
        key = f"environment/{found['id']}"
        yield from _extending(actual, desired, key, stage.place)
        yield from plan_check(actual, desired, key, stage.place, branch_control([deployed_from(stage.name)]))
        yield from plan_check(actual, desired, key, stage.place, lock())
        if stage.approved:
            yield from _approved(actual, desired, key, stage.place)


def _agents(actual: ActualState, desired: DesiredState) -> Iterator[SetupStep]:
    for stage in desired.stages:
        found = actual.queues.get(stage.place)
        if found is None:
            yield SetupStep(
                what=f"add the agent pool {stage.place} to the project {desired.project}, open to no pipeline",
                reason=f"the jobs of {stage.name} run on agents that a person puts into its network",
            )
            continue
        yield from _ephemeral(actual, desired, found, stage.place)
        key = f"queue/{found['id']}"
        yield from _extending(actual, desired, key, stage.place)
        if branches := served_in(stage.name):
            yield from plan_check(actual, desired, key, stage.place, branch_control(branches))


def _ephemeral(actual: ActualState, desired: DesiredState, queue: Json, place: str) -> Iterator[SetupStep]:
    """Yield the step that lets a machine of a scale set serve one job: nothing of it is left for the next.

    Code of a pull request runs on dev's agents. Of other pools only their owner knows: Managed DevOps Pools are stateless unless
    somebody changes that. https://learn.microsoft.com/en-us/rest/api/azure/devops/distributedtask/elasticpools/update
    """
    pool = actual.elastic.get(int(queue.get("pool", {}).get("id", 0)))
    if pool is None or pool.get("recycleAfterEachUse") is True:
        return
    yield SetupStep(
        what=f"discard each machine of the agent pool {place} after its job",
        reason="what one job leaves on it, the next could run",
        command=rest(
            "patch",
            address(desired.url, f"distributedtask/elasticpools/{pool['poolId']}"),
            {"recycleAfterEachUse": True},
        ),
    )


def _extending(actual: ActualState, desired: DesiredState, key: str, place: str) -> Iterator[SetupStep]:
    check = required_template(desired.project, desired.repository, BRANCH, REQUIRED_TEMPLATE)
    yield from plan_check(actual, desired, key, place, check)


def _approved(actual: ActualState, desired: DesiredState, key: str, place: str) -> Iterator[SetupStep]:
    missing = "" if actual.approvers else f"the group {desired.approvers} in Azure DevOps: add it to the project"
    yield from plan_check(actual, desired, key, place, approval(actual.approvers), waits_for=missing)


def _pipelines(actual: ActualState, desired: DesiredState) -> Iterator[SetupStep]:
    for name, path in desired.pipelines.items():
        if name not in actual.pipelines:
            repository = {"id": actual.repository, "type": "azureReposGit"}
            body = {"name": name, "configuration": {"type": "yaml", "path": path, "repository": repository}}
            yield SetupStep(
                what=f"create the pipeline {name} from {path}",
                reason="it does not exist",
                command=rest("post", address(project_url(desired), "pipelines"), body),
            )


def _use(actual: ActualState, desired: DesiredState) -> Iterator[SetupStep]:
    """Yield the steps that let exactly the declared pipelines use each connection, environment and agent pool."""
    for stage in desired.stages:
        for connection in stage.connections:
            yield from _used_by(actual, desired, "endpoint", connection.place, connection.declared.pipelines)
        yield from _used_by(actual, desired, "environment", stage.place, (DEPLOYED_BY[stage.name],))
        yield from _used_by(actual, desired, "queue", stage.place, working_in(stage.name))


def _used_by(
    actual: ActualState, desired: DesiredState, kind: str, place: str, names: Sequence[str]
) -> Iterator[SetupStep]:
    held = {"endpoint": actual.connections, "environment": actual.environments, "queue": actual.queues}[kind]
    if place not in held or not all(name in actual.pipelines for name in names):
        return
    key = f"{kind}/{held[place]['id']}"
    ids = frozenset(int(actual.pipelines[name]["id"]) for name in names)
    authorised = actual.authorised.get(key, PipelineAccess())
    if authorised == PipelineAccess(pipelines=ids):
        return
    body: dict[str, Any] = {
        "pipelines": [{"id": i, "authorized": i in ids} for i in sorted(ids | authorised.pipelines)]
    }
    if authorised.open_to_all:
        body["allPipelines"] = {"authorized": False}
    allowed = "all pipelines" if authorised.open_to_all else f"the pipelines {sorted(authorised.pipelines) or 'none'}"
    yield SetupStep(
        what=f"let {', '.join(names)} and no other pipeline use the {THINGS[kind]} {place}",
        reason=f"allowed are {allowed}, {sorted(ids)} are needed",
        command=rest("patch", address(project_url(desired), f"pipelines/pipelinePermissions/{key}"), body),
    )


def _policies(actual: ActualState, desired: DesiredState) -> Iterator[SetupStep]:
    review = actual.pipelines.get(REVIEWS)
    build = {
        "buildDefinitionId": int(review["id"]) if review else 0, "queueOnSourceUpdateOnly": False,
        "manualQueueOnly": False, "validDuration": 0, "displayName": REVIEWS,
    }  # fmt: skip
    reviewers = {
        "minimumApproverCount": 1, "creatorVoteCounts": False, "allowDownvotes": False, "resetOnSourcePush": True,
        # Else one person pushes to the branch of somebody else's pull request, and approves it.
        "blockLastPusherVote": True,
    }  # fmt: skip
    for what, kind, settings, waits_for in (
        ("one reviewer who is not the author", REVIEWERS_POLICY, reviewers, ""),
        ("every comment resolved", COMMENTS_POLICY, {}, ""),
        (f"the pipeline {REVIEWS} passed", BUILD_POLICY, build, "" if review else f"the pipeline {REVIEWS}"),
    ):
        yield from _policy(actual, desired, what, kind, settings, waits_for)


def _policy(
    actual: ActualState, desired: DesiredState, what: str, kind: str, settings: Mapping[str, Any], waits_for: str
) -> Iterator[SetupStep]:
    scope = {"repositoryId": actual.repository, "refName": BRANCH, "matchKind": "Exact"}
    found = next((p for p in actual.policies if _is_same_policy(p, kind, settings, scope)), None)
    stated = found.get("settings", {}) if found else {}
    desired_settings = {"scope": [scope], **stated, **settings, **_stricter(stated, settings)}
    body = {"isEnabled": True, "isBlocking": True, "type": {"id": kind}, "settings": desired_settings}
    if found is not None and satisfies(found, body):
        return
    path = f"policy/configurations/{found['id']}" if found else "policy/configurations"
    yield SetupStep(
        what=f"ask for {what} before a change reaches main",
        reason="the policy is set otherwise" if found else "there is no such policy",
        command=rest("put" if found else "post", address(project_url(desired), path), body),
        waits_for=waits_for,
    )


def _is_same_policy(policy: Json, kind: str, settings: Mapping[str, Any], scope: Mapping[str, str]) -> bool:
    """Return whether a policy is the one to change: a branch may have several build policies."""
    stated = policy.get("settings", {})
    if policy["type"]["id"] != kind or not any(satisfies(one, scope) for one in stated.get("scope", ())):
        return False
    return kind != BUILD_POLICY or stated.get("buildDefinitionId") == settings["buildDefinitionId"]


def _stricter(stated: Mapping[str, Any], desired_settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that are stricter than ours, which stay: more reviewers, for example."""
    count = "minimumApproverCount"
    return (
        {count: stated[count]}
        if count in desired_settings and int(stated.get(count, 0)) > desired_settings[count]
        else {}
    )


def _rights(actual: ActualState, desired: DesiredState) -> Iterator[SetupStep]:
    right = CONTRIBUTE_TO_PULL_REQUESTS
    if actual.build_identity and actual.allowed == right and not actual.denied & right:
        return
    entry = {"descriptor": actual.build_identity, "allow": right, "deny": actual.denied & ~right}
    token = f"repoV2/{actual.project}/{actual.repository}"
    body = {"token": token, "merge": False, "accessControlEntries": [entry]}
    yield SetupStep(
        what=f"let {desired.build_identity} comment on pull requests of {desired.repository}, and no more",
        reason="the review is posted with the run's own token",
        command=rest("post", address(desired.url, f"accesscontrolentries/{GIT_NAMESPACE}"), body),
        waits_for="" if actual.build_identity else "the build identity: it exists after the first run of a pipeline",
    )
