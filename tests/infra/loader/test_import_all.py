"""Every type of dev's stacks that can be imported is imported in the emulated cloud by the real Terraform.

Each stack is applied, everything with an object behind it is forgotten, and taken over by the ids that the providers' pages state.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.config.checks import load_settings
from infra.constructs.release import Release
from infra.loader.kinds import KINDS
from infra.loader.kinds.access import GRANTED
from infra.terraform_cli.import_ids import import_rules
from infra.terraform_cli.known_errors import not_recorded
from pipelines.declarations.environment import ENVIRONMENTS
from tests.infra.conftest import PUBLISHING, with_stores
from tests.infra.emulated_cloud.todays_company import TodaysCompany, todays_company

pytestmark = [pytest.mark.terraform, pytest.mark.proof]
RULES = import_rules()
STACKS = {"account": "account", "dev-platform": "dev", "dev-account": "account", "dev-workspace": "dev"}
"""Stack to the identity that applies it."""
ELSEWHERE = {
    "databricks_workspace_binding": "dev has none: test_import.py",
    "databricks_compliance_security_profile_workspace_setting": "no stack has it; it is read as the other settings are",
}
"""Types that dev's stacks do not have, each with the reason."""
NOT_SENT: Mapping[str, tuple[str, ...]] = {
    "azurerm_databricks_workspace": (
        "access_connector_id", "custom_parameters", "default_storage_firewall_enabled", "infrastructure_encryption_enabled",
        "network_security_group_rules_required",
    ),
}  # fmt: skip
"""What the loader does not send, because the networks and keys that it would name are made up: so Azure cannot tell it."""


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory, release: Release) -> Iterator[TodaysCompany]:
    """Dev, with telemetry and an online store, deployed as a whole."""
    folder = with_stores(tmp_path_factory.mktemp("settings"))
    folder.change("dev", ("reads",), [])
    for environment in ENVIRONMENTS:
        folder.change(environment, ("telemetry",), {"daily_gigabytes": 1})
    settings = load_settings(folder.path, PUBLISHING)
    with todays_company(settings, release, tmp_path_factory.mktemp("company"), PUBLISHING) as found:
        assert found.cloud.apply("dev-workspace", found.identity("dev")) == []
        yield found


def state_file(company: TodaysCompany, stack: str) -> Path:
    """Return the file with the state of a stack."""
    return company.cloud.folder / f"terraform.{stack}.tfstate"


