"""A subscription and the Databricks account behind the words of ``az``; answers as the published references show them."""

import json
from collections.abc import Sequence
from typing import Any

from infra.ready.wanted import Wanted
from infra.releases.ledger import LedgerError
from tests.infra.devops.devops_organisation import Organisation

READING = ("list", "show", "check-name", "list-skus", "list-usage")
LAKE_CONNECTION = "/privateEndpointConnections/from-prod"


class Subscription:
    """What the environment's subscription holds; everything that is not asked of it goes to the organisation."""

    def __init__(self, wanted: Wanted, organisation: Organisation) -> None:
        self.wanted, self.organisation = wanted, organisation
        self.asked: list[tuple[str, ...]] = []
        self.fails: set[str] = set()
        self.tenant = wanted.tenant_id
        self.roles = ["Owner"]
        self.directory_roles = ["Directory Readers"]
        self.namespaces = {*wanted.namespaces, "Microsoft.Web"}
        self.foreign_names: set[str] = set()
        self.resources: dict[str, dict[str, Any]] = {
            wanted.workspace: {"workspaceUrl": "127.0.0.1"}, wanted.vault: {"vaultUri": "https://127.0.0.1/"},
            **{name: {} for name in wanted.approving},
        }  # fmt: skip
        self.machines = {name: [] for name in wanted.machines}
        self.group = min(wanted.groups[wanted.subscription_id])
        self.others = {"other": "rg-other"}
        self.limit = 1_000
        self.connections = {"own": "Approved"}
        self.metastores: list[dict[str, str]] = []

    def __call__(self, words: Sequence[str]) -> str:
        """Answer one call of ``az``."""
        self.asked.append(tuple(words))
        options = {words[i]: words[i + 1] for i in range(len(words) - 1) if words[i].startswith("--")}
        asked = options.get("--url", "").rpartition("/")[2]
        kind = asked if asked in ("metastores", "transitiveMemberOf") else " ".join(words[:2])
        if kind in self.fails:
            raise LedgerError(f"az {kind} failed: (AuthorizationFailed) no authorization to perform the action")
        answer = self._answer(kind, options, words)
        return self.organisation(words) if answer is None else json.dumps(answer)

    def _answer(self, kind: str, options: dict[str, str], words: Sequence[str]) -> Any:
        if kind == "role assignment" and "--include-inherited" not in words:
            return None
        answers = {
            "account show": lambda: {"user": {"name": "ada@company.example", "type": "user"}, "tenantId": self.tenant},
            "role assignment": lambda: [{"roleDefinitionName": role} for role in self.roles],
            "provider list": lambda: [
                {"namespace": name, "registrationState": "Registered"} for name in sorted(self.namespaces)
            ] + [{"namespace": "Microsoft.Quantum", "registrationState": "NotRegistered"}],
            "resource list": lambda: [
                {"name": name, "id": self._id(name), "resourceGroup": self.group.upper()} for name in self.resources
            ] + [
                {"name": name, "id": f"/{group}/{name}", "resourceGroup": group} for name, group in self.others.items()
            ],
            "resource show": lambda: {"properties": self.resources[options["--ids"].rpartition("/")[2]]},
            "storage account": lambda: {"nameAvailable": options["--name"] not in self.foreign_names},
            "keyvault check-name": lambda: {"nameAvailable": options["--name"] not in self.foreign_names},
            "vm list-skus": lambda: self._skus(options["--size"]),
            "vm list-usage": lambda: [
                {"currentValue": "10", "limit": str(self.limit), "name": {"value": name}}
                for name in ("standardDDSv5Family", "standardEDSv5Family", "cores")
            ],
            "network private-endpoint-connection": lambda: [
                {"id": f"{options['--id']}/privateEndpointConnections/{name}",
                 "properties": {"privateLinkServiceConnectionState": {"status": status}}}
                for name, status in self.connections.items()
            ],
            "metastores": lambda: {"metastores": self.metastores},
            "transitiveMemberOf": lambda: {"value": [
                {"@odata.type": "#microsoft.graph.directoryRole", "displayName": role} for role in self.directory_roles
            ] + [{"@odata.type": "#microsoft.graph.group", "displayName": "Global Administrator"}]},
        }  # fmt: skip
        return answers[kind]() if kind in answers else None

    def _id(self, name: str) -> str:
        return f"/subscriptions/{self.wanted.subscription_id}/resourceGroups/{self.group}/providers/x/{name}"

    def _skus(self, size: str) -> list[dict[str, Any]]:
        if size not in self.machines:
            return []
        family = "standardEDSv5Family" if "_E" in size else "standardDDSv5Family"
        cores = size.split("_")[1].strip("EDdsv")[:1]
        one = {
            "family": family, "capabilities": [{"name": "vCPUs", "value": cores}], "restrictions": self.machines[size],
        }  # fmt: skip
        return [{"name": size, **one}, {"name": f"{size}_v9", **one}]
