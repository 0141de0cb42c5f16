"""Who is signed in: a stack is applied by exactly one identity, whose application id its plan has read from the states."""

import json
from collections.abc import Mapping
from typing import Any

from infra.config.stack_names import ACCOUNT, identity_of
from infra.releases.ledger import Az
from infra.terraform_cli.driver import outputs_of

DEPLOYER = "data.azuread_service_principal.deployer"
"""The account stack looks its own identity up."""


def expected_application(stack: str, plan: Mapping[str, Any]) -> str:
    """Return the application id of the identity that applies a stack; empty if its plan does not know it.

    Parameters
    ----------
    plan
        As ``terraform show -json`` gives it.
    """
    identity = identity_of(stack)
    shared = outputs_of(plan).get(ACCOUNT, {})
    if identity != ACCOUNT:
        return str(shared.get(f"runner_{identity}") or "")
    held = plan.get("prior_state", {}).get("values", {}).get("root_module", {}).get("resources", [])
    own = next((str(r["values"].get("client_id") or "") for r in held if r["address"] == DEPLOYER), "")
    return str(shared.get("deployer") or own)


def other_identity(plans: Mapping[str, Mapping[str, Any]], az: Az) -> tuple[str, ...]:
    """Return a reason for each planned stack that somebody else applies than who is signed in.

    Whoever creates an object in a workspace or in the metastore owns it; applied by two identities in turn, a stack
    would fail or change owners for ever.

    Parameters
    ----------
    plans
        The plan of each stack.
    az
        The Azure command line, which is asked only if a plan knows its identity.

    Raises
    ------
    LedgerError
        If nobody is signed in.
    """
    expected = {stack: expected_application(stack, plan) for stack, plan in plans.items()}
    if not any(expected.values()):
        return ()
    user = json.loads(az(("account", "show", "--query", "user", "--output", "json")))
    who = str(user.get("name", ""))
    kind = "the person" if user.get("type") == "user" else "the identity"
    return tuple(
        f"{stack} is applied by the identity of {identity_of(stack)} (application {application}) alone, and {kind} {who} "
        "is signed in: sign in as that identity, in a pipeline by its service connection."
        for stack, application in expected.items()
        if application and application.lower() != who.lower()
    )