def managed(company: TodaysCompany, stack: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Return type, address and attributes of each resource in a state with an object behind it that can be imported."""
    held = json.loads(state_file(company, stack).read_text(encoding="utf-8"))["resources"]
    return [
        (one["type"], f"{one['type']}.{one['name']}", one["instances"][0]["attributes"])
        for one in held if one["mode"] == "managed" and one["type"] in KINDS and RULES[one["type"]].id
    ]  # fmt: skip


def identity_of(company: TodaysCompany, type_: str, attributes: Mapping[str, Any]) -> str:
    """Return the id of an object by its arguments, as the provider's page of the type states it."""
    values: dict[str, Any] = {
        "subscription_id": dict(company.cloud.world.site.subscriptions)["dev"],
        "account_id": company.cloud.world.site.account,
    }
    values |= attributes
    if type_ == "databricks_budget" or type_ == "databricks_mws_network_connectivity_config":
        values["account_id"] = company.cloud.world.site.account  # the attribute of this name is made up
    if type_ == "azuread_application_federated_identity_credential":
        values["application_object_id"] = attributes["application_id"].removeprefix("/applications/")
    if type_ in ("databricks_grant", "databricks_grants"):
        kind = next(name for name in GRANTED if attributes.get(name))
        values |= {"securable_type": kind, "securable_name": attributes[kind]}
    if type_ == "databricks_permissions":
        values |= {"object_type": attributes["id"].split("/", 2)[1], "object_id": attributes["id"].split("/", 2)[2]}
    found = RULES[type_].filled(values)
    assert found is not None, (type_, values)
    return found


def is_of_who_imports_alone(type_: str, attributes: Mapping[str, Any], identity: str) -> bool:
    """Return whether nobody else has a permission: the provider then says that there are none to import."""
    return type_ == "databricks_permissions" and all(
        one["service_principal_name"] == identity for one in attributes["access_control"]
    )


@pytest.mark.parametrize("stack", STACKS)
def test_what_is_forgotten_is_taken_over_and_nothing_is_to_change(company: TodaysCompany, stack: str) -> None:
    """But for what no service tells; once that is stated again, a plan is empty."""
    identity = company.identity(STACKS[stack])
    forgotten = {
        address: (type_, identity_of(company, type_, attributes))
        for type_, address, attributes in managed(company, stack)
        if not is_of_who_imports_alone(type_, attributes, identity)
    }
    cloud, blocks = company.cloud, company.cloud.stacks[stack].folder / "imports.tf.json"
    assert cloud.terraform(stack, identity, "state", "rm", *forgotten).returncode == 0
    said = [{"to": address, "id": one} for address, (_, one) in forgotten.items()]
    blocks.write_text(json.dumps({"import": said}), encoding="utf-8")
    planned = cloud.terraform(stack, identity, "plan", "-input=false", "-out=plan")
    assert planned.returncode == 0, planned.stderr
    shown = json.loads(cloud.terraform(stack, identity, "show", "-json", "plan").stdout)
    for change in shown["resource_changes"]:
        excused = (
            {*RULES[change["type"]].not_told, *NOT_SENT.get(change["type"], ())}
            if change["mode"] == "managed"
            else set()
        )
        assert changed(change["change"]) <= excused, change["address"]
        assert change["change"]["actions"] in (["no-op"], ["update"], ["read"]), change["address"]
    taken = {change["address"] for change in shown["resource_changes"] if "importing" in change["change"]}
    assert taken == set(forgotten)
    applied = cloud.terraform(stack, identity, "apply", "-input=false", "plan")
    assert applied.returncode == 0, applied.stderr
    blocks.unlink()
    again = cloud.terraform(stack, identity, "plan", "-input=false", "-detailed-exitcode")
    assert again.returncode == 0, again.stdout


def changed(change: Mapping[str, Any]) -> set[str]:
    """Return the arguments that a plan changes."""
    before, after, unknown = change["before"] or {}, change["after"] or {}, change["after_unknown"] or {}
    return {name for name in {*before, *after} if before.get(name) != after.get(name) or unknown.get(name) is True}


def test_no_type_is_left_out(company: TodaysCompany) -> None:
    """Every type with an object behind it that its provider imports is in one of the stacks, or says where it is tried."""
    seen = {type_ for stack in STACKS for type_, _, _ in managed(company, stack)}
    assert seen | set(ELSEWHERE) == {type_ for type_ in KINDS if RULES[type_].id}


def test_a_type_without_objects_here_says_how_its_provider_imports_it(company: TodaysCompany) -> None:
    """The loader makes up the values of networks: nothing could be found, and the sentence says so."""
    identity = company.identity("dev")
    cloud = company.cloud
    (name, *_) = cloud.resources("dev-platform", "azurerm_virtual_network")
    address = f"azurerm_virtual_network.{name}"
    state = state_file(company, "dev-platform")
    before = state.read_text(encoding="utf-8")
    try:
        assert cloud.terraform("dev-platform", identity, "state", "rm", address).returncode == 0
        refused = cloud.terraform("dev-platform", identity, "import", address, "/any")
        said = " ".join(refused.stderr.split())
        assert (refused.returncode, "so there is no object here that could be imported" in said) == (1, True), said
        assert "/virtualNetworks/{name}" in said
    finally:
        state.write_text(before, encoding="utf-8")


def test_a_resource_of_azure_that_exists_is_refused_and_taken_over_by_the_printed_command(
    company: TodaysCompany,
) -> None:
    """What somebody has changed in it meanwhile is what the plan changes back."""
    identity, cloud, address = company.identity("dev"), company.cloud, "azurerm_resource_group.group"
    assert cloud.terraform("dev-platform", identity, "state", "rm", address).returncode == 0
    refused = cloud.terraform("dev-platform", identity, "apply", "-input=false", "-auto-approve")
    found = not_recorded(refused.stderr, cloud.stacks["dev-platform"].content["resource"])
    assert list(found) == [address], refused.stderr
    groups = cloud.world.store("azure", "resources")
    groups[found[address].lower()]["tags"] = {"of": "somebody"}
    taken = cloud.terraform("dev-platform", identity, "import", *next(iter(found.items())))
    assert taken.returncode == 0, taken.stderr
    planned = cloud.terraform("dev-platform", identity, "plan", "-input=false")
    assert "0 to add, 1 to change, 0 to destroy" in planned.stdout, planned.stdout
    assert f"{address} will be updated" in planned.stdout
    assert company.cloud.apply("dev-platform", identity) == []
    assert groups[found[address].lower()]["tags"]["managed_by"] == "terraform"
