"""A company that has a metastore, groups and a hub: its settings name them, and what it had is compared as a whole."""

import shutil
from pathlib import Path

import pytest
import yaml

from infra.build.release import ROOT
from infra.checks.waivers import read_waivers
from infra.config.checks import load_settings
from infra.emulated_cloud.prepared import new_cloud
from infra.emulated_cloud.world import GROUP, Site, World
from infra.rehearsal.existing_company import HUB_NETWORK, ZONES, owned, settle, state_what_exists

GROUPS = ["mrd-data-platform", "mrd-data-science"]


@pytest.fixture
def world() -> World:
    """An account and subscriptions with what the company has, and no workspace yet."""
    world = new_cloud(Site(prepared=False)).world
    settle(world, GROUPS)
    return world


def test_the_settings_name_what_exists_and_are_accepted(tmp_path: Path) -> None:
    """The metastore by its id, the groups without ids of Entra, the hub; and the waiver that follows from its resolvers."""
    shutil.copytree(ROOT / "infra" / "settings", tmp_path / "settings")
    shutil.copy(ROOT / "infra" / "waivers.yaml", tmp_path)
    before = len(read_waivers(tmp_path / "waivers.yaml"))
    state_what_exists(tmp_path, Site().metastore, "dev")
    settings = load_settings(tmp_path / "settings")
    assert settings.account.metastore.id == Site().metastore
    assert set(yaml.safe_load((tmp_path / "settings" / "account.yaml").read_text())["entra_groups"].values()) == {None}
    network = settings.environments["dev"].network
    assert network.hub is not None
    assert (network.hub.network, network.web_authentication) == (HUB_NETWORK, False)
    assert network.private_dns_zones is not None
    assert network.private_dns_zones.vault == ZONES["vault"]
    assert len(read_waivers(tmp_path / "waivers.yaml")) == before + 1


def test_what_the_company_had_is_there_and_is_compared_as_a_whole(world: World) -> None:
    """One metastore, its groups, and the hub with its zones; a member, an owner or a peering more is a difference."""
    before = owned(world, GROUPS)
    assert (len(before.metastores), len(before.groups), len(before.hub)) == (1, 2, 1 + len(ZONES))
    assert owned(world, GROUPS) == before
    next(one for one in world.scim(GROUP).values() if one["displayName"] == GROUPS[0])["members"] = [{"value": "7"}]
    assert owned(world, GROUPS) != before


def test_the_metastore_of_the_region_is_the_only_one(world: World) -> None:
    """A stack that made another one would be refused; its owner is the person."""
    (metastore,) = owned(world, GROUPS).metastores.values()
    assert metastore["owner"] == "person@meridian-air.example"
