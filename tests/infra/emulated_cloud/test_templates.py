"""A template is deployed as Azure Resource Manager does it, and a key that it makes is the vault's."""

from typing import Any

import pytest

from infra.emulated_cloud.areas.azure.deployments import DEPLOYMENTS
from infra.emulated_cloud.areas.azure.resource_rules import GROUP, MADE_GROUP
from infra.emulated_cloud.calls import Attempt, CloudAnswer, CloudRefusalError
from infra.emulated_cloud.cloud import Cloud
from infra.emulated_cloud.prepared import new_cloud
from infra.emulated_cloud.template_expressions import filled
from tests.infra.emulated_cloud.attempts import perform

VAULT = f"{GROUP}/providers/Microsoft.KeyVault/vaults/kv"
KEY = {
    "type": "Microsoft.KeyVault/vaults/keys",
    "apiVersion": "2023-07-01",
    "name": "kv/disk",
    "properties": {"kty": "RSA-HSM"},
}
NEWEST = "[reference(resourceId('Microsoft.KeyVault/vaults/keys', 'kv', 'disk'), '2023-07-01').keyUriWithVersion]"


@pytest.fixture
def cloud() -> Cloud:
    """A cloud with a vault that is closed to every network."""
    cloud = new_cloud()
    closed = {"publicNetworkAccess": "Disabled", "networkAcls": {"defaultAction": "Deny"}}
    for step in (MADE_GROUP, Attempt(who="dev", request=f"PUT azure{VAULT}", body={"properties": closed})):
        assert perform(cloud, step).status == 200
    return cloud


def deployed(cloud: Cloud, *made: dict[str, Any], who: str = "dev", **more: Any) -> CloudAnswer:
    """Deploy a template with some resources."""
    template = {"resources": list(made), **more}
    body = {"properties": {"mode": "Incremental", "template": template}}
    return perform(cloud, Attempt(who=who, request=f"PUT azure{GROUP}{DEPLOYMENTS}key", body=body))


def test_a_template_makes_a_key_in_a_closed_vault_once(cloud: Cloud) -> None:
    """A second deployment answers the version of the first, and the vault's data plane knows the key."""
    outputs = {"version": {"type": "string", "value": NEWEST}}
    first, second = (deployed(cloud, KEY, outputs=outputs).body["properties"]["outputs"] for _ in range(2))
    assert first == second
    assert first["version"]["value"].startswith("https://kv.vault.azure.net/keys/disk/")
    assert cloud.world.store("vault kv", "keys")["disk"]["key"]["kid"] == first["version"]["value"]


def test_a_resource_of_a_template_keeps_the_rules_of_its_kind(cloud: Cloud) -> None:
    """A key of a vault that is not there, a type of key that does not exist: nothing of it is made."""
    missing = deployed(cloud, {**KEY, "name": "other/disk"})
    assert (missing.status, missing.headers["X-Emulator-Rule"]) == (404, "parent-exists")
    wrong = deployed(cloud, {**KEY, "properties": {"kty": "AES"}})
    assert (wrong.status, wrong.headers["X-Emulator-Rule"]) == (400, "vault-key-has-a-known-type")
    assert not cloud.world.store("vault kv", "keys")


def test_who_holds_no_role_deploys_nothing(cloud: Cloud) -> None:
    """The general rule of roles holds for deployments too."""
    refused = deployed(cloud, KEY, who="analyst")
    assert (refused.status, refused.headers["X-Emulator-Rule"]) == (403, "azure-needs-a-role")


def test_a_deployment_is_read_exported_and_deleted_without_what_it_has_made(cloud: Cloud) -> None:
    """As Terraform's provider does it: it reads the outputs, exports the template, and deletes the deployment alone."""
    deployed(cloud, KEY, outputs={"version": {"type": "string", "value": NEWEST}})
    path = f"azure{GROUP}{DEPLOYMENTS}key"
    read = perform(cloud, Attempt(who="dev", request=f"GET {path}"))
    assert read.body["properties"]["outputs"]["version"]["value"].startswith("https://kv.")
    exported = perform(cloud, Attempt(who="dev", request=f"POST {path}/exportTemplate"))
    assert exported.body["template"]["resources"] == [KEY]
    assert perform(cloud, Attempt(who="dev", request=f"DELETE {path}")).status == 200
    assert perform(cloud, Attempt(who="dev", request=f"GET {path}")).status == 404
    assert perform(cloud, Attempt(who="dev", request=f"GET azure{VAULT}/keys/disk")).status == 200


FUNCTIONS = {"concat": lambda *parts: "".join(parts), "parameters": {"one": "1", "list": ["a", {"b": "c"}]}.__getitem__}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"), ("[[literal]", "[literal]"), ("[concat('it''s ', parameters('one'))]", "it's 1"),
        ("[Parameters('list')[1].b]", "c"), ("[concat()]", ""), ("[parameters('list')[0]]", "a"),
    ],
)  # fmt: skip
def test_an_expression_has_its_value(text: str, value: str) -> None:
    """Names of functions ignore case, a quote is doubled, an index and a property follow."""
    assert filled({"x": [text]}, FUNCTIONS) == {"x": [value]}


@pytest.mark.parametrize(
    "text", ["[nosuch('x')]", "[concat('a' 'b')]", "[concat('a']", "[parameters('list').b]", "[concat('a'))]", "[&]"]
)
def test_an_expression_that_is_not_understood_is_an_invalid_template(text: str) -> None:
    """It is never let through as a text."""
    with pytest.raises(CloudRefusalError) as refused:
        filled(text, FUNCTIONS)
    assert refused.value.code == "InvalidTemplate"
