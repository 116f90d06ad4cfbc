"""A platform with one team for each way to have a GPU, and the check's own pod with a fault planted in it."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from tests.conftest import ROOT
from tests.engine.conftest import Engine, overriding

Json = dict[str, Any]

REPLICAS = 4
POD_SECONDS = int(os.environ.get("GPU_TENANCY_ENGINE_POD_SECONDS", "240"))
MESSAGES: Final = 'jsonpath={range .items[*]}{.message}{"\\n"}{end}'
HOST_TEAMS: Final = ("lender", "borrower")
HOST_TEAM_RESOURCES: Final = {"cpu": 2, "memory": "12Gi", "pods": 20}
PLANT = """
import os, signal, subprocess, sys
probe = subprocess.Popen([sys.executable, *sys.argv[3:]], stderr=subprocess.PIPE, text=True)
for line in probe.stderr:
    if sys.argv[2] in line:
        with open(f"/proc/{probe.pid}/task/{probe.pid}/children") as children:
            os.kill(int(children.read().split()[0]), getattr(signal, sys.argv[1]))
        break
sys.exit(probe.wait())
"""
"""Starts the probe, and sends its worker a signal when a step begins: what a hung or dead driver call looks like."""
QUIET = """
import subprocess, sys
sys.exit(subprocess.run([sys.executable, *sys.argv[1:]], stderr=subprocess.DEVNULL).returncode)
"""
"""Starts the probe without its progress: in a pod's log the lines of both streams come in any order."""
HOLDER = """
import sys, time, torch
held = [torch.ones(256 << 20, dtype=torch.uint8, device=0) for _ in range(int(sys.argv[1]) // 256)]
torch.cuda.synchronize()
print("held", flush=True)
time.sleep(3600)
"""
"""A neighbour that holds its first argument's MiB of GPU 0."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What the stack file's cluster offers: the pool with GPUs, and the team that tries it."""

    pool: str
    team: str
    gpus: int
    """Physical GPUs of one node."""
    memory_mib: int | None
    owner: str
    """Whose the device plugin is."""
    mps: int | None
    """Replicas of each GPU by MPS; None where the stack file's pool is not shared so."""


def ground(platform: Mapping[str, Any]) -> Ground:
    """The first team in mode virtual with a pool. Fails where there is none."""
    for name, team in platform["teams"].items():
        if team.get("scheduler", {}).get("mode") == "virtual" and team.get("pool"):
            pool = platform["pools"][team["pool"]]
            return Ground(
                pool=team["pool"],
                team=name,
                gpus=pool["gpusPerNode"],
                memory_mib=pool.get("gpuMemoryMib"),
                owner=platform["gpu"].get("owner", "ours"),
                mps=pool.get("sharing", {}).get("mps", {}).get("replicas"),
            )
    raise AssertionError("the stack file needs a team in mode virtual with a pool")


def platform_for(
    engine: Engine,
    check: Mapping[str, Any],
    replicas: int = 1,
    injection: str | None = None,
    way: str = "timeSlicing",
) -> Json:
    """The stack file with that team alone, all GPUs of its pool in one queue, and this check."""
    found, data, all_of_it = _shared(engine, replicas, way)
    team = data["teams"][found.team]
    team["scheduler"] = {**team["scheduler"], "gpuSharing": replicas == 1}
    team["resources"] = {**team.get("resources", {}), "gpus": all_of_it}
    team["queues"] = {"work": {"gpu": all_of_it}}
    team["check"] = {"queue": "work", **check}
    data["teams"] = {found.team: team}
    # the test before may have had more GPUs, or workloads
    data["overrides"] = overriding(data["teams"], "lowerLimit")
    if injection:
        data["gpu"]["injection"] = injection
    return data


