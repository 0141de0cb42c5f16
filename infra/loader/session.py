"""What the loader sends: requests to Databricks through the SDK, to Azure and Entra with the token of the Azure command line."""

import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ml.spec.errors import LakehouseError

if TYPE_CHECKING:
    from databricks.sdk.core import ApiClient

Json = dict[str, Any]
ARM, GRAPH = "https://management.azure.com", "https://graph.microsoft.com"
VERSION = "2024-05-01"
RATE = 500
"""Requests a second, against the emulated cloud on the same machine."""


class LoaderError(LakehouseError):
    """A service refused what the loader asked; the message is the service's."""


class MissingObjectError(LoaderError):
    """There is no such object."""


class Session:
    """The requests of one provider configuration.

    Parameters
    ----------
    configuration
        As the stack states it: host, account, subscription.
    """

    def __init__(self, configuration: Mapping[str, Any]) -> None:
        self.configuration = {name: value for name, value in configuration.items() if isinstance(value, str)}

    @cached_property
    def _client(self) -> "ApiClient":
        from databricks.sdk.core import ApiClient, Config

        known = ("host", "account_id", "auth_type", "azure_workspace_resource_id")
        stated: Json = {name: self.configuration[name] for name in known if name in self.configuration}
        return ApiClient(Config(**stated, product="loader", product_version="0", rate_limit=RATE))

    def ask(
        self, method: str, path: str, body: Any = None, *, query: Json | None = None, content: bytes | None = None
    ) -> Json:
        """Send a request to Databricks and return its answer.

        Raises
        ------
        MissingObjectError
            If the service says that there is no such thing.
        LoaderError
            If it refuses.
        """
        from databricks.sdk.errors import NotFound
        from databricks.sdk.errors.base import DatabricksError

        account = self.configuration.get("account_id", "")
        try:
            if content is not None:
                headers = {"Content-Type": "application/octet-stream"}
                self._client.do(method, path, query=query, data=content, headers=headers)
                return {}
            answer = self._client.do(method, path.replace("{account}", account), query=query, body=body)
            return answer if isinstance(answer, dict) else {"": answer}
        except NotFound as error:
            raise MissingObjectError(f"{method} {path}: {error}", remedy=_etag(error)) from error
        except DatabricksError as error:
            raise LoaderError(f"{method} {path}: {error}", remedy=_etag(error)) from error

    def azure(self, method: str, path: str, body: Any = None) -> Json:
        """Send a request to Azure Resource Manager."""
        return _sent(method, f"{ARM}{urllib.parse.quote(path)}?api-version={VERSION}", body, ARM)

    def graph(self, method: str, path: str, body: Any = None) -> Json:
        """Send a request to Microsoft Graph."""
        return _sent(method, f"{GRAPH}/v1.0{path}", body, GRAPH)


def _etag(error: Any) -> str:
    """Return the version that a refused change of a setting should have named; empty if it names none."""
    return next((str(one.metadata["etag"]) for one in error.get_error_info() if "etag" in (one.metadata or {})), "")


def _sent(method: str, address: str, body: Any, resource: str) -> Json:
    command = ["az", "account", "get-access-token", "--resource", resource, "--output", "json"]
    token = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["accessToken"]  # noqa: S603 -- our own words
    request = urllib.request.Request(  # noqa: S310 -- two addresses of Azure
        address, method=method, data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )  # fmt: skip
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310 -- as above
            content = answer.read()
            return dict(json.loads(content)) if content else {}
    except urllib.error.HTTPError as refused:
        said = refused.read().decode(errors="replace")
        kind = MissingObjectError if refused.code == 404 else LoaderError
        raise kind(f"{method} {address.partition('?')[0]}: {refused.code} {said}") from refused
