"""The requests that the Azure command line sends for the commands of `infra devops`, sent to an emulated cloud.

As azure-cli 2.91 sends them: `--assignee` is looked up among the names of service principals and then among object ids. What
is not emulated, Azure DevOps above all, is answered as empty. `test_real_az.py` asks the real program.
"""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from infra.emulated_cloud.calls import CloudAnswer
from infra.rehearsal.sign_in import options_of
from infra.releases.ledger import LedgerError
from tests.infra.emulated_cloud.deployment import DeployedCloud

GRAPH, ARM = "graph.microsoft.com/v1.0", "management.azure.com"
UNKNOWN = "Cannot find user or service principal in graph database for '{}'."


@dataclass(frozen=True, kw_only=True)
class AzRequests:
    """Stands for `az` as one identity: called with its words, it sends the requests and returns what is printed."""

    cloud: DeployedCloud
    who: str

    def __call__(self, words: Sequence[str]) -> str:
        """Send what a command sends.

        Raises
        ------
        LedgerError
            If the cloud refuses a request, or does not know who is named.
        """
        options, command = options_of(list(words)), " ".join(word for word in words[:3] if not word.startswith("-"))
        for start, send in (
            ("ad app list", self._list_applications), ("ad app create", self._create_application),
            ("ad app federated-credential", lambda _: []), ("ad sp list", self._list_principals),
            ("ad sp create", self._create_principal), ("role assignment", self._role), ("rest", self._rest),
        ):  # fmt: skip
            if command.startswith(start):
                return json.dumps(send(options | {"": words[2]} if start == "role assignment" else options))
        raise LedgerError(f"az {command} is not replayed")

    def _send(self, request: str, body: Any = None) -> Any:
        answer: CloudAnswer = self.cloud.ask(self.who, request, body)
        if answer.status >= 300:
            raise LedgerError(f"az: {answer.headers.get('X-Emulator-Rule', answer.status)}: {answer.body}")
        return answer.body

    def _list_applications(self, options: dict[str, str]) -> Any:
        asked = quote(f"startswith(displayName,'{options['--display-name']}')")
        return self._send(f"GET {GRAPH}/applications?$filter={asked}")["value"]

    def _create_application(self, options: dict[str, str]) -> Any:
        return self._send(f"POST {GRAPH}/applications", {"displayName": options["--display-name"]})

    def _list_principals(self, options: dict[str, str]) -> Any:
        return self._send(f"GET {GRAPH}/servicePrincipals?$filter={quote(options['--filter'])}")["value"]

    def _create_principal(self, options: dict[str, str]) -> Any:
        return self._send(f"POST {GRAPH}/servicePrincipals", {"appId": options["--id"]})

    def _assignee(self, assignee: str) -> str:
        asked = quote(f"servicePrincipalNames/any(c:c eq '{assignee}')")
        found = self._send(f"GET {GRAPH}/servicePrincipals?$filter={asked}")["value"]
        found = found or self._send(f"POST {GRAPH}/directoryObjects/getByIds", {"ids": [assignee]})["value"]
        if not found:
            raise LedgerError(UNKNOWN.format(assignee))
        return str(found[0]["id"])

    def _role(self, options: dict[str, str]) -> Any:
        principal, scope = self._assignee(options["--assignee"]), options["--scope"]
        definitions = f"GET {ARM}{scope}/providers/Microsoft.Authorization/roleDefinitions"
        assignments = f"{ARM}{scope}/providers/Microsoft.Authorization/roleAssignments"
        if options[""] == "list":
            names = {
                one["id"].rpartition("/")[2]: one["properties"]["roleName"] for one in self._send(definitions)["value"]
            }
            found = [one["properties"] for one in self._send(f"GET {assignments}?$filter=atScope()")["value"]]
            return [
                {**one, "roleDefinitionName": names[one["roleDefinitionId"].rpartition("/")[2]]}
                for one in found if one["principalId"] == principal and one["scope"].lower() == scope.lower()
            ]  # fmt: skip
        asked = quote(f"roleName eq '{options['--role']}'")
        (definition,) = self._send(f"{definitions}?$filter={asked}")["value"]
        limit = {"condition": options["--condition"]} if "--condition" in options else {}
        given = {"principalId": principal, "roleDefinitionId": definition["id"], **limit}
        return self._send(f"PUT {assignments}/{uuid.uuid4()}", {"properties": given})

    def _rest(self, options: dict[str, str]) -> Any:
        url = urlsplit(options["--url"])
        if url.netloc.endswith("dev.azure.com"):
            return {"value": []}
        body = json.loads(options["--body"]) if "--body" in options else None
        asked = f"{url.path}?{url.query}" if url.query else url.path
        return self._send(f"{options['--method'].upper()} {url.netloc}{asked}", body)
