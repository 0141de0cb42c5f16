"""Opens a page in the Chromium of this machine, lets axe-core look at it, and returns what it found."""

import importlib.util
import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
WIDTHS = (1280, 390)
SERIOUS = ("serious", "critical")
PATIENCE = 240  # seconds between two results: much more than a page takes on a busy machine
LOOK = """
for (const one of document.querySelectorAll("details")) one.open = true;
axe.run(document, {resultTypes: ["violations"]}).then(found => {
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  const edge = document.documentElement.clientWidth;
  const beyond = wide <= 0 ? [] : [...document.body.querySelectorAll("*")].filter(
    one => !one.closest(".scroll") && one.getBoundingClientRect().right > edge).map(one => one.outerHTML.slice(0, 120));
  const cut = [], overlaps = [], small = [];
  for (const picture of document.querySelectorAll("svg")) {
    const frame = picture.getBoundingClientRect();
    const texts = [...picture.querySelectorAll("text")].map(one => [one.textContent.trim(), one.getBoundingClientRect(), one]);
    for (const [said, box, one] of texts) {
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1) cut.push(said);
      const holder = one.previousElementSibling;
      if (holder && holder.tagName === "rect" && box.right > holder.getBoundingClientRect().right) cut.push(said);
    }
    texts.forEach(([said, a], place) => texts.slice(place + 1).forEach(([other, b]) => {
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left), down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (across > 1 && down > 3) overlaps.push(`${said} / ${other}`);
    }));
    const size = frame.width / (picture.viewBox.baseVal.width || frame.width) * parseFloat(texts.length ? getComputedStyle(texts[0][2]).fontSize : 12);
    if (texts.length && size < 9) small.push(`${picture.getAttribute("aria-label") || picture.textContent.slice(0, 40)}: ${size.toFixed(1)}`);
  }
  const shown = document.createElement("pre");
  shown.id = "axe-result";
  const sideways = [...document.querySelectorAll(".scroll:has(table)")].filter(one => one.scrollWidth > one.clientWidth + 1)
    .map(one => (one.querySelector("caption") || one).textContent.trim().slice(0, 80));
  shown.textContent = JSON.stringify({wide, beyond, sideways, cut, overlaps, small, found: found.violations.map(
    one => ({id: one.id, impact: one.impact, html: one.nodes.map(node => node.html.slice(0, 160))}))});
  document.body.appendChild(shown);
});
"""

SHOWN = """
const shown = document.createElement("pre");
shown.id = "axe-result";
shown.textContent = document.body.innerText;
document.body.appendChild(shown);
"""


def looked_at(
    pages: Mapping[str, str], folder: Path, widths: Sequence[int] = WIDTHS
) -> dict[tuple[str, int], dict[str, Any]]:
    """Return what axe-core finds on pages with everything opened, and by how much each is wider than its window.

    Chromium's narrowest window is 500 pixels wide, so each page is put into a frame of the wanted width; all frames are in
    one window, because starting the browser takes longest.

    Returns
    -------
    dict
        Name and width to ``found`` (id, impact and HTML), ``wide`` (pixels) and ``beyond`` (the elements that are); and of
        the captions of tables that scroll ``sideways``, the texts in pictures those that are ``cut`` off, that ``overlaps``, and pictures whose text is ``small``er than 9 pixels.
    """
    axe = axe_core().replace("</script", "<\\/script")
    told = _told(pages, folder, widths, f"<script>{axe}</script><script>{LOOK}</script>")
    return {where: json.loads(text) for where, text in told.items()}


def shown_text(pages: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return the text that a browser shows of pages on a desk, without what is hidden."""
    return {name: text for (name, _), text in _told(pages, folder, WIDTHS[:1], f"<script>{SHOWN}</script>").items()}


def _told(pages: Mapping[str, str], folder: Path, widths: Sequence[int], script: str) -> dict[tuple[str, int], str]:
    """Return what a script that is put into each page writes into its element `axe-result`, by name and width.

    Every frame sends its result as soon as it has one, and the browser is ended by the last: how long a page takes on a busy
    machine decides nothing. An error of a script in a page is told in place of its result.
    """
    told: Queue[dict[str, Any]] = Queue()
    with _listening(told) as address:
        frames = []
        for place, (name, page) in enumerate(pages.items()):
            for width in widths:
                result = f'{{name: {json.dumps(name)}, width: {width}, result: document.getElementById("axe-result").textContent}}'
                sends = (
                    f"<script>const tell = (one) => fetch('{address}', {{method: 'POST', mode: 'no-cors', body: JSON.stringify(one)}});"
                    "addEventListener('unhandledrejection', event => tell({error: String(event.reason)}));"
                    "addEventListener('error', event => tell({error: event.message}));"
                    "new MutationObserver((_, self) => {if (document.getElementById('axe-result')) "
                    f"{{self.disconnect(); tell({result});}}}}).observe(document.body, {{childList: true}});</script>"
                )
                inner = f"{sends}{script}"
                (folder / f"{place}-{width}.html").write_text(
                    page.replace("</body>", f"{inner}</body>"), encoding="utf-8"
                )
                frames.append(f'<iframe src="{place}-{width}.html" width="{width}" height="900" title="page"></iframe>')
        outer = folder / "all.html"
        outer.write_text(f"<!DOCTYPE html><body>{''.join(frames)}</body>", encoding="utf-8")
        command = [
            browser(),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={folder / 'profile'}",
            f"file://{outer}",
        ]
        with (folder / "browser.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
            try:
                results = [told.get(timeout=PATIENCE) for _ in frames]
            except Empty:
                pytest.fail(
                    f"a page told nothing for {PATIENCE} seconds: {(folder / 'browser.log').read_text()[-500:]}"
                )
            finally:
                process.terminate()
    errors = [one["error"] for one in results if "error" in one]
    assert not errors, errors
    return {(one["name"], one["width"]): one["result"] for one in results}


@contextmanager
def _listening(told: "Queue[dict[str, Any]]") -> Iterator[str]:
    """Give the address, on loopback, of a server that puts the JSON of every request into a queue."""

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Print nothing: what counts is in the queue."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def browser() -> str:
    """Return the path of a Chromium; skips with one line where there is none."""
    found = next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no page is opened: none of {', '.join(PROGRAMS)} is here")
    return found


def axe_core() -> str:
    """Return the script of axe-core; skips with one line where its package is not installed."""
    found = importlib.util.find_spec("axe_core_python")
    if found is None or found.origin is None:
        pytest.skip("no page is judged: the package axe-core-python is not installed (make setup)")
    return Path(found.origin).with_name("axe.min.js").read_text(encoding="utf-8")
