"""The Azure command line of a rehearsal: who is signed in, and tokens of the emulated cloud for that identity.

It stands for `az` on the path of a rehearsal's steps alone and imports the standard library alone. It knows the commands
that the bootstrap and the releases use, and sends what they send; everything else it refuses.
"""

import datetime as dt
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Json = dict[str, Any]
ARM, GRAPH = "https://management.azure.com", "https://graph.microsoft.com"

IDENTITY, TOKENS = "REHEARSAL_IDENTITY", "REHEARSAL_TOKENS"
"""The variables that name who is signed in, and the tokens file of the emulated cloud."""
LASTS = dt.timedelta(hours=1)


def token_of(site: dict[str, Any], principal: str) -> str:
    """Return a token of the emulated cloud for a principal, by its name in Databricks."""
    for identity in site["identities"].values():
        if identity["principal"] == principal:
            return str(identity["token"])
    request = urllib.request.Request(  # noqa: S310 -- the address of the emulated cloud
        f"{site['hosts']['account']}/.emulator/tokens", data=json.dumps({"principal": principal}).encode(),
        headers={"Authorization": f"Bearer {site['control_token']}"},
    )  # fmt: skip
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        return str(json.load(answer)["token"])


def user_of(principal: str) -> dict[str, str]:
    """Return who is signed in as the command line says it."""
    return {"name": principal, "type": "user" if "@" in principal else "servicePrincipal"}


class AzError(Exception):
    """A command that failed; the message is the service's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Sender:
    """Requests with the token of who is signed in.

    Parameters
    ----------
    objects
        Principals that exist from the start, with their ids in Entra.
    """

    def __init__(self, token: str, objects: Mapping[str, str]) -> None:
        self._token, self.objects = token, objects

    def send(self, method: str, address: str, content: bytes | None = None, **headers: str) -> Any:
        """Return the answer to a request.

        Raises
        ------
        AzError
            If the service refuses.
        """
        named = {name.replace("_", "-"): value for name, value in headers.items() if value}
        request = urllib.request.Request(  # noqa: S310 -- addresses of Azure
            address, data=content, method=method, headers={"Authorization": f"Bearer {self._token}", **named}
        )
        try:
            return urllib.request.urlopen(request)  # noqa: S310 -- as above
        except urllib.error.HTTPError as refused:
            raise AzError(refused.code, f"{refused.code} {refused.read().decode(errors='replace')}") from refused
        except urllib.error.URLError as unreached:
            raise AzError(0, f"{address.split('?')[0]}: {unreached.reason}") from unreached

    def arm(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Send a request to Azure Resource Manager."""
        content = None if body is None else json.dumps(body).encode()
        with self.send(method, f"{ARM}{urllib.parse.quote(path)}?api-version=2024-01-01", content) as answer:
            text = answer.read()
        return dict(json.loads(text)) if text else {}


def options_of(words: list[str]) -> dict[str, str]:
    """Return the options of a command; the last one of a name counts."""
    found, name = {}, ""
    for word in words:
        if word.startswith("--"):
            name = word
            found[name] = ""
        elif name:
            found[name] = word
    return found


def _show_account(site: Json, principal: str, options: Json) -> str:
    whole = {
        "id": site["subscription"], "tenantId": site["tenant"], "user": user_of(principal), "environmentName": "AzureCloud",
    }  # fmt: skip
    return json.dumps(whole if "--query" not in options else whole[options["--query"]])


def _subscriptions(sender: Sender, words: list[str], options: Json) -> str:  # noqa: ARG001 -- the interface of a command
    """Return the subscriptions that the identity sees."""
    found = sender.arm("GET", "/subscriptions")["value"]
    return json.dumps([
        {"id": one["subscriptionId"], "name": one["displayName"], "tenantId": one["tenantId"], "state": one["state"],
         "isDefault": not place, "environmentName": "AzureCloud"} for place, one in enumerate(found)
    ])  # fmt: skip


