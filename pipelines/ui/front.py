"""The one door to the pages and to MLflow: loopback only, and only with the token that the command printed.

Other users of the machine reach a port on loopback too, and a page of the internet can send a browser there. So each request
needs the token, once in the address and then as a cookie, and has to name this server as its host.
"""

import http.client
import secrets
import socket
from collections.abc import Mapping
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from ml.spec.errors import NotPossibleError
from pipelines.report.mlflow_links import as_served

LOOPBACK = "127.0.0.1"
COOKIE = "mlops_ui"
HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that concern one connection (https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1)."""
SECONDS = 60


class Front(ThreadingHTTPServer):
    """Serves the pages of a folder and what lies behind it.

    Attributes
    ----------
    token
        Who has it is let in.
    root
        Its HTML files, and those of its folder ``pages``, are served; nothing else is.
    behind
        Beginning of a path to the Unix socket of the server that answers it; may be added to.

    Raises
    ------
    NotPossibleError
        If the port is taken, or is none.
    """

    daemon_threads = True

    def __init__(self, root: Path, behind: Mapping[str, Path], *, port: int = 0) -> None:
        try:
            super().__init__((LOOPBACK, port), _Handler)
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise NotPossibleError(f"{LOOPBACK}:{port} cannot be listened on ({why}): give another --port.") from error
        self.root, self.behind, self.token = root, dict(behind), secrets.token_urlsafe(32)

    @property
    def origin(self) -> str:
        """The address without the token."""
        return f"http://{LOOPBACK}:{self.server_address[1]}"

    @property
    def address(self) -> str:
        """The address to open, with the token."""
        return f"{self.origin}/?token={self.token}"


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class _Handler(BaseHTTPRequestHandler):
    server: Front
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # the name that the base class calls
        """Answer any request."""
        parts = urlsplit(self.path)
        given = dict(parse_qsl(parts.query)).get("token", "")
        if self.headers.get("Host") not in (self.server.origin.removeprefix("http://"),):
            self._say(HTTPStatus.FORBIDDEN, f"open {self.server.origin}: this is another name for it")
        elif given and self._fits(given):
            self._let_in(parts.path)
        elif not self._fits(self._cookie()):
            self._say(HTTPStatus.FORBIDDEN, "open the address that mlops ui has printed, with its token")
        elif (socket_path := self._behind(parts.path)) is not None:
            self._forward(socket_path)
        elif self.command != "GET":
            self._say(HTTPStatus.METHOD_NOT_ALLOWED, "pages are only read")
        else:
            self._file(unquote(parts.path))

    def do_POST(self) -> None:
        """Answer any request."""
        self.do_GET()

    def do_PUT(self) -> None:
        """Answer any request."""
        self.do_GET()

    def do_PATCH(self) -> None:
        """Answer any request."""
        self.do_GET()

    def do_DELETE(self) -> None:
        """Answer any request."""
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Print nothing: addresses hold the token."""

    def _fits(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self.server.token.encode())

    def _cookie(self) -> str:
        try:
            found = SimpleCookie(self.headers.get("Cookie", "")).get(self._cookie_name)
        except CookieError:
            return ""
        return found.value if found else ""

    @property
    def _cookie_name(self) -> str:
        # Cookies do not distinguish ports.
        return f"{COOKIE}_{self.server.server_address[1]}"

    def _let_in(self, path: str) -> None:
        self.send_response(HTTPStatus.SEE_OTHER)
        self.send_header("Location", path)
        self.send_header("Set-Cookie", f"{self._cookie_name}={self.server.token}; Path=/; HttpOnly; SameSite=Strict")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _behind(self, path: str) -> Path | None:
        return next(
            (place for start, place in self.server.behind.items() if path == start or path.startswith(f"{start}/")),
            None,
        )

    def _forward(self, place: Path) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else None
        headers = {name: value for name, value in self.headers.items() if name.lower() not in {*HOP_BY_HOP, "host", "cookie", "origin"}}  # fmt: skip
        connection = _UnixConnection(place)
        try:
            connection.request(self.command, self.path, body=body, headers={**headers, "Host": "localhost"})
            answer = connection.getresponse()
            content = answer.read()
        except OSError as error:
            self._say(HTTPStatus.BAD_GATEWAY, f"MLflow does not answer: {error}")
            return
        finally:
            connection.close()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {*HOP_BY_HOP, "content-length"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _file(self, path: str) -> None:
        name = path.strip("/") or "house.html"
        file = (self.server.root / name).resolve()
        allowed = (self.server.root.resolve(), (self.server.root / "pages").resolve())
        if file.parent not in allowed or file.suffix != ".html" or not file.is_file():
            self._say(HTTPStatus.NOT_FOUND, f"there is no page {path}")
            return
        self._send(HTTPStatus.OK, as_served(file.read_bytes()), "text/html; charset=utf-8")

    def _say(self, status: HTTPStatus, sentence: str) -> None:
        self._send(status, f"{sentence}\n".encode(), "text/plain; charset=utf-8")

    def _send(self, status: HTTPStatus, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(content)
