"""NVIDIA's own device plugin under a real kubelet, on NVIDIA's mock of NVML instead of GPUs.

Needs what the engine tier needs, and GPU_TENANCY_ENGINE_MOCK_NVML: a folder with `usr/lib64/libnvidia-ml.so.1` (the
mock: NVIDIA/k8s-test-infra, v0.3.0) and `config/config.yaml` (its GPUs, alike), as the mock's own layout is. The node's
runtime class `nvidia` must bring both into containers, as NVIDIA's runtime brings a driver; the tests write
`config/overrides.yaml`, which the mock reads again each second. Nothing else may advertise GPUs there.

GPU_TENANCY_ENGINE_MOCK_XID=yes says that something in the plugin's process reads the GPUs' sensors: in a process that
reads none the mock never tells of an Xid.

The mock has no MIG slices, and the plugin finds those by files of the driver's kernel module, so names of slices
(`nvidia.com/mig-...`) are not tried. The tests follow one stack, in this order.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from names import DEVICE_PLUGIN_NAMESPACE, GPU
from tests.conftest import ROOT
from tests.engine.conftest import STACK, Engine, everything_unprotected
from tests.engine.gpus import Tenant

pytestmark = pytest.mark.engine

MOCK: Final = os.environ.get("GPU_TENANCY_ENGINE_MOCK_NVML")
TELLS_XIDS: Final = os.environ.get("GPU_TENANCY_ENGINE_MOCK_XID") == "yes"
LOOKS: Final = 400
"""Looks a second apart. A busy machine took three minutes: the plugin's sidecar starts again and again, with a longer
pause each time, where it signals the plugin before that can hear it."""
SETTLED: Final = 6
"""Looks a second apart at which a number must be the same: a plugin that starts shows another one first."""
XID: Final = 79
"""The GPU has fallen off the bus: not among those that the plugin leaves to applications."""
DAEMON_SET: Final = "daemonset/nvidia-device-plugin"
SPREAD = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: shared}}
spec:
  replicas: {pods}
  selector: {{matchLabels: {{app: shared}}}}
  template:
    metadata: {{labels: {{app: shared}}}}
    spec:
      runtimeClassName: nvidia
      terminationGracePeriodSeconds: 0
      containers:
        - name: main
          image: {image}
          command: [sh, -c, 'echo "$NVIDIA_VISIBLE_DEVICES"; sleep 9999']
          resources: {{requests: {{cpu: 10m, memory: 16Mi}}, limits: {{cpu: 100m, memory: 64Mi, nvidia.com/gpu: 1}}}}
"""


@dataclass(frozen=True, kw_only=True)
class Mock:
    """The mock's folder on the node."""

    root: Path

    @property
    def gpus(self) -> int:
        """How many GPUs it shows."""
        data = yaml.safe_load((self.root / "config" / "config.yaml").read_text())
        return int(data["system"].get("num_devices") or len(data["devices"]))

    def override(self, values: dict[str, Any] | None) -> None:
        """Change what it shows while it runs; None takes that back."""
        place = self.root / "config" / "overrides.yaml"
        if values is None:
            place.unlink(missing_ok=True)
            return
        fresh = place.with_suffix(".new")
        fresh.write_text(yaml.safe_dump(values))
        fresh.replace(place)


@pytest.fixture(scope="module")
def mock() -> Iterator[Mock]:
    if MOCK is None:
        pytest.skip("GPU_TENANCY_ENGINE_MOCK_NVML names no folder of NVIDIA's mock: its plugin was not tried")
    found = Mock(root=Path(MOCK))
    found.override(None)
    yield found
    found.override(None)


def platform(engine: Engine, mock: Mock, sharing: dict[str, Any] | None = None) -> dict[str, Any]:
    """The stack file's cluster with our plugin, and one team without a KAI that may use every GPU."""
    data = copy.deepcopy(engine.platform)
    [(pool, settings)] = [(name, pool) for name, pool in data["pools"].items() if pool["gpusPerNode"]]
    settings["gpusPerNode"] = mock.gpus
    settings.pop("sharing", None)
    replicas = 1
    if sharing is not None:
        settings["sharing"] = sharing
        [way] = sharing.values()
        replicas = way.get("replicas") or way["slices"]
    data["gpu"] = {"stack": "devicePlugin"}
    # there is nothing to compute on
    data["check"] = {**data.get("check", {}), "host": False}
    name, like = next(iter(data["teams"].items()))
    data["teams"] = {
        name: {
            "pool": pool,
            "resources": {"gpus": mock.gpus * replicas, "cpu": 2, "memory": "4Gi", "pods": 30},
            "check": {"enabled": False},
            "vcluster": like.get("vcluster", {}),
        }
    }
    return data


