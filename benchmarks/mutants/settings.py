"""Mutants of settings: one value of the shipped files changed to one that nobody should be able to state.

And legitimate changes, which must pass, or be refused with the right way to do it.
"""

import copy
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from infra.config.loading import FOLDER

Place = Sequence[int | str]


@dataclass(frozen=True, kw_only=True)
class SettingsChange:
    """Values of settings files, changed together; None takes a value away."""

    name: str
    values: Mapping[tuple[str, *tuple[int | str, ...]], Any]

    def written(self, folder: Path) -> Path:
        """Copy the shipped settings with the change into a folder and return it."""
        shutil.copytree(FOLDER, folder / "settings")
        for file in {place[0] for place in self.values}:
            path = folder / "settings" / f"{file}.yaml"
            data = yaml.safe_load(path.read_text(encoding="utf-8"))
            for (of, *steps), value in self.values.items():
                if of == file:
                    _set(data, steps, copy.deepcopy(value))
            path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
        return folder / "settings"


def _set(data: Any, steps: Sequence[int | str], value: Any) -> None:
    *before, last = steps
    for step in before:
        data = data[step] if isinstance(data, list) else data.setdefault(step, {})
    if value is None:
        del data[last]
    elif isinstance(data, list) and last == len(data):
        data.append(value)
    else:
        data[last] = value


def _one(name: str, *place: int | str, to: Any) -> SettingsChange:
    return SettingsChange(name=name, values={tuple(place): to})  # type: ignore[dict-item] # a place is keys and positions


_STATE = {"subscription_id": "7c2d3e4f-5061-4c7d-8e8f-90a1b2c3d4e5", "resource_group": "rg-state", "storage_account": "stmrdstate",
          "container": "states", "allowed_ip_ranges": ["203.0.113.0/24"]}  # fmt: skip
