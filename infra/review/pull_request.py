"""The one comment on a pull request in Azure Repos: found by its marker, made the first time, updated from then on.

Talks to the REST API of Azure DevOps (Git, Pull Request Threads, version 7.1) with the token that the pipeline's run
has been given for itself, which ends with the run.
"""

import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any

from ml.spec.errors import NotPossibleError

API_VERSION = "7.1"
CONTINUATION = "x-ms-continuationtoken"
ATTEMPTS = 4
LONGEST_WAIT_SECONDS = 60.0
CLOSED = 4
"""The thread's status. An open one would have to be resolved by a person each time before the merge."""

VARIABLES: Mapping[str, str] = {
    "SYSTEM_COLLECTIONURI": "collection",
    "SYSTEM_TEAMPROJECTID": "project",
    "BUILD_REPOSITORY_ID": "repository",
    "SYSTEM_PULLREQUEST_PULLREQUESTID": "pull_request",
    "SYSTEM_ACCESSTOKEN": "token",
}
"""Predefined variables of Azure Pipelines and what they say; a step must ask for the token by name."""


class CommentError(NotPossibleError):
    """The comment cannot be posted; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class PullRequest:
    """Which pull request is meant, and the run's own token."""

    collection: str
    project: str
    repository: str
    pull_request: str
    token: str

    @classmethod
    def of_run(cls, environment: Mapping[str, str]) -> "PullRequest | None":
        """Return the pull request that the pipeline's run is for; None for the run of a fork, which has no token.

        Raises
        ------
        CommentError
            If this is no run for a pull request, or the step has not asked for its token.
        """
        given = {field: _value(environment, name) for name, field in VARIABLES.items()}
        if not given["token"] and _value(environment, "SYSTEM_PULLREQUEST_ISFORK").lower() == "true":
            return None
        missing = [name for name, field in VARIABLES.items() if not given[field]]
        if missing == ["SYSTEM_ACCESSTOKEN"]:
            raise CommentError(
                "the step has no token: give it `SYSTEM_ACCESSTOKEN: $(System.AccessToken)` in its `env`."
            )
        if missing:
            raise CommentError(f"this is no run for a pull request in Azure Pipelines: {', '.join(missing)} not set.")
        return cls(**given)

    @property
    def threads(self) -> str:
        """The address of its threads."""
        parts = (self.project, "_apis/git/repositories", self.repository, "pullRequests", self.pull_request, "threads")
        return "/".join([self.collection.rstrip("/"), *(urllib.parse.quote(part) for part in parts)])


def post(to: PullRequest, text: str, *, marker: str, wait: Callable[[float], None] = time.sleep) -> str:
    """Make or update the comment and return its thread's id and what was done, for people.

    Parameters
    ----------
    text
        Markdown that begins with `marker`.
    wait
        Waits that many seconds between two attempts.

    Raises
    ------
    CommentError
        If Azure DevOps does not take it.
    """
    try:
        return _posted(_Calls(to.token, wait), to, text, marker)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        told = f"{type(error).__name__}: {error}"
        raise CommentError(f"Azure DevOps answered what its API never does ({told}): run the step again.") from error


def _posted(calls: "_Calls", to: PullRequest, text: str, marker: str) -> str:
    for thread in calls.threads(to.threads):
        found = next((c for c in thread.get("comments") or () if _ours(c, marker)), None)
        if found is None or thread.get("isDeleted"):
            continue
        if str(found["content"]).rstrip() == text.rstrip():
            return f"thread {thread['id']}: unchanged"
        calls.call("PATCH", f"{to.threads}/{thread['id']}/comments/{found['id']}", {"content": text})
        return f"thread {thread['id']}: updated"
    body = {"comments": [{"parentCommentId": 0, "content": text, "commentType": 1}], "status": CLOSED}
    made, _ = calls.call("POST", to.threads, body)
    return f"thread {made['id']}: made"


def _ours(comment: Mapping[str, Any], marker: str) -> bool:
    return not comment.get("isDeleted") and str(comment.get("content") or "").startswith(marker)


def _value(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "").strip()
    # Azure Pipelines leaves the name of a variable that does not exist as it stands.
    return "" if value.startswith("$(") else value


@dataclass(frozen=True)
class _Calls:
    token: str
    wait: Callable[[float], None]

    def threads(self, address: str) -> Iterator[Mapping[str, Any]]:
        """Yield every thread, page after page."""
        after = ""
        while True:
            page, headers = self.call("GET", address, query={"continuationToken": after} if after else {})
            yield from page.get("value", ())
            after = headers.get(CONTINUATION, "")
            if not after:
                return

    def call(
        self, method: str, address: str, body: Mapping[str, Any] | None = None, query: Mapping[str, str] | None = None
    ) -> tuple[Mapping[str, Any], Message]:
        """Call and return the answer and its headers; ask again where that can help and can do nothing twice."""
        asked = {**(query or {}), "api-version": API_VERSION}
        request = urllib.request.Request(  # noqa: S310 # the address is that of the pipeline's own collection
            f"{address}?{urllib.parse.urlencode(asked)}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return _answer(request)
            except urllib.error.HTTPError as error:
                again = error.code == 429 or (error.code >= 500 and method != "POST")
                if not again or attempt == ATTEMPTS:
                    raise CommentError(_sentence(error.code)) from error
                self.wait(_pause(error.headers.get("Retry-After"), attempt))
            except (OSError, http.client.HTTPException) as error:
                if method == "POST" or attempt == ATTEMPTS:
                    raise CommentError(f"Azure DevOps cannot be reached: {error}. Run the step again.") from error
                self.wait(_pause(None, attempt))
        raise AssertionError("the last attempt returns or raises")


def _answer(request: urllib.request.Request) -> tuple[Mapping[str, Any], Message]:
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 # as above
        content = answer.read()
        # A token that is not accepted is answered with 203 or a page to sign in, not with 401.
        if answer.status == 203 or "json" not in answer.headers.get("Content-Type", ""):
            raise CommentError(_sentence(401))
        return json.loads(content), answer.headers


def _pause(retry_after: str | None, attempt: int) -> float:
    """Return the seconds to wait: what the server asks for, else twice as long each time."""
    asked = float(retry_after) if retry_after and retry_after.isdigit() else float(2**attempt)
    return min(asked, LONGEST_WAIT_SECONDS)


def _sentence(status: int) -> str:
    known = {
        401: "Azure DevOps does not accept the token: it has expired, or it is not that of this run.",
        403: "the build identity may not comment: give it `Contribute to pull requests` with `python -m infra devops`.",
        404: "there is no such pull request, or the build identity may not see its repository.",
        429: "Azure DevOps asks to wait, and still does after several attempts: run the step again later.",
    }
    return known.get(status, f"Azure DevOps answered with status {status}: run the step again.")