def host_mode_for(
    engine: Engine, checks: Sequence[Mapping[str, Any]], replicas: int, injection: str | None = None
) -> Json:
    """The stack file with HOST_TEAMS on the host's KAI: each may use the whole pool, and half of it is its own.

    Of a single GPU that is not shared, the first team owns all and the second may have what is free. `checks` in their
    order.
    """
    found, data, all_of_it = _shared(engine, replicas)
    like = data["teams"][found.team]
    data["host"]["scheduler"] = {"version": like["scheduler"]["version"]}
    data["teams"] = {}
    quotas = (all_of_it - all_of_it // 2, all_of_it // 2)
    for name, quota, check in zip(HOST_TEAMS, quotas, checks, strict=True):
        gpus = {"quota": quota, "limit": all_of_it}
        data["teams"][name] = {
            **copy.deepcopy(like),
            "scheduler": {"mode": "host", "gpuSharing": replicas == 1},
            "resources": {**HOST_TEAM_RESOURCES, "gpus": gpus},
            "queues": {"work": {"gpu": gpus}},
            "check": dict(check),
        }
    if injection:
        data["gpu"]["injection"] = injection
    return data


def _shared(engine: Engine, replicas: int, way: str = "timeSlicing") -> tuple[Ground, Json, int]:
    """The ground, a copy of the stack file's platform whose pool has these replicas, and what the pool has then."""
    found, data = ground(engine.platform), copy.deepcopy(engine.platform)
    pool = data["pools"][found.pool]
    pool.pop("sharing", None)
    if replicas > 1:
        pool["sharing"] = {way: {"replicas": replicas}}
    nodes = len(pool.get("nodes", ())) or pool.get("nodeCount", 1)
    return found, data, found.gpus * nodes * replicas


def report_of(engine: Engine, team: str | None = None) -> Json:
    """The report of a team's check; of the one in mode virtual unless told."""
    text = engine.outputs()["teams"][team or ground(engine.platform).team]["check"]
    report: Json = json.loads(text)
    return report


@dataclass
class Tenant:
    """A team's own cluster, as its people see it."""

    engine: Engine
    team: str
    folder: Path

    def kubectl(self, *words: str, check: bool = True) -> str:
        kubeconfig = self.folder / f"{self.team}.kubeconfig"
        if not kubeconfig.exists():
            kubeconfig.touch(mode=0o600)
            kubeconfig.write_text(self.engine.outputs(secrets=True)["kubeconfigs"][self.team]["admin"])
        return self.engine.kubectl(*words, kubeconfig=str(kubeconfig), check=check)

    def deploy(self, name: str, queue: str, replicas: int, labels: Mapping[str, str], image: str | None = None) -> None:
        """The Deployment of docs/examples/workloads/nvidia-smi.yaml in another queue, on its own image unless told."""
        data = yaml.safe_load((ROOT / "docs/examples/workloads/nvidia-smi.yaml").read_text())
        labels = {"app": name, "kai.scheduler/queue": queue, **labels}
        data["metadata"] = {"name": name, "labels": {"app": name}}
        data["spec"].update(replicas=replicas, selector={"matchLabels": {"app": name}})
        data["spec"]["template"]["metadata"]["labels"] = labels
        data["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 0
        if image is not None:
            data["spec"]["template"]["spec"]["containers"][0]["image"] = image
        path = self.folder / f"{self.team}-{name}.json"
        path.write_text(json.dumps(data))
        self.kubectl("apply", "-f", str(path))

    def running(self, name: str) -> list[str]:
        """The names of a Deployment's pods that run and are not being deleted."""
        items = json.loads(self.kubectl("get", "pods", "-l", f"app={name}", "-o", "json"))["items"]
        alive = (pod for pod in items if "deletionTimestamp" not in pod["metadata"])
        return sorted(pod["metadata"]["name"] for pod in alive if pod["status"].get("phase") == "Running")

    def until_running(self, name: str, count: int) -> list[str]:
        """Until exactly so many run; fails with the Deployment's pods when that takes too long."""
        end = time.monotonic() + POD_SECONDS
        while len(found := self.running(name)) != count:
            assert time.monotonic() < end, self.kubectl("describe", "pods", "-l", f"app={name}")[-6000:]
            time.sleep(0.5)
        return found

    def uuids(self, name: str, pods: list[str]) -> list[str]:
        """The GPUs that each of a Deployment's pods printed, once all of them have."""
        end = time.monotonic() + POD_SECONDS
        while True:
            logs = [self.kubectl("logs", pod) for pod in pods]
            found = [re.findall(r"UUID: (GPU-[0-9a-f-]+)", text)[:1] for text in logs]
            if all(found):
                return [first for (first,) in found]
            assert time.monotonic() < end, f"{name}: {logs}"
            time.sleep(0.5)


def finding(report: Mapping[str, Any], id_: str) -> Json:
    """The first finding of that name. Fails with all names where there is none."""
    for found in report["findings"]:
        if found["id"] == id_:
            return dict(found)
    raise AssertionError(f"{id_} is not among {sorted({f['id'] for f in report['findings']})}")


@dataclass
class Pods:
    """Pods like the check's own, in a team's cluster."""

    engine: Engine
    kubeconfig: str
    folder: Path
    made: list[str] = field(default_factory=list)

    def kubectl(self, *words: str, check: bool = True) -> str:
        return self.engine.kubectl("-n", "gpu-check", *words, kubeconfig=self.kubeconfig, check=check)

    def like_the_check(self, name: str, change: Callable[[Json], None]) -> Json:
        """The asking Job's pod under another name, that prints its report, with `change` made to it."""
        job = json.loads(self.kubectl("get", "job", "gpu-check", "-o", "json"))
        template = job["spec"]["template"]
        spec, labels = template["spec"], template["metadata"]["labels"]
        spec["restartPolicy"] = "Never"
        container = spec["containers"][0]
        kept = ("GPU_CHECK_CONFIGMAP", "GPU_CHECK_RUN", "GPU_CHECK_HELD_UNTIL")
        container["env"] = [item for item in container["env"] if item["name"] not in kept]
        container["args"] = [*container["args"], "--report", "-"]
        program = container["command"][1:]
        container["command"] = ["python3", "-c", QUIET, *program]
        container["terminationMessagePolicy"] = "File"
        ours = {key: value for key, value in labels.items() if "batch.kubernetes.io" not in key and key != "job-name"}
        pod: Json = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": "gpu-check",
                "labels": {k: v for k, v in ours.items() if k != "controller-uid"},
                "annotations": dict(template["metadata"].get("annotations", {})),
            },
            "spec": spec,
        }
        change(pod)
        return pod

    def start(self, pod: Json) -> str:
        """Make a pod; its name."""
        name: str = pod["metadata"]["name"]
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(pod))
        self.kubectl("delete", "pod", name, "--ignore-not-found", "--wait=true")
        self.kubectl("apply", "-f", str(path))
        self.made.append(name)
        return name

    def until(self, name: str, *phases: str) -> None:
        """Until a pod is in one of these phases; fails with its status when that takes too long."""
        end = time.monotonic() + POD_SECONDS
        while (phase := self.kubectl("get", "pod", name, "-o", "jsonpath={.status.phase}")) not in phases:
            assert time.monotonic() < end, self.kubectl("get", "pod", name, "-o", "jsonpath={.status}")
            assert phase not in ("Succeeded", "Failed"), self.kubectl("logs", name)
            time.sleep(1)

    def refused(self, name: str) -> str:
        """Why the host let a pod's copy not in, in the tenant's own words; fails where it did."""
        end = time.monotonic() + POD_SECONDS
        while True:
            said = self.kubectl("get", "events", "--field-selector", f"involvedObject.name={name}", "-o", MESSAGES)
            found = [line for line in said.splitlines() if "denied request" in line]
            if found:
                return found[0].partition("denied request: ")[2] or found[0]
            assert time.monotonic() < end, self.kubectl("get", "pod", name, "-o", "jsonpath={.status}") + said
            time.sleep(0.5)

    def wait_for_word(self, name: str, word: str) -> None:
        """Until a pod has printed a word: follows its log, and fails where the log ends without it."""
        words = ["kubectl", "--kubeconfig", self.kubeconfig, "-n", "gpu-check", "logs", "--follow", name]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as following:
            assert following.stdout is not None
            found = any(word in line for line in following.stdout)
            following.terminate()
        assert found, f"{name} ended without the word {word}"

    def report(self, name: str) -> Json:
        """What the pod printed when it has ended."""
        self.until(name, "Succeeded", "Failed")
        lines = self.kubectl("logs", name).splitlines()
        assert "{" in lines, "\n".join(lines[-20:])
        start = lines.index("{")
        end = max(index for index, line in enumerate(lines) if line == "}")
        report: Json = json.loads("\n".join(lines[start : end + 1]))
        return report

    def planted(self, name: str, change: Callable[[Json], None]) -> Json:
        """The report of the check's pod with a fault planted; nothing made here is left."""
        try:
            return self.report(self.start(self.like_the_check(name, change)))
        finally:
            self.clear()

    def clear(self) -> None:
        """Take away what was made here."""
        for name in self.made:
            self.kubectl("delete", "pod", name, "--ignore-not-found", "--grace-period=0", check=False)
        self.made.clear()


