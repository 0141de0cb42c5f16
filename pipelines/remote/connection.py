"""One deployed environment, open for requests: the SDK's client, its clock, and where messages go.

When a request is repeated is stated in `pipelines.remote.request_retries`.
"""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.clock import Clock, RealClock
from databricks.sdk.config import Config
from databricks.sdk.errors import BadRequest, NotFound
from databricks.sdk.errors.base import DatabricksError

from pipelines.command_line.version import PACKAGE, version_number
from pipelines.declarations.environment import Environment, environment
from pipelines.remote.errors import (
    NotDeployedError,
    RemoteError,
    UnreachableError,
    as_remote_error,
    is_server_failure,
    message_of,
    unreadable,
)
from pipelines.remote.request_retries import (
    ANSWER_WITHIN_SECONDS,
    PATIENCE_SECONDS,
    PROBE_SECONDS,
    WAITS_SECONDS,
    Patience,
)

Answer = TypeVar("Answer")


@dataclass(frozen=True, kw_only=True)
class Remote:
    """One environment's workspace.

    Attributes
    ----------
    client
        The SDK's client, logged in by the SDK.
    clock
        All waiting goes through it.
    say
        Takes one line for the user.
    """

    environment: Environment
    client: WorkspaceClient
    clock: Patience
    say: Callable[[str], None]

    @property
    def host(self) -> str:
        """Address of the workspace."""
        return str(self.client.config.host)

    def name(self, address: str) -> str:
        """Return the full name of a table or model: ``catalog.schema.name``."""
        return f"{self.environment.catalog}.{address}"

    def ask(self, doing: str, call: Callable[[], Answer]) -> Answer:
        """Return the answer of one request, or of several that belong together.

        Parameters
        ----------
        doing
            What is tried, in the words of an error message: ``"start the job"``.
        call
            Sends the request through the client; may be called again.

        Raises
        ------
        RemoteError
            With one sentence for any failure.
        """
        for wait in (*WAITS_SECONDS, None):
            try:
                answer = call()
            except (TypeError, LookupError, AttributeError) as error:
                # The SDK takes an answer apart without a look at it: `{"runs": null}` is a TypeError there.
                raise unreadable(host=self.host, doing=doing) from error
            except (DatabricksError, requests.RequestException, RemoteError, ValueError, OSError) as error:
                if wait is None or not is_server_failure(error):
                    raise as_remote_error(error, host=self.host, doing=doing) from error
                self.say(f"{self.host} failed ({message_of(error)}): asking again in {wait:.0f} s")
            else:
                self.clock.note_answer()
                return answer
            self.clock.pause(wait)
        raise AssertionError("the last try either answers or raises")

    def find(self, doing: str, call: Callable[[], Answer]) -> Answer | None:
        """Return an answer, or None where the workspace says that there is no such thing.

        Raises
        ------
        RemoteError
            As `ask` does.
        """

        def unless_missing() -> Answer | None:
            try:
                return call()
            except (NotFound, BadRequest):
                return None

        return self.ask(doing, unless_missing)


def connect(name: str, *, profile: str | None = None, say: Callable[[str], None], clock: Clock | None = None) -> Remote:
    """Open the workspace of an environment, to which the SDK's configuration points.

    Parameters
    ----------
    name
        ``dev``, ``staging`` or ``prod``.
    profile
        Of ``~/.databrickscfg``; by default what the SDK finds: ``DATABRICKS_HOST`` with the Azure CLI, the federated
        identity of an Azure DevOps pipeline, a default profile.
    say
        Takes the messages during a wait.
    clock
        The source of time; by default the machine's.

    Raises
    ------
    DeclarationError
        If there is no environment of that name.
    RemoteError
        If no workspace or no login is configured.
    """
    opened = environment(name)
    logging.getLogger("databricks.sdk").setLevel(logging.ERROR)  # what it warns of becomes a sentence or is harmless
    patience = Patience(clock or RealClock(), say)
    try:
        config = Config(
            profile=profile, product=PACKAGE, product_version=version_number(), clock=patience,
            http_timeout_seconds=ANSWER_WITHIN_SECONDS, retry_timeout_seconds=PROBE_SECONDS,
        )  # fmt: skip
    except (ValueError, OSError) as error:
        raise _no_login(error, opened, profile) from error
    config.retry_timeout_seconds = PATIENCE_SECONDS
    patience.host = str(config.host)
    return Remote(environment=opened, client=WorkspaceClient(config=config), clock=patience, say=say)


def _no_login(error: Exception, opened: Environment, profile: str | None) -> RemoteError:
    if "profile configured" in message_of(error):
        return NotDeployedError(
            f"there is no profile {profile!r}: {message_of(error)}. Name one of them with --profile."
        )
    where = os.environ.get("DATABRICKS_HOST")
    if where is None and profile is None:
        return UnreachableError(
            f"nothing says which workspace is {opened.name}'s: set DATABRICKS_HOST to its address and log in with az "
            f"login, or name a profile with --profile ({message_of(error)})."
        )
    return UnreachableError(
        f"there is no login for {where or f'profile {profile!r}'}, the workspace of {opened.name}: log in, for example "
        f"with az login ({message_of(error)})."
    )