_ISSUER = "https://vstoken.dev.azure.com/9f1e2d3c-4b5a-4697-8877-665544332211"
BAD: tuple[SettingsChange, ...] = (
    _one("ML engineers administer prod", "prod", "roles", "platform_engineer", "groups", to=["mrd-data-platform", "mrd-ml-engineering"]),
    _one("ML engineers have administer", "prod", "roles", "ml_engineer", "access", to="administer"),
    _one("ML engineers develop in prod", "prod", "roles", "ml_engineer", "access", to="develop"),
    _one("ML engineers observe prod", "prod", "roles", "ml_engineer", "access", to="observe"),
    _one("data scientists observe prod", "prod", "roles", "data_scientist", "access", to="observe"),
    _one("data scientists operate staging", "staging", "roles", "data_scientist", "access", to="operate"),
    _one("data scientists develop in staging", "staging", "roles", "data_scientist", "access", to="develop"),
    _one("teams develop in prod", "prod", "team_access", to="develop"),
    _one("teams observe prod", "prod", "team_access", to="observe"),
    _one("teams develop in staging", "staging", "team_access", to="develop"),
    _one("a team administers dev", "dev", "roles", "platform_engineer", "groups", to=["mrd-flight-operations"]),
    _one("data scientists own the metastore", "account", "metastore", "administrators", to="mrd-data-science"),
    _one("a team owns the metastore", "account", "metastore", "administrators", to="mrd-customer-loyalty"),
    _one("ML engineers approve releases", "account", "azure_devops", "approvers", to="mrd-ml-engineering"),
    _one("two groups with one id", "account", "entra_groups", "mrd-ml-engineering", to="0b6f3c1e-8a55-4d0e-9d0c-1f4f5a7b8c01"),
    SettingsChange(name="halves of the internet", values={
        ("prod", "network", "exposure"): "public", ("prod", "network", "allowed_ip_ranges"): ["0.0.0.0/1", "128.0.0.0/1"]}),
    SettingsChange(name="a provider's range", values={
        ("staging", "network", "exposure"): "public", ("staging", "network", "allowed_ip_ranges"): ["20.0.0.0/8"]}),
    SettingsChange(name="one state for dev and prod", values={("dev", "state"): _STATE, ("prod", "state"): _STATE}),
    SettingsChange(name="the account's state in dev's", values={("dev", "state"): _STATE, ("account", "state"): _STATE}),
    _one("open egress in prod", "prod", "network", "egress", to="open"),
    _one("open egress in staging", "staging", "network", "egress", to="open"),
    _one("a runtime of 2021", "prod", "compute", "runtime", to="9.1.x-cpu-ml-scala2.12"),
    _one("a runtime of 2023", "dev", "compute", "runtime", to="13.3.x-cpu-ml-scala2.12"),
    _one("foreign people hear of prod", "prod", "jobs", "notify", to=["someone@gmail.com"]),
    _one("foreign people hear of spending", "dev", "budget", "notify", to=["someone@elsewhere.example"]),
    _one("a cluster for people in prod", "prod", "compute", "interactive_cluster", to={"size": "small", "idle_minutes": 30}),
    _one("a cluster for people in staging", "staging", "compute", "interactive_cluster", to={"size": "small", "idle_minutes": 30}),
    _one("idle for two hours", "dev", "compute", "interactive_cluster", "idle_minutes", to=120),
    _one("prod without its own key", "prod", "customer_managed_keys", to=False),
    _one("staging without its own key", "staging", "customer_managed_keys", to=False),
    _one("prod without locks", "prod", "locks", to=False),
    _one("staging without locks", "staging", "locks", to=False),
    _one("logs of prod for a month", "prod", "retention", "log_days", to=30),
    _one("deleted data of prod for a week", "prod", "retention", "deleted_data_days", to=7),
    _one("prod reads dev", "prod", "reads", to=["dev"]),
    _one("staging reads prod", "staging", "reads", to=["prod"]),
    _one("dev receives models", "dev", "receives_models", to=True),
    _one("data outside Europe", "account", "metastore", "region", to="eastus"),
    _one("a hundred workers", "dev", "compute", "sizes", "large", "workers_maximum", to=100),
    _one("machines of the largest kind", "prod", "compute", "sizes", "large", "node_type", to="Standard_M128ms"),
    _one("a pool of five hundred", "prod", "compute", "pool", "capacity_maximum", to=500),
    _one("twenty machines kept warm", "dev", "compute", "pool", "idle_minimum", to=20),
    _one("ten clusters of a warehouse", "dev", "compute", "warehouse", "clusters_maximum", to=10),
    _one("a budget without meaning", "dev", "budget", "monthly", to=1_000_000),
    _one("a foreign issuer", "account", "azure_devops", "federation", to={
        "prod": {"issuer": "https://token.actions.githubusercontent.com/x", "subject": "sc://meridian-air/lakehouse/lakehouse-prod"}}),
    _one("a subject for everybody", "account", "azure_devops", "federation", to={
        "prod": {"issuer": _ISSUER, "subject": "sc://meridian-air/*"}}),
    _one("dev's connection as prod", "account", "azure_devops", "federation", to={
        "prod": {"issuer": _ISSUER, "subject": "sc://meridian-air/lakehouse/lakehouse-dev"}}),
    _one("one subscription for two", "staging", "subscription_id", to="7c2d3e4f-5061-4c7d-8e8f-90a1b2c3d4e5"),
    _one("overlapping networks", "staging", "network", "address_space", to="10.42.8.0/21"),
    _one("a volume of another environment", "prod", "source_locations", to={"air_time": {"flights": "/Volumes/dev/x/y/z"}}),
    _one("an unlimited endpoint", "prod", "serving", "calls_per_minute", to=100_000),
)  # fmt: skip

_HUB = "/subscriptions/0f1e2d3c-4b5a-4697-8877-665544332211/resourceGroups/rg-hub/providers/Microsoft.Network"
_ZONES = {"databricks": "privatelink.azuredatabricks.net", "dfs": "privatelink.dfs.core.windows.net",
          "blob": "privatelink.blob.core.windows.net", "vault": "privatelink.vaultcore.azure.net"}  # fmt: skip
