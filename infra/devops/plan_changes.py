"""What has to be done so that what is wanted is there: a pure function of both, a step each with its reason."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from infra.config.pipeline_names import BRANCH, DEPLOYED_BY, REVIEWS, served_in, working_in
from infra.devops.actual_state import GIT_NAMESPACE, Json, There, Use, address, project_url
from infra.devops.desired_state import ServiceConnection, Stage, Wanted
from infra.devops.resource_checks import THINGS, approval, branch_control, check_steps, lock
from infra.devops.step import Step, holds, rest

CONTRIBUTE_TO_PULL_REQUESTS = 16384
"""The bit of the right in the namespace of Git repositories."""
REVIEWERS_POLICY = "fa4e907d-c16b-4a4c-9dfa-4906e5d171dd"
COMMENTS_POLICY = "c6a1889d-b943-4856-b76f-9e46bb6ee0df"
BUILD_POLICY = "0609b952-1397-4640-95ec-e00a01b2c241"


def steps(there: There, wanted: Wanted) -> tuple[Step, ...]:
    """Return what is to be done, in order; nothing if everything is as wanted.

    Parameters
    ----------
    there
        What was read.
    wanted
        What the settings ask for.
    """
    if not there.project or not there.repository:
        missing = f"repository {wanted.repository}" if there.project else f"project {wanted.project}"
        why = "it holds the code, so a person makes it and pushes"
        return (Step(what=f"make the {missing} in {wanted.url}", reason=why), *_identities(there, wanted))
    return (
        *_identities(there, wanted),
        *_connections(there, wanted),
        *_environments(there, wanted),
        *_agents(there, wanted),
        *_pipelines(there, wanted),
        *_use(there, wanted),
        *_policies(there, wanted),
        *_rights(there, wanted),
    )


def _identities(there: There, wanted: Wanted) -> Iterator[Step]:
    """Yield what the identities lack; those of environments are made by the account stack, the account's own here."""
    for stage in wanted.stages:
        application = there.applications.get(stage.application)
        if application is None:
            yield _application(stage)
            continue
        credentials = there.credentials.get(stage.application, frozenset())
        for connection in stage.connections if stage.name == "account" else ():
            known = there.connections.get(connection.place)
            token = _token(known) if known else None
            if token not in credentials:
                yield _credential(stage, connection, token, application)
        for scope, roles in stage.roles.items():
            for role in roles:
                if role not in there.roles.get((stage.application, scope), frozenset()):
                    yield Step(
                        what=f"give {stage.application} the role {role} on {scope}",
                        reason=f"the pipelines deploy {stage.name} and reach its state as this identity",
                        command=("role", "assignment", "create", "--assignee", application, "--role", role,
                                 "--scope", scope, "--output", "none"),
                    )  # fmt: skip


def _application(stage: Stage) -> Step:
    if stage.name == "account":
        return Step(
            what=f"make the Entra application {stage.application}",
            reason="the identity that deploys the account stack cannot be in it",
            command=("ad", "app", "create", "--display-name", stage.application, "--output", "none"),
        )
    return Step(
        what=f"deploy the account stack, which makes the Entra application {stage.application}",
        reason=f"the pipelines sign in to {stage.name} as this identity",
    )


def _credential(stage: Stage, connection: ServiceConnection, token: tuple[str, str] | None, application: str) -> Step:
    issuer, subject = token or ("", "")
    body = {
        "name": f"azure-devops-{connection.name}", "issuer": issuer, "subject": subject,
        "audiences": ["api://AzureADTokenExchange"],
    }  # fmt: skip
    return Step(
        what=f"let the service connection {connection.place} sign in as {stage.application}",
        reason="no federated credential has its issuer and subject",
        command=(
            "ad", "app", "federated-credential", "create", "--id", application,
            "--parameters", json.dumps(body, sort_keys=True), "--output", "none",
        ),
        waits_for="" if token else f"the service connection {connection.place}: it states issuer and subject",
    )  # fmt: skip


def _connections(there: There, wanted: Wanted) -> Iterator[Step]:
    for stage in wanted.stages:
        for connection in stage.connections:
            found = there.connections.get(connection.place)
            if found is None:
                yield _connection(stage, connection, there, wanted)
            else:
                yield from _existing_connection(found, connection, there, wanted)