def node(engine: Engine) -> dict[str, Any]:
    """The one node with GPUs."""
    found = json.loads(engine.kubectl("get", "nodes", "-o", "json"))["items"]
    [one] = [each for each in found if GPU in each["status"]["capacity"]] or [found[0]]
    answer: dict[str, Any] = one
    return answer


def amounts(engine: Engine) -> tuple[int, int]:
    """Capacity and allocatable of GPUs."""
    status = node(engine)["status"]
    return int(status["capacity"].get(GPU, 0)), int(status["allocatable"].get(GPU, 0))


def until(engine: Engine, capacity: int, allocatable: int) -> None:
    """Wait until the plugin runs and the node shows these, and goes on to."""
    eventually("the plugin's pod is not ready", lambda: plugin_is_ready(engine))
    seen: list[tuple[int, int]] = []
    for _ in range(LOOKS):
        seen.append(amounts(engine))
        if seen[-SETTLED:] == [(capacity, allocatable)] * SETTLED:
            return
        time.sleep(1)
    pytest.fail(f"capacity {capacity} and allocatable {allocatable} never stayed; the last were {seen[-10:]}")


def eventually(what: str, look: Callable[[], bool]) -> None:
    for _ in range(LOOKS):
        if look():
            return
        time.sleep(1)
    pytest.fail(what)


def plugin_is_ready(engine: Engine) -> bool:
    status = json.loads(engine.kubectl("-n", DEVICE_PLUGIN_NAMESPACE, "get", DAEMON_SET, "-o", "json"))["status"]
    wanted: int = status["desiredNumberScheduled"]
    return wanted > 0 and status.get("numberReady") == status.get("updatedNumberScheduled") == wanted


def plugin_pods(engine: Engine) -> set[str]:
    return set(engine.kubectl("-n", DEVICE_PLUGIN_NAMESPACE, "get", "pods", "-o", "name").split())


