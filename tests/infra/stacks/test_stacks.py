"""What must hold for every stack, whatever the settings say."""

import ast
import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import infra
from infra.build.release import current_release
from infra.config.checks import load_settings
from infra.config.loading import Settings
from infra.config.model import Team
from infra.config.stack_names import all_stacks, environment_of, identity_of
from infra.permissions.roles import Role
from infra.releases.data_loss import LOST_WITH_DATA
from infra.stacks.estate import stacks
from infra.synthesis.stack import RemoteState, Resource, Stack, StackError
from pipelines.declarations.asset import OWN_LAYERS
from pipelines.declarations.registry import use_cases
from pipelines.declarations.use_case import UseCase

HOLDING_DATA = frozenset(
    {
        "azurerm_databricks_workspace", "azurerm_key_vault", "azurerm_key_vault_key", "azurerm_log_analytics_workspace",
        "azurerm_resource_group", "azurerm_storage_account", "azurerm_storage_container", "databricks_catalog",
        "databricks_external_location", "databricks_metastore", "databricks_mlflow_experiment",
        "databricks_registered_model", "databricks_schema", "databricks_secret_scope", "databricks_storage_credential",
        "databricks_volume", "databricks_online_store",
    }
)  # fmt: skip
REBUILT = frozenset({"databricks_schema.deployment", "databricks_volume.releases"})
"""Hold nothing but copies of the released wheel."""


def every_resource(estate: Mapping[str, Stack]) -> Iterator[tuple[Stack, Resource]]:
    """Yield each resource with its stack."""
    for stack in estate.values():
        for resource in stack.resources.values():
            yield stack, resource


def test_there_are_ten_stacks_each_after_those_it_reads(estate: Mapping[str, Stack]) -> None:
    """The order of deployment."""
    seen: set[str] = set()
    for name, stack in estate.items():
        assert set(stack.read) <= seen, name
        seen.add(name)
    assert seen == {"account"} | {
        f"{e}-{part}" for e in ("dev", "staging", "prod") for part in ("platform", "account", "workspace")
    }
    assert tuple(estate) == all_stacks()
    assert {stack: identity_of(stack) for stack in estate} == {
        stack: "account" if stack.endswith("account") else stack.partition("-")[0] for stack in estate
    }


def test_a_principal_that_a_stack_creates_is_a_reference_wherever_the_stack_names_it(
    estate: Mapping[str, Stack],
) -> None:
    """As text, nothing would wait for its creation, and the first deployment would not find it."""
    for stack in estate.values():
        created = {
            str(r.arguments["display_name"])
            for r in stack.resources.values()
            if r.type in ("databricks_group", "databricks_service_principal") and not r.is_data
        }
        for resource in stack.resources.values():
            named = {
                value
                for key, value in _texts(resource.arguments)
                if not key.endswith(("display_name", "policy_name")) and value in created
            }
            assert not named, f"{stack.name}, {resource.address}: {named}"


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text within arguments, with the name of its argument."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _texts(inner, str(name))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner, key)


def test_what_an_environment_s_identity_deploys_it_manages_afterwards(estate: Mapping[str, Stack]) -> None:
    """A list that leaves it less than management of its own object is refused, or takes the next change from it.

    A cluster policy has one level for everybody but the admins of the workspace.
    """
    managing = {"CAN_MANAGE", "IS_OWNER", "MANAGE"}
    for name in ("dev", "staging", "prod"):
        stack = estate[f"{name}-workspace"]
        own = f"${{data.terraform_remote_state.account.outputs.runner_{name}}}"
        for resource in stack.resources.values():
            if resource.type == "databricks_secret_acl" and resource.arguments["principal"] == own:
                assert resource.arguments["permission"] in managing, resource.address
            if resource.type == "databricks_permissions" and "cluster_policy_id" not in resource.arguments:
                levels = {
                    control["permission_level"]
                    for control in resource.arguments["access_control"]
                    if control.get("service_principal_name") == own
                }
                assert levels <= managing, resource.address


