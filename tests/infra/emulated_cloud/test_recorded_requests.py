"""The requests that the real providers sent are answered in the form that they were content with.

The recordings are of the providers databricks 1.99, azuread 3.7 and azurerm 4.55 and of the Python SDK: two workspaces,
the account with Entra, a platform through Azure Resource Manager, a serverless workspace; applied, planned again, destroyed.
"""

import re

import pytest

from tests.infra.emulated_cloud.replay import EXCEPTIONS, records, replay_of

NAMES = ("account", "dev-platform", "serverless", "workspaces")


@pytest.mark.parametrize("name", NAMES)
def test_every_recorded_request_gets_an_answer_of_the_same_form(name: str) -> None:
    """Status, fields and values are those of the recording, apart from ids and times that a service chooses."""
    replay = replay_of(name)
    different = {record["n"]: found for record in records(name) if (found := replay.differences(record))}
    assert different == {}


def test_without_account_admin_the_environments_principal_is_refused_what_is_the_accounts() -> None:
    """The recorded workspace stack asks for one setting that only an account admin may change; the rest is accepted."""
    replay = replay_of("serverless", account_admins=False)
    refused = {}
    for record in records("serverless"):
        if record["host"].startswith("adb-") and (found := replay.differences(record)):
            refused[record["method"], record["path"]] = found
    assert set(refused) <= {
        (method, "/api/2.0/settings/types/restrict_workspace_admins/names/default") for method in ("PATCH", "GET")
    }  # fmt: skip
    assert "403 answered" in str(refused)


def test_the_recordings_hold_requests_of_every_kind() -> None:
    """A recording that was cut short would pass: there are as many as were copied, and each exception is met."""
    requests = [f"{record['method']} {record['path']}" for name in NAMES for record in records(name)]
    assert len(requests) == 2918
    assert [pattern for pattern in EXCEPTIONS if not any(re.fullmatch(pattern, one) for one in requests)] == []
