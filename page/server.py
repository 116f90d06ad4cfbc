"""The dashboard's server: four files, only for browsers on this machine.

Owns: the address, what is refused, the thread that takes a snapshot every few seconds for all viewers.

It listens on loopback, and answers only requests that use a loopback name. So a page of the internet whose name was
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
"""The time between the end of one look at the clusters and the next."""
IDLE_SECONDS: Final = 10.0
"""A silent connection is closed after this time."""
UNASKED_SECONDS: Final = 60.0
"""After this time without a request, the server no longer looks at the clusters until the next request."""

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
    """Another program listens on the port, or we may not use it."""


class Latest:
    """The last snapshot as JSON, renewed by one thread while somebody looks."""

    def __init__(self, see: See, every: float) -> None:
        self._see, self._every = see, every
        self._body: bytes | None = None
        self._asked = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="snapshots", daemon=True)

    def start(self) -> None:
        self._asked.set()
        self._thread.start()

    def stop(self) -> None:
        """Stop looking. A look that is running may end by itself."""
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
                # a fault of this program: it is reported in the terminal, and the next look may succeed. the page says
                # how old its data are
                traceback.print_exc()
            self._ended.wait(self._every)
            if not self._asked.wait(UNASKED_SECONDS):
                self._body = None  # a viewer who comes back sees nothing rather than old data
                self._asked.wait()


class Server(ThreadingHTTPServer):
    """Serves the page at `url` until it is shut down. Raises `PortTakenError`; port 0 takes any that is free."""

    daemon_threads = True
    # on Linux this never lets two servers share a port; it only allows a port again right after its server ended
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
        return f"http://{ADDRESS}:{self.port}/"

    def server_close(self) -> None:
        if hasattr(self, "latest"):
            self.latest.stop()
        super().server_close()


class _Handler(BaseHTTPRequestHandler):
    # one connection for each answer: an open one would still be served after the server has ended
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
        """Hide the version of Python."""
        return "dashboard"

    def log_message(self, *_: object) -> None:
        """Quiet."""
