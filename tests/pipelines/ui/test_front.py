"""The door to the pages: loopback only, only with the token, only the pages, and what lies behind goes through unchanged."""

import http.client
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from pipelines.__main__ import main
from pipelines.ui.front import Front


class Behind(BaseHTTPRequestHandler):
    """Answers with what was asked, as a server behind the door sees it."""

    def do_POST(self) -> None:
        """Say what came."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        said = (
            f"{self.command} {self.path} {self.headers['Host']} {self.headers.get('Cookie')} {body.decode()}".encode()
        )
        self.send_response(201)
        self.send_header("X-Behind", "yes")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def address_string(self) -> str:
        """A Unix socket has no address."""
        return "unix"

    def log_message(self, *_: object) -> None:
        """Print nothing."""


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """HTTP on a Unix socket."""

    daemon_threads = True


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    """A door to a folder with two pages and a secret, and to one server behind it."""
    root, place = tmp_path / "root", tmp_path / "s.sock"
    (root / "pages").mkdir(parents=True)
    (root / "house.html").write_text('<html lang="en">the house')
    (root / "pages" / "prod-x.html").write_text("a report")
    (root / "registry.db").write_text("secret")
    (root / "prod").mkdir()
    (root / "prod" / "page.html").write_text("secret")
    (tmp_path / "outside.html").write_text("secret")
    (root / "link.html").symlink_to(tmp_path / "outside.html")
    with UnixServer(str(place), Behind) as behind, Front(root, {"/mlflow/prod": place}) as server:
        for one in (behind, server):
            threading.Thread(target=one.serve_forever, daemon=True).start()
        yield server
        for one in (behind, server):
            one.shutdown()


def ask(front: Front, path: str, *, method: str = "GET", body: str | None = None, **headers: str) -> tuple[int, str, http.client.HTTPMessage]:  # fmt: skip
    """Status, content and headers of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", front.server_address[1], timeout=10)
    connection.request(method, path, body=body, headers=headers)
    answer = connection.getresponse()
    found = answer.status, answer.read().decode(), answer.headers
    connection.close()
    return found


def cookie(front: Front) -> str:
    """The cookie that the printed address gives."""
    status, _, headers = ask(front, f"/?token={front.token}")
    assert (status, headers["Location"]) == (303, "/")
    assert "HttpOnly" in headers["Set-Cookie"]
    assert "SameSite=Strict" in headers["Set-Cookie"]
    return headers["Set-Cookie"].partition(";")[0]


def test_it_listens_on_loopback_alone(front: Front) -> None:
    """No other machine reaches it."""
    assert front.server_address[0] == "127.0.0.1"


def test_a_port_that_is_taken_is_told_before_anything_is_written(
    front: Front, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sentence has the remedy; reading a large house first would take minutes."""
    (tmp_path / "dev").mkdir()
    for port, why in ((front.server_address[1], "Address already in use"), (70000, "port must be 0-65535")):
        assert main(["ui", "--root", str(tmp_path), "--port", str(port)]) == 2
        said = capsys.readouterr().err
        assert why in said
        assert said.endswith("give another --port.\n")
    assert not (tmp_path / "house.html").exists()


@pytest.mark.parametrize("path", ["/", "/pages/prod-x.html", "/mlflow/prod/", "/?token=wrong"])
def test_nobody_gets_in_without_the_token(front: Front, path: str) -> None:
    """With none, a wrong one, or the cookie of another port."""
    for given in ({}, {"Cookie": f"mlops_ui_1={front.token}"}, {"Cookie": f"mlops_ui_{front.server_address[1]}=wrong"}):
        status, text, _ = ask(front, path, **given)
        assert (status, "mlops ui has printed" in text) == (403, True)


def test_a_page_of_the_internet_cannot_reach_it_under_another_name(front: Front) -> None:
    """A host name that somebody else lets point here is refused, token or not."""
    status, text, _ = ask(front, "/", Host="evil.example", Cookie=cookie(front))
    assert (status, front.origin in text) == (403, True)


def test_pages_are_served_and_nothing_else(front: Front) -> None:
    """No database, no other folder, no file outside, no way up."""
    inside = {"Cookie": cookie(front)}
    assert ask(front, "/", **inside)[:2] == (200, '<html lang="en" class="served">the house')
    assert ask(front, "/pages/prod-x.html", **inside)[:2] == (200, "a report")
    for path in ("/registry.db", "/prod/page.html", "/link.html", "/../outside.html", "/%2e%2e/outside.html", "/pages/../registry.db"):  # fmt: skip
        status, text, _ = ask(front, path, **inside)
        assert (status, "secret" in text) == (404, False), path
    assert ask(front, "/", method="POST", **inside)[0] == 405


def test_what_is_behind_gets_the_request_without_our_cookie(front: Front) -> None:
    """Method, path, body and answer go through; only below its own prefix."""
    inside = {"Cookie": cookie(front)}
    status, text, headers = ask(front, "/mlflow/prod/ajax-api?x=1", method="POST", body="hello", **inside)
    assert (status, headers["X-Behind"]) == (201, "yes")
    assert text == "POST /mlflow/prod/ajax-api?x=1 localhost None hello"
    assert ask(front, "/mlflow/production", **inside)[0] == 404
