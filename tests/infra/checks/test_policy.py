"""Every check of ours, on stacks that conform and on stacks with one thing broken."""

from collections.abc import Callable
from typing import Any

import pytest

from infra.checks.registry import CHECKS, findings
from infra.config.loading import Settings
from infra.terraform_cli.synthesized import SynthesizedStack
from pipelines.declarations.registry import use_cases

PLATFORM, WORKSPACE = "prod-platform", "prod-workspace"
JOB = (WORKSPACE, "databricks_job")

BY_ID = {check.id: check for check in CHECKS}


def job_task(edited: Any) -> dict[str, Any]:
    """Return a task of the first job that runs code."""
    return next(task for task in edited.first(*JOB)["task"] if "python_wheel_task" in task)


def cluster(edited: Any) -> dict[str, Any]:
    """Return the cluster of the first job."""
    found = edited.first(*JOB)["job_cluster"][0]["new_cluster"]
    return dict(found) if isinstance(found, list) else found


def public(edited: Any) -> None:
    """Open the workspace to the internet without a list of addresses."""
    edited.first(PLATFORM, "azurerm_databricks_workspace").update(public_network_access_enabled=True)


def rule(**arguments: str) -> dict[str, str]:
    """Return an inbound rule that lets everybody in, but for what is given."""
    return {"name": "in", "direction": "Inbound", "access": "Allow", "source_address_prefix": "*", **arguments}


def role(edited: Any, name: str) -> dict[str, Any]:
    """Return one of prod's role assignments."""
    found: dict[str, Any] = edited.stacks[PLATFORM].content["resource"]["azurerm_role_assignment"][name]
    return found


def taken(edited: Any, name: str) -> None:
    """Take one of prod's role assignments away."""
    without(edited, "azurerm_role_assignment", name)


def without(edited: Any, kind: str, name: str) -> None:
    """Take one resource of prod's stacks away, whichever has it."""
    found = [
        stack.content["resource"][kind]
        for stack in edited.stacks.values()
        if stack.name.startswith("prod-") and name in stack.content["resource"].get(kind, {})
    ]
    del found[0][name]


