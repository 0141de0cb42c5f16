"""The set-up of Azure DevOps reads the actual state, changes what differs, and changes nothing the second time."""

import copy
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from infra.__main__ import main
from infra.build.release import ROOT
from infra.commands import devops
from infra.commands.devops import set_up
from infra.config.loading import Settings
from infra.config.pipeline_names import CONNECTIONS, DEPLOYED_BY, PIPELINES, place
from infra.devops.actual_state import address, project_url, read_actual_state
from infra.devops.desired_state import DesiredState, desired_state
from infra.devops.pipeline_settings import RESTRAINED
from infra.devops.plan_changes import BUILD_POLICY, COMMENTS_POLICY, REVIEWERS_POLICY, plan_changes
from infra.devops.step import rest
from infra.permissions.azure_roles import ASSIGNS, DATA, DEFINITIONS
from infra.releases.ledger import LedgerError
from infra.rights.needed import rights_by_identity
from infra.synthesis.stack import Stack
from tests.documented_commands import lines_of
from tests.infra.devops.devops_organisation import PAGE, Organisation


@pytest.fixture
def desired(settings: Settings, estate: Mapping[str, Stack]) -> DesiredState:
    """Return what the shipped settings ask for, with the rights that the stacks need."""
    return desired_state(settings, rights_by_identity(estate.values()))


@pytest.fixture
def organisation(desired: DesiredState) -> Organisation:
    """Return an organisation with a project and a repository, and nothing else."""
    return Organisation(desired)


def left(organisation: Organisation) -> list[str]:
    """Return what is still to be done."""
    return [
        step.what for step in plan_changes(read_actual_state(organisation.desired, organisation), organisation.desired)
    ]


def test_everything_is_set_up_and_again_changes_nothing(organisation: Organisation, desired: DesiredState) -> None:
    """From a project with a repository to pipelines, identities, approvals, locks, policies; then not one call more."""
    assert set_up(desired, organisation) == 0
    assert left(organisation) == []
    assert {pipeline["name"] for pipeline in organisation.stored["pipelines"]} == set(PIPELINES)
    everywhere = {"ExtendsCheck", "Branch control"}
    assert {name: set(organisation.checks("environment", name)) for name in DEPLOYED_BY} == {
        "account": {*everywhere, "ExclusiveLock", "Approval"}, "dev": {*everywhere, "ExclusiveLock"},
        "staging": {*everywhere, "ExclusiveLock"}, "prod": {*everywhere, "ExclusiveLock", "Approval"},
    }  # fmt: skip
    assert {name: set(organisation.checks("endpoint", name)) for name in CONNECTIONS} == {
        "account": everywhere, "dev": {"ExtendsCheck"}, "staging": everywhere,
        "prod": {*everywhere, "Approval"}, "prod-plan": everywhere,
    }  # fmt: skip
    assert len(organisation.stored["policy/configurations"]) == 3
    assert organisation.allowed == {"repoV2/p1/r1": 16384}
    assert {role for who, _, role in organisation.roles if who == "app-prod"} == {
        "Contributor", "Role Based Access Control Administrator", "Locks Contributor",
    }  # fmt: skip
    before = len(organisation.written)
    assert set_up(desired, organisation) == 0
    assert len(organisation.written) == before


def test_an_identity_may_assign_the_roles_of_its_stacks_and_no_other(
    organisation: Organisation, desired: DesiredState, settings: Settings
) -> None:
    """Dev's runs the code of pull requests. What it held without a condition, or with another one, is taken away first."""
    scope = f"/subscriptions/{settings.environments['dev'].subscription_id}"
    organisation.roles += [("app-dev", scope, role) for role in ("User Access Administrator", ASSIGNS, "Reader")]
    assert set_up(desired, organisation) == 0
    held = {role for who, where, role in organisation.roles if (who, where) == ("app-dev", scope)}
    assert held == {"Contributor", ASSIGNS, "Reader"}
    condition = organisation.conditions["app-dev", scope, ASSIGNS]
    for side in ("@Request", "@Resource"):
        allowed = f"{side}[Microsoft.Authorization/roleAssignments:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals"
        assert f"{allowed} {{{DEFINITIONS[DATA]}}}" in condition
    assert condition.count("StringEqualsIgnoreCase {'ServicePrincipal'}") == 2


