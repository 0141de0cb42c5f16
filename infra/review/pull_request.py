"""The one comment on a pull request in Azure Repos: found by its marker, created the first time, updated from then on.

Calls the REST API of Azure DevOps (Git, Pull Request Threads, version 7.1) with the token of the pipeline's own run,
which expires with the run.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import urllib3
from requests.utils import get_environ_proxies, select_proxy
from urllib3.exceptions import HTTPError, MaxRetryError
from urllib3.util import Retry

from ml.spec.errors import NotPossibleError

API_VERSION = "7.1"
CONTINUATION = "x-ms-continuationtoken"
ATTEMPTS = 4
LONGEST_WAIT_SECONDS = 60
CLOSED = 4
"""The thread's status. An open one would have to be resolved by a person each time before the merge."""

VARIABLES: Mapping[str, str] = {
    "SYSTEM_COLLECTIONURI": "collection",
    "SYSTEM_TEAMPROJECTID": "project",
    "BUILD_REPOSITORY_ID": "repository",
    "SYSTEM_PULLREQUEST_PULLREQUESTID": "pull_request",
    "SYSTEM_ACCESSTOKEN": "token",
}
"""Predefined variables of Azure Pipelines and their meaning; a step must pass the token on by name."""


class CommentError(NotPossibleError):
    """The comment cannot be posted; the message has the cause and the remedy."""


class PostingError(CommentError):
    """Azure DevOps did not accept the comment; the review itself is not in question."""

    exit_code = 1


@dataclass(frozen=True, kw_only=True)
class PullRequest:
    """One pull request, and the token of the pipeline's run."""

    collection: str
    project: str
    repository: str
    pull_request: str
    token: str

    @classmethod
    def of_run(cls, environment: Mapping[str, str]) -> "PullRequest | None":
        """Return the pull request of the pipeline's run; None for the run of a fork, which has no token.

        Raises
        ------
        CommentError
            If this is not the run of a pull request, or the step does not pass its token on.
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
            raise CommentError(
                f"this is not the run of a pull request in Azure Pipelines: {', '.join(missing)} not set."
            )
        return cls(**given)

    @property
    def threads(self) -> str:
        """The address of its threads."""
        parts = (self.project, "_apis/git/repositories", self.repository, "pullRequests", self.pull_request, "threads")
        return "/".join([self.collection.rstrip("/"), *(quote(part) for part in parts)])


def post(to: PullRequest, text: str, *, marker: str) -> str:
    """Create or update the comment and return its thread's id and what was done, for people.

    Parameters
    ----------
    text
        Markdown that begins with `marker`.

    Raises
    ------
    PostingError
        If Azure DevOps does not accept it.
    """
    try:
        return _posted(_Api(to), text, marker)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        problem = str(error) or "an answer of another form"
        raise PostingError(
            f"Azure DevOps gave an answer that is not of its API ({problem}): run the step again."
        ) from error


def _posted(api: "_Api", text: str, marker: str) -> str:
    for thread in api.threads():
        found = next((c for c in thread.get("comments") or () if _ours(c, marker)), None)
        if found is None or thread.get("isDeleted"):
            continue
        if str(found["content"]).rstrip() == text.rstrip():
            return f"thread {thread['id']}: unchanged"
        api.call("PATCH", f"/{thread['id']}/comments/{found['id']}", {"content": text})
        return f"thread {thread['id']}: updated"
    comment = {"parentCommentId": 0, "content": text, "commentType": 1}
    created = api.call("POST", "", {"comments": [comment], "status": CLOSED}).json()
    return f"thread {created['id']}: created"


def _ours(comment: Mapping[str, Any], marker: str) -> bool:
    return not comment.get("isDeleted") and str(comment.get("content") or "").startswith(marker)


def _value(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "").strip()
    # Azure Pipelines does not replace the name of a variable that does not exist.
    return "" if value.startswith("$(") else value


class _RetryAfter(Retry):
    """Waits as long as the server asks for, after status 429 alone: Azure DevOps sends it before it does anything."""

    RETRY_AFTER_STATUS_CODES = frozenset({429})


_REPEATABLE = _RetryAfter(
    total=ATTEMPTS - 1,
    backoff_factor=2,
    status_forcelist={429, *range(500, 600)},
    allowed_methods=None,
    raise_on_status=False,
    retry_after_max=LONGEST_WAIT_SECONDS,
)
_CREATING = _REPEATABLE.new(status_forcelist={429}, read=False)
"""A request that creates a thread is not repeated once the server may have created it."""


class _Api:
    """The threads of one pull request, over HTTP."""

    def __init__(self, to: PullRequest) -> None:
        proxy = select_proxy(to.threads, get_environ_proxies(to.threads))
        self._pool = urllib3.ProxyManager(proxy) if proxy else urllib3.PoolManager()
        self._to = to

    def threads(self) -> Iterator[Mapping[str, Any]]:
        """Yield every thread, page after page."""
        query: dict[str, str] = {}
        while True:
            page = self.call("GET", query=query)
            yield from page.json().get("value", ())
            if not page.headers.get(CONTINUATION):
                return
            query = {"continuationToken": page.headers[CONTINUATION]}

    def call(
        self,
        method: str,
        path: str = "",
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """Call and return the answer; repeat the request where that can help and does nothing twice."""
        address = f"{self._to.threads}{path}?{urlencode({**(query or {}), 'api-version': API_VERSION})}"
        try:
            answer = self._pool.request(
                method,
                address,
                json=body,
                headers={"Authorization": f"Bearer {self._to.token}"},
                timeout=30,
                retries=_CREATING if method == "POST" else _REPEATABLE,
            )
        except HTTPError as error:
            reason = error.reason if isinstance(error, MaxRetryError) and error.reason else error
            raise PostingError(f"Azure DevOps cannot be reached: {reason}. Run the step again.") from error
        if answer.status >= 400:
            raise PostingError(_sentence(answer.status))
        # A token that is not accepted is answered with 203 or a page to sign in, not with 401.
        if answer.status == 203 or "json" not in answer.headers.get("Content-Type", ""):
            raise PostingError(_sentence(401))
        return answer


def _sentence(status: int) -> str:
    known = {
        401: "Azure DevOps does not accept the token: it has expired, or it is not the token of this run.",
        403: "the build identity may not comment: give it `Contribute to pull requests` with `python -m infra devops`.",
        404: "there is no such pull request, or the build identity may not see its repository.",
        429: "Azure DevOps throttles requests, still after several attempts: run the step again later.",
    }
    return known.get(status, f"Azure DevOps answered with status {status}: run the step again.")