def test_the_identity_that_applies_a_platform_is_named_not_asked_for(estate: Mapping[str, Stack]) -> None:
    """A plan made by somebody else shows no change of the role on the keys."""
    for name in ("dev", "staging", "prod"):
        stack = estate[f"{name}-platform"]
        assert not [r for r in stack.resources.values() if r.type in ("azurerm_client_config", "azuread_client_config")]
        officers = [r for r in stack.resources.values() if r.name == "deployer_keys"]
        for officer in officers:
            assert officer.arguments["principal_id"].endswith(f"outputs.runner_object_id_{name}}}")


def test_every_expression_names_something_of_its_own_stack(estate: Mapping[str, Stack]) -> None:
    """A dangling reference would be found by Terraform only at the next plan."""
    for stack, resource in every_resource(estate):
        text = json.dumps([resource.arguments, resource.depends_on], default=str)
        for address in re.findall(r"\$\{((?:data\.)?[a-z_0-9]+\.[a-z_0-9]+)", text):
            if address.startswith("data.terraform_remote_state."):
                assert address.removeprefix("data.terraform_remote_state.").replace("_", "-") in stack.read
            elif address != "path.module":
                assert address in stack.resources, f"{stack.name}, {resource.address}: {address}"


def test_resources_with_data_are_protected_where_settings_lock(estate: Mapping[str, Stack], settings: Settings) -> None:
    """Terraform refuses to destroy it; where settings unlock, a whole environment can be taken down."""
    for stack, resource in every_resource(estate):
        environment = environment_of(stack.name)
        locked = settings.account.locks if environment == "account" else settings.environments[environment].locks
        if resource.type in HOLDING_DATA and resource.address not in REBUILT and not resource.is_data:
            assert resource.prevent_destroy == locked, f"{stack.name}, {resource.address}"
        else:
            assert not resource.prevent_destroy


def test_a_budget_counts_the_machines_of_clusters(estate: Mapping[str, Stack], settings: Settings) -> None:
    """They are in the resource group that the workspace manages, beside that of the environment."""
    for name, stated in settings.environments.items():
        resources = estate[f"{name}-platform"].resources
        budget = resources["azurerm_consumption_budget_subscription.budget"].arguments
        managed = resources["azurerm_databricks_workspace.workspace"].arguments["managed_resource_group_name"]
        (counted,) = budget["filter"]["dimension"]
        assert counted == {
            "name": "ResourceGroupName", "values": ["${azurerm_resource_group.group.name}", managed],
        }  # fmt: skip
        assert budget["subscription_id"] == f"/subscriptions/{stated.subscription_id}"
        assert budget["amount"] == stated.budget.monthly


def test_azure_itself_locks_what_holds_data(estate: Mapping[str, Stack], settings: Settings) -> None:
    """Also against deletion without Terraform."""
    for name, stated in settings.environments.items():
        scopes = {
            r.arguments["scope"] for r in estate[f"{name}-platform"].resources.values()
            if r.type == "azurerm_management_lock"
        }  # fmt: skip
        kinds = {re.sub(r"^\$\{([a-z_]+)\..*", r"\1", scope) for scope in scopes}
        expected = {
            "azurerm_storage_account", "azurerm_key_vault", "azurerm_databricks_workspace",
            "azurerm_log_analytics_workspace",
        }  # fmt: skip
        assert kinds == (expected if stated.locks else set())


def test_nothing_is_decided_by_the_name_of_an_environment() -> None:
    """Environments differ by settings alone: no module of `infra` compares anything with the literal name of one."""
    names = {"dev", "staging", "prod"}
    files = list(Path(infra.__file__).parent.rglob("*.py"))
    assert len(files) > 100
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Compare):
                literals = {
                    c.value
                    for side in (node.left, *node.comparators)
                    for c in ast.walk(side)
                    if isinstance(c, ast.Constant)
                }
                assert not literals & names, f"{path.name}:{node.lineno}"


def test_one_list_of_grants_per_securable(estate: Mapping[str, Stack]) -> None:
    """Two authoritative lists would overwrite one another."""
    kinds = ("catalog", "schema", "volume", "model", "storage_credential", "external_location")
    for stack in estate.values():
        targets = [
            tuple((k, r.arguments[k]) for k in kinds if k in r.arguments)
            for r in stack.resources.values()
            if r.type == "databricks_grants"
        ]
        assert len(targets) == len(set(targets))


