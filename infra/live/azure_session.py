"""Asks Azure Resource Manager and Microsoft Graph through Azure's SDK, as whoever is signed in with ``az``. Changes nothing."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from azure.core import PipelineClient
    from azure.core.credentials import TokenCredential

Json = dict[str, Any]
ARM, GRAPH = "https://management.azure.com", "https://graph.microsoft.com"
ATTEMPTS = 3
"""How often a request that a service could not take is sent again; the SDK waits as long as the service asks."""


class AzureSession:
    """Requests that read.

    Parameters
    ----------
    credential
        Who asks.
    """

    def __init__(self, credential: "TokenCredential") -> None:
        self._clients: Mapping[str, PipelineClient[Any, Any]] = {
            address: _client(address, credential) for address in (ARM, GRAPH)
        }

    def one(self, service: str, path: str, **query: str) -> Json:
        """Return the answer to one request.

        Raises
        ------
        azure.core.exceptions.AzureError
            If nobody is signed in, or the service refuses; ``ResourceNotFoundError`` if there is no such thing.
        """
        return self._sent(service, f"{service}{quote(path)}", query)

    def all(self, service: str, path: str, **query: str) -> Iterator[Json]:
        """Yield what is in every page of an answer.

        Raises
        ------
        azure.core.exceptions.AzureError
            As `one`.
        """
        page = self.one(service, path, **query)
        while True:
            yield from page.get("value", ())
            further = page.get("nextLink") or page.get("@odata.nextLink")
            if not further:
                return
            page = self._sent(service, str(further), {})

    def _sent(self, service: str, address: str, query: Mapping[str, str]) -> Json:
        from azure.core.exceptions import ResourceNotFoundError, map_error
        from azure.core.rest import HttpRequest

        answer = self._clients[service].send_request(HttpRequest("GET", address, params=dict(query)))
        map_error(status_code=answer.status_code, response=answer, error_map={404: ResourceNotFoundError})
        answer.raise_for_status()
        return dict(answer.json())


def signed_in_to_azure() -> AzureSession:
    """Return a session of whoever is signed in with the Azure command line."""
    from azure.identity import AzureCliCredential

    return AzureSession(AzureCliCredential(process_timeout=60))


def _client(address: str, credential: "TokenCredential") -> "PipelineClient[Any, Any]":
    from azure.core import PipelineClient
    from azure.core.pipeline.policies import BearerTokenCredentialPolicy, RedirectPolicy, RetryPolicy, UserAgentPolicy

    signs_in = BearerTokenCredentialPolicy(credential, f"{address}/.default")
    return PipelineClient(
        address, policies=[UserAgentPolicy("lakehouse"), RedirectPolicy(), RetryPolicy(retry_total=ATTEMPTS), signs_in]
    )