def _token(site: Json, principal: str, options: Json) -> str:  # noqa: ARG001 -- the interface of a command
    ends = dt.datetime.now() + LASTS  # noqa: DTZ005 -- this command line states local time
    return json.dumps({
        "accessToken": token_of(site, principal), "expiresOn": f"{ends:%Y-%m-%d %H:%M:%S.%f}",
        "expires_on": int(ends.timestamp()), "subscription": site["subscription"], "tenant": site["tenant"],
        "tokenType": "Bearer",
    })  # fmt: skip


def _group_path(options: Json, name: str) -> str:
    return f"/subscriptions/{options['--subscription']}/resourceGroups/{options[name]}"


def _account_path(options: Json) -> str:
    name = options.get("--account-name") or options.get("--storage-account") or options["--name"]
    return f"{_group_path(options, '--resource-group')}/providers/Microsoft.Storage/storageAccounts/{name}"


def _group(sender: Sender, words: list[str], options: Json) -> str:
    path = _group_path(options, "--name")
    if words[1] == "show":
        return json.dumps(sender.arm("GET", path))
    return json.dumps(sender.arm("PUT", path, {"location": options["--location"]}))


def _storage_account(sender: Sender, words: list[str], options: Json) -> str:
    path = _account_path(options)
    if words[2] == "show":
        return json.dumps(sender.arm("GET", path))
    if words[2] == "network-rule":
        rules = sender.arm("GET", path)["properties"]["networkAcls"]
        kept = [rule for rule in rules.get("ipRules", []) if rule["value"] != options["--ip-address"]]
        rules["ipRules"] = [*kept, {"value": options["--ip-address"], "action": "Allow"}]
        return json.dumps(sender.arm("PATCH", path, {"properties": {"networkAcls": rules}}))
    if words[2] == "blob-service-properties":
        return json.dumps(
            sender.arm("PUT", f"{path}/blobServices/default", {"properties": {"isVersioningEnabled": True}})
        )
    closed = {
        "publicNetworkAccess": options["--public-network-access"], "allowSharedKeyAccess": False,
        "minimumTlsVersion": options["--min-tls-version"],
    }  # fmt: skip
    acls = {"defaultAction": options["--default-action"], "bypass": options["--bypass"], "ipRules": []}
    if words[2] == "create":
        return json.dumps(sender.arm("PUT", path, {"location": options["--location"], "kind": options["--kind"],
                                                   "properties": {**closed, "networkAcls": acls}}))  # fmt: skip
    return json.dumps(sender.arm("PATCH", path, {"properties": closed}))


def _container(sender: Sender, words: list[str], options: Json) -> str:  # noqa: ARG001 -- the interface of a command
    return json.dumps(
        sender.arm(
            "PUT", f"{_account_path(options)}/blobServices/default/containers/{options['--name']}", {"properties": {}}
        )
    )


def _roles_held(sender: Sender, options: Json) -> str:
    """Return the assignments of roles at a scope and above, each with the name of its role."""
    definitions = sender.arm("GET", f"{options['--scope']}/providers/Microsoft.Authorization/roleDefinitions")["value"]
    names = {one["id"].rpartition("/")[2]: one["properties"]["roleName"] for one in definitions}
    found = sender.arm("GET", f"{options['--scope']}/providers/Microsoft.Authorization/roleAssignments")["value"]
    assignee = sender.objects.get(options["--assignee"], options["--assignee"])
    return json.dumps([
        {**one["properties"], "roleDefinitionName": names[one["properties"]["roleDefinitionId"].rpartition("/")[2]]}
        for one in found if one["properties"]["principalId"] == assignee
    ])  # fmt: skip


def _role(sender: Sender, words: list[str], options: Json) -> str:
    if words[2] == "list":
        return _roles_held(sender, options)
    scope = options["--scope"]
    asked = f"{ARM}{scope}/providers/Microsoft.Authorization/roleDefinitions?" + urllib.parse.urlencode(
        {"api-version": "2022-04-01", "$filter": f"roleName eq '{options['--role']}'"}
    )
    with sender.send("GET", asked) as answer:
        roles = json.load(answer)["value"]
    if not roles:
        raise AzError(400, f"Role '{options['--role']}' doesn't exist.")
    name = uuid.uuid5(uuid.NAMESPACE_URL, f"{scope} {options['--role']} {options['--assignee-object-id']}")
    limit = (
        {"condition": options["--condition"], "conditionVersion": options["--condition-version"]}
        if "--condition" in options
        else {}
    )
    assigned = {"principalId": options["--assignee-object-id"], "roleDefinitionId": roles[0]["id"], **limit}
    body = {"properties": assigned}
    return json.dumps(sender.arm("PUT", f"{scope}/providers/Microsoft.Authorization/roleAssignments/{name}", body))