# changes to plant


def container_of(pod: Json) -> Json:
    """The pod's one container."""
    found: Json = pod["spec"]["containers"][0]
    return found


def expecting(**changes: Any) -> Callable[[Json], None]:
    """The probe is promised something else than the pod asked for."""

    def change(pod: Json) -> None:
        for item in container_of(pod)["env"]:
            if item["name"] == "GPU_CHECK_EXPECT":
                item["value"] = json.dumps({**json.loads(item["value"]), **changes})

    return change


def with_env(name: str, value: str) -> Callable[[Json], None]:
    """A variable in the pod's spec."""

    def change(pod: Json) -> None:
        container_of(pod)["env"].append({"name": name, "value": value})

    return change


def without_runtime_class(pod: Json) -> None:
    """Nobody puts the GPU in, unless nvidia is the node's default runtime."""
    pod["spec"].pop("runtimeClassName", None)


def without_a_gpu(pod: Json) -> None:
    """The NVIDIA runtime's class alone: a GPU that nobody counts."""
    container_of(pod).pop("resources", None)


def by_annotation(pod: Json) -> None:
    """Every GPU of the node, by containerd's own reading of CDI."""
    pod["metadata"]["annotations"]["cdi.k8s.io/all"] = "nvidia.com/gpu=all"


