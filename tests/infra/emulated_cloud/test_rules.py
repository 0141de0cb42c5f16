"""Each rule of the emulated cloud is documented, lets through what it allows and refuses the rest."""

import ipaddress
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from infra.emulated_cloud import areas as areas_folder
from infra.emulated_cloud.areas.azure.resource_rules import _is_within
from infra.emulated_cloud.calls import Attempt, CloudAnswer, ServiceRule
from infra.emulated_cloud.cloud import AREAS
from infra.emulated_cloud.prepared import new_cloud
from tests.infra.emulated_cloud.attempts import perform

RULES = [rule for area in AREAS for rule in area.rules]
PAGES = ("https://learn.microsoft.com/", "https://docs.databricks.com/", "https://registry.terraform.io/")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.rule)
def test_a_rule_lets_its_accepted_example_through(rule: ServiceRule) -> None:
    """The request that keeps the rule is answered without an error."""
    cloud = new_cloud()
    for step in rule.given:
        answer = perform(cloud, step)
        assert answer.status < 300, (step, answer)
    answer = perform(cloud, rule.accepted)
    assert answer.status < 300, answer


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.rule)
def test_a_rule_refuses_its_refused_example(rule: ServiceRule) -> None:
    """The request that breaks the rule gets the rule's own status and code, and no place of the message is left open."""
    cloud = new_cloud()
    for step in rule.given:
        perform(cloud, step)
    answer = perform(cloud, rule.refused)
    status, code, _ = rule.refusal
    assert (answer.status, answer.headers.get("X-Emulator-Rule")) == (status, rule.rule), answer
    assert code in str(answer.body)
    assert not re.search(r"\{\w+\}", message_of(answer))


def message_of(answer: CloudAnswer) -> str:
    """Return the message of a refusal, as a client of the service reads it."""
    if answer.headers.get("Content-Type") == "application/xml":
        found = ElementTree.fromstring(answer.body)  # noqa: S314 -- our own answer
        assert found.findtext("Code") == answer.headers["x-ms-error-code"]
        return str(found.findtext("Message"))
    said = answer.body.get("message") or answer.body.get("error_description") or answer.body["error"]["message"]
    return str(said)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.rule)
def test_a_refused_request_changes_nothing(rule: ServiceRule) -> None:
    """A refusal comes before anything is kept."""
    cloud = new_cloud()
    for step in rule.given:
        perform(cloud, step)
    before = {place: dict(store) for place, store in cloud.world.stores.items() if store and place[1] != "permissions"}
    perform(cloud, rule.refused)
    assert {
        place: dict(store) for place, store in cloud.world.stores.items() if store and place[1] != "permissions"
    } == before


def test_a_change_of_one_property_leaves_the_others() -> None:
    """A key of the company's leaves the second encryption of an account, tags are given as a whole, and null removes."""
    cloud = new_cloud()
    path = "azure/subscriptions/5a0b1c2d-3e4f-4a5b-8c6d-7e8f90a1b2c3/resourceGroups/rg"
    account = f"{path}/providers/Microsoft.Storage/storageAccounts/lake"
    given = {
        "encryption": {"requireInfrastructureEncryption": True, "keySource": "Microsoft.Storage"},
        "minimumTlsVersion": "TLS1_2",
    }
    changed = {"encryption": {"keySource": "Microsoft.Keyvault"}, "minimumTlsVersion": None}
    for request, body in (
        (f"PUT {path}", {"location": "westeurope"}), (f"PUT {account}", {"properties": given, "tags": {"a": "1"}}),
        (f"PATCH {account}", {"properties": changed, "tags": {"b": "2"}}),
    ):  # fmt: skip
        answer = perform(cloud, Attempt(who="person", request=request, body=body))
        assert answer.status < 300, answer
    assert answer.body["properties"]["encryption"] == {
        "requireInfrastructureEncryption": True, "keySource": "Microsoft.Keyvault",
    }  # fmt: skip
    assert "minimumTlsVersion" not in answer.body["properties"]
    assert answer.body["tags"] == {"b": "2"}


def test_every_rule_has_an_id_of_its_own_and_a_page_of_the_service() -> None:
    """The ids are unique, and each page belongs to the service or to the provider that states the rule."""
    assert len({rule.rule for rule in RULES}) == len(RULES)
    assert [rule.rule for rule in RULES if not rule.page.startswith(PAGES)] == []
    assert [rule.rule for rule in RULES if not rule.says.endswith(".")] == []


def test_every_module_of_the_areas_is_part_of_the_cloud() -> None:
    """A module that declares an area is in the list, so that its rules are among those tested here."""
    folder = Path(areas_folder.__path__[0])
    declaring = [file.stem for file in folder.rglob("*.py") if "\nAREA = Area(" in file.read_text(encoding="utf-8")]
    assert len(declaring) == len(AREAS)


def test_every_request_of_a_rule_is_one_that_is_answered() -> None:
    """No rule looks at requests that the cloud does not know: it would be one that cannot refuse."""
    known = [
        f"{endpoint.service} {endpoint.request.replace('{', '').replace('}', '').replace('*', '')}"
        for area in AREAS for endpoint in area.endpoints
    ]  # fmt: skip
    assert known
    for area in AREAS:
        for rule in area.rules:
            services = {pattern.partition(" ")[0] for pattern in rule.on} - {"*"}
            assert services <= {endpoint.service for endpoint in area.endpoints}, rule.rule


@pytest.mark.parametrize(
    ("one", "space", "within"),
    [("10.0.1.0/24", "10.0.0.0/16", True), ("10.1.0.0/24", "10.0.0.0/16", False), ("fd00::/64", "fd00::/48", True),
     ("fd00::/64", "10.0.0.0/16", False), ("10.0.1.0/24", "fd00::/48", False)],
)  # fmt: skip
def test_a_range_is_in_another_of_its_own_kind(one: str, space: str, within: bool) -> None:
    """A network may have ranges of IPv4 and of IPv6."""
    assert _is_within(ipaddress.ip_network(one), ipaddress.ip_network(space)) is within