def _blob(sender: Sender, words: list[str], options: Json) -> str:
    address = (
        f"https://{options['--account-name']}.blob.core.windows.net/{options['--container-name']}/{options['--name']}"
    )
    conditions = {"if_match": options.get("--if-match", ""), "if_none_match": options.get("--if-none-match", "")}
    if words[2] == "exists":
        try:
            sender.send("HEAD", address)
        except AzError as failure:
            if failure.status == 404:
                return "false"
            raise
        return "true"
    if words[2] == "show":
        return str(sender.send("HEAD", address).headers["ETag"])
    file = Path(options["--file"])
    if words[2] == "download":
        with sender.send("GET", address, **conditions) as answer:
            file.write_bytes(answer.read())
    else:
        sender.send("PUT", address, file.read_bytes(), **conditions, x_ms_blob_type="BlockBlob").close()
    return ""


def _providers(sender: Sender, words: list[str], options: Json) -> str:  # noqa: ARG001 -- the interface of a command
    return json.dumps(sender.arm("GET", f"/subscriptions/{options['--subscription']}/providers")["value"])


def _rest(sender: Sender, words: list[str], options: Json) -> str:  # noqa: ARG001 -- the interface of a command
    content = options["--body"].encode() if "--body" in options else None
    with sender.send(options["--method"].upper(), options["--url"], content, Content_Type="application/json") as answer:
        return str(answer.read().decode())


def _signed_in_user(sender: Sender, words: list[str], options: Json) -> str:  # noqa: ARG001 -- the interface of a command
    """Return who is signed in as the directory knows it, or the one value that is asked for."""
    with sender.send("GET", f"{GRAPH}/v1.0/me") as answer:
        known = json.load(answer)
    return str(known[options["--query"]]) if options.get("--output") == "tsv" else json.dumps(known)


def _version(site: Json, principal: str, options: Json) -> str:  # noqa: ARG001 -- the interface of a command
    return json.dumps({"azure-cli": "2.75.0", "extensions": {}})


ASKED = {("account", "show"): _show_account, ("account", "get-access-token"): _token, ("version", ""): _version}
SENT = {
    ("storage", "account"): _storage_account, ("storage", "container-rm"): _container, ("storage", "blob"): _blob,
    ("role", "assignment"): _role, ("group", "show"): _group, ("group", "create"): _group,
    ("provider", "list"): _providers, ("account", "list"): _subscriptions, ("rest", ""): _rest,
    ("ad", "signed-in-user"): _signed_in_user,
}  # fmt: skip


def main(words: list[str]) -> int:
    """Answer a command."""
    principal = os.environ.get(IDENTITY, "")
    if not principal:
        print("ERROR: Please run 'az login' to setup account.", file=sys.stderr)
        return 1
    site = json.loads(Path(os.environ[TOKENS]).read_text(encoding="utf-8"))
    named = [word for word in words[:2] if not word.startswith("-")]
    start, options = (*named, "", "")[:2], options_of(words)
    try:
        if start in ASKED:
            print(ASKED[start](site, principal, options))
        elif start in SENT:
            objects = {one["principal"]: one.get("object_id", "") for one in site["identities"].values()}
            print(SENT[start](Sender(token_of(site, principal), objects), words, options))
        else:
            print(f"ERROR: the rehearsal's az knows no '{' '.join(words[:3])}'", file=sys.stderr)
            return 2
    except AzError as failure:
        print(f"ERROR: {failure}", file=sys.stderr)
        return 3 if failure.status == 404 else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
