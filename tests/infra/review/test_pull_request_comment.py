"""One comment per pull request, over HTTP against a loopback server that answers as Azure DevOps does."""

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from infra.__main__ import main
from infra.review.markdown import MARKER
from infra.review.pull_request import CommentError, PullRequest, post

TEXT = f"{MARKER}\n## What this change means\n"
PATH = "/meridian-air/9d0c/_apis/git/repositories/11aa/pullRequests/7/threads"


class Forge(ThreadingHTTPServer):
    """The threads of one pull request, two to a page, and the answers to be given instead of the next ones."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.threads: list[dict[str, Any]] = []
        self.instead: list[tuple[int, dict[str, str], bytes]] = []
        self.asked: list[tuple[str, str, Any]] = []

    def to(self, token: str = "the-token-of-the-run") -> PullRequest:  # noqa: S107 # of this server alone
        """Return the pull request with the address of this server."""
        return PullRequest(
            collection=f"http://127.0.0.1:{self.server_port}/meridian-air/", project="9d0c", repository="11aa",
            pull_request="7", token=token,
        )  # fmt: skip

    def add(self, *contents: str, **other: Any) -> dict[str, Any]:
        """Add a thread with comments, as the API returns one."""
        comments = [
            {"id": number, "parentCommentId": 0, "content": content, "commentType": "text", "isDeleted": False}
            for number, content in enumerate(contents, start=1)
        ]
        thread = {"id": 100 + len(self.threads), "comments": comments, "status": "active", "isDeleted": False, **other}
        self.threads.append(thread)
        return thread

    def done(self) -> list[str]:
        """Return the methods that were called."""
        return [method for method, _, _ in self.asked]


class Answers(BaseHTTPRequestHandler):
    """Lists threads with pages, makes one, changes a comment."""

    server: Forge

    def do_GET(self) -> None:
        """Return a page of threads, and where the next one begins."""
        if self._instead(None):
            return
        start = int(parse_qs(urlsplit(self.path).query).get("continuationToken", ["0"])[0])
        page = self.server.threads[start : start + 2]
        more = {"x-ms-continuationtoken": str(start + 2)} if start + 2 < len(self.server.threads) else {}
        self._answer(200, {"value": page, "count": len(page)}, more)

    def do_POST(self) -> None:
        """Make a thread."""
        body = self._body()
        if not self._instead(body):
            thread = self.server.add(*(comment["content"] for comment in body["comments"]), status=body["status"])
            self._answer(200, thread)

    def do_PATCH(self) -> None:
        """Change a comment."""
        body = self._body()
        if self._instead(body):
            return
        match = re.fullmatch(rf"{PATH}/(\d+)/comments/(\d+)", urlsplit(self.path).path)
        assert match
        thread = next(thread for thread in self.server.threads if thread["id"] == int(match[1]))
        comment = next(comment for comment in thread["comments"] if comment["id"] == int(match[2]))
        comment["content"] = body["content"]
        self._answer(200, comment)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _body(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def _instead(self, body: Any) -> bool:
        """Note the call; answer it with what a test wants, or as the API does without a good token."""
        url = urlsplit(self.path)
        self.server.asked.append((self.command, url.path, body))
        assert parse_qs(url.query)["api-version"] == ["7.1"]
        if self.server.instead:
            status, headers, content = self.server.instead.pop(0)
            self._send(status, {"Content-Type": "application/json", **headers}, content)
            return True
        if self.headers["Authorization"] != "Bearer the-token-of-the-run":
            self._send(203, {"Content-Type": "text/html; charset=utf-8"}, b"<html>Sign in</html>")
            return True
        return False

    def _answer(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        encoded = json.dumps(content).encode()
        self._send(
            status, {"Content-Type": "application/json; charset=utf-8; api-version=7.1", **(headers or {})}, encoded
        )

    def _send(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def forge() -> Iterator[Forge]:
    """Run the server for one test."""
    server = Forge()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record the pauses between two attempts instead of waiting."""
    pauses: list[float] = []
    monkeypatch.setattr("urllib3.util.retry.time.sleep", pauses.append)
    return pauses