_CREW = {
    "name": "crew",
    "members": "mrd-revenue-management",
    "use_cases": [],
    "cost_centre": "CC-7000",
    "monthly_budget": 100,
}
LEGITIMATE: tuple[SettingsChange, ...] = (
    _one("a team that was renamed twice", "teams", "teams", 3, to={**_CREW, "renamed_from": ["cabin", "service"]}),
    _one("a retired team", "teams", "retired_teams", to=[{"name": "crew", "use_cases": ["seats"]}]),
    _one("GPU machines of the T4 family", "dev", "compute", "sizes", "large", "node_type", to="Standard_NC8as_T4_v3"),
    _one("GPU machines of the A100 family", "prod", "compute", "sizes", "large", "node_type", to="Standard_NC24ads_A100_v4"),
    SettingsChange(name="a public workspace with ranges", values={
        ("dev", "network", "exposure"): "public", ("dev", "network", "allowed_ip_ranges"): ["203.0.113.0/24", "198.51.100.0/24"]}),
    SettingsChange(name="public prod with ranges", values={
        ("prod", "network", "exposure"): "public", ("prod", "network", "allowed_ip_ranges"): ["203.0.113.0/24"]}),
    SettingsChange(name="another region", values={
        ("account", "metastore", "region"): "northeurope",
        **{(name, "region"): "northeurope" for name in ("dev", "staging", "prod")}}),
    _one("groups that exist", "account", "entra_groups_are", to="existing"),
    SettingsChange(name="a metastore that exists", values={
        ("account", "metastore"): {"region": "westeurope", "id": "5a0b1c2d-3e4f-4a5b-8c6d-7e8f90a1b2c3"}}),
    _one("serverless jobs", "staging", "compute", "jobs_run_on", to="serverless"),
    SettingsChange(name="serverless everywhere", values={
        (name, "compute", "jobs_run_on"): "serverless" for name in ("dev", "staging", "prod")}),
    _one("another range", "prod", "network", "address_space", to="10.60.0.0/20"),
    SettingsChange(name="a hub with a firewall and zones", values={
        ("prod", "network", "hub"): {"network": f"{_HUB}/virtualNetworks/hub", "dns_servers": ["10.0.0.4"], "egress_firewall": "10.0.1.4"},
        ("prod", "network", "private_dns_zones"): {key: f"{_HUB}/privateDnsZones/{zone}" for key, zone in _ZONES.items()}}),
    _one("agents elsewhere", "prod", "network", "agents", to="none"),
    _one("a managed pool of agents", "dev", "network", "agents", to="managed_devops_pool"),
    _one("sign-in elsewhere", "staging", "network", "web_authentication", to=False),
    _one("teams operate staging", "staging", "team_access", to="operate"),
    _one("teams read what explains prod", "prod", "team_access", to="explain"),
    _one("data scientists read what explains prod", "prod", "roles", "data_scientist", "access", to="explain"),
    _one("data scientists develop", "dev", "roles", "data_scientist", "access", to="develop"),
    _one("dev reads nothing", "dev", "reads", to=[]),
    _one("dev reads staging too", "dev", "reads", to=["prod", "staging"]),
    _one("a group more for a role", "prod", "roles", "ml_engineer", "groups", to=["mrd-ml-engineering", "mrd-data-science"]),
    _one("no serving in staging", "staging", "serving", to=None),
    _one("a larger warehouse", "prod", "compute", "warehouse", "size", to="Medium"),
    _one("more workers", "prod", "compute", "sizes", "large", "workers_maximum", to=16),
    _one("logs for two years", "prod", "retention", "log_days", to=730),
    _one("dev with locks and its own key", "dev", "customer_managed_keys", to=True),
    _one("schedules run in staging", "staging", "jobs", "schedules", to="running"),
    _one("a higher budget", "prod", "budget", "monthly", to=20_000),
    _one("a team's budget", "teams", "teams", 0, "monthly_budget", to=3000),
    _one("the federation that Azure DevOps shows", "account", "azure_devops", "federation", to={
        "prod": {"issuer": "https://login.microsoftonline.com/2d9c8e70-61b4-4c1d-8f0a-5b7a3e9d4c22/v2.0", "subject": "/eid1/c/pub/t/x/a/y/sc/z/prod"}}),
    SettingsChange(name="an organisation called prod", values={("account", "organisation"): "prod"}),
    SettingsChange(name="states in Azure", values={
        (name, "state"): {**_STATE, "storage_account": f"stmrd{name}state", "subscription_id": subscription}
        for name, subscription in (("account", "7c2d3e4f-5061-4c7d-8e8f-90a1b2c3d4e5"), ("dev", "5a0b1c2d-3e4f-4a5b-8c6d-7e8f90a1b2c3"),
        ("staging", "6b1c2d3e-4f50-4b6c-9d7e-8f90a1b2c3d4"), ("prod", "7c2d3e4f-5061-4c7d-8e8f-90a1b2c3d4e5"))}),
)  # fmt: skip
