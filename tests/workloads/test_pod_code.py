"""The completion test and the demo page, as their pods run them, against a server on this machine."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from probe import completion, page
from tests.conftest import HANGS_SECONDS
from tests.serving import serving

ROOT = Path(__file__).parents[2]


class Stub(http.server.ThreadingHTTPServer):
    """Answers completions as it is told to; health is always fine."""

    answers: list[tuple[int, bytes]]
    asked: list[dict[str, object]]


class StubHandler(http.server.BaseHTTPRequestHandler):
    server: Stub

    def do_GET(self) -> None:
        self._send(200, b"{}")

    def do_POST(self) -> None:
        self.server.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        answers = self.server.answers
        self._send(*(answers.pop(0) if len(answers) > 1 else answers[0]))

    def _send(self, code: int, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Stub]:
    stub = Stub(("127.0.0.1", 0), StubHandler)
    stub.answers, stub.asked = [], []
    with serving(stub):
        yield stub


def answer(text: str) -> tuple[int, bytes]:
    return 200, json.dumps({"choices": [{"text": text}]}).encode()


def ask(stub: Stub, *, contains: str = "", seconds: float = 0) -> completion.Ask:
    return completion.Ask(
        url=f"http://127.0.0.1:{stub.server_address[1]}",
        model="m",
        prompt="San Francisco is a",
        max_tokens=7,
        contains=contains,
        seconds=seconds,
    )


def test_text_is_a_pass_and_is_shown(server: Stub) -> None:
    server.answers = [answer(" city in the state of California,")]
    assert completion.run(ask(server, contains="city")) == (
        0,
        "completed 'San Francisco is a' with ' city in the state of California,'",
    )
    assert server.asked == [{"model": "m", "prompt": "San Francisco is a", "max_tokens": 7, "temperature": 0}]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (answer("   "), "the completion has no text"),
        (answer(" hill"), "the completion lacks 'city': ' hill'"),
        ((200, b"{}"), "no completion in the answer: '{}'"),
        ((200, b"<html>"), "no completion in the answer: '<html>'"),
        ((404, b'{"error": "no such model"}'), 'HTTP 404: {"error": "no such model"}'),
        ((500, b"CUDA error: device-side assert"), "HTTP 500: CUDA error: device-side assert"),
    ],
)
def test_a_healthy_server_that_answers_wrongly_fails_at_once(server: Stub, given: tuple[int, bytes], said: str) -> None:
    server.answers = [given]
    code, sentence = completion.run(ask(server, contains="city", seconds=3600))
    assert (code, sentence) == (1, f"m answered wrongly: {said}")
    assert len(server.asked) == 1, "asking again does not mend it"


def test_a_server_that_still_loads_is_waited_for(server: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion, "PAUSE_SECONDS", 0.0)
    server.answers = [(503, b""), (502, b""), answer(" city")]
    assert completion.run(ask(server, seconds=3600))[0] == 0
    assert len(server.asked) == 3


def test_a_server_that_never_answers_is_told_with_the_last_cause(server: Stub) -> None:
    server.answers = [(503, b"")]
    code, sentence = completion.run(ask(server))
    assert code == 1
    assert sentence == "m did not answer within 0 s (HTTP 503); see the server's pod and its log"


def test_the_test_runs_as_a_file_of_its_own(server: Stub) -> None:
    server.answers = [answer(" city")]
    environment = {
        **os.environ,
        "COMPLETION_URL": f"http://127.0.0.1:{server.server_address[1]}",
        "COMPLETION_MODEL": "m",
        "COMPLETION_PROMPT": "a",
        "COMPLETION_MAX_TOKENS": "7",
        "COMPLETION_CONTAINS": "",
        "COMPLETION_SECONDS": "0",
    }
    done = subprocess.run(
        [sys.executable, str(ROOT / "probe" / "completion.py")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "completed 'a' with ' city'\n")


def test_the_page_says_which_gpu_and_never_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_SECRETS", "API_KEY,OTHER")
    monkeypatch.setenv("API_KEY", "canary-value")
    monkeypatch.setattr(page, "gpus", lambda: ["GPU 0: NVIDIA H100 (UUID: GPU-1)"])
    shown = page.page(page.data())
    assert "GPU 0: NVIDIA H100 (UUID: GPU-1)" in shown
    assert "canary-value" not in shown
    assert page.data()["secrets"] == {"API_KEY": "set", "OTHER": "missing"}


def test_where_nvidia_smi_cannot_be_run_torch_says_which_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    gpu = SimpleNamespace(name="NVIDIA H100", uuid="88f3cea9-ed11")
    cuda = SimpleNamespace(device_count=lambda: 1, get_device_properties=lambda index: gpu)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert page.gpus() == ["GPU 0: NVIDIA H100 (UUID: GPU-88f3cea9-ed11)"]


def test_where_neither_is_there_the_page_names_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setitem(sys.modules, "torch", None)
    assert page.gpus() == []


def test_the_page_ends_when_it_is_told_to() -> None:
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); from probe import page; page.main(0)"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("serving on port ")
    process.terminate()  # as a container's first process, it has no default for it
    assert process.wait(timeout=HANGS_SECONDS) == 0


def test_the_page_escapes_what_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_NAME", "<script>")
    assert "<script>" not in page.page(page.data())


def test_without_torch_or_a_gpu_the_page_says_that_nothing_was_computed() -> None:
    found = page.computed()
    assert found["right"] is False
    assert found["why"] in ("the image has no torch", "torch sees no GPU")