def test_every_permission_that_can_be_set_is_set(estate: Mapping[str, Stack]) -> None:
    """An object without a list of its own has whatever the workspace's default is."""
    governed = {
        "databricks_job": "job_id", "databricks_cluster": "cluster_id", "databricks_cluster_policy": "cluster_policy_id",
        "databricks_instance_pool": "instance_pool_id", "databricks_sql_endpoint": "sql_endpoint_id",
        "databricks_mlflow_experiment": "experiment_id", "databricks_directory": "directory_path",
        "databricks_model_serving": "serving_endpoint_id", "databricks_dashboard": "dashboard_id",
        "databricks_alert_v2": "alert_v2_id",
    }  # fmt: skip
    for stack, resource in every_resource(estate):
        if resource.type in governed:
            key = governed[resource.type]
            lists = [
                r for r in stack.resources.values()
                if r.type == "databricks_permissions" and resource.address in str(r.arguments.get(key))
            ]  # fmt: skip
            assert len(lists) == 1, f"{stack.name}, {resource.address}"


def test_a_use_case_has_everything_in_every_environment(estate: Mapping[str, Stack], settings: Settings) -> None:
    """Schemas of every layer, volume, model, experiment, notebook, endpoint, monitor, dashboard, alerts, jobs."""
    for environment in settings.environments:
        found = estate[f"{environment}-workspace"].resources
        for use_case in use_cases():
            expected = {f"databricks_schema.{use_case.name}_{layer}" for layer in OWN_LAYERS}
            expected |= {f"databricks_job.{use_case.name}_{job.name}" for job in use_case.jobs}
            expected |= {
                f"databricks_{kind}.{use_case.name}{end}"
                for kind, end in (
                    ("volume", "_landing"), ("registered_model", f"_{use_case.model.name}"), ("mlflow_experiment", ""),
                    ("notebook", "_orchestrator"), ("model_serving", ""), ("data_quality_monitor", "_inference"),
                    ("dashboard", ""), ("alert_v2", "_findings"), ("alert_v2", "_silence"), ("directory", ""),
                )
            }  # fmt: skip
            assert expected <= set(found)


def test_a_new_team_brings_everything_in_every_environment(folder: Any, release: Any) -> None:
    """One entry, and its group, budget, policies, secret scope and place in the workspaces follow."""
    teams = folder.read("teams")["teams"]
    new = {
        "name": "crew",
        "members": "mrd-data-science",
        "use_cases": [],
        "cost_centre": "CC-6100",
        "monthly_budget": 900,
    }
    folder.change("teams", ("teams",), [*teams, new])
    before = stacks(load_settings(), use_cases(), release)
    after = stacks(load_settings(folder.path), use_cases(), release)
    for old, changed in zip(before, after, strict=True):
        assert set(old.resources) <= set(changed.resources), "a new team must move nothing"
        added = {address.split(".")[0] for address in set(changed.resources) - set(old.resources)}
        if changed.name.endswith("-account"):
            assert added <= {"databricks_mws_permission_assignment"}
        elif changed.name == "account":
            assert added == {
                "databricks_group",
                "databricks_group_member",
                "databricks_budget",
                "databricks_budget_policy",
            }
        elif changed.name.endswith("workspace"):
            assert {"databricks_cluster_policy", "databricks_secret_scope", "databricks_secret_acl"} <= added


def test_people_work_on_a_cluster_only_where_settings_give_their_team_one(
    estate: Mapping[str, Stack], settings: Settings
) -> None:
    """Dev as shipped: under a policy, with the wheel, ending by itself, attached to by the team's group alone."""
    for environment, stated in settings.environments.items():
        stack = estate[f"{environment}-workspace"]
        clusters = [r for r in stack.resources.values() if r.type == "databricks_cluster"]
        if stated.compute.interactive_cluster is None:
            assert not clusters
            continue
        assert [cluster.name for cluster in clusters] == [team.name for team in settings.teams]
        for cluster in clusters:
            assert cluster.arguments["autotermination_minutes"] == stated.compute.interactive_cluster.idle_minutes
            assert "_interactive.id" in cluster.arguments["policy_id"]
            assert cluster.arguments["kind"] == "CLASSIC_PREVIEW"
            assert (cluster.arguments["spark_version"], cluster.arguments["use_ml_runtime"]) == ("18.x-scala2.13", True)
            policy = stack.resources[f"databricks_cluster_policy.{cluster.name}_interactive"].arguments["definition"]
            fixed = {name: rule.get("value") for name, rule in json.loads(policy).items()}
            assert fixed["spark_version"] == cluster.arguments["spark_version"]
            assert fixed["use_ml_runtime"] is True
            assert cluster.arguments["library"] == [
                {"whl": "${databricks_file.wheel.path}"},
                {"requirements": "${databricks_file.requirements.path}"},
            ]
            permission = stack.resources[f"databricks_permissions.cluster_{cluster.name}"]
            (control,) = permission.arguments["access_control"]
            assert control == {"group_name": f"grp-mrd-team-{cluster.name}", "permission_level": "CAN_RESTART"}


