"""The GPU check's probe as a program: watchdog, signals, files, ConfigMap, command line. No GPU; loopback only."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from probe import outlets
from probe.api import Api, ApiError, ConfigMap
from probe.probe import arguments_of, read_expect
from tests.probe.world import PROBE, SCHEMA, SIMULATIONS

PROGRAM = str(PROBE / "probe.py")
HEALTHY = str(SIMULATIONS / "healthy.json")


def environment(**variables: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("GPU_CHECK", "KUBERNETES"))}
    return {**kept, **variables}


def run_probe(*arguments: str, **variables: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, report (empty if none was printed) and what went to standard error."""
    command = [sys.executable, PROGRAM, "--report", "-", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment(**variables), timeout=60, check=False
    )
    report = json.loads(done.stdout) if done.stdout else {}
    if report:
        jsonschema.validate(report, SCHEMA)
    return done.returncode, report, done.stderr


@pytest.mark.parametrize(
    ("name", "code", "verdict"),
    [("healthy", 0, "pass"), ("half-speed", 1, "warn"), ("ecc", 2, "fail"), ("fake", 3, "simulated")],
)
def test_a_simulation_runs_the_whole_program_and_exits_by_its_verdict(name: str, code: int, verdict: str) -> None:
    exit_code, report, errors = run_probe("--simulate", str(SIMULATIONS / f"{name}.json"))
    assert (exit_code, report["verdict"], report["simulation"]) == (code, verdict, name)
    assert report["sentence"] in errors, "by hand the sentence is printed, too"


def test_a_hung_step_is_ended_by_the_watchdog_and_the_report_says_how_far_it_came() -> None:
    code, report, _ = run_probe("--simulate", str(SIMULATIONS / "hung.json"), "--step-limit", "0.7")
    assert (code, report["verdict"]) == (2, "fail")
    assert report["findings"][0]["id"] == "run.hung"
    assert report["findings"][0]["value"] == "matmul"
    states = report["coverage"]["steps"]
    assert (states["memory"], states["matmul"], states["speed"]) == ("done", "hung", "not-run")
    assert not report["coverage"]["complete"]


def test_a_hang_that_is_not_the_gpus_is_not_blamed_on_it(tmp_path: Path) -> None:
    slow = tmp_path / "slow.json"
    slow.write_text(json.dumps({"base": HEALTHY, "name": "slow", "faults": {"import": {"hang": True}}}))
    code, report, _ = run_probe("--simulate", str(slow), "--step-limit", "0.5")
    assert (code, report["verdict"]) == (3, "could-not-tell")
    assert "cold image" in report["sentence"]


def test_a_killed_worker_leaves_a_report_that_could_not_tell() -> None:
    code, report, _ = run_probe("--simulate", str(SIMULATIONS / "killed.json"))
    assert (code, report["verdict"]) == (3, "could-not-tell")
    assert report["findings"][0]["id"] == "run.killed"
    assert "signal 9 in step memory" in report["sentence"]
    assert report["coverage"]["steps"]["memory"] == "killed"


def test_a_crash_in_the_gpus_libraries_fails() -> None:
    code, report, _ = run_probe("--simulate", str(SIMULATIONS / "crashed.json"))
    assert (code, report["verdict"]) == (2, "fail")
    assert "crashed" in report["sentence"]


def test_an_error_in_a_step_is_named_and_no_later_cuda_step_is_trusted(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    fault = {"memory": {"error": "CUDA error: uncorrectable ECC error encountered"}}
    broken.write_text(json.dumps({"base": HEALTHY, "name": "broken", "faults": fault}))
    code, report, _ = run_probe("--simulate", str(broken))
    assert (code, report["verdict"]) == (2, "fail")
    assert "uncorrectable ECC error" in report["sentence"]
    assert report["coverage"]["skipped"]["matmul"] == "step memory ended in an error"
    assert report["coverage"]["steps"]["after"] == "done", "NVML can still say what happened"


def test_the_deadline_ends_the_check_with_a_partial_report() -> None:
    code, report, _ = run_probe("--simulate", str(SIMULATIONS / "hung.json"), "--deadline", "1.5")
    assert (code, report["verdict"]) == (3, "could-not-tell")
    assert "the deadline of 1.5 s passed in step matmul" in report["sentence"]
    assert report["coverage"]["steps"]["memory"] == "done"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_check_with_a_partial_report_and_no_worker_left(tmp_path: Path, number: int) -> None:
    path = tmp_path / "report.json"
    command = [sys.executable, PROGRAM, "--simulate", str(SIMULATIONS / "hung.json"), "--report", str(path)]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment())
    assert running.stderr is not None
    for line in running.stderr:
        if b"matmul" in line:
            break
    workers = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    running.send_signal(number)
    assert running.wait(20) == 3
    report = json.loads(path.read_text())
    jsonschema.validate(report, SCHEMA)
    assert report["verdict"] == "could-not-tell"
    assert f"signal {int(number)} came in step matmul" in report["sentence"]
    assert len(workers) == 1
    assert not Path(f"/proc/{workers[0]}").exists()


