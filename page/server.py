"""The dashboard's server: four files, for browsers on this machine alone.

Owns: the address, what is refused, the thread that takes a snapshot every few seconds for all who look.

It listens on loopback, and answers only requests that name it by a loopback name: a page of the internet whose name was
made to point here (DNS rebinding) is refused. It only reads; there is no other method and no other path.
"""

from __future__ import annotations

import errno
import hashlib
import threading
import traceback
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from page.facts import Data
from page.onefile import as_json, file

ADDRESS: Final = "127.0.0.1"
EVERY_SECONDS: Final = 5.0
"""Between the end of one look at the clusters and the next."""
IDLE_SECONDS: Final = 10.0
"""A connection that says nothing is closed."""
UNASKED_SECONDS: Final = 60.0
"""When nobody has asked for this long, the clusters are left alone until somebody does."""

PAGE: Final = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
DATA: Final = "/data.json"
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}

See = Callable[[], Mapping[str, Data]]


class PortTakenError(Exception):
    """Somebody else listens on the port, or we may not."""


class Latest:
    """The last snapshot as JSON, renewed by one thread while somebody looks."""

    def __init__(self, see: See, every: float) -> None:
        self._see, self._every = see, every
        self._body: bytes | None = None
        self._asked = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="snapshots", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._asked.set()
        self._thread.start()

    def stop(self) -> None:
        """Look no more. A look that is under way may end by itself."""
        self._ended.set()
        self._asked.set()

    def body(self) -> bytes | None:
        """The last snapshot; None before the first."""
        self._asked.set()
        return self._body

    def _renew(self) -> None:
        while not self._ended.is_set():
            self._asked.clear()
            try:
                self._body = as_json(self._see()).encode()
            except Exception:
                # a fault of this program: told where it runs, and the next look may be well. The page says how old
                # what it shows is
                traceback.print_exc()
            self._ended.wait(self._every)
            if not self._asked.wait(UNASKED_SECONDS):
                self._body = None  # whoever comes back is told nothing rather than something old
                self._asked.wait()


class Server(ThreadingHTTPServer):
    """Serves the page at `url` until it is shut down. Raises `PortTakenError`; port 0 takes any that is free."""

    daemon_threads = True
    # on Linux two servers never share a port by this; it only lets a port be used again right after its server ended
    allow_reuse_address = True

    def __init__(self, port: int, see: See, *, every: float = EVERY_SECONDS) -> None:
        try:
            super().__init__((ADDRESS, port), _Handler)
        except (OSError, OverflowError) as error:
            taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
            raise PortTakenError("is taken" if taken else getattr(error, "strerror", None) or "is no port") from None
        self.port = int(self.server_address[1])
        self.names = frozenset(f"{name}:{self.port}" for name in (ADDRESS, "localhost"))
        self.latest = Latest(see, every)
        self.latest.start()

    @property
    def url(self) -> str:
        """Where to look."""
        return f"http://{ADDRESS}:{self.port}/"

    def server_close(self) -> None:
        """Stop listening, and looking."""
        if hasattr(self, "latest"):
            self.latest.stop()
        super().server_close()


class _Handler(BaseHTTPRequestHandler):
    # a connection for each answer: one that stays open would be served on after the server has ended
    protocol_version = "HTTP/1.0"
    timeout = IDLE_SECONDS
    wbufsize = -1  # header and body in one packet
    server: Server

    def do_GET(self) -> None:
        """Answer with a file of the page, or with the data."""
        if self.headers.get("Host", "") not in self.server.names:
            self._answer(HTTPStatus.MISDIRECTED_REQUEST, b"this server answers to localhost alone\n")
            return
        path = self.path.split("?")[0]
        if path in PAGE:
            name, kind = PAGE[path]
            self._answer(HTTPStatus.OK, file(name).encode(), kind)
        elif path == DATA:
            self._data()
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"no such page\n")

    do_HEAD = do_GET  # noqa: N815  (a name that http.server looks for)

    def _data(self) -> None:
        body = self.server.latest.body()
        if body is None:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, b"the clusters are being read\n")
            return
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        if self.headers.get("If-None-Match") == tag:
            self._answer(HTTPStatus.NOT_MODIFIED, b"", tag=tag)
        else:
            self._answer(HTTPStatus.OK, body, "application/json", tag=tag)

    def _answer(self, code: HTTPStatus, body: bytes, kind: str = "text/plain; charset=utf-8", *, tag: str = "") -> None:
        self.send_response(code)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        if tag:
            self.send_header("ETag", tag)
        self.send_header("Content-Type", kind)
        if code is not HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        """Nobody needs to know which Python this is."""
        return "dashboard"

    def log_message(self, *_: object) -> None:
        """Quiet."""