def test_a_changed_size_keeps_the_cluster_and_its_address(folder: Any, release: Any) -> None:
    """Only arguments change that Databricks changes in place."""
    folder.change("dev", ("compute", "sizes", "small", "workers_maximum"), 3)
    before, after = (
        {s.name: s for s in stacks(found, use_cases(), release)}
        for found in (load_settings(), load_settings(folder.path))
    )
    address = "databricks_cluster.operations"
    old, new = (found["dev-workspace"].resources[address].arguments for found in (before, after))
    assert {key for key in new if new[key] != old[key]} == {"autoscale"}
    assert set(before["dev-workspace"].resources) == set(after["dev-workspace"].resources)


def test_an_endpoint_is_created_empty_and_left_to_the_training_job(estate: Mapping[str, Stack]) -> None:
    """The first deployment of an empty environment has no model version to serve."""
    stack = estate["prod-workspace"]
    endpoint = stack.resources["databricks_model_serving.flight_delay"]
    assert "config" not in endpoint.arguments
    assert set(endpoint.ignore_changes) == {"config", "ai_gateway"}
    declared = stack.resources["databricks_file.serving_flight_delay"].arguments
    content = json.loads(base64.b64decode(declared["content_base64"]))
    assert content["endpoint"] == endpoint.arguments["name"]
    assert content["model"] == "prod.flight_delay_models.flight_delay"
    assert content["ai_gateway"]["rate_limits"][0]["calls"] == 600
    assert "entity_version" not in content["served_entity"]


def test_a_public_workspace_takes_connections_from_the_stated_ranges_alone(folder: Any, release: Any) -> None:
    """By choice; private is the default."""
    folder.change(
        "dev",
        ("network",),
        {"address_space": "10.40.0.0/20", "exposure": "public", "allowed_ip_ranges": ["203.0.113.0/24"]},
    )
    found = {s.name: s for s in stacks(load_settings(folder.path), use_cases(), release)}
    access = found["dev-workspace"].resources["databricks_ip_access_list.company"]
    assert access.arguments["ip_addresses"] == ["203.0.113.0/24"]
    assert (
        found["dev-platform"]
        .resources["azurerm_databricks_workspace.workspace"]
        .arguments["public_network_access_enabled"]
    )
    assert (
        found["staging-workspace"]
        .resources["databricks_workspace_conf.workspace"]
        .arguments["custom_config"]["enableIpAccessLists"]
        == "false"
    )


def test_the_state_is_stored_where_the_settings_say(folder: Any, release: Any) -> None:
    """In the environment's own container; the others, and the account's part of it, stay on the local disk."""
    place = {
        "subscription_id": "5a0b1c2d-3e4f-4a5b-8c6d-7e8f90a1b2c3", "resource_group": "rg-mrd-dev-state",
        "storage_account": "stmrddevstate", "container": "terraform",
    }  # fmt: skip
    folder.change("dev", ("state",), place)
    for stack in stacks(load_settings(folder.path), use_cases(), release):
        if identity_of(stack.name) == "dev":
            assert stack.state.azure is not None
            assert stack.state.azure["key"] == f"{stack.name}.tfstate"
        else:
            assert stack.state.azure is None