def test_killed_whole_it_has_already_left_a_report(tmp_path: Path) -> None:
    path, log = tmp_path / "report.json", tmp_path / "termination-log"
    command = [sys.executable, PROGRAM, "--simulate", str(SIMULATIONS / "hung.json"), "--report", str(path)]
    running = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=environment(GPU_CHECK_TERMINATION_LOG=str(log)),
    )
    assert running.stderr is not None
    for line in running.stderr:
        if b"matmul" in line:
            break
    deadline = time.monotonic() + 10
    while "matmul" not in log.read_text() and time.monotonic() < deadline:
        time.sleep(0.02)
    (worker,) = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    running.kill()
    running.wait(10)
    while Path(f"/proc/{worker}").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(f"/proc/{worker}").exists(), "a worker left behind would keep the GPU's memory"
    report = json.loads(path.read_text())
    jsonschema.validate(report, SCHEMA)
    assert report["verdict"] == "could-not-tell"
    assert "killed in step matmul" in report["sentence"]
    assert "OOMKilled" in log.read_text()


# --- where the report goes --------------------------------------------------------------------------------------------


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
    threading.Thread(target=kept.server.serve_forever, daemon=True).start()
    kept.address = f"http://127.0.0.1:{kept.server.server_port}"
    yield kept
    kept.server.shutdown()
    kept.server.server_close()


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
    jsonschema.validate(json.loads(api.requests[0][3]["data"]["progress.json"]), SCHEMA)


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
        config_map.apply({"verdict": "pass"}, timeout=5)
        assert api.requests[0][3]["data"] == {"verdict": "pass"}
    else:
        with pytest.raises(ApiError, match="CERTIFICATE_VERIFY_FAILED"):
            config_map.apply({"verdict": "pass"}, timeout=5)
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
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=60, check=False)
    assert done.returncode == 0
    assert "could not be written" in done.stderr
    assert done.stdout.startswith("pass:")


# --- command line -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--expect", '{"gpu": 1}'], "'gpu' is unknown"),
        (["--expect", "/no/such/file"], "can't be read"),
        (["--expect", "{"], "not JSON"),
        (["--gpus", "0"], "whole number of at least 1, got 0"),
        (["--gpus", "two"], "invalid int value"),
        (["--memory-fraction", "3"], "at most 2"),
        (["--simulate", "/no/such/file"], "can't be read"),
        (["--simulate", '{"name": "x"}'], "must have 'steps'"),
        (["--nonsense"], "unrecognized arguments"),
    ],
)
def test_bad_input_is_one_line_and_no_verdict(arguments: list[str], message: str) -> None:
    code, report, errors = run_probe(*arguments)
    assert code == 64, "2 means that a GPU failed"
    assert report == {}
    assert message in errors
    assert errors.count("\n") == 1


def test_what_is_typed_outranks_the_expectation_and_that_the_recordings() -> None:
    options = arguments_of(["--expect", '{"gpus": 2, "team": "ml"}', "--gpus", "3"])
    expect = read_expect(options, {"expect": {"mode": "host", "gpus": 1}})
    assert (expect.gpus, expect.team, expect.mode) == (3, "ml", "host")


def test_the_job_passes_its_expectation_by_environment() -> None:
    code, report, _ = run_probe("--simulate", HEALTHY, GPU_CHECK_EXPECT='{"gpus": 2, "queue": "training"}')
    assert (code, report["queue"]) == (2, "training")
    assert report["findings"][0]["id"] == "identity.count"


def test_a_recording_of_a_run_plays_back_as_the_same_findings(tmp_path: Path) -> None:
    again = tmp_path / "again.json"
    _, first, _ = run_probe("--simulate", str(SIMULATIONS / "throttled.json"), "--record", str(again))
    _, second, _ = run_probe("--simulate", str(again))
    assert second["findings"] == first["findings"]


def test_without_a_driver_the_real_probe_says_which_piece_is_missing() -> None:
    if list(Path("/dev").glob("nvidia[0-9]*")):
        pytest.skip("an NVIDIA GPU is here: tests/probe/test_probe_gpu.py runs the probe on it")
    pytest.importorskip("pynvml", reason="pynvml is not installed")
    code, report, _ = run_probe()
    assert (code, report["verdict"]) == (2, "fail")
    assert report["findings"][0]["id"] == "identity.driver"
    assert "RuntimeClass" in report["sentence"]


def test_a_report_says_which_run_it_is_of_and_on_which_node_it_ran() -> None:
    where = {"GPU_CHECK_RUN": "run1", "GPU_CHECK_NODE": "gpu-3"}
    _, report, _ = run_probe("--simulate", str(SIMULATIONS / "healthy.json"), **where)
    assert report is not None
    assert (report["run"], report["node"]) == ("run1", "gpu-3")