VIOLATIONS: dict[str, list[Callable[[Any], object]]] = {
    "one-owner-of-grants": [
        lambda e: e.add(WORKSPACE, "databricks_grants", "again", **e.first(WORKSPACE, "databricks_grants")),
        lambda e: e.add(
            WORKSPACE,
            "databricks_grant",
            "more",
            provider="databricks.workspace",
            share="x",
            principal="grp-x",
            privileges=["SELECT"],
        ),
    ],
    "task-retries-stated": [
        lambda e: job_task(e).pop("max_retries"),
        lambda e: job_task(e).update(max_retries=0, environment_key="job"),
    ],
    "compute-is-tagged": [
        lambda e: e.first(*JOB)["tags"].pop("git_commit"),
        lambda e: e.first("dev-workspace", "databricks_cluster")["custom_tags"].pop("team"),
        lambda e: e.first(WORKSPACE, "databricks_instance_pool").pop("custom_tags"),
        lambda e: e.first(WORKSPACE, "databricks_sql_endpoint").pop("tags"),
    ],
    "lists-are-sorted": [
        lambda e: e.job("training")["task"].reverse(),
        lambda e: next(t for t in e.job("training")["task"] if len(t.get("depends_on", ())) > 1)[
            "depends_on"
        ].reverse(),
        lambda e: e.first(*JOB).update(webhook_notifications={"on_failure": [{"id": "b"}, {"id": "a"}]}),
    ],
    "arguments-are-read-back": [
        lambda e: e.first(*JOB)["job_cluster"][0]["new_cluster"].update(apply_policy_default_values=True),
        lambda e: e.first(WORKSPACE, "databricks_mlflow_experiment").update(description="x"),
    ],
    "foreign-changes-are-ignored": [
        lambda e: e.first(WORKSPACE, "databricks_mlflow_experiment")["lifecycle"].pop("ignore_changes"),
        lambda e: e.first("dev-workspace", "databricks_model_serving").pop("lifecycle"),
    ],
    "group-cluster-states-its-kind": [lambda e: e.first("dev-workspace", "databricks_cluster").pop("kind")],
    "keys-can-be-used": [
        lambda e: e.first(PLATFORM, "azurerm_key_vault")["network_acls"].update(bypass="None"),
        lambda e: taken(e, "managed_disk_key"),
        lambda e: taken(e, "root_storage_key"),
        lambda e: taken(e, "lake_key"),
        lambda e: taken(e, "databricks_key"),
        lambda e: role(e, "managed_disk_key").update(role_definition_name="Key Vault Reader"),
        lambda e: e.first(PLATFORM, "azurerm_databricks_workspace").pop("depends_on"),
        lambda e: e.first(PLATFORM, "azurerm_storage_account_customer_managed_key").pop("depends_on"),
        lambda e: e.first(PLATFORM, "azurerm_databricks_workspace_root_dbfs_customer_managed_key").pop("depends_on"),
    ],
    "no-closed-data-plane": [
        lambda e: e.add(PLATFORM, "azurerm_key_vault_key", "x", key_vault_id="${azurerm_key_vault.vault.id}"),
        lambda e: e.add(
            PLATFORM, "azurerm_storage_blob", "x", storage_account_name="${azurerm_storage_account.lake.name}"
        ),
        lambda e: e.stacks[PLATFORM].content["provider"]["azurerm"][0].update(features=[{}]),
        lambda e: e.stacks[PLATFORM].content["provider"]["azurerm"][0]["features"][0].pop("template_deployment"),
    ],
    "plan-of-everybody-is-the-same": [
        lambda e: role(e, "lake_data").update(principal_id="${data.azurerm_client_config.current.object_id}"),
    ],
    "closed-services-are-reached": [
        lambda e: without(e, "azurerm_private_endpoint", "workspace_dfs"),
        lambda e: without(e, "azurerm_private_endpoint", "workspace_blob"),
        lambda e: without(e, "azurerm_private_endpoint", "lake_blob"),
        lambda e: without(e, "azurerm_private_endpoint", "vault"),
        lambda e: without(e, "azurerm_private_endpoint", "workspace_ui"),
        lambda e: without(e, "databricks_mws_ncc_private_endpoint_rule", "workspace_dfs"),
        lambda e: without(e, "databricks_mws_ncc_private_endpoint_rule", "lake_blob"),
    ],
    "one-sign-in-endpoint": [
        lambda e: e.add(
            PLATFORM,
            "azurerm_private_endpoint",
            "x",
            **e.stacks[PLATFORM].content["resource"]["azurerm_private_endpoint"]["workspace_login"],
        ),
    ],
    "endpoints-obey-rules": [
        lambda e: (
            e.stacks[PLATFORM]
            .content["resource"]["azurerm_subnet"]["endpoints"]
            .update(private_endpoint_network_policies="Disabled")
        ),
        lambda e: (
            e.stacks[PLATFORM]
            .content["resource"]["azurerm_subnet"]["endpoints"]
            .pop("private_endpoint_network_policies")
        ),
    ],
    "one-egress-policy": [
        lambda e: without(e, "azurerm_network_security_rule", "clusters_deny_internet_outbound"),
        lambda e: e.stacks[PLATFORM].content["resource"].pop("azurerm_subnet_network_security_group_association"),
        lambda e: e.add(
            PLATFORM,
            "azurerm_network_security_rule",
            "x",
            access="Allow",
            direction="Outbound",
            priority=200,
            destination_address_prefix="Internet",
            network_security_group_name="${azurerm_network_security_group.clusters.name}",
        ),
    ],
    "diagnostics-are-kept": [
        lambda e: e.stacks[PLATFORM].content["resource"].pop("azurerm_monitor_diagnostic_setting"),
        lambda e: e.add(PLATFORM, "azurerm_key_vault", "silent", **e.first(PLATFORM, "azurerm_key_vault")),
    ],
    "azure-is-tagged": [lambda e: e.first(PLATFORM, "azurerm_virtual_network")["tags"].pop("cost_centre")],
    "one-wheel-everywhere": [
        lambda e: next(f for f in e.all(WORKSPACE, "databricks_file") if str(f.get("source")).endswith(".whl")).update(
            source="x/other.whl"
        ),
        lambda e: e.stacks[WORKSPACE].content["resource"].pop("databricks_file"),
    ],
    "one-identity-per-stack": [
        lambda e: e.add(WORKSPACE, "databricks_mws_ncc_binding", "x", provider="databricks.workspace"),
        lambda e: e.add("prod-account", "azurerm_subnet", "x", provider="azurerm.azure"),
    ],
    "no-secret-literal": [
        lambda e: e.first(*JOB).update(parameter=[{"name": "password", "default": "pw12Q!x"}]),
        lambda e: e.first(WORKSPACE, "databricks_schema").update(comment="use dapi" + "0123456789abcdef" * 2),
        lambda e: e.add(WORKSPACE, "databricks_secret", "x", provider="databricks.workspace", string_value="hunter2"),
        lambda e: e.stacks[WORKSPACE].content["provider"]["databricks"][0].update({"client_secret": "hunter2"}),
        lambda e: job_task(e)["python_wheel_task"]["parameters"].append(
            "https://x.blob.core.windows.net/y?sv=1&sig=" + "a1" * 20
        ),
    ],
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_the_shipped_stacks_conform(check: Any, shipped: dict[str, SynthesizedStack]) -> None:
    """As shipped, no check finds anything in any environment."""
    assert check.findings(shipped) == ()


@pytest.mark.parametrize(
    ("check", "violate"), [(name, violate) for name, cases in VIOLATIONS.items() for violate in cases]
)
def test_a_check_finds_what_breaks_it(check: str, violate: Callable[[Any], object], edited: Any) -> None:
    """One thing is broken in the shipped stacks: the check for it speaks, in a sentence about the right stack."""
    violate(edited)
    found = BY_ID[check].findings(edited.stacks)
    assert found
    assert all(finding.check == check and finding.message.endswith(".") for finding in found)
    assert all(finding.resource.split("/")[0] in edited.stacks for finding in found)


def test_every_check_has_an_example_that_breaks_it() -> None:
    """A check added without one is named here."""
    assert set(VIOLATIONS) == set(BY_ID)


def test_every_check_has_its_own_name_and_a_reason() -> None:
    """Waivers name checks, and people who meet one want to know why it exists."""
    assert len(BY_ID) == len(CHECKS)
    assert all(check.reason and check.id == check.id.lower() for check in CHECKS)


def test_all_findings_come_together(edited: Any, settings: Settings) -> None:
    """Two things broken in two stacks are both reported in one run."""
    edited.first(WORKSPACE, "databricks_schema").pop("provider")
    edited.first("dev-platform", "azurerm_virtual_network").pop("tags")
    found = findings(edited.stacks, settings, use_cases())
    assert {finding.check for finding in found} >= {"stacks-are-whole", "azure-is-tagged"}


def test_a_missing_right_on_the_key_is_named_with_who_lacks_it(edited: Any) -> None:
    """The sentence says whose right is missing, of which resource, and what would not work."""
    taken(edited, "managed_disk_key")
    (found,) = BY_ID["keys-can-be-used"].findings(edited.stacks)
    assert found.resource == "prod-platform/azurerm_databricks_workspace.workspace"
    assert found.message.startswith(
        "the managed_disk_identity of azurerm_databricks_workspace.workspace does not hold "
        "'Key Vault Crypto Service Encryption User': no cluster would start"
    )


def test_classic_compute_may_be_as_free_as_serverless(edited: Any) -> None:
    """The policy is one; how strict it is, the settings say: dev's serverless compute is open."""
    rules = edited.stacks["dev-platform"].content["resource"]["azurerm_network_security_rule"]
    assert not [name for name in rules if name.startswith("clusters") and name.endswith("outbound")]
    assert BY_ID["one-egress-policy"].findings(edited.stacks) == ()