def test_group_memberships_are_those_of_the_settings(estate: Mapping[str, Stack], settings: Settings) -> None:
    """Each holder of a role is a member of the role's group, and nobody else."""
    resources = estate["account"].resources.values()
    members = {
        (r.arguments["group_id"], r.arguments["member_id"]) for r in resources if r.type == "databricks_group_member"
    }
    expected = {
        (f"${{databricks_group.role_{environment}_{role}.id}}", f"${{databricks_group.entra_{group.replace('-', '_')}.id}}")
        for environment, stated in settings.environments.items()
        for role in Role
        for group in stated.roles[role].groups
    } | {
        (f"${{databricks_group.role_team_{t.name}.id}}", f"${{databricks_group.entra_{t.members.replace('-', '_')}.id}}")
        for t in settings.teams
    }  # fmt: skip
    assert members == expected


@pytest.mark.parametrize(
    ("type_", "arguments", "said"),
    [
        ("databricks_grants", {"catalog": "dev", "grant": [{"principal": "x", "privileges": ["SELEKT"]}]}, "'SELEKT'"),
        ("databricks_catalog", {"name": "dev", "isolation_mode": "CLOSED"}, "Allowed: ISOLATED, OPEN"),
        ("databricks_workspace_binding", {"binding_type": "READ"}, "binding_type is 'READ'"),
        (
            "databricks_permissions",
            {"access_control": [{"group_name": "x", "permission_level": "CAN_ALL"}]},
            "'CAN_ALL'",
        ),
        ("databricks_job", {"task": [{"run_if": "SOMETIMES"}]}, "task.run_if is 'SOMETIMES'"),
    ],
)
def test_a_word_that_the_platform_does_not_know_is_refused_at_synthesis(type_: str, arguments: Any, said: str) -> None:
    """The providers would plan it without a word."""
    stack = Stack(name="dev-workspace", description="", state=RemoteState(stack="dev-workspace", azure=None))
    provider = stack.provider("databricks", "workspace", host="https://example")
    with pytest.raises(ValueError, match=re.escape(said)):
        stack.add(type_, "x", provider=provider, **arguments)


def test_a_stack_refuses_to_contradict_itself() -> None:
    """The same address twice, a foreign provider, an address Terraform would not take, an output that is not there."""
    stack, other = (Stack(name=n, description="", state=RemoteState(stack=n, azure=None)) for n in ("one", "other"))
    provider = stack.provider("databricks", "workspace", host="https://example")
    stack.add("databricks_directory", "x", provider=provider, path="/x")
    for name, used, said in (("x", provider, "is added twice"), ("X-1", provider, "is not an address")):
        with pytest.raises(StackError, match=said):
            stack.add("databricks_directory", name, provider=used, path="/x")
    with pytest.raises(StackError, match="provider of another stack"):
        other.add("databricks_directory", "x", provider=provider, path="/x")
    with pytest.raises(StackError, match="has no output 'id'"):
        stack.reading(other, "id")


def test_everything_with_data_of_a_retired_use_case_stays_and_is_forgotten() -> None:
    """What leaves the stacks when a use case leaves and holds data is exactly what its retirement forgets."""
    shipped = load_settings()
    declared = [use_case for use_case in use_cases() if use_case.name != "air_time"]

    def of(teams: Sequence[Team], listed: Sequence[UseCase]) -> Stack:
        settings = replace(shipped, teams=tuple(teams))
        found = stacks(settings, listed, current_release())
        return next(stack for stack in found if stack.name == "prod-workspace")

    left = [team.model_copy(update={"use_cases": _without(team, "air_time")}) for team in shipped.teams]
    retired = [team.model_copy(update={"retired": ("air_time",)}) if team.name == "revenue" else team for team in left]
    before, after = of(shipped.teams, use_cases()), of(retired, declared)
    gone = set(before.resources) - set(after.resources)
    assert set(after.forgotten) == {address for address in gone if address.partition(".")[0] in HOLDING_DATA}
    assert len(after.forgotten) == 8
    assert of(left, declared).forgotten == []
    with pytest.raises(StackError, match="is declared and cannot be forgotten"):
        after.forget("databricks_schema", "flight_delay_bronze")


def _without(team: Team, use_case: str) -> tuple[str, ...]:
    return tuple(name for name in team.use_cases if name != use_case)


def test_what_a_plan_may_not_destroy_unnamed_is_every_type_that_holds_data() -> None:
    """The list that guards a plan has the types of this one, which is written apart from it."""
    assert LOST_WITH_DATA == HOLDING_DATA
