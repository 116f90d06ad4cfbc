"""Who may look at the dashboard, and at what: loopback by its own name, four paths, reading only."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from page.facts import facts
from page.onefile import one_file
from page.server import PortTakenError, See, Server
from tests.conftest import HANGS_SECONDS
from tests.page.world import EVIL, seen, some
from tests.serving import serving as serving_it


@contextmanager
def serving(see: See = lambda: facts(some())) -> Iterator[Server]:
    server = Server(0, see, every=0.01)
    with serving_it(server):
        yield server


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as found:
        yield found


def ask(
    server: Server, path: str = "/", *, method: str = "GET", **headers: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=HANGS_SECONDS)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers, body


def until(read: Callable[[], int], wanted: int) -> None:
    """The first snapshot takes a moment."""
    end = time.monotonic() + HANGS_SECONDS
    while read() != wanted:
        assert time.monotonic() < end, f"never {wanted}"
        time.sleep(0.01)


class TestWhoMayLook:
    def test_it_listens_on_loopback_alone(self, server: Server) -> None:
        assert server.server_address[0] == "127.0.0.1"
        assert server.socket.family is socket.AF_INET

    @pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
    def test_its_own_names_are_answered(self, server: Server, name: str) -> None:
        assert ask(server, Host=f"{name}:{server.port}")[0] == 200

    @pytest.mark.parametrize(
        "host", ["evil.example", "evil.example:{port}", "localhost", "127.0.0.1:1", "localhost.evil.example:{port}", ""]
    )
    @pytest.mark.parametrize("path", ["/", "/data.json", "/page.js"])
    def test_a_name_that_was_made_to_point_here_is_not(self, server: Server, host: str, path: str) -> None:
        code, _, body = ask(server, path, Host=host.format(port=server.port))
        assert code == 421
        assert b"GPU" not in body

    def test_a_request_without_a_name_is_not(self, server: Server) -> None:
        with socket.create_connection(("127.0.0.1", server.port), timeout=HANGS_SECONDS) as raw:
            raw.sendall(b"GET /data.json HTTP/1.0\r\n\r\n")
            assert b" 421 " in raw.recv(200)

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
    def test_only_reading_is_answered(self, server: Server, method: str) -> None:
        assert ask(server, "/data.json", method=method)[0] == 501

    @pytest.mark.parametrize(
        "path", ["/../page/server.py", "/files/page.js", "/%2e%2e/facts.py", "//etc/passwd", "/favicon.ico"]
    )
    def test_there_is_no_other_path(self, server: Server, path: str) -> None:
        assert ask(server, path)[0] == 404


class TestWhatIsAnswered:
    def test_a_page_may_load_only_what_is_here(self, server: Server) -> None:
        _, headers, _ = ask(server)
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert (headers["X-Content-Type-Options"], headers["Cache-Control"]) == ("nosniff", "no-store")
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Access-Control-Allow-Origin" not in headers

    def test_the_page_s_files_hold_no_markup_by_text_and_no_inline_code(self, server: Server) -> None:
        script, page = ask(server, "/page.js")[2].decode(), ask(server, "/")[2].decode()
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
            assert word not in script
        assert "style=" not in page
        assert "onclick" not in page
        assert "http" not in page + script + ask(server, "/page.css")[2].decode()

    def test_what_has_not_changed_is_not_sent_again(self, server: Server) -> None:
        until(lambda: ask(server, "/data.json")[0], 200)
        _, headers, body = ask(server, "/data.json")
        assert json.loads(body)["stack"] == "prod"
        code, _, again = ask(server, "/data.json", If_None_Match=headers["ETag"])
        assert (code, again) == (304, b"")

    def test_before_the_first_look_it_says_so(self) -> None:
        go = threading.Event()

        def slow() -> dict[str, str]:
            go.wait(HANGS_SECONDS)
            return {"stack": "x"}

        with serving(slow) as found:
            assert ask(found, "/data.json")[0] == 503
            assert ask(found, "/")[0] == 200
            go.set()
            until(lambda: ask(found, "/data.json")[0], 200)

    def test_a_look_that_fails_is_not_the_last_one(self, capsys: pytest.CaptureFixture[str]) -> None:
        looks = iter([ValueError("a fault of ours")])

        def see() -> dict[str, str]:
            for error in looks:
                raise error
            return {"stack": "x"}

        with serving(see) as found:
            until(lambda: ask(found, "/data.json")[0], 200)
        assert "a fault of ours" in capsys.readouterr().err

    def test_a_head_has_no_body(self, server: Server) -> None:
        code, headers, body = ask(server, method="HEAD")
        assert (code, body) == (200, b"")
        assert int(headers["Content-Length"]) > 0

    def test_it_does_not_say_what_it_is_made_of(self, server: Server) -> None:
        assert "Python" not in str(ask(server)[1]["Server"])


def test_a_taken_port_is_one_error(server: Server) -> None:
    with pytest.raises(PortTakenError, match="is taken"):
        Server(server.port, dict)


def test_the_one_file_loads_nothing_and_ends_no_element_early() -> None:
    text = one_file(facts(seen(stack=EVIL)))
    assert EVIL not in text
    assert text.count("</script") == 2
    assert "<img" not in text
    assert "src=" not in text.split("<body>")[1].split('id="data"')[0]
    assert "default-src 'none'" in text
    assert "\n<script>" in text