def command(engine: Engine, *words: str) -> subprocess.CompletedProcess[str]:
    """One of our commands, on the stack of the tests."""
    return subprocess.run(
        [sys.executable, "-m", "cli", "--stack", STACK, *words],
        cwd=engine.folder,
        env=dict(engine.environment),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def preflight(engine: Engine) -> str:
    """What `make preflight` says, on one line."""
    done = command(engine, "preflight")
    return " ".join((done.stdout + done.stderr).split())


def inventory(engine: Engine) -> dict[str, Any]:
    """The pool that `make inventory` prints of the cluster."""
    host = engine.platform["host"]
    environment = {**engine.environment, "KUBECONFIG": host["kubeconfig"]}
    done = subprocess.run(
        [sys.executable, "-m", "cli", "--stack", STACK, "inventory", "--context", host["context"]],
        cwd=engine.folder, env=environment, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    [pool] = yaml.safe_load(done.stdout)["pools"].values()
    return {**pool, "said": " ".join(done.stderr.split())}


def test_the_inventory_of_a_gpu_host_reads_the_mock(mock: Mock) -> None:
    environment = {**os.environ, "LD_LIBRARY_PATH": str(mock.root / "usr" / "lib64")}
    done = subprocess.run(
        [sys.executable, "-m", "cli", "--stack", "none", "inventory", "--nvml"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    [pool] = yaml.safe_load(done.stdout)["pools"].values()
    data = yaml.safe_load((mock.root / "config" / "config.yaml").read_text())["device_defaults"]
    assert pool["gpusPerNode"] == mock.gpus
    assert pool["product"] == data["name"].replace(" ", "-")
    assert pool["gpuMemoryMib"] == data["memory"]["total_bytes"] // 1024**2


def test_up_makes_the_node_show_its_gpus(engine: Engine, mock: Mock) -> None:
    engine.write(platform(engine, mock))
    engine.up()
    until(engine, mock.gpus, mock.gpus)
    assert engine.steps() == {}


def test_time_slicing_shows_each_gpu_four_times(engine: Engine, mock: Mock) -> None:
    engine.write(platform(engine, mock, {"timeSlicing": {"replicas": 4}}))
    assert engine.steps()["nvidia-device-plugin"] == "update"
    before = plugin_pods(engine)
    engine.up()
    until(engine, 4 * mock.gpus, 4 * mock.gpus)
    assert not before & plugin_pods(engine), "the plugin was restarted"
    assert engine.steps() == {}
    found = inventory(engine)
    assert (found["gpusPerNode"], found["sharing"]) == (mock.gpus, {"timeSlicing": {"replicas": 4}})


def test_four_pods_of_the_team_run_on_each_gpu(engine: Engine, mock: Mock, tmp_path: Path) -> None:
    tenant = Tenant(engine=engine, team=next(iter(engine.platform["teams"])), folder=tmp_path)
    image = engine.platform["check"]["image"]
    manifest = tmp_path / "shared.yaml"
    manifest.write_text(SPREAD.format(pods=4 * mock.gpus, image=image))
    tenant.kubectl("apply", "-f", str(manifest))
    tenant.kubectl("rollout", "status", "deployment/shared", "--timeout=100s")
    said = tenant.kubectl("logs", "-l", "app=shared", "--max-log-requests=64", "--tail=1").split()
    assert len(said) == 4 * mock.gpus
    assert sorted(said.count(uuid) for uuid in set(said)) == [4] * mock.gpus, "each GPU has four of them"
    tenant.kubectl("delete", "deployment/shared", "--wait=true")


def test_the_plugin_s_pod_comes_back_with_the_same_gpus(engine: Engine, mock: Mock) -> None:
    before = plugin_pods(engine)
    engine.kubectl("-n", DEVICE_PLUGIN_NAMESPACE, "delete", "pods", "--all", "--wait=true")
    eventually("no other pod of the plugin came", lambda: bool(plugin_pods(engine) - before))
    until(engine, 4 * mock.gpus, 4 * mock.gpus)


def test_a_gpu_with_an_xid_is_unhealthy_until_the_plugin_is_restarted(engine: Engine, mock: Mock) -> None:
    if not TELLS_XIDS:
        pytest.skip("GPU_TENANCY_ENGINE_MOCK_XID is not yes: an Xid was not tried")
    all_of_them = 4 * mock.gpus
    mock.override({"devices": {"0": {"failure": {"mode": "ecc_uncorrectable", "xid": {"code": XID}}}}})
    # one replica, as plugin 0.20.0 does it (releases, xid-takes-one-replica)
    until(engine, all_of_them, all_of_them - 1)
    assert "still get pods" in inventory(engine)["said"]
    said = preflight(engine)
    assert f"has {all_of_them}, of which {all_of_them - 1} are allocatable" in said
    assert "make fence NODE=" in said
    mock.override(None)
    engine.kubectl("-n", DEVICE_PLUGIN_NAMESPACE, "delete", "pods", "--all", "--wait=true")
    until(engine, all_of_them, all_of_them)


def test_another_number_of_replicas_is_no_missing_gpu(engine: Engine, mock: Mock) -> None:
    engine.write(platform(engine, mock, {"timeSlicing": {"replicas": 6}}))
    done = command(engine, "up")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    until(engine, 6 * mock.gpus, 6 * mock.gpus)


def test_slices_of_gpus_that_are_not_cut_are_told_after_up(engine: Engine, mock: Mock) -> None:
    engine.write(platform(engine, mock, {"mig": {"profile": "1g.10gb", "slices": 7}}))
    assert "come with `up`" in preflight(engine)
    engine.up()
    until(engine, mock.gpus, mock.gpus)
    assert "are not cut" in preflight(engine)


def test_a_second_life_after_down(engine: Engine, mock: Mock) -> None:
    everything_unprotected(engine)
    engine.run("destroy", "--yes")
    eventually("the node still shows GPUs", lambda: amounts(engine)[1] == 0)
    assert not [label for label in node(engine)["metadata"]["labels"] if label.startswith("nvidia.com/")]
    engine.write(platform(engine, mock))
    engine.up()
    until(engine, mock.gpus, mock.gpus)