def _existing_connection(found: Json, connection: ServiceConnection, there: There, wanted: Wanted) -> Iterator[Step]:
    authorization = found.get("authorization", {})
    if authorization.get("scheme") != "WorkloadIdentityFederation":
        yield Step(
            what=f"convert the service connection {connection.place} to workload identity federation, in its settings",
            reason=f"its scheme is {authorization.get('scheme')!r}: it keeps a secret",
        )
        return
    own = _token(found)
    if connection.declared.stage != "account" and own != (connection.issuer, connection.subject):
        yield Step(
            what=f"state issuer and subject of {connection.place} in account.yaml and deploy the account stack: "
            f"federation: {{{connection.name}: {{issuer: {own[0]}, subject: {own[1]}}}}}",
            reason=f"Azure DevOps signs it in as {own[1]}, the stack lets {connection.subject} in",
        )
    key, declared = f"endpoint/{found['id']}", connection.declared
    if declared.branches:
        yield from check_steps(there, wanted, key, connection.place, branch_control(declared.branches))
    if declared.approved:
        yield from _approved(there, wanted, key, connection.place)


def _token(connection: Json) -> tuple[str, str]:
    """Return issuer and subject of a service connection's token, as Azure DevOps states them."""
    stated = connection.get("authorization", {}).get("parameters", {})
    return (
        str(stated.get("workloadIdentityFederationIssuer", "")),
        str(stated.get("workloadIdentityFederationSubject", "")),
    )


def _connection(stage: Stage, connection: ServiceConnection, there: There, wanted: Wanted) -> Step:
    application = there.applications.get(stage.application, "")
    subscription = stage.subscription_id or next(s.subscription_id for s in wanted.stages if s.subscription_id)
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
            "parameters": {"serviceprincipalid": application, "tenantid": wanted.tenant_id},
        },
        "isShared": False,
        "serviceEndpointProjectReferences": [
            {"name": connection.place, "projectReference": {"id": there.project, "name": wanted.project}}
        ],
    }  # fmt: skip
    return Step(
        what=f"make the service connection {connection.place}, without a secret",
        reason=f"the pipelines sign in to {stage.name} with it",
        command=rest("post", address(wanted.url, "serviceendpoint/endpoints"), body),
        waits_for="" if application else f"the Entra application {stage.application}",
    )


def _environments(there: There, wanted: Wanted) -> Iterator[Step]:
    base = project_url(wanted)
    for stage in wanted.stages:
        found = there.environments.get(stage.place)
        if found is None:
            body = {"name": stage.place, "description": f"what is deployed to {stage.name}"}
            yield Step(
                what=f"make the environment {stage.place}",
                reason="a deployment is approved and locked by it",
                command=rest("post", address(base, "distributedtask/environments"), body),
            )
            continue
        key = f"environment/{found['id']}"
        yield from check_steps(there, wanted, key, stage.place, lock())
        if stage.approved:
            yield from _approved(there, wanted, key, stage.place)


def _agents(there: There, wanted: Wanted) -> Iterator[Step]:
    for stage in wanted.stages:
        found = there.queues.get(stage.place)
        if found is None:
            yield Step(
                what=f"add the agent pool {stage.place} to the project {wanted.project}, open to no pipeline",
                reason=f"the jobs of {stage.name} run on agents that a person puts into its network",
            )
        elif branches := served_in(stage.name):
            yield from check_steps(there, wanted, f"queue/{found['id']}", stage.place, branch_control(branches))


def _approved(there: There, wanted: Wanted, key: str, place: str) -> Iterator[Step]:
    missing = "" if there.approvers else f"the group {wanted.approvers} in Azure DevOps: add it to the project"
    yield from check_steps(there, wanted, key, place, approval(there.approvers), waits_for=missing)


def _pipelines(there: There, wanted: Wanted) -> Iterator[Step]:
    for name, path in wanted.pipelines.items():
        if name not in there.pipelines:
            repository = {"id": there.repository, "type": "azureReposGit"}
            body = {"name": name, "configuration": {"type": "yaml", "path": path, "repository": repository}}
            yield Step(
                what=f"make the pipeline {name} from {path}",
                reason="it is not there",
                command=rest("post", address(project_url(wanted), "pipelines"), body),
            )


def _use(there: There, wanted: Wanted) -> Iterator[Step]:
    """Yield which pipelines may use which service connection, environment and agent pool; no other may."""
    for stage in wanted.stages:
        for connection in stage.connections:
            yield from _used_by(there, wanted, "endpoint", connection.place, connection.declared.pipelines)
        yield from _used_by(there, wanted, "environment", stage.place, (DEPLOYED_BY[stage.name],))
        yield from _used_by(there, wanted, "queue", stage.place, working_in(stage.name))


