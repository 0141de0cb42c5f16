"""The page about networks and keys: its example can be pasted, and what it says of roles is what `infra devops` gives."""

import re

import yaml

from infra.build.release import ROOT
from infra.config.network import Network
from infra.permissions.azure_roles import ASSIGNS, BUILDS, LOCKS
from infra.rehearsal.existing_company import WAIVER

GUIDE = (ROOT / "docs" / "network.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", GUIDE, flags=re.DOTALL | re.MULTILINE)


def test_the_example_of_an_existing_company_is_one() -> None:
    """Every key is a setting, every id has the form that is asked for."""
    text = EXAMPLES[0]
    stated = yaml.safe_load(text.replace("HUB_SUBSCRIPTION", "0f1e2d3c-4b5a-4697-8877-665544332211"))
    network = Network.model_validate(stated["network"])
    assert network.hub is not None
    assert network.hub.egress_firewall == "10.0.1.4"
    assert network.private_dns_zones is not None


def test_the_waiver_of_a_hub_is_the_one_that_is_rehearsed() -> None:
    """It can be pasted below `waivers`, and a company with a hub was deployed with it."""
    (stated,) = yaml.safe_load(EXAMPLES[1])
    rehearsed = WAIVER.format(environment="dev", owner=stated["owner"], until=stated["expires"])
    assert yaml.safe_load(rehearsed) == [stated]


def test_the_page_names_the_roles_that_an_identity_gets() -> None:
    """Neither more nor fewer."""
    section = GUIDE.partition("## What an environment's identity may do in Azure")[2].replace("\n", " ")
    for role in (BUILDS, ASSIGNS, LOCKS):
        assert f"*{role}*" in section