def by_mount(pod: Json) -> None:
    """Every GPU of the node, by the toolkit's list of devices as mounts: it reads where they are, not what is there."""
    pod["spec"].setdefault("volumes", []).append({"name": "list", "emptyDir": {}})
    mount = {"name": "list", "mountPath": "/var/run/nvidia-container-devices/all"}
    container_of(pod).setdefault("volumeMounts", []).append(mount)


def of_another_name(pod: Json) -> None:
    """A device that no quota of the team counts."""
    container_of(pod).setdefault("resources", {})["limits"] = {"amd.com/gpu": "1"}


def with_a_foreign_disk(pod: Json) -> None:
    """A volume of a server of the tenant's choice, mounted by the node."""
    disk = {"name": "disk", "nfs": {"server": "127.0.0.1", "path": "/"}}
    pod["spec"].setdefault("volumes", []).append(disk)


def signalled(signal: str, step: str, *words: str) -> Callable[[Json], None]:
    """The worker gets a signal when a step begins."""

    def change(pod: Json) -> None:
        container = container_of(pod)
        program = container["command"][3:]
        container["command"] = ["python3", "-c", PLANT, signal, step, *program]
        container["args"] = [*container["args"], *words]

    return change


def holding(mib: int) -> Callable[[Json], None]:
    """Instead of the check: a neighbour that takes that much of the GPU's memory and stays."""

    def change(pod: Json) -> None:
        container = container_of(pod)
        container["command"], container["args"] = ["python3", "-c", HOLDER], [str(mib)]

    return change
