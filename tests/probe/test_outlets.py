"""Where the probe's report goes: file, termination message, ConfigMap. Loopback only."""

from __future__ import annotations

import http.server
import json
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from probe import outlets
from probe.api import Api, ApiError, ConfigMap
from tests.conftest import HANGS_SECONDS
from tests.probe.test_probe_run import HEALTHY, PROGRAM, environment, run_probe
from tests.probe.world import SIMULATIONS, VALIDATOR
from tests.serving import serving

pytestmark = pytest.mark.slow


@dataclass
class ApiServer:
    """A stand-in that keeps what it was sent and answers with `status`."""

    status: int = 200
    requests: list[tuple[str, str, dict[str, str], dict[str, Any]]] = field(default_factory=list)
    address: str = ""
    server: http.server.ThreadingHTTPServer = field(init=False)


@pytest.fixture
def api() -> Iterator[ApiServer]:
    kept = ApiServer()

    class Handler(http.server.BaseHTTPRequestHandler):
        # as a real API server: an answer in chunks, on a connection that stays open after it
        protocol_version = "HTTP/1.1"

        def do_PATCH(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            kept.requests.append((self.command, self.path, dict(self.headers), body))
            self.send_response(kept.status)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for part in (b'{"kind": "Status", ', b'"message": "configmaps is forbidden"}', b""):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))

        def log_message(self, *_: object) -> None:
            pass

    kept.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.server.handle_error = lambda *_: None  # type: ignore[method-assign]
    kept.address = f"http://127.0.0.1:{kept.server.server_port}"
    with serving(kept.server):
        yield kept


@pytest.fixture
def in_pod(api: ApiServer, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "token").write_text("s3cret-token\n")
    return {
        "GPU_CHECK_IN_JOB": "1",
        "GPU_CHECK_CONFIGMAP": "gpu-check-ml",
        "GPU_CHECK_NAMESPACE": "team-ml",
        "GPU_CHECK_API_SERVER": api.address,
        "GPU_CHECK_SERVICEACCOUNT_DIR": str(tmp_path),
        "GPU_CHECK_TERMINATION_LOG": str(tmp_path / "termination-log"),
    }


def test_the_report_is_applied_to_its_one_configmap_with_the_pods_token(api: ApiServer, in_pod: dict[str, str]) -> None:
    code, report, _ = run_probe("--simulate", HEALTHY, "--expect", '{"team": "ml", "stamp": "abc"}', **in_pod)
    assert code == 0
    method, path, headers, body = api.requests[-1]
    assert method == "PATCH"
    assert path == "/api/v1/namespaces/team-ml/configmaps/gpu-check-ml?fieldManager=gpu-check&force=true"
    assert headers["Authorization"] == "Bearer s3cret-token"
    assert headers["Content-Type"] == "application/apply-patch+yaml"
    assert (body["apiVersion"], body["kind"]) == ("v1", "ConfigMap")
    assert body["metadata"] == {"name": "gpu-check-ml", "namespace": "team-ml"}
    assert body["data"]["verdict"] == "pass"
    assert json.loads(body["data"]["report.json"]) == report
    assert report["stamp"] == "abc"


def test_progress_has_a_key_of_its_own_so_that_nobody_takes_it_for_the_report(
    api: ApiServer, in_pod: dict[str, str]
) -> None:
    run_probe("--simulate", HEALTHY, **in_pod)
    *before, last = [set(body["data"]) for *_, body in api.requests]
    assert before
    assert all(keys == {"progress.json"} for keys in before)
    assert last == {"report.json", "verdict"}
    VALIDATOR.validate(json.loads(api.requests[0][3]["data"]["progress.json"]))


def test_an_api_server_that_refuses_hides_no_verdict_and_no_token_is_told(
    api: ApiServer, in_pod: dict[str, str]
) -> None:
    api.status = 403
    code, report, errors = run_probe("--simulate", str(SIMULATIONS / "ecc.json"), **in_pod)
    assert (code, report["verdict"]) == (2, "fail")
    assert "403 configmaps is forbidden" in errors
    assert "s3cret" not in errors
    assert "uncorrected errors" in Path(in_pod["GPU_CHECK_TERMINATION_LOG"]).read_text()
    assert len(api.requests) == 1 + 3, "progress is tried once, the final report three times"


