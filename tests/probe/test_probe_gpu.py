"""The GPU check's probe on a real NVIDIA GPU, healthy and with faults planted from outside. Changes no GPU setting."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from base64 import b64decode
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from probe.code import START, data, packed
from probe.start import PACKED

GPUS = len(list(Path("/dev").glob("nvidia[0-9]*")))

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not GPUS, reason="no NVIDIA GPU: /dev/nvidia0 is missing, so nothing was proven on hardware"),
]

# allocates its first argument's MiB on GPU 0, says so, and keeps them until its input ends
HOLDER = """
import sys, torch
held = [torch.ones(256 << 20, dtype=torch.uint8, device=0) for _ in range(int(sys.argv[1]) // 256)]
torch.cuda.synchronize()
print("held", flush=True)
sys.stdin.read()
"""


@cache
def probe() -> Path:
    """The code as a pod's ConfigMap holds it: an installed pynvml would hide what our part of it lacks."""
    folder = Path(tempfile.mkdtemp(prefix="gpu-check-"))
    (folder / START).write_text(data()[START])
    (folder / PACKED).write_bytes(b64decode(packed()))
    return folder / START


def run_probe(expect: dict[str, Any], *arguments: str, **variables: str) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, str(probe()), "probe", "--report", "-", "--expect", json.dumps(expect), *arguments]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, **variables}, timeout=300, check=False
    )
    return done.returncode, json.loads(done.stdout)


def value(report: dict[str, Any], id_: str) -> Any:
    return next(f["value"] for f in report["findings"] if f["id"] == id_)


def first(report: dict[str, Any]) -> str:
    return str(report["findings"][0]["id"])


def uuids() -> list[str]:
    listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True).stdout
    return [line.split("UUID: ")[1].rstrip(")") for line in listing.splitlines() if line.startswith("GPU")]


def test_every_gpu_here_passes() -> None:
    code, report = run_probe({"gpus": GPUS})
    assert (code, report["verdict"]) in [(0, "pass"), (1, "warn")], report["sentence"]
    assert report["coverage"]["complete"]
    assert sorted(report["coverage"]["uuids"]) == sorted(uuids())


def test_a_gpu_hidden_from_cuda_is_named() -> None:
    hidden = ",".join(str(index) for index in range(GPUS - 1))
    code, report = run_probe({"gpus": GPUS}, CUDA_VISIBLE_DEVICES=hidden)
    assert (code, first(report)) == (2, "identity.torch")
    assert "CUDA_VISIBLE_DEVICES" in report["sentence"]


def test_one_gpu_more_than_there_is_is_missed() -> None:
    code, report = run_probe({"gpus": GPUS + 1})
    assert (code, first(report)) == (2, "identity.count")


def test_more_memory_than_there_is_is_refused_and_measured() -> None:
    code, report = run_probe({"gpus": GPUS, "memoryFraction": 1.2})
    assert (code, first(report)) == (2, "memory.share")
    assert value(report, "memory.share") > 0


def test_a_process_that_holds_most_of_the_memory_is_named() -> None:
    free = subprocess.run(
        ["nvidia-smi", "--query-gpu=memory.free", "--format=csv,noheader,nounits", "-i", "0"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(int(int(free) * 0.8))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    try:
        code, report = run_probe({"gpus": GPUS})
    finally:
        holder.communicate()
    assert (code, first(report)) == (2, "memory.alone")
    assert any(f["id"] == "memory.share" and f["severity"] == "fail" for f in report["findings"])


@pytest.mark.parametrize("here", ["as granted", "void"])
def test_two_shares_of_one_gpu_run_side_by_side_on_the_same_uuid(here: str) -> None:
    """As in mode legacy, where the variable stays; and as in mode cdi, where only the kubelet's word is left."""
    uuid = uuids()[0]
    started = []
    for share in (0.3, 0.5):
        visible = uuid if here == "as granted" else here
        environment = {**os.environ, "GPU_PORTION": str(share), "NVIDIA_VISIBLE_DEVICES": visible}
        told = ["--granted", f"NVIDIA_VISIBLE_DEVICES={uuid}", "--granted", f"GPU_PORTION={share}"]
        expect = json.dumps({"mode": "fraction", "fraction": share, "gpus": GPUS})
        command = [sys.executable, str(probe()), "probe", "--report", "-", "--expect", expect, *told]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment))
    reports = [json.loads(process.communicate(timeout=300)[0]) for process in started]
    for report in reports:
        assert report["verdict"] == "pass", report["sentence"]
        assert uuid in report["coverage"]["uuids"]
        assert value(report, "sharing.limiter") is True, "torch kept to its share while the GPU had more"
        assert value(report, "sharing.isolation") is False
        assert report["injection"] == ("legacy" if here == "as granted" else "cdi")


def test_a_worker_stuck_in_its_cuda_work_is_ended_and_reported() -> None:
    command = [sys.executable, str(probe()), "probe", "--report", "-", "--step-limit", "20"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    for line in running.stderr:
        if "speed" in line:
            break
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    os.kill(int(children[0]), 19)  # SIGSTOP: as a call into the driver that never returns
    report = json.loads(running.communicate(timeout=60)[0])
    assert (running.returncode, first(report)) == (2, "run.hung")
    assert not Path(f"/proc/{children[0]}").exists()
