"""A pair of shares on a real NVIDIA GPU: both halves and the verdict as they run in their pods, against a small API."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.serving import serving

CHECK = Path(__file__).parents[2] / "probe"
GPUS = len(list(Path("/dev").glob("nvidia[0-9]*")))
SHARES = {"gpu-check": "0.3", "gpu-check-2": "0.5"}

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not GPUS, reason="no NVIDIA GPU: /dev/nvidia0 is missing, so nothing was proven on hardware"),
]

# the programs speak https to the cluster they run in; here they meet a server on this machine
PROGRAM = """
import sys
sys.path.insert(0, {folder!r})
from probe import verdict
from probe.api import Api
api = Api({server!r}, {account!r})
verdict.Api = lambda: api
sys.exit(verdict.hold([sys.executable, {probe!r}, *sys.argv[2:]], api) if sys.argv[1:2] == ["hold"] else verdict.main())
"""


class Cluster(BaseHTTPRequestHandler):
    """Keeps ConfigMaps; its pods run, and a third one finds no room."""

    configmaps: dict[str, Any] = {}  # noqa: RUF012  one server a test

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(200 if body is not None else 404)
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        namespace = re.findall(r"/namespaces/([^/]+)/", self.path)[0]
        name = self.path.rpartition("/")[2]
        if "/configmaps/" in self.path:
            return self.answer(self.configmaps.get(name))
        if "/jobs/" in self.path:
            done = [{"type": "Complete", "status": "True"}] if "gpu-check-report" in self.configmaps else []
            return self.answer({"metadata": {"uid": f"run-of-{namespace}"}, "status": {"conditions": done}})
        if "/pods?" in self.path:
            share, labels = {"gpu-fraction": SHARES[namespace]}, {"runai-gpu-group": "g1"}
            metadata = {"name": "gpu-check", "namespace": namespace, "annotations": share, "labels": labels}
            pod = {"metadata": metadata, "spec": {"nodeName": "here"}, "status": {"phase": "Running"}}
            return self.answer({"items": [pod]})
        condition = {"type": "PodScheduled", "status": "False", "message": "no GPU has 0.3 left"}
        return self.answer({"metadata": {}, "status": {"phase": "Pending", "conditions": [condition]}})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer({})

    def do_DELETE(self) -> None:
        self.answer({})

    def do_PATCH(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.configmaps[body["metadata"]["name"]] = body
        self.answer(body)


@pytest.fixture
def server() -> Iterator[str]:
    Cluster.configmaps = {}
    listening = ThreadingHTTPServer(("127.0.0.1", 0), Cluster)
    with serving(listening):
        yield f"http://127.0.0.1:{listening.server_port}"


def test_both_shares_work_at_the_same_time_on_one_gpu_and_go_when_that_was_seen(server: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("not a token")
    program = tmp_path / "program.py"
    program.write_text(
        PROGRAM.format(folder=str(CHECK.parent), server=server, account=str(tmp_path), probe=str(CHECK / "probe.py"))
    )
    uuid = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True).stdout
    uuid = re.findall(r"UUID: (GPU-[^)]+)\)", uuid)[0]
    asked = [{"namespace": n, "job": "gpu-check", "report": f"report-{n}"} for n in SHARES]
    base = {"mode": "fraction", "stamp": "s1", "deadlineSeconds": 120, "gpus": 1}
    told = ["--granted", f"NVIDIA_VISIBLE_DEVICES={uuid}"]
    common = {
        **os.environ,
        "CUDA_VISIBLE_DEVICES": "0",
        "NVIDIA_VISIBLE_DEVICES": "void",  # as every CDI spec leaves it
        "GPU_CHECK_NAMESPACE": "gpu-check",
        "GPU_CHECK_API_SERVER": server,
        "GPU_CHECK_SERVICEACCOUNT_DIR": str(tmp_path),
        "GPU_CHECK_TERMINATION_LOG": str(tmp_path / "log"),
    }
    halves = [
        subprocess.Popen(
            [sys.executable, str(program), "hold", *told, "--granted", f"GPU_PORTION={share}"],
            env={
                **common,
                "GPU_PORTION": share,
                "GPU_CHECK_EXPECT": json.dumps({**base, "fraction": float(share)}),
                "GPU_CHECK_CONFIGMAP": f"report-{namespace}",
                "GPU_CHECK_HELD_UNTIL": "gpu-check-report",
                "GPU_CHECK_RUN": f"run-of-{namespace}",
            },
        )
        for namespace, share in SHARES.items()
    ]
    said = subprocess.run(
        [sys.executable, str(program)],
        env={
            **common,
            "GPU_CHECK_EXPECT": json.dumps({**base, "team": "ml"}),
            "GPU_CHECK_ASKED": json.dumps(asked),
            "GPU_CHECK_CONFIGMAP": "gpu-check-report",
            "GPU_CHECK_THIRD": json.dumps({"metadata": {"name": "third", "namespace": "gpu-check-2"}}),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    print(said.stdout)
    assert said.returncode == 0, said.stdout + said.stderr
    assert f"ran at the same time on one GPU: {uuid}, {uuid}" in said.stdout
    assert said.stdout.count(uuid) == 4, "in the sentence and in the listing, twice each"
    assert [half.wait(timeout=20) for half in halves] == [0, 0]
    report = json.loads(Cluster.configmaps["gpu-check-report"]["data"]["report.json"])
    assert report["verdict"] == "pass"
    assert [half["verdict"] for half in report["halves"]] == ["pass", "pass"]