def test_the_first_review_makes_one_closed_thread(forge: Forge) -> None:
    """Closed, so that nobody has to resolve it before the merge."""
    forge.add("a remark of a person")
    assert post(forge.to(), TEXT, marker=MARKER) == "thread 101: created"
    assert [c["content"] for c in forge.threads[1]["comments"]] == [TEXT]
    assert forge.threads[1]["status"] == 4
    assert {path for _, path, _ in forge.asked} == {PATH}


def test_the_next_review_updates_it_wherever_it_stands(forge: Forge) -> None:
    """Found on the third page, among threads that only mention the mark; a second comment is never made."""
    for number in range(4):
        forge.add(f"remark {number} on {MARKER}")
    mine = forge.add(TEXT, "a reply of a person")
    forge.add("the last remark")
    assert post(forge.to(), TEXT + "more\n", marker=MARKER) == f"thread {mine['id']}: updated"
    assert [c["content"] for c in mine["comments"]] == [TEXT + "more\n", "a reply of a person"]
    assert len(forge.threads) == 6
    assert forge.done() == ["GET", "GET", "GET", "PATCH"]


def test_the_same_review_changes_nothing(forge: Forge) -> None:
    """No mail goes out to anybody."""
    forge.add(TEXT.rstrip())
    assert post(forge.to(), TEXT, marker=MARKER).endswith("unchanged")
    assert forge.done() == ["GET"]


def test_a_comment_that_was_deleted_is_made_again(forge: Forge) -> None:
    """Deleted comments stay in the list, without their content."""
    forge.add(TEXT)["comments"][0].update(isDeleted=True, content=None)
    forge.add(TEXT, isDeleted=True)
    assert post(forge.to(), TEXT, marker=MARKER) == "thread 102: created"


CUT_OFF = (200, {"Content-Length": "99"}, b'{"value": [')


@pytest.mark.parametrize("instead", [(429, {"Retry-After": "3"}, b"{}"), (503, {}, b"busy"), (500, {}, b"{}"), CUT_OFF])
def test_reading_is_tried_again(forge: Forge, instead: tuple[int, dict[str, str], bytes], waited: list[float]) -> None:
    """After the time that the server asks for, else at once and then after a longer pause each time."""
    forge.instead = [instead, instead]
    post(forge.to(), TEXT, marker=MARKER)
    assert waited == ([3.0, 3.0] if "Retry-After" in instead[1] else [4.0])
    assert len(forge.threads) == 1


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "3"}])
def test_making_is_not_tried_again_after_an_error_of_the_server(forge: Forge, headers: dict[str, str]) -> None:
    """The thread may exist already: the next run finds and updates it."""
    forge.instead = [(200, {}, b'{"value": []}'), (503, headers, b"busy")]
    with pytest.raises(CommentError, match="status 503: run the step again"):
        post(forge.to(), TEXT, marker=MARKER)
    assert forge.done() == ["GET", "POST"]


def test_making_is_tried_again_when_requests_are_throttled(forge: Forge, waited: list[float]) -> None:
    """A throttled request has created nothing; a long pause is cut to a minute."""
    forge.instead = [(200, {}, b'{"value": []}'), (429, {"Retry-After": "3600"}, b"{}")]
    post(forge.to(), TEXT, marker=MARKER)
    assert (forge.done(), waited, len(forge.threads)) == (["GET", "POST", "POST"], [60], 1)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "does not accept the token"),
        (403, "give it `Contribute to pull requests`"),
        (404, "there is no such pull request"),
        (429, "throttles requests, still after several attempts"),
        (500, "answered with status 500"),
    ],
)
def test_what_azure_devops_refuses_is_one_sentence(forge: Forge, status: int, said: str) -> None:
    """Whatever it answers with."""
    forge.instead = [(status, {}, b"{}")] * 4
    with pytest.raises(CommentError, match=said):
        post(forge.to(), TEXT, marker=MARKER)