def test_a_missing_token_or_setting_hides_no_verdict(in_pod: dict[str, str]) -> None:
    Path(in_pod["GPU_CHECK_SERVICEACCOUNT_DIR"], "token").unlink()
    code, _, errors = run_probe("--simulate", HEALTHY, **in_pod)
    assert code == 0
    assert "did not reach its ConfigMap" in errors
    code, _, errors = run_probe("--simulate", HEALTHY, **{**in_pod, "GPU_CHECK_NAMESPACE": ""})
    assert code == 0
    assert "GPU_CHECK_NAMESPACE" in errors


def test_a_token_never_goes_out_in_clear_text(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in (("CONFIGMAP", "a"), ("NAMESPACE", "b"), ("API_SERVER", "http://api.example:80")):
        monkeypatch.setenv(f"GPU_CHECK_{key}", value)
    with pytest.raises(ApiError, match="https"):
        ConfigMap.from_environment()


def certificate(folder: Path, name: str) -> Path:
    """A certificate for 127.0.0.1 that signs itself; its key lies beside it."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not on the PATH: the report over https was not tried")
    made, key = folder / f"{name}.crt", folder / f"{name}.key"
    subject = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(made)]
    subprocess.run([*command, *subject], check=True, capture_output=True)
    return made


@pytest.mark.parametrize("trusted", [True, False])
def test_the_token_goes_only_to_an_api_server_that_the_pods_ca_vouches_for(
    api: ApiServer, tmp_path: Path, trusted: bool
) -> None:
    server, other = certificate(tmp_path, "server"), certificate(tmp_path, "other")
    (tmp_path / "token").write_text("s3cret-token")
    (tmp_path / "ca.crt").write_text((server if trusted else other).read_text())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server, server.with_suffix(".key"))
    api.server.socket = context.wrap_socket(api.server.socket, server_side=True)
    config_map = ConfigMap("report", "team-ml", Api(api.address.replace("http:", "https:"), str(tmp_path)))
    if trusted:
        config_map.apply({"verdict": "pass"}, timeout=HANGS_SECONDS)
        assert api.requests[0][3]["data"] == {"verdict": "pass"}
    else:
        with pytest.raises(ApiError, match="CERTIFICATE_VERIFY_FAILED"):
            config_map.apply({"verdict": "pass"}, timeout=HANGS_SECONDS)
        assert api.requests == []


@pytest.mark.parametrize(
    ("host", "server"), [("10.96.0.1", "https://10.96.0.1:6443"), ("fd00::1", "https://[fd00::1]:6443")]
)
def test_the_api_server_is_found_as_every_pod_finds_it(monkeypatch: pytest.MonkeyPatch, host: str, server: str) -> None:
    variables = {
        "GPU_CHECK_CONFIGMAP": "a",
        "GPU_CHECK_NAMESPACE": "b",
        "KUBERNETES_SERVICE_HOST": host,
        "KUBERNETES_SERVICE_PORT": "6443",
    }
    for key, value in variables.items():
        monkeypatch.setenv(key, value)
    found = ConfigMap.from_environment()
    assert found is not None
    assert found.api.server == server


def test_the_termination_message_begins_with_the_verdict_and_the_cause_and_fits(tmp_path: Path) -> None:
    log = tmp_path / "termination-log"
    expect = json.dumps({"team": "ml", "queue": "training", "node": "gpu-0"})
    code, _, _ = run_probe(
        "--simulate",
        str(SIMULATIONS / "ecc.json"),
        "--expect",
        expect,
        GPU_CHECK_IN_JOB="1",
        GPU_CHECK_TERMINATION_LOG=str(log),
    )
    assert code == 2
    assert log.read_text().startswith("fail [team ml, queue training, node gpu-0]: GPU 0: ECC: 2 uncorrected errors")
    written = outlets.Outlets(None)
    written.log = str(log)
    long = {"verdict": "fail", "team": "", "queue": "", "node": None, "sentence": "x" * 9000}
    written.files(long)
    assert log.stat().st_size == 4096


def test_a_report_that_can_not_be_written_hides_no_verdict(tmp_path: Path) -> None:
    command = [sys.executable, PROGRAM, "--simulate", HEALTHY, "--report", str(tmp_path / "no" / "folder")]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment(), timeout=HANGS_SECONDS, check=False
    )
    assert done.returncode == 0
    assert "could not be written" in done.stderr
    assert done.stdout.startswith("pass:")