def _used_by(there: There, wanted: Wanted, kind: str, place: str, names: Sequence[str]) -> Iterator[Step]:
    held = {"endpoint": there.connections, "environment": there.environments, "queue": there.queues}[kind]
    if place not in held or not all(name in there.pipelines for name in names):
        return
    key = f"{kind}/{held[place]['id']}"
    ids = frozenset(int(there.pipelines[name]["id"]) for name in names)
    authorised = there.authorised.get(key, Use())
    if authorised == Use(pipelines=ids):
        return
    body: dict[str, Any] = {
        "pipelines": [{"id": i, "authorized": i in ids} for i in sorted(ids | authorised.pipelines)]
    }
    if authorised.open_to_all:
        body["allPipelines"] = {"authorized": False}
    allowed = "all pipelines" if authorised.open_to_all else f"the pipelines {sorted(authorised.pipelines) or 'none'}"
    yield Step(
        what=f"let {', '.join(names)} and no other pipeline use the {THINGS[kind]} {place}",
        reason=f"allowed are {allowed}, wanted {sorted(ids)}",
        command=rest("patch", address(project_url(wanted), f"pipelines/pipelinePermissions/{key}"), body),
    )


def _policies(there: There, wanted: Wanted) -> Iterator[Step]:
    review = there.pipelines.get(REVIEWS)
    build = {
        "buildDefinitionId": int(review["id"]) if review else 0, "queueOnSourceUpdateOnly": False,
        "manualQueueOnly": False, "validDuration": 0, "displayName": REVIEWS,
    }  # fmt: skip
    reviewers = {
        "minimumApproverCount": 1, "creatorVoteCounts": False, "allowDownvotes": False, "resetOnSourcePush": True,
    }  # fmt: skip
    for what, kind, settings, waits_for in (
        ("one reviewer who is not the author", REVIEWERS_POLICY, reviewers, ""),
        ("every comment resolved", COMMENTS_POLICY, {}, ""),
        (f"the pipeline {REVIEWS} passed", BUILD_POLICY, build, "" if review else f"the pipeline {REVIEWS}"),
    ):
        yield from _policy(there, wanted, what, kind, settings, waits_for)


def _policy(
    there: There, wanted: Wanted, what: str, kind: str, settings: Mapping[str, Any], waits_for: str
) -> Iterator[Step]:
    scope = {"repositoryId": there.repository, "refName": BRANCH, "matchKind": "Exact"}
    found = next((p for p in there.policies if _is_same_policy(p, kind, settings, scope)), None)
    stated = found.get("settings", {}) if found else {}
    asked = {"scope": [scope], **stated, **settings, **_stricter(stated, settings)}
    body = {"isEnabled": True, "isBlocking": True, "type": {"id": kind}, "settings": asked}
    if found is not None and holds(found, body):
        return
    path = f"policy/configurations/{found['id']}" if found else "policy/configurations"
    yield Step(
        what=f"ask for {what} before a change reaches main",
        reason="the policy says something else" if found else "no policy does",
        command=rest("put" if found else "post", address(project_url(wanted), path), body),
        waits_for=waits_for,
    )


def _is_same_policy(policy: Json, kind: str, settings: Mapping[str, Any], scope: Mapping[str, str]) -> bool:
    """Return whether a policy is ours to change: of a branch, there are many builds to pass, each with a policy."""
    stated = policy.get("settings", {})
    if policy["type"]["id"] != kind or not any(holds(one, scope) for one in stated.get("scope", ())):
        return False
    return kind != BUILD_POLICY or stated.get("buildDefinitionId") == settings["buildDefinitionId"]


def _stricter(stated: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what somebody asks more of than we do: more reviewers stay more reviewers."""
    count = "minimumApproverCount"
    return {count: stated[count]} if count in asked and int(stated.get(count, 0)) > asked[count] else {}


def _rights(there: There, wanted: Wanted) -> Iterator[Step]:
    right = CONTRIBUTE_TO_PULL_REQUESTS
    if there.build_identity and there.allowed == right and not there.denied & right:
        return
    entry = {"descriptor": there.build_identity, "allow": right, "deny": there.denied & ~right}
    token = f"repoV2/{there.project}/{there.repository}"
    body = {"token": token, "merge": False, "accessControlEntries": [entry]}
    yield Step(
        what=f"let {wanted.build_identity} comment on pull requests of {wanted.repository}, and no more",
        reason="the review is posted with the run's own token",
        command=rest("post", address(wanted.url, f"accesscontrolentries/{GIT_NAMESPACE}"), body),
        waits_for="" if there.build_identity else "the build identity: it exists after the first run of a pipeline",
    )