@pytest.mark.parametrize(
    ("instead", "said"),
    [
        ([CUT_OFF] * 4, "cannot be reached: .*IncompleteRead"),
        ([(200, {}, b'{"value": []}'), CUT_OFF], "cannot be reached: .*IncompleteRead"),
        ([(200, {}, b'{"value": [')], "gave an answer that is not of its API [(]Expecting value"),
        ([(200, {}, b"[]")], "gave an answer that is not of its API [(]'list' object"),
        ([(200, {}, b'{"value": [5]}')], "gave an answer that is not of its API"),
        ([(200, {}, b'{"value": null}')], "gave an answer that is not of its API"),
        ([(200, {}, b'{"value": []}'), (200, {}, b"{}")], "gave an answer that is not of its API [(]'id'"),
    ],
)
def test_an_answer_that_is_none_of_the_api_is_one_sentence(
    forge: Forge, instead: list[tuple[int, dict[str, str], bytes]], said: str
) -> None:
    """Cut off on its way, or made by something in between; nothing is made twice."""
    forge.instead = instead
    with pytest.raises(CommentError, match=said):
        post(forge.to(), TEXT, marker=MARKER)
    assert forge.done().count("POST") <= 1


def test_a_token_that_has_expired_is_answered_with_a_page_to_sign_in(forge: Forge) -> None:
    """With status 203, which is no error to a library."""
    with pytest.raises(CommentError, match="does not accept the token: it has expired"):
        post(forge.to("old"), TEXT, marker=MARKER)


def test_nothing_answers(forge: Forge) -> None:
    """No network is one sentence too."""
    to = forge.to()
    forge.server_close()
    with pytest.raises(CommentError, match="cannot be reached"):
        post(to, TEXT, marker=MARKER)


@pytest.fixture
def run_of(forge: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that runs the command as a step of a pipeline with some variables."""
    file = tmp_path / "review.md"
    file.write_text(TEXT, encoding="utf-8")

    def run(**other: str) -> int:
        given = {
            "SYSTEM_COLLECTIONURI": f"http://127.0.0.1:{forge.server_port}/meridian-air/",
            "SYSTEM_TEAMPROJECTID": "9d0c", "BUILD_REPOSITORY_ID": "11aa", "SYSTEM_PULLREQUEST_PULLREQUESTID": "7",
            "SYSTEM_PULLREQUEST_ISFORK": "False", "SYSTEM_ACCESSTOKEN": "the-token-of-the-run", **other,
        }  # fmt: skip
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        return main(["comment", str(file)])

    return run


def test_the_command_posts_with_what_the_pipeline_predefines(forge: Forge, run_of: Any) -> None:
    """Exit code 0, and 1 where Azure DevOps refuses."""
    assert run_of() == 0
    assert len(forge.threads) == 1
    assert run_of(SYSTEM_ACCESSTOKEN="other") == 1


def test_the_run_of_a_fork_posts_nothing_and_succeeds(
    forge: Forge, run_of: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has no token; Azure Pipelines leaves the variable's name where a value would be."""
    assert run_of(SYSTEM_PULLREQUEST_ISFORK="True", SYSTEM_ACCESSTOKEN="$(System.AccessToken)") == 0
    assert capsys.readouterr().out == "the run of a fork has no token: the comment is not posted.\n"
    assert forge.asked == []


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("SYSTEM_ACCESSTOKEN", "give it `SYSTEM_ACCESSTOKEN: $(System.AccessToken)`"),
        ("SYSTEM_PULLREQUEST_PULLREQUESTID", "this is not the run of a pull request"),
    ],
)
def test_a_step_without_a_variable_gets_a_sentence_that_names_it(
    run_of: Any, variable: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """And not taken for a fork's."""
    assert run_of(**{variable: ""}) == 2
    assert said in capsys.readouterr().err


def test_another_file_is_not_posted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the mark it would be posted again each time."""
    (tmp_path / "other.md").write_text("# Other", encoding="utf-8")
    assert main(["comment", str(tmp_path / "other.md")]) == 2
    assert main(["comment", str(tmp_path / "none.md")]) == 2
    assert capsys.readouterr().err.count("write it with `review --out`") == 2
