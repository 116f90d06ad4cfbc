"""Why a check's pod wrote no report, from the pod and the events about it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from probe.expect import SCHEMA_VERSION, Json

REFUSED_BY_NODE = ("UnexpectedAdmissionError", "NodeAffinity", "Evicted")
NOT_STARTED = ("FailedCreatePodSandBox", "FailedMount", "FailedAttachVolume", "Failed", "InspectFailed")
"""The kubelet's events about a pod that it can't start (kubernetes: pkg/kubelet/events)."""
NO_ROOM = ("FailedScheduling", "Unschedulable")
BIND_FAILED = "PodBound"
"""KAI's condition on a pod that it found room for (KAI@v0.7.11 to v0.16.8:
pkg/binder/controllers/bindrequest_controller.go)."""

# what NVIDIA's runtime and containerd say when the GPU can't be put in -> what to do
INJECTION_FAILED = (
    (
        "unresolvable cdi devices",
        "the node has no CDI spec with that name: say in gpu.injection how its GPUs come, so that device plugin and "
        "KAI name them alike; after a driver update renew the specs (nvidia-ctk cdi generate)",
    ),
    ("no runtime for", "the node's container runtime has no handler of that name: configure it, or name another class"),
    ("unknown device", "NVIDIA's runtime is in mode legacy and was given a CDI name: say so in gpu.injection"),
    (
        "unrecognized option",
        "the node's libnvidia-container is older than its container toolkit: install both of one version",
    ),
    ("cgroup subsystem devices not found", "libnvidia-container knows cgroup v2 from 1.8 on: install that, or newer"),
    ("nvidia-container-cli", "look at the node's driver and container toolkit (nvidia-smi, nvidia-ctk system)"),
    ("could not apply required modification", "look at the mode in the node's nvidia-container-runtime config.toml"),
)


def why_no_report(pods: Sequence[Json], events: Sequence[Json]) -> tuple[str, str]:
    """(verdict, sentence) for an asking pod that wrote no report, from its pods and the namespace's events."""
    for pod in pods:
        reason, message = pod.get("status", {}).get("reason", ""), pod.get("status", {}).get("message", "")
        if reason.startswith("OutOf") or reason in REFUSED_BY_NODE:
            return "fail", f"the node refused the check's pod ({reason}: {message}); does another tenant hold its GPU?"
    if not pods:
        refused = [event.get("message", "") for event in events if event.get("reason") == "FailedCreate"]
        cause = refused[-1] if refused else "the Job's controller made none"
        return "fail", f"the check's pod could not be created: {cause}"
    latest = pods[-1]
    about = [event for event in events if _about(event, latest)]
    if conditions(latest).get("PodScheduled", {}).get("status") == "True":
        return why_not_run(latest, about)
    return why_not_placed(latest, about)


def why_not_run(pod: Json, events: Sequence[Json]) -> tuple[str, str]:
    """Of a pod that has a node."""
    kubelet = with_fix(last(events, NOT_STARTED))
    for container in pod.get("status", {}).get("containerStatuses", []):
        state = container.get("state", {})
        if state.get("waiting"):
            said = f"{state['waiting'].get('reason')}: {with_fix(state['waiting'].get('message', '')) or kubelet}"
            return "fail", f"the check's container does not start ({said})"
        if state.get("terminated"):
            ended = state["terminated"]
            text = with_fix(ended.get("message") or ended.get("reason") or "no message")
            return "fail", f"the check ended with exit code {ended.get('exitCode')} and wrote no report: {text}"
        if "running" in state:
            return "fail", "the check was still running at its deadline; raise check.deadlineSeconds or see its log"
    # a virtual cluster's syncer says on the pod why the host would not have it
    refused = last(events, ("SyncError",))
    if "exceeded quota" in refused:
        return "no-capacity", f"the team's own quota on the host is used up: {refused}"
    if refused:
        return "fail", f"the host refused the check's pod: {refused}"
    told = f": {kubelet}" if kubelet else "; see the kubelet there"
    return "fail", f"the check's pod was bound to a node and never started{told}"


def why_not_placed(pod: Json, events: Sequence[Json]) -> tuple[str, str]:
    """Of a pod that no scheduler gave a node, or that its scheduler could not bind to the node that it chose."""
    found = conditions(pod)
    scheduled, bound = found.get("PodScheduled", {}), found.get(BIND_FAILED, {})
    later = bound.get("lastTransitionTime", "") >= scheduled.get("lastTransitionTime", "")
    if bound.get("status") == "False" and later:
        text = f"KAI found room and could not bind the check's pod: {bound.get('message')}"
        if "reservation" in str(bound.get("message")):
            text += "; look at the pods in kai-resource-reservation: each needs the GPU, a RuntimeClass and NVML"
        return "fail", text
    reason = scheduled.get("message") or last(events, NO_ROOM)
    if reason:
        return "no-capacity", f"no GPU was free before the deadline: {reason}"
    return "fail", "no scheduler looked at the check's pod; are the scheduler's own pods running in kai-scheduler?"


def conditions(pod: Json) -> Mapping[str, Json]:
    """A pod's conditions by type."""
    return {entry.get("type"): entry for entry in pod.get("status", {}).get("conditions", [])}


def last(events: Sequence[Json], reasons: Sequence[str]) -> str:
    """The message of the last event with one of these reasons; empty without one."""
    said = [event.get("message", "") for event in events if event.get("reason") in reasons]
    return said[-1] if said else ""


def with_fix(text: str) -> str:
    """The text, and what to do where it says that a GPU could not be put into the container."""
    fix = next((fix for words, fix in INJECTION_FAILED if words in text.lower()), "")
    return f"{text}; {fix}" if fix else text


def _about(event: Json, pod: Json) -> bool:
    named = event.get("involvedObject", {}).get("name")
    return bool(named == pod.get("metadata", {}).get("name"))


def how_far(progress: Mapping[str, object] | None) -> str:
    """How far a probe came that left no report: its last progress note, in words."""
    sentence = (progress or {}).get("sentence")
    return f" (last heard of it: {sentence})" if sentence else ""


def made_here(expect: Mapping[str, object], verdict: str, sentence: str) -> Json:
    """A report for a check that could not write one."""
    return {
        "schemaVersion": SCHEMA_VERSION,
        "verdict": verdict,
        "sentence": sentence,
        "findings": [],
        "gpus": [],
        "timings": {},
        **{key: expect.get(key) for key in ("team", "pool", "node", "queue", "mode", "stamp")},
    }