def test_no_step_makes_or_names_a_secret(organisation: Organisation, desired: DesiredState) -> None:
    """Service connections are federated; nothing else signs in."""
    set_up(desired, organisation)
    schemes = {c["authorization"]["scheme"] for c in organisation.stored["serviceendpoint/endpoints"]}
    assert schemes == {"WorkloadIdentityFederation"}
    written = " ".join(" ".join(words) for words in organisation.written).lower()
    written = written.replace("enforcenoaccesstosecretsfromforks", "")  # a setting that takes them away
    assert not re.search(r"password|secret|serviceprincipalkey|\bpat\b|personal access", written)


def test_the_approver_is_not_who_has_started_the_release(organisation: Organisation, desired: DesiredState) -> None:
    """Neither by the environment nor by the service connection, which a changed pipeline could not leave out."""
    set_up(desired, organisation)
    approvals = {
        check["resource"]["type"]: check["settings"]
        for check in organisation.stored["pipelines/checks/configurations"]
        if check["type"]["name"] == "Approval" and check["resource"]["name"] == "lakehouse-prod"
    }
    assert set(approvals) == {"environment", "endpoint"}
    for settings in approvals.values():
        assert [one["id"] for one in settings["approvers"]] == ["g1"]
        assert settings["requesterCannotBeApprover"] is True


def test_a_tag_reaches_the_approved_connection_of_prod_alone(organisation: Organisation, desired: DesiredState) -> None:
    """A tag may stand on a commit that nobody has reviewed; all but dev's other connections serve main."""
    set_up(desired, organisation)
    allowed = {
        check["resource"]["name"]: check["settings"]["inputs"]["allowedBranches"]
        for check in organisation.stored["pipelines/checks/configurations"]
        if check["type"]["name"] == "Task Check" and check["resource"]["type"] == "endpoint"
    }
    assert allowed == {
        "lakehouse-account": "refs/heads/main", "lakehouse-staging": "refs/heads/main",
        "lakehouse-prod": "refs/tags/v*", "lakehouse-prod-plan": "refs/heads/main",
    }  # fmt: skip


def test_nothing_is_used_but_by_a_run_that_extends_the_reviewed_template(
    organisation: Organisation, desired: DesiredState
) -> None:
    """A pull request and a tag bring their own pipeline file, and only the service can hold them to main's stages."""
    set_up(desired, organisation)
    (template,) = {
        tuple(sorted(one.items()))
        for kind, names in (("endpoint", CONNECTIONS), ("environment", DEPLOYED_BY), ("queue", DEPLOYED_BY))
        for name in names
        for one in organisation.check(kind, name, "ExtendsCheck")["settings"]["extendsChecks"]
    }
    assert dict(template) == {
        "repositoryType": "git", "repositoryName": "lakehouse/lakehouse", "repositoryRef": "refs/heads/main",
        "templatePath": ".azuredevops/templates/lakehouse.yml",
    }  # fmt: skip
    assert (ROOT / dict(template)["templatePath"]).is_file()


@pytest.mark.parametrize(
    ("altered", "refusal"),
    [
        ({"resource": {"type": "pipeline", "id": "1"}}, "resource"),
        ({"settings": {"extendsChecks": []}}, "extendsChecks"),
        ({"settings": {"extendsChecks": [{"repositoryType": "azuregit"}]}}, "repositoryType"),
        ({"type": {"id": "0" * 8, "name": "ExtendsCheck"}}, "type"),
    ],
)
def test_the_service_refuses_a_check_that_is_none(
    altered: dict[str, Any], refusal: str, organisation: Organisation, desired: DesiredState
) -> None:
    """The organisation of these tests does so too: a wrong body would otherwise pass here and nowhere else."""
    set_up(desired, organisation)
    body = {**organisation.check("endpoint", "dev", "ExtendsCheck"), **altered}
    with pytest.raises(LedgerError, match=refusal):
        organisation(rest("post", address(project_url(desired), "pipelines/checks/configurations"), body))


