"""A stack is applied by its own identity alone; who is signed in is compared before anything changes."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from infra.releases.signed_in import expected_application, other_identity

OUTPUTS = {"runner_dev": "app-dev", "runner_prod": "app-prod", "deployer": "app-account"}


def plan(*resources: dict[str, Any]) -> dict[str, Any]:
    """Return a plan that has read these data sources."""
    return {"prior_state": {"values": {"root_module": {"resources": list(resources)}}}}


READS_ACCOUNT = plan(
    {"type": "terraform_remote_state", "name": "account", "address": "data.terraform_remote_state.account",
     "values": {"outputs": OUTPUTS}}
)  # fmt: skip
LOOKS_ITSELF_UP = plan(
    {"type": "azuread_service_principal", "name": "deployer", "address": "data.azuread_service_principal.deployer",
     "values": {"client_id": "app-account"}}
)  # fmt: skip


def signed_in(name: str, kind: str = "servicePrincipal") -> Any:
    """Return the Azure command line with a session."""

    def az(words: Sequence[str]) -> str:
        assert tuple(words[:2]) == ("account", "show")
        return json.dumps({"name": name, "type": kind})

    return az


@pytest.mark.parametrize(
    ("stack", "read", "expected"),
    [
        ("dev-platform", READS_ACCOUNT, "app-dev"),
        ("prod-workspace", READS_ACCOUNT, "app-prod"),
        ("prod-account", READS_ACCOUNT, "app-account"),
        ("account", LOOKS_ITSELF_UP, "app-account"),
        ("dev-platform", plan(), ""),
    ],
)
def test_a_plan_knows_which_identity_applies_it(stack: str, read: dict[str, Any], expected: str) -> None:
    """From what it has read of the account; a stack that reads nothing of it knows nothing."""
    assert expected_application(stack, read) == expected


def test_the_stack_s_own_identity_applies_it() -> None:
    """Case does not matter in an application id."""
    plans = {"dev-platform": READS_ACCOUNT, "dev-workspace": READS_ACCOUNT}
    assert other_identity(plans, signed_in("APP-DEV")) == ()


def test_a_person_and_another_identity_are_refused_with_the_remedy() -> None:
    """Dev's identity reaches nothing of the account, and nobody's objects in a workspace become a person's."""
    (person,) = other_identity({"dev-workspace": READS_ACCOUNT}, signed_in("ann@meridian-air.example", "user"))
    assert "dev-workspace is applied by the identity of dev (application app-dev) alone" in person
    assert "the person ann@meridian-air.example is signed in: sign in as that identity" in person
    (foreign,) = other_identity({"prod-account": READS_ACCOUNT}, signed_in("app-dev"))
    assert "prod-account is applied by the identity of account" in foreign


def test_nobody_is_asked_where_no_plan_knows_its_identity() -> None:
    """As for stacks without a cloud, which need no session."""

    def az(_words: Sequence[str]) -> str:
        pytest.fail("asked")

    assert other_identity({"dev-platform": plan()}, az) == ()
