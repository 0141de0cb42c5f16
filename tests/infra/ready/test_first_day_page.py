"""The page of the first day: quotas and resource providers are those of the settings as shipped, and its trial is a valid one."""

import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import yaml

from infra.build.release import ROOT
from infra.config.checks import load_settings
from infra.config.loading import Settings
from infra.constructs.release import Release
from infra.ready.wanted import wanted
from infra.stacks.estate import stacks
from infra.synthesis.stack import Stack
from pipelines.declarations.registry import use_cases
from tests.infra.conftest import SettingsFolder

PAGE = ROOT / "docs" / "first-day.md"
SIZE = re.compile(r"Standard_([A-Z]+)(\d+)([a-z]*)_(v\d+)")
"""Family, cores, features and version (https://learn.microsoft.com/en-us/azure/virtual-machines/vm-naming-conventions)."""
FROM_THE_START = {"Microsoft.Authorization", "Microsoft.Consumption", "Microsoft.Resources"}
"""Of what we need, those that every subscription has
(https://learn.microsoft.com/en-us/azure/azure-resource-manager/management/resource-providers-and-types)."""


def quotas(settings: Settings, estate: Mapping[str, Stack]) -> str:
    """Return the table of cores: those that run at once at most, by environment and family."""
    lines = ["| environment | region | family | cores | from |", "|---|---|---|---|---|"]
    for name, stated in settings.environments.items():
        cores: Counter[str] = Counter()
        machines: dict[str, list[str]] = {}
        for machine, count in wanted(settings, name, estate.values()).machines.items():
            found = SIZE.fullmatch(machine)
            assert found is not None, machine
            family = f"{found[1]}{found[3].upper()}{found[4]}"
            cores[family] += count * int(found[2])
            machines.setdefault(family, []).append(f"{count} x {machine}")
        lines += [
            f"| {name} | {stated.region} | {family} | {number} | {', '.join(machines[family])} |"
            for family, number in cores.items()
        ]
    return "\n".join(lines)


def test_the_cores_of_each_family_are_those_of_the_settings(settings: Settings, estate: Mapping[str, Stack]) -> None:
    """Made from the sizes and the pools; REWRITE_GOLDEN=1 writes the table again."""
    text = PAGE.read_text(encoding="utf-8")
    before, shown, after = re.split(
        r"(?<=<!-- quotas -->\n\n)(.*)(?=\n\n<!-- end of quotas -->)", text, flags=re.DOTALL
    )
    table = quotas(settings, estate)
    if os.environ.get("REWRITE_GOLDEN"):
        PAGE.write_text(before + table + after, encoding="utf-8")
    else:
        assert shown == table


def test_every_resource_provider_that_has_to_be_registered_is_named(
    settings: Settings, estate: Mapping[str, Stack]
) -> None:
    """Those that `ready` asks for, but for the ones that every subscription has, and no other."""
    paragraph = PAGE.read_text(encoding="utf-8").partition("**Resource providers.**")[2].partition("```")[0]
    asked = {one for name in settings.environments for one in wanted(settings, name, estate.values()).namespaces}
    assert set(re.findall(r"`(Microsoft\.\w+)`", paragraph)) == asked - FROM_THE_START
    assert asked >= FROM_THE_START


def test_the_public_trial_is_accepted_as_the_page_states_it(tmp_path: Path, release: Release) -> None:
    """Nothing of it reads another environment, and its workspace is reached from the stated range alone."""
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    folder = SettingsFolder(tmp_path)
    for key, value in yaml.safe_load(block).items():
        for inner, stated in value.items() if isinstance(value, dict) else [(None, value)]:
            folder.change("dev", (key,) if inner is None else (key, inner), stated)
    settings = load_settings(folder.path)
    found = {stack.name: stack for stack in stacks(settings, use_cases(), release)}
    workspace = next(
        one.arguments for one in found["dev-platform"].resources.values() if one.type == "azurerm_databricks_workspace"
    )
    assert workspace["public_network_access_enabled"] is True
    assert settings.environments["dev"].state is None
    assert not [resource for resource in found["dev-account"].resources if "prod" in resource]


def test_the_trial_is_taken_down_as_a_whole() -> None:
    """Whatever is left goes on costing: every stack that the page deploys is destroyed, in the opposite order."""
    text = PAGE.read_text(encoding="utf-8")
    trial = text.partition("## Try it in one subscription")[2]
    deployed = re.findall(r"`(account|dev-\w+)`", trial.partition("Deploy ")[2].partition("\n3.")[0])
    assert (
        re.findall(r"cdktf destroy (\S+)", trial)
        == deployed[::-1]
        == ["dev-workspace", "dev-account", "dev-platform", "account"]
    )
