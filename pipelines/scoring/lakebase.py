"""Connects a served model to the online store of its Databricks workspace, with a password that is made for each connection.

A store is a Lakebase project of its name. A password is an OAuth token of whoever asks; it lasts an hour and is looked at when a
connection begins, so a connection outlives it and the next one gets another
(https://learn.microsoft.com/en-us/azure/databricks/oltp/projects/authentication). The identity is that of the endpoint: Databricks
lets a served version reach what it names among its resources, with the rights of whoever made the endpoint
(https://learn.microsoft.com/en-us/azure/databricks/generative-ai/agent-framework/agent-authentication-model-serving).

Only versions of use cases that publish their features import this module, so no other needs the SDK.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipelines.declarations.online_store import SCHEME
from pipelines.scoring.online import StoreError

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

ENDPOINT = "projects/{store}/branches/production/endpoints/primary"
"""The compute of the branch that a new project has."""


def connect(address: str) -> Any:
    """Return a new connection of psycopg to the database at an address (`pipelines.declarations.online_store.store_address`).

    Raises
    ------
    StoreError
        If the workspace has no such store, or gives this identity no password for it.
    psycopg.OperationalError
        If the store takes no connection.
    """
    import psycopg
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.errors.base import DatabricksError

    try:
        arguments = connection_arguments(WorkspaceClient(), address)
    except (DatabricksError, ValueError) as error:  # the SDK says by a ValueError that it knows no way to sign in
        raise StoreError(f"the workspace gives no way to the online store {address}: {error}") from error
    return psycopg.connect(**arguments, autocommit=True)


def connection_arguments(client: "WorkspaceClient", address: str) -> Mapping[str, Any]:
    """Return by what psycopg connects to a database as the identity of a client; to read replicas where there are some."""
    store, _, database = address.removeprefix(SCHEME).partition("/")
    endpoint = ENDPOINT.format(store=store)
    status = client.postgres.get_endpoint(endpoint).status
    hosts = status.hosts if status else None
    return {
        "host": (hosts.read_only_host or hosts.host) if hosts else None,
        "port": 5432,
        "dbname": database,
        "user": client.current_user.me().user_name,
        "password": client.postgres.generate_database_credential(endpoint).token,
        "sslmode": "require",
    }
