"""A web server of the standard library beside a test, and clients that wait for it."""

from __future__ import annotations

import importlib
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import httpx2
import pytest


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    """Let the server answer in a thread, and close it in the end.

    Unless it is told otherwise, a server looks only every half second whether it shall end.
    """
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def patient(seconds: float) -> Iterator[None]:
    """Let every client wait so long for a server on this very machine."""
    send, below = httpx2.HTTPTransport.handle_request, importlib.import_module("httpcore2")

    def wait(transport: httpx2.HTTPTransport, request: httpx2.Request) -> httpx2.Response:
        if request.url.host in ("127.0.0.1", "localhost"):
            asked = request.extensions.get("timeout") or {}
            request.extensions["timeout"] = dict.fromkeys(asked, seconds)
        return send(transport, request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx2.HTTPTransport, "handle_request", wait)
        # the system's authorities are read once and not for each client: 60 ms of CPU that no test is about
        patch.setattr(below, "default_ssl_context", cache(below.default_ssl_context))
        yield
