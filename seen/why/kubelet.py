"""What is nearest to a pod: the node that refused it, its volumes, its containers. Pure."""

from __future__ import annotations

import re
from typing import Final

from lenient import condition, rows, table, text, texts
from names import KAI_SCHEDULER_NAME
from seen.pods import containers
from seen.why.image import image
from seen.why.model import Case, Why
from seen.why.scheduler import ADMISSION, down, state_of

_REFUSALS: Final = {
    "UnexpectedAdmissionError": "gpu-admission",
    "NodeAffinity": "node-labels",
    "Evicted": "evicted",
    "TopologyAffinityError": "numa",
    "NodeShutdown": "node-shutdown",
    "Terminated": "node-shutdown",
    "NodeLost": "node-lost",
    "Preempting": "node-preempted",
    "DeadlineExceeded": "deadline",
}
"""The reasons of the kubelet and of controllers for ending a pod (kubernetes: pkg/kubelet)."""
_TOO_MANY_REPLICAS: Final = "maximum request size for shared resources"
"""The device plugin's answer to a container with more than one replica (DP@v0.20.0:internal/rm/rm.go)."""
_NUMBERS: Final = re.compile(r"requested: (\d+), used: (\d+), capacity: (\d+)")
_NOT_THERE: Final = re.compile(r'(configmap|secret)s? "([^"]+)" not found')
_NO_KEY: Final = re.compile(r"couldn't find key (\S+) in (ConfigMap|Secret) (\S+)")
_NO_PROGRAM: Final = re.compile(r'exec: "([^"]+)"')
_GPU_WORDS: Final = re.compile(r"cdi|nvidia|nvml|cuda", re.IGNORECASE)


def refused_by_node(case: Case) -> Why | None:
    """The kubelet refused or ended it: final for this pod, its owner makes another."""
    if text(case.placed, "status", "phase") != "Failed":
        return None
    reason, message = text(case.placed, "status", "reason"), text(case.placed, "status", "message")
    again = "its owner makes a new pod" if case.pod.owner else "delete the pod and make it again"
    if reason.startswith("OutOf"):
        found = _NUMBERS.search(message)
        said = f"asked {found[1]}, used {found[2]} of {found[3]}" if found else message
        return case.say("gpu-taken" if "gpu" in reason else "node-full", reason=reason, said=said, again=again)
    if _TOO_MANY_REPLICAS in message:
        return case.say("one-replica")
    return case.say(_REFUSALS[reason], said=message, again=again) if reason in _REFUSALS else None


def config(case: Case) -> Why | None:
    """A container that can't be made from the pod's spec."""
    for container in containers(case.placed):
        waiting, name = table(container, "state", "waiting"), text(container, "name")
        reason, message = text(waiting, "reason"), text(waiting, "message")
        if reason == "CreateContainerConfigError":
            return _missing(case, message) or case.say("config", container=name, said=message)
        if reason in ("CreateContainerError", "RunContainerError", "StartError"):
            return _not_started(case, name, message)
    return None


def _missing(case: Case, message: str) -> Why | None:
    if found := _NO_KEY.search(message):
        return case.say("key-missing", key=found[1], kind=found[2], name=_inner(case, found[3].rpartition("/")[2]))
    if found := _NOT_THERE.search(message):
        return case.say(f"{found[1]}-missing", name=_inner(case, found[2].rpartition("/")[2]))
    return None


def _inner(case: Case, name: str) -> str:
    """The team's own name of an object on the host: vCluster makes `<name>-x-<namespace>-x-<team>`."""
    return name.removesuffix(f"-x-{case.pod.namespace}-x-{case.team.name}")


def _not_started(case: Case, name: str, message: str) -> Why:
    if (found := _NO_PROGRAM.search(message)) and "nvidia" not in found[1]:
        return case.say("command", container=name, program=found[1])
    return case.say("gpu-injection" if _GPU_WORDS.search(message) else "container", container=name, said=message)


_STARTED_NEVER: Final = ("StartError", "ContainerCannotRun")


def crash(case: Case) -> Why | None:
    """A container that starts and ends, again and again."""
    for container in containers(case.placed):
        last = table(container, "lastState", "terminated") or table(container, "state", "terminated")
        name, reason = text(container, "name"), text(last, "reason")
        loops = text(container, "state", "waiting", "reason") == "CrashLoopBackOff"
        if not loops and reason not in ("OOMKilled", "Error", *_STARTED_NEVER):
            continue
        if reason == "OOMKilled":
            return case.say("out-of-memory", container=name, limit=_limit(case, name))
        if reason in _STARTED_NEVER:
            return _not_started(case, name, text(last, "message"))
        code, times = text(last, "exitCode"), text(container, "restartCount")
        return case.say("crash", container=name, code=code, times=times)
    return None


def _limit(case: Case, name: str) -> str:
    limits = (text(c, "resources", "limits", "memory") for c in rows(case.json, "spec", "containers") if _is(c, name))
    return next((f" of {limit}" for limit in limits if limit), "")


def _is(container: object, name: str) -> bool:
    return text(container, "name") == name


def starting(case: Case) -> Why | None:
    """On its node without a container yet: volumes, the sandbox, the network."""
    if not case.pod.node or any(table(c, "state", "running") for c in containers(case.placed)):
        return None
    if mount := case.last("FailedMount", "FailedAttachVolume"):
        return _missing(case, mount) or case.say("mount", said=mount)
    said = case.last("FailedCreatePodSandBox")
    if not said:
        return None
    if "no runtime for" in said or "RuntimeHandler" in said:
        return case.say("runtime-handler", runtime=text(case.json, "spec", "runtimeClassName"))
    return case.say("network" if re.search(r"network|\bcni\b", said, re.IGNORECASE) else "sandbox", said=said)


def slow(case: Case) -> Why | None:
    """It makes progress: an init container runs, or it runs and is not ready, or it ends."""
    for container in rows(case.placed, "status", "initContainerStatuses"):
        name = text(container, "name")
        if table(container, "state", "running") and not _is_sidecar(case, name):
            return case.say("init", container=name)
    if case.pod.state == "Terminating":
        return _held_by_kai(case) or case.say("terminating")
    if case.pod.phase == "Running" and not case.pod.ready:
        said = case.last("Unhealthy")
        return case.say("not-ready", said=f": {said}" if said else "")
    return None


def _is_sidecar(case: Case, name: str) -> bool:
    sidecars = (c for c in rows(case.json, "spec", "initContainers") if text(c, "restartPolicy") == "Always")
    return any(_is(container, name) for container in sidecars)


def silent(case: Case) -> Why | None:
    """It has a node, and there is no other information."""
    if not case.pod.node:
        return None
    node = next((n for n in case.seen.nodes if n.name == case.pod.node), None)
    if node is not None and not node.ready and condition(case.placed, "Ready").get("status") != "True":
        return case.say("node-not-ready", nodes=f"node {node.name}")
    return case.say("being-made")


PLACES: Final = (refused_by_node, image, config, crash, starting, slow)
"""In the order of the search."""


def _held_by_kai(case: Case) -> Why | None:
    """To remove a finalizer is an update of the pod, and KAI's webhook judges updates of its pods (KAI@v0.16.8:
    pkg/operator/operands/admission/resources.go, Create and Update, failurePolicy Fail).
    """
    part = down(case, ADMISSION)
    held = texts(case.json, "metadata", "finalizers")
    if part is None or not held or text(case.json, "spec", "schedulerName") != KAI_SCHEDULER_NAME:
        return None
    return case.say("deletion-held", finalizers=", ".join(held), part=part.name, state=f"it {state_of(case, part)}")
