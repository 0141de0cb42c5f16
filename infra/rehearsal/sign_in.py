"""The Azure command line of a rehearsal: who is signed in, and tokens of the emulated cloud for that identity.

It stands for `az` on the path of a rehearsal's steps alone and imports the standard library alone. It knows two commands;
everything else it refuses.
"""

import datetime as dt
import json
import os
import sys
import urllib.request
from pathlib import Path
from typing import Any

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


def main(words: list[str]) -> int:
    """Answer a command."""
    principal = os.environ.get(IDENTITY, "")
    if not principal:
        print("ERROR: Please run 'az login' to setup account.", file=sys.stderr)
        return 1
    site = json.loads(Path(os.environ[TOKENS]).read_text(encoding="utf-8"))
    if words[:2] == ["account", "show"]:
        user = user_of(principal)
        whole = {"id": site["subscription"], "tenantId": site["tenant"], "user": user, "environmentName": "AzureCloud"}
        query = words[words.index("--query") + 1] if "--query" in words else ""
        print(json.dumps(whole if not query else whole[query]))
        return 0
    if words[:2] == ["account", "get-access-token"]:
        ends = dt.datetime.now() + LASTS  # noqa: DTZ005 -- this command line states local time
        print(json.dumps({
            "accessToken": token_of(site, principal), "expiresOn": f"{ends:%Y-%m-%d %H:%M:%S.%f}",
            "expires_on": int(ends.timestamp()), "subscription": site["subscription"], "tenant": site["tenant"],
            "tokenType": "Bearer",
        }))  # fmt: skip
        return 0
    print(f"ERROR: the rehearsal's az knows no '{' '.join(words[:3])}'", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
