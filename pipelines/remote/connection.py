"""One deployed environment, open for questions: the SDK's client, how long to be patient, and what is said meanwhile.

Requests are repeated in two places. The SDK repeats what was throttled (429, 503) and what got lost on the way; its
clock, which is ours, says so and sets the limit. `Remote.ask` repeats what failed on the other side (other 5xx).
Everything that is asked may be asked twice: runs are started with a token that makes them one.
"""

import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.clock import Clock, RealClock
from databricks.sdk.config import Config
from databricks.sdk.errors import BadRequest, NotFound
from databricks.sdk.errors.base import DatabricksError

from pipelines.declarations.environment import Environment, environment
from pipelines.remote.errors import NotDeployedError, RemoteError, UnreachableError, is_its_own_fault, said, told

Answer = TypeVar("Answer")

PRODUCT = ("lakehouse-mlops", "0.1.0")
"""By which the workspace's audit log knows this command line."""
ANSWER_WITHIN_SECONDS = 60
PATIENCE_SECONDS = 300
"""How long one request is repeated at most."""
LONGEST_WAIT_SECONDS = 120
"""A workspace that asks to wait longer than this is not waited for."""
PROBE_SECONDS = 1
"""The SDK's first, optional look at the host happens before its clock is ours: it is not repeated."""
WAITS_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Between repetitions of what failed on the other side."""


@dataclass(frozen=True, kw_only=True)
class Remote:
    """One environment's workspace.

    Attributes
    ----------
    client
        The SDK's client, logged in by the SDK.
    clock
        Everything that waits, waits by it.
    say
        Takes one line for the person who watches.
    """

    environment: Environment
    client: WorkspaceClient
    clock: "Patience"
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
            What is tried, as the sentence of an error says it: ``"start the job"``.
        call
            Asks through the client; may be called again.

        Raises
        ------
        RemoteError
            With one sentence, whatever went wrong.
        """
        for wait in (*WAITS_SECONDS, None):
            try:
                answer = call()
            except (DatabricksError, requests.RequestException, RemoteError, ValueError, OSError) as error:
                if wait is None or not is_its_own_fault(error):
                    raise told(error, host=self.host, doing=doing) from error
                self.say(f"{self.host} failed ({said(error)}): asking again in {wait:.0f} s")
            else:
                self.clock.has_answered()
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
        Takes what is said while something is waited for.
    clock
        What time is told by; by default the machine's.

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
            profile=profile, product=PRODUCT[0], product_version=PRODUCT[1], clock=patience,
            http_timeout_seconds=ANSWER_WITHIN_SECONDS, retry_timeout_seconds=PROBE_SECONDS,
        )  # fmt: skip
    except (ValueError, OSError) as error:
        raise _no_login(error, opened, profile) from error
    config.retry_timeout_seconds = PATIENCE_SECONDS
    patience.host = str(config.host)
    return Remote(environment=opened, client=WorkspaceClient(config=config), clock=patience, say=say)


class Patience(Clock):
    """The clock that the SDK and we wait by: it says why, and does not wait for what will not come.

    Attributes
    ----------
    host
        Who is waited for.
    """

    def __init__(self, clock: Clock, say: Callable[[str], None]) -> None:
        self.host = "the workspace"
        self._clock, self._say = clock, say
        self._answered = False

    def time(self) -> float:
        """Return the present, seconds since 1970."""
        return self._clock.time()

    def pause(self, seconds: float) -> None:
        """Wait between two looks, for no reason that needs to be said."""
        self._clock.sleep(seconds)

    def has_answered(self) -> None:
        """Note that the workspace is there: from now on a lost connection is a disturbance, and waited for."""
        self._answered = True

    def sleep(self, seconds: float) -> None:
        """Wait before the SDK repeats a request that failed.

        Raises
        ------
        UnreachableError
            If the workspace has never answered, or asks to wait longer than anybody would.
        """
        # The SDK waits while it handles the error that made it wait.
        error = sys.exception()
        if isinstance(error, requests.ConnectionError) and not self._answered:
            raise told(error, host=self.host, doing="ask it anything")
        asked = getattr(error, "retry_after_secs", None)
        if asked is not None and asked > LONGEST_WAIT_SECONDS:
            raise UnreachableError(
                f"{self.host} asks to wait {asked} s before the next request, longer than the {LONGEST_WAIT_SECONDS} s "
                "that are waited for. Try again later."
            )
        why = f"asks to wait ({said(error)})" if error is not None and asked is not None else "did not answer"
        self._say(f"{self.host} {why}: asking again in {seconds:.0f} s")
        self._clock.sleep(seconds)


def _no_login(error: Exception, opened: Environment, profile: str | None) -> RemoteError:
    if "profile configured" in said(error):
        return NotDeployedError(f"there is no profile {profile!r}: {said(error)}. Name one of them with --profile.")
    where = os.environ.get("DATABRICKS_HOST")
    if where is None and profile is None:
        return UnreachableError(
            f"nothing says which workspace is {opened.name}'s: set DATABRICKS_HOST to its address and log in with az "
            f"login, or name a profile with --profile ({said(error)})."
        )
    return UnreachableError(
        f"there is no login for {where or f'profile {profile!r}'}, the workspace of {opened.name}: log in, for example "
        f"with az login ({said(error)})."
    )