CHANGES: dict[str, tuple[Any, str]] = {
    "a policy that was switched off": (
        lambda o: o.stored["policy/configurations"][0].update(isEnabled=False), "ask for one reviewer who is not the author",
    ),
    "an approval that anybody may give": (
        lambda o: o.check("environment", "account", "Approval")["settings"].update(requesterCannotBeApprover=False),
        "correct the check Approval of the environment lakehouse-account",
    ),
    "an approval of prod's connection that was removed": (
        lambda o: o.stored["pipelines/checks/configurations"].remove(o.check("endpoint", "prod", "Approval")),
        "add the check Approval of the service connection lakehouse-prod",
    ),
    "a lock that was removed": (
        lambda o: o.stored["pipelines/checks/configurations"].remove(o.check("environment", "account", "ExclusiveLock")),
        "add the check ExclusiveLock of the environment lakehouse-account",
    ),
    "a pipeline that may use prod's connection beside the known ones": (
        lambda o: o.authorised[f"endpoint/{o.connection('prod')['id']}"].append({"id": 7, "authorized": True}),
        "let release and no other pipeline use the service connection lakehouse-prod",
    ),
    "a connection of prod that was opened to all pipelines": (
        lambda o: o.open_to_all.add("/".join(o.key("endpoint", "prod"))),
        "let release and no other pipeline use the service connection lakehouse-prod",
    ),
    "a pipeline that runs in prod's network beside the known ones": (
        lambda o: o.authorised["/".join(o.key("queue", "prod"))].append({"id": 7, "authorized": True}),
        "let main, release, nightly and no other pipeline use the agent pool lakehouse-prod",
    ),
    "a required template of another branch": (
        lambda o: o.check("endpoint", "dev", "ExtendsCheck")["settings"]["extendsChecks"][0].update(repositoryRef="refs/heads/mine"),
        "correct the check Required template of the service connection lakehouse-dev",
    ),
    "a second template beside the required one": (
        lambda o: o.check("queue", "dev", "ExtendsCheck")["settings"]["extendsChecks"].append({"templatePath": "any.yml"}),
        "correct the check Required template of the agent pool lakehouse-dev",
    ),
    "an approval that was switched off": (
        lambda o: o.check("endpoint", "prod", "Approval").update(isDisabled=True),
        "correct the check Approval of the service connection lakehouse-prod",
    ),
    "an approval that waits for a month": (
        lambda o: o.check("endpoint", "prod", "Approval").update(timeout=43200),
        "correct the check Approval of the service connection lakehouse-prod",
    ),
    "a right that was taken away": (
        lambda o: o.allowed.clear(), "let lakehouse Build Service (meridian-air) comment on pull requests",
    ),
    "a right that was refused": (
        lambda o: o.denied.update({"repoV2/p1/r1": 16384}), "let lakehouse Build Service (meridian-air) comment on pull requests",
    ),
    "a right beside it, to push": (
        lambda o: o.allowed.update({"repoV2/p1/r1": 16384 | 4}), "let lakehouse Build Service (meridian-air) comment on pull requests",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_what_somebody_changed_is_mended_and_nothing_else(
    what: str, organisation: Organisation, desired: DesiredState
) -> None:
    """One step with its reason; after it nothing is left."""
    set_up(desired, organisation)
    alter, expected = CHANGES[what]
    alter(organisation)
    (step,) = left(organisation)
    assert step.startswith(expected)
    before = len(organisation.written)
    assert set_up(desired, organisation) == 0
    assert len(organisation.written) == before + 1


MAIN = {"repositoryId": "r1", "refName": "refs/heads/main", "matchKind": "Exact"}
RELEASES = {**MAIN, "refName": "refs/heads/releases"}


@pytest.mark.parametrize(
    ("kind", "stated"),
    [
        (BUILD_POLICY, {"buildDefinitionId": 99, "displayName": "security scan", "scope": [MAIN]}),
        (REVIEWERS_POLICY, {"minimumApproverCount": 3, "scope": [RELEASES]}),
        (COMMENTS_POLICY, {"scope": [{**MAIN, "repositoryId": "r2"}]}),
    ],
    ids=["another build", "another branch", "another repository"],
)
def test_a_policy_of_somebody_else_is_left_alone(
    kind: str, stated: dict[str, Any], organisation: Organisation, desired: DesiredState
) -> None:
    """Also if it comes before ours, which is added to it."""
    theirs = {"id": 7, "isEnabled": True, "isBlocking": False, "type": {"id": kind}, "settings": stated}
    policies = organisation.stored["policy/configurations"]
    policies.append(copy.deepcopy(theirs))
    assert set_up(desired, organisation) == 0
    assert policies[0] == theirs
    assert len(policies) == 4


def test_an_approval_of_somebody_else_before_ours_is_left_alone(
    organisation: Organisation, desired: DesiredState
) -> None:
    """Both have to be given."""
    set_up(desired, organisation)
    theirs = copy.deepcopy(organisation.check("environment", "prod", "Approval"))
    theirs |= {"id": 7, "settings": {**theirs["settings"], "approvers": [{"id": "security"}]}}
    organisation.stored["pipelines/checks/configurations"].insert(0, theirs)
    assert left(organisation) == []


def test_an_approval_that_asks_more_stays_as_it_is(organisation: Organisation, desired: DesiredState) -> None:
    """Two who both have to agree, within a day; where any one of them is enough, ours are no longer asked."""
    set_up(desired, organisation)
    check = organisation.check("endpoint", "prod", "Approval")
    check |= {"timeout": 1440}
    check["settings"] |= {"approvers": [{"id": "security"}, {"id": "g1"}], "minRequiredApprovers": 2}
    assert left(organisation) == []
    check["settings"]["requesterCannotBeApprover"] = False
    assert set_up(desired, organisation) == 0
    mended = organisation.check("endpoint", "prod", "Approval")
    assert (mended["timeout"], mended["settings"]["minRequiredApprovers"]) == (1440, 2)
    mended["settings"]["minRequiredApprovers"] = 1
    assert len(left(organisation)) == 1


def test_a_policy_that_asks_more_or_holds_elsewhere_too_keeps_that(
    organisation: Organisation, desired: DesiredState
) -> None:
    """Only what is missing is added."""
    set_up(desired, organisation)
    (reviewers,) = [p for p in organisation.stored["policy/configurations"] if p["type"]["id"] == REVIEWERS_POLICY]
    reviewers["settings"] |= {"minimumApproverCount": 2, "scope": [MAIN, RELEASES]}
    assert left(organisation) == []
    reviewers["settings"]["creatorVoteCounts"] = True
    assert set_up(desired, organisation) == 0
    (reviewers,) = [p for p in organisation.stored["policy/configurations"] if p["type"]["id"] == REVIEWERS_POLICY]
    assert reviewers["settings"]["creatorVoteCounts"] is False
    assert reviewers["settings"]["minimumApproverCount"] == 2
    assert reviewers["settings"]["scope"] == [MAIN, RELEASES]


def test_who_pushes_last_to_a_pull_request_does_not_approve_it(
    organisation: Organisation, desired: DesiredState
) -> None:
    """One person would push to the branch of somebody else's pull request, and approve what they pushed."""
    set_up(desired, organisation)
    (reviewers,) = [p for p in organisation.stored["policy/configurations"] if p["type"]["id"] == REVIEWERS_POLICY]
    assert reviewers["settings"]["blockLastPusherVote"] is True
    reviewers["settings"]["blockLastPusherVote"] = False
    assert left(organisation) == ["ask for one reviewer who is not the author before a change reaches main"]


def test_runs_are_kept_to_what_their_pipelines_state(organisation: Organisation, desired: DesiredState) -> None:
    """A variable that is added when a run is started would be in the environment of steps that sign in; other settings stay."""
    set_up(desired, organisation)
    assert organisation.settings == {**dict.fromkeys(RESTRAINED, True), "buildsEnabledForForks": False}
    organisation.settings["enforceSettableVar"] = False
    assert left(organisation) == ["keep the runs of lakehouse to what their pipelines state"]
    organisation.written.clear()
    assert set_up(desired, organisation) == 0
    (words,) = organisation.written
    assert json.loads(words[words.index("--body") + 1]) == {"enforceSettableVar": True}


def test_a_connection_with_another_subject_asks_for_it_in_the_settings(
    organisation: Organisation, desired: DesiredState, capsys: pytest.CaptureFixture[str]
) -> None:
    """Newer service connections have a subject that only Azure DevOps knows: the account stack must state it.

    The account's own identity is not in that stack: what its connection states is let in at once.
    """
    set_up(desired, organisation)
    organisation.connection("prod")["authorization"]["parameters"] |= {
        "workloadIdentityFederationIssuer": "https://login.microsoftonline.com/t/v2.0",
        "workloadIdentityFederationSubject": "/eid1/c/pub/t/x/a/y/sc/o/c",
    }
    own = organisation.connection("account")["authorization"]["parameters"]
    own["workloadIdentityFederationSubject"] = "/eid1/c/pub/t/x/a/y/sc/o/account"
    capsys.readouterr()
    assert set_up(desired, organisation) == 3
    assert own["workloadIdentityFederationSubject"] in str(organisation.credentials["app-account"])
    said = capsys.readouterr().out
    assert "left: state issuer and subject of lakehouse-prod in account.yaml" in said
    assert "subject: /eid1/c/pub/t/x/a/y/sc/o/c" in said


def test_a_connection_that_keeps_a_secret_is_not_taken(organisation: Organisation, desired: DesiredState) -> None:
    """It is converted by a person: its secret has to go."""
    set_up(desired, organisation)
    organisation.connection("dev")["authorization"]["scheme"] = "ServicePrincipal"
    assert left(organisation) == [
        "convert the service connection lakehouse-dev to workload identity federation, in its settings"
    ]


def test_what_is_missing_for_a_step_is_waited_for(organisation: Organisation, desired: DesiredState) -> None:
    """Before the account stack is deployed there is no identity to sign in as: nothing is made for it, 3 is returned."""
    organisation.applications = [a for a in organisation.applications if a["appId"] != "app-prod"]
    assert set_up(desired, organisation) == 3
    assert left(organisation) == [
        "deploy the account stack, which creates the Entra application app-mrd-prod",
        "create the service connection lakehouse-prod, without a secret",
        "create the service connection lakehouse-prod-plan, without a secret",
    ]
    assert "lakehouse-prod" not in {c["name"] for c in organisation.stored["serviceendpoint/endpoints"]}


def test_a_resource_that_is_open_to_all_pipelines_is_reported_and_restricted(
    organisation: Organisation, desired: DesiredState
) -> None:
    """As a new pool may be: `all` counts before the list, which may be empty or right."""
    organisation.open_to_all |= {"/".join(organisation.key("queue", stage.name)) for stage in desired.stages}
    assert set_up(desired, organisation) == 0
    assert organisation.open_to_all == set()
    organisation.open_to_all.add("/".join(organisation.key("queue", "prod")))
    (step,) = plan_changes(read_actual_state(desired, organisation), desired)
    assert step.reason.startswith("allowed are all pipelines, [")


def test_a_pool_that_is_missing_is_asked_for_and_the_rest_goes_on(
    organisation: Organisation, desired: DesiredState
) -> None:
    """Agents are a person's; as soon as there is a pool, it is closed."""
    pools = organisation.stored["distributedtask/queues"]
    prod = pools.pop()
    assert set_up(desired, organisation) == 3
    (step,) = plan_changes(read_actual_state(desired, organisation), desired)
    assert step.what == "add the agent pool lakehouse-prod to the project lakehouse, open to no pipeline"
    pools.append(prod)
    assert set_up(desired, organisation) == 0


def test_a_machine_of_a_scale_set_serves_one_job(organisation: Organisation, desired: DesiredState) -> None:
    """A pool that keeps its machines is changed, and no other setting of it; one that discards them is left alone."""
    pools = organisation.stored["distributedtask/elasticpools"]
    pools += [
        {"poolId": 61, "maxCapacity": 4, "recycleAfterEachUse": False},
        {"poolId": 62, "maxCapacity": 2, "recycleAfterEachUse": True},
        {"poolId": 99, "maxCapacity": 2, "recycleAfterEachUse": False},
    ]
    assert set_up(desired, organisation) == 0
    assert pools[0] == {"poolId": 61, "maxCapacity": 4, "recycleAfterEachUse": True}
    assert pools[2]["recycleAfterEachUse"] is False, "a pool of somebody else"
    assert [words for words in organisation.written if "elasticpools" in " ".join(words)] == [
        rest("patch", address(desired.url, "distributedtask/elasticpools/61"), {"recycleAfterEachUse": True})
    ]
    assert left(organisation) == []


def test_only_code_that_may_sign_in_runs_in_the_network_of_an_environment(
    organisation: Organisation, desired: DesiredState
) -> None:
    """What runs on its agents reaches what is private there, signed in or not."""
    set_up(desired, organisation)
    names = {pipeline["id"]: pipeline["name"] for pipeline in organisation.stored["pipelines"]}
    used = {
        stage.name: {names[p["id"]] for p in organisation.authorised["/".join(organisation.key("queue", stage.name))]}
        for stage in desired.stages
    }
    assert used == {
        "account": {"main", "nightly"}, "dev": {"pull-request", "branch", "main", "nightly"},
        "staging": {"main", "nightly"}, "prod": {"main", "release", "nightly"},
    }  # fmt: skip
    allowed = {
        stage.name: check["settings"]["inputs"]["allowedBranches"]
        for stage in desired.stages
        for called, check in organisation.checks("queue", stage.name).items()
        if called == "Branch control"
    }
    assert allowed == {
        "account": "refs/heads/main", "staging": "refs/heads/main", "prod": "refs/tags/v*, refs/heads/main",
    }  # fmt: skip


@pytest.mark.parametrize(
    "called",
    ["mrd-data-platform-interns", "[another project]\\mrd-data-platform", "[TEAM FOUNDATION]\\mrd-data-platform-2"],
)
def test_nobody_approves_whose_name_is_only_like_the_approvers(
    called: str, organisation: Organisation, desired: DesiredState
) -> None:
    """The service finds what begins with a name as well; a stranger is worse than nobody."""
    del organisation.identities["mrd-data-platform"]
    organisation.identities[called] = ("stranger", "vssgp.stranger")
    assert set_up(desired, organisation) == 3
    assert "stranger" not in str(organisation.written)
    assert "Approval" not in organisation.checks("environment", "prod")
    organisation.identities["[TEAM FOUNDATION]\\mrd-data-platform"] = ("g1", "aadgp.g1")
    assert set_up(desired, organisation) == 0
    (approver,) = organisation.check("endpoint", "prod", "Approval")["settings"]["approvers"]
    assert approver["id"] == "g1"


def test_the_documented_commands_say_the_steps_and_do_them(
    organisation: Organisation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the order of each page, one page after the other: the first one says and does everything, the second finds nothing to do."""
    monkeypatch.setattr(devops, "run_az", organisation)
    lines = [line for _, line in lines_of("tests/infra/devops/test_set_up.py")]
    said = []
    for line in lines:
        assert main(shlex.split(line.removeprefix(".venv/bin/python -m infra "))) == 0, line
        said.append(capsys.readouterr().out)
    assert re.search(r"^[1-9]\d+ steps$", said[0], re.MULTILINE)
    assert "done: " in said[1]
    assert said[2:] == ["everything is as wanted\n"] * (len(lines) - 2)


def test_two_groups_of_the_approvers_name_are_a_mistake(
    organisation: Organisation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which of them is meant, a person has to say; nothing is written before."""
    organisation.identities["[lakehouse]\\mrd-data-platform"] = ("g2", "vssgp.g2")
    monkeypatch.setattr(devops, "run_az", organisation)
    assert main(["devops", "--apply"]) == 2
    assert capsys.readouterr().err == (
        "error: Azure DevOps knows mrd-data-platform more than once: [lakehouse]\\mrd-data-platform, mrd-data-platform; "
        "none is chosen by chance, so rename all but the right one.\n"
    )
    assert organisation.written == []


def test_all_pages_of_a_list_are_read(organisation: Organisation, desired: DesiredState) -> None:
    """In an organisation with many projects, and a project with many environments."""
    others = [{"id": f"o{i}", "name": f"another {i}"} for i in range(3 * PAGE)]
    organisation.stored["projects"][:0] = others
    organisation.stored["distributedtask/environments"] += [dict(other) for other in others]
    assert set_up(desired, organisation) == 0
    names = [environment["name"] for environment in organisation.stored["distributedtask/environments"]]
    assert len(names) == len(set(names)) == len(others) + len(desired.stages)


def test_without_a_project_a_person_begins(organisation: Organisation) -> None:
    """The code must be there before anything is built from it."""
    organisation.stored["projects"].clear()
    assert left(organisation)[0] == "create the project lakehouse in https://dev.azure.com/meridian-air"


def test_a_step_that_fails_stops_the_rest(
    organisation: Organisation, desired: DesiredState, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is built on what is missing; running it again goes on from there."""

    def refusing(words: Sequence[str]) -> str:
        if "post" in words and "distributedtask/environments" in " ".join(words):
            raise LedgerError("az rest --method post failed: forbidden")
        return organisation(words)

    assert set_up(desired, refusing) == 1
    assert "nothing after it was tried; run the command again" in capsys.readouterr().out
    assert set_up(desired, organisation) == 0


def test_the_dry_run_reads_and_prints_what_could_be_pasted(
    organisation: Organisation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is written."""
    monkeypatch.setattr(devops, "run_az", organisation)
    assert main(["devops"]) == 0
    said = capsys.readouterr().out
    assert (
        "az rest --method post --url 'https://dev.azure.com/meridian-air/lakehouse/_apis/pipelines?api-version=7.1'"
        in said
    )
    assert organisation.written == []


def test_pipelines_and_account_stack_name_the_same_identities(estate: dict[str, Stack], desired: DesiredState) -> None:
    """Service connections and environments of the YAML are those that are made; the account stack lets them in."""
    text = "".join(p.read_text("utf-8") for p in sorted((ROOT / ".azuredevops").rglob("*.yml")))
    for kind, known in (
        ("azureSubscription", map(place, CONNECTIONS)),
        ("environment", (s.place for s in desired.stages)),
    ):
        assert set(re.findall(rf"{kind}: (lakehouse-\S+)", text)) <= {*known, "lakehouse-${{"}, kind
    assert {p.stem for p in (ROOT / ".azuredevops").glob("*.yml")} == set(PIPELINES)
    resources = estate["account"].resources
    for stage in desired.stages:
        if stage.name == "account":
            continue
        for connection in stage.connections:
            label = f"service_connection_{connection.name.replace('-', '_')}"
            credential = resources[f"azuread_application_federated_identity_credential.{label}"]
            assert (
                credential.arguments["subject"]
                == connection.subject
                == f"sc://meridian-air/lakehouse/{connection.place}"
            )
        policy = resources[f"databricks_service_principal_federation_policy.azure_devops_{stage.name}"]
        assert policy.arguments["oidc_policy"]["subject"] == f"sc://meridian-air/lakehouse/{stage.place}"
