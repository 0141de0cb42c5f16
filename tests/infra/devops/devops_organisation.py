"""One organisation of Azure DevOps with its Entra tenant, behind the words of ``az``; answers as the APIs do."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from infra.config.pipeline_names import place
from infra.devops.desired_state import DesiredState
from infra.releases.ledger import LedgerError

VERSIONS: Mapping[str, str] = {
    "projects": "7.1", "git/repositories": "7.1", "pipelines": "7.1", "identities": "7.1", "accesscontrollists": "7.1",
    "accesscontrolentries": "7.1", "policy/configurations": "7.1", "serviceendpoint/endpoints": "7.1",
    "distributedtask/environments": "7.1-preview.1", "distributedtask/queues": "7.1-preview.1", "distributedtask/elasticpools": "7.1-preview.1", "pipelines/pipelinePermissions": "7.1-preview.1",
    "pipelines/checks/configurations": "7.1-preview.1", "build/generalsettings": "7.1",
}  # fmt: skip
"""Resource to the version that the published reference demands; some are in preview only and refuse another."""

BUILD_IDENTITY = "Microsoft.TeamFoundation.ServiceIdentity;9f1e:Build:p1"

PAGE = 3
"""What one answer holds of a list that comes in pages; the header that names the next page, `az` does not show."""

GRAPH_APPLICATION = "00000003-0000-0000-c000-000000000000"
CHECK_TYPES = {
    "8c6f20a7-a545-4486-9777-f762fafe0d4d": "approvers", "fe1de3ee-a436-41b4-bb20-f6eb4cb879a7": "definitionRef",
    "4020e66e-b0f3-47e1-bc88-48f3cc59b5f3": "extendsChecks", "2ef31ad6-baa0-403a-8b45-2cbc9b4e5563": "",
}  # fmt: skip
"""What a check can be, and the setting without which it is none."""
CHECKED = {"endpoint", "environment", "queue", "repository", "securefile", "variablegroup"}
APPROVAL_FIELDS = {"approvers", "minRequiredApprovers", "requesterCannotBeApprover", "instructions"}
"""What of an approval is taken as it is written."""


class Organisation:
    """One organisation of Azure DevOps with its Entra tenant, behind the words of ``az``; answers as the APIs do."""

    def __init__(self, desired: DesiredState) -> None:
        self.desired = desired
        self.written: list[tuple[str, ...]] = []
        self.stored: dict[str, list[dict[str, Any]]] = {
            "projects": [{"id": "p1", "name": desired.project}], "git/repositories": [{"id": "r1", "name": desired.repository}],
            "serviceendpoint/endpoints": [], "distributedtask/environments": [], "pipelines": [],
            "policy/configurations": [], "pipelines/checks/configurations": [],
            "distributedtask/queues": [
                {"id": 40 + i, "name": stage.place, "pool": {"id": 60 + i}} for i, stage in enumerate(desired.stages)
            ],
            "distributedtask/elasticpools": [],
        }  # fmt: skip
        self.identities = {desired.build_identity: ("b1", BUILD_IDENTITY), desired.approvers: ("g1", "vssgp.g1")}
        self.settings = {"enforceJobAuthScope": True, "enforceSettableVar": False, "buildsEnabledForForks": False}
        self.authorised: dict[str, list[dict[str, Any]]] = {}
        self.open_to_all: set[str] = set()
        self.allowed: dict[str, int] = {}
        self.denied: dict[str, int] = {}
        self.applications = [
            {"appId": f"app-{s.name}", "displayName": s.application} for s in desired.stages if s.name != "account"
        ]
        self.principals = {a["appId"] for a in self.applications} | {GRAPH_APPLICATION}
        self.credentials: dict[str, list[dict[str, Any]]] = {}
        self.roles: list[tuple[str, str, str]] = []
        self.conditions: dict[tuple[str, str, str], str] = {}
        self.graph_roles: dict[str, list[str]] = {}
        self.account: dict[str, dict[str, Any]] = {}
        self.may_look_into_the_account = True

    def __call__(self, words: Sequence[str]) -> str:
        """Answer one call of ``az``."""
        options = {words[i]: words[i + 1] for i in range(len(words) - 1) if words[i].startswith("--")}
        if words[0] == "rest":
            return json.dumps(self._rest(words, options))
        if "list" not in words:
            self.written.append(tuple(words))
        return json.dumps(self._entra(words, options))

    def _entra(self, words: Sequence[str], options: dict[str, str]) -> Any:
        if words[:3] == ("ad", "app", "list"):
            return [a for a in self.applications if a["displayName"].startswith(options["--display-name"])]
        if words[:3] == ("ad", "app", "create"):
            name = options["--display-name"]
            self.applications.append({"appId": f"app-{name.rpartition('-')[2]}", "displayName": name})
            return None
        if words[:3] == ("ad", "sp", "list"):
            application = options["--filter"].removeprefix("appId eq '").removesuffix("'")
            return [{"id": f"sp-{application}", "appId": application}] if application in self.principals else []
        if words[:3] == ("ad", "sp", "create"):
            self.principals.add(options["--id"])
            return None
        if words[2] == "federated-credential":
            held = self.credentials.setdefault(options["--id"], [])
            if words[3] == "create":
                held.append(json.loads(options["--parameters"]))
            return held
        assert words[:2] == ("role", "assignment")
        if options["--assignee"] not in self.principals:
            raise LedgerError(
                f"az role assignment failed: Cannot find user or service principal {options['--assignee']}"
            )
        given = (options["--assignee"], options["--scope"], options.get("--role", ""))
        if words[2] == "create":
            assert given not in self.roles, "Azure has one assignment of a role to a principal on a scope"
            self.roles.append(given)
            self.conditions[given] = options.get("--condition", "")
        if words[2] == "delete":
            self.roles.remove(given)
            self.conditions.pop(given, None)
        return [
            {"roleDefinitionName": role, "condition": self.conditions.get((who, scope, role)) or None}
            for who, scope, role in self.roles
            if (who, scope) == (options["--assignee"], options["--scope"])
        ]

    def _rest(self, words: Sequence[str], options: dict[str, str]) -> Any:
        method, url = options["--method"], urlsplit(options["--url"])
        if url.netloc in ("graph.microsoft.com", "accounts.azuredatabricks.net"):
            if method != "get":
                self.written.append(tuple(words))
            body = json.loads(options.get("--body", "{}"))
            return self._graph(method, url.path, body) if "graph" in url.netloc else self._account(method, url, body)
        assert options["--resource"] == "499b84ac-1321-427f-aa17-267ca6975798"
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        path = url.path.partition("/_apis/")[2]
        _demand(path, query.get("api-version", ""))
        if method == "get":
            return self._read(path, query)
        self.written.append(tuple(words))
        self._write(method, path, json.loads(options["--body"]))
        return None

    def _graph(self, method: str, path: str, body: Any) -> Any:
        principal = path.split("/")[3]
        held = self.graph_roles.setdefault(principal, [])
        if method == "get":
            return {"value": [{"appRoleId": role} for role in held]}
        assert (body["principalId"], body["resourceId"]) == (principal, f"sp-{GRAPH_APPLICATION}")
        return held.append(body["appRoleId"])

    def _account(self, method: str, url: Any, body: Any) -> Any:
        """Answer as the account's SCIM interface: a service principal once, its roles, for account admins alone."""
        if not self.may_look_into_the_account:
            raise LedgerError("az rest failed: Forbidden")
        if method == "get":
            wanted = parse_qs(url.query)["filter"][0].removeprefix('applicationId eq "').removesuffix('"')
            return {"Resources": [p for p in self.account.values() if p["applicationId"] == wanted]}
        if method == "post":
            self.account["7"] = {**body, "id": "7"}
        else:
            self.account[url.path.rpartition("/")[2]]["roles"] = body["Operations"][0]["value"]
        return None

    def _read(self, path: str, query: dict[str, str]) -> Any:
        if path == "identities":
            return {
                "value": [
                    {"id": identifier, "descriptor": descriptor, "providerDisplayName": called}
                    for called, (identifier, descriptor) in self.identities.items()
                    if called.rpartition("\\")[2].startswith(query["filterValue"])
                ]
            }
        if path == "build/generalsettings":
            return self.settings
        if path.startswith("accesscontrollists/"):
            allow, deny = self.allowed.get(query["token"], 0), self.denied.get(query["token"], 0)
            held = {query["descriptors"]: {"descriptor": query["descriptors"], "allow": allow, "deny": deny}}
            return {"value": [{"token": query["token"], "acesDictionary": held}] if allow or deny else []}
        if path.startswith("pipelines/pipelinePermissions/"):
            key = path.partition("Permissions/")[2]
            opened = {"allPipelines": {"authorized": True}} if key in self.open_to_all else {}
            return {**opened, "pipelines": self.authorised.get(key, [])}
        if path == "pipelines/checks/configurations":
            wanted = (query["resourceType"], query["resourceId"])
            found_checks = [c for c in self.stored[path] if (c["resource"]["type"], c["resource"]["id"]) == wanted]
            return {"value": found_checks, "count": len(found_checks)}
        if path == "distributedtask/queues":
            return {"value": [q for q in self.stored[path] if q["name"] in query["queueNames"].split(",")]}
        if path == "projects":
            return {"value": self.stored[path][int(query.get("$skip", 0)) :][: min(PAGE, int(query.get("$top", PAGE)))]}
        if path == "distributedtask/environments":
            return {"value": [e for e in self.stored[path] if e["name"].startswith(query.get("name", ""))][:PAGE]}
        return {"value": self.stored[path], "count": len(self.stored[path])}

    def _write(self, method: str, path: str, body: Any) -> None:
        if path.startswith("pipelines/checks/configurations"):
            self._accept_check(body)
        if path.startswith("pipelines/pipelinePermissions/"):
            key = path.partition("Permissions/")[2]
            self.authorised[key] = [p for p in body["pipelines"] if p["authorized"]]
            if not body.get("allPipelines", {}).get("authorized", key in self.open_to_all):
                self.open_to_all.discard(key)
        elif path == "build/generalsettings":
            self.settings |= body
        elif path.startswith("accesscontrolentries/"):
            (entry,), token = body["accessControlEntries"], body["token"]
            before = (self.allowed.get(token, 0), self.denied.get(token, 0)) if body["merge"] else (0, 0)
            self.allowed[token], self.denied[token] = before[0] | entry["allow"], before[1] | entry["deny"]
        elif method == "post":
            made = {**body, "id": len(self.written) + 100}
            if path == "serviceendpoint/endpoints":
                self._federate(made)
            self.stored[path].append(made)
        else:
            collection, _, identifier = path.rpartition("/")
            held = self.stored[collection]
            position = next(
                i for i, thing in enumerate(held) if str(thing.get("id", thing.get("poolId"))) == identifier
            )
            held[position] = {**held[position], **body}
        for check in self.stored["pipelines/checks/configurations"]:
            self._taken_in(check["settings"])

    @staticmethod
    def _accept_check(check: dict[str, Any]) -> None:
        """Refuse what is no check, as https://learn.microsoft.com/rest/api/azure/devops/approvalsandchecks describes one."""
        kind, settings = str(check["type"]["id"]).lower(), check["settings"]
        if kind not in CHECK_TYPES:
            raise LedgerError(f"az rest failed: Bad Request(the type {kind} of the check is unknown)")
        if check["resource"]["type"] not in CHECKED:
            raise LedgerError("az rest failed: Bad Request(the resource cannot have checks)")
        if CHECK_TYPES[kind] and not settings.get(CHECK_TYPES[kind]):
            raise LedgerError(f"az rest failed: Bad Request(settings lack {CHECK_TYPES[kind]})")
        for template in settings.get("extendsChecks", ()):
            if template.get("repositoryType") not in ("git", "github", "bitbucket"):
                raise LedgerError("az rest failed: Bad Request(repositoryType is git, github or bitbucket)")
            if not all(template.get(key) for key in ("repositoryName", "repositoryRef", "templatePath")):
                raise LedgerError("az rest failed: Bad Request(a required template has a repository, a ref and a path)")

    @staticmethod
    def _taken_in(settings: dict[str, Any]) -> None:
        """Keep of an approval what the service keeps, in its own words."""
        if "approvers" not in settings:
            return
        for unknown in {*settings} - APPROVAL_FIELDS:
            del settings[unknown]
        settings |= {"executionOrder": "anyOrder", "blockedApprovers": []}
        settings["approvers"] = [{"displayName": None, **one} for one in settings["approvers"]]

    def _federate(self, connection: dict[str, Any]) -> None:
        """State issuer and subject of a new service connection, as Azure DevOps does."""
        connection["authorization"]["parameters"] |= {
            "workloadIdentityFederationIssuer": f"https://vstoken.dev.azure.com/{self.desired.organisation_id}",
            "workloadIdentityFederationSubject": (
                f"sc://{self.desired.organisation}/{self.desired.project}/{connection['name']}"
            ),
        }

    def connection(self, environment: str) -> dict[str, Any]:
        """Return a service connection."""
        return next(c for c in self.stored["serviceendpoint/endpoints"] if c["name"] == place(environment))

    def key(self, kind: str, name: str) -> tuple[str, str]:
        """Return kind and id of a service connection, an environment or an agent pool."""
        collection = {
            "endpoint": "serviceendpoint/endpoints", "environment": "distributedtask/environments",
            "queue": "distributedtask/queues",
        }[kind]  # fmt: skip
        return kind, next(str(thing["id"]) for thing in self.stored[collection] if thing["name"] == place(name))

    def checks(self, kind: str, name: str) -> dict[str, dict[str, Any]]:
        """Return the checks on a service connection, an environment or an agent pool, by what they are called."""
        key = self.key(kind, name)
        return {
            check["settings"].get("displayName", check["type"]["name"]): check
            for check in self.stored["pipelines/checks/configurations"]
            if (check["resource"]["type"], check["resource"]["id"]) == key
        }

    def check(self, kind: str, name: str, called: str) -> dict[str, Any]:
        """Return one check."""
        return self.checks(kind, name)[called]


def _demand(path: str, version: str) -> None:
    """Refuse a version that the resource does not have, as the service does with status 400."""
    resource = max((known for known in VERSIONS if f"{path}/".startswith(f"{known}/")), key=len)
    if version == VERSIONS[resource]:
        return
    if "preview" in VERSIONS[resource]:
        message = (
            f'The requested version "{version}" of the resource is under preview. '
            "The -preview flag must be supplied in the api-version for such requests."
        )
    else:
        message = f'The requested REST API version of "{version}" is out of range for this server.'
    raise LedgerError(f"az rest --method failed: Bad Request({message})")
