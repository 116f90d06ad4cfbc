"""The scheduler itself: who places the pod, whether KAI's parts run, whether its choice could be bound. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from lenient import condition, moment, rows, text
from names import DEFAULT_SCHEDULER, KAI_NAMESPACE, KAI_RESERVATION_NAMESPACE, KAI_SCHEDULER_NAME
from seen.model import Component
from seen.why.border import refusal
from seen.why.model import Case, Why, several
from seen.why.queue import words

_SCHEDULER: Final = ("kai-scheduler-default", "kai-scheduler", "scheduler")
_BINDER: Final = ("binder",)
_GROUPER: Final = ("pod-grouper", "podgrouper")
"""KAI's Deployments by what they do; their names changed between its lines (`releases/kai.py`)."""


def gated(case: Case) -> Why | None:
    """Somebody holds it back on purpose."""
    gates = [text(gate, "name") for gate in rows(case.json, "spec", "schedulingGates")]
    return case.say("gated", gates=", ".join(gates)) if gates and not case.pod.node else None


def nobody(case: Case) -> Why | None:
    """A name of a scheduler that does not exist."""
    asked, has_kai = case.pod.scheduler, case.team.mode != "default"
    if asked in (DEFAULT_SCHEDULER, "") or (asked == KAI_SCHEDULER_NAME and has_kai):
        return None
    return case.say("no-such-scheduler", scheduler=asked, right=KAI_SCHEDULER_NAME if has_kai else DEFAULT_SCHEDULER)


def absent(case: Case) -> Why | None:
    """KAI does not exist, or a part of it that this pod needs does not run."""
    if case.pod.scheduler != KAI_SCHEDULER_NAME or case.pod.node:
        return None
    if not case.team.kai:
        return None if case.seen.simulated or _unread(case) else case.say("no-kai", where=case.where)
    part = (down(case, _GROUPER) if case.group is None else None) or down(case, _SCHEDULER)
    return _part(case, part) if part else None


def _unread(case: Case) -> bool:
    whose = "host" if case.team.mode == "host" else f"team {case.team.name}"
    return any(gap.what in (f"{whose}: kai", f"{whose}: everything") for gap in case.seen.gaps)


ADMISSION: Final = ("admission", "binder")
"""The parts that answer KAI's pod webhook: its own part, or up to 0.7 the binder."""


def down(case: Case, names: tuple[str, ...]) -> Component | None:
    """The part of KAI with one of these names, where it has no ready pod."""
    return next((one for one in case.team.kai if one.name in names and one.ready == 0), None)


def state_of(case: Case, part: Component) -> str:
    """The state of a part of KAI that is down."""
    if part.wanted == 0:
        return "is scaled to 0"
    pods = [p for p in case.team.pods if p.namespace == KAI_NAMESPACE and p.name.startswith(f"{part.name}-")]
    return f"does not run: {', '.join(dict.fromkeys(pod.state for pod in pods)) or 'it has no pod'}"


def _part(case: Case, part: Component) -> Why:
    return case.say("kai-down", part=part.name, where=case.where, state=state_of(case, part))


def not_bound(case: Case) -> Why | None:
    """KAI found room, but its binder could not bind the pod."""
    if case.pod.node:
        return None
    bound = condition(case.json, "PodBound")
    since = moment(bound, "lastTransitionTime"), moment(case.scheduled, "lastTransitionTime")
    newer = since[0] is None or since[1] is None or since[0] >= since[1]
    told = text(bound, "message") if bound.get("status") == "False" and newer else ""
    if text(case.bind, "status", "phase") == "Failed" or told:
        said = text(case.bind, "status", "reason") or told
        return _reservation(case, said) or case.say("not-bound", said=said)
    if case.bind is not None and (found := down(case, _BINDER)) is not None:
        return _part(case, found)
    return _reservation(case, "it waits for the reservation") if case.bind is not None and case.pod.devices else None


def _reservation(case: Case, said: str) -> Why | None:
    """The reservation pod, which holds the GPU for a fraction: without it no fraction starts."""
    if "reserv" not in said and "gpu index" not in said.lower():
        return None
    every = [pod for pod in (*case.team.pods, *case.seen.pods) if pod.namespace == KAI_RESERVATION_NAMESPACE]
    stuck = [pod for pod in every if not pod.ready]
    for pod in stuck:
        about = [e for e in case.seen.events if e.reason == "SyncError" and e.name == pod.name and e.team == pod.team]
        if about and (found := refusal(replace(case, pod=pod), about[-1].message)):
            return replace(case.say("reservation", state="", said=found.cause), fix=found.fix)
    state = several([f"{pod.name}: {pod.state}" for pod in stuck])
    return case.say("reservation", state=f" ({state})" if stuck else "", said=said)


_CLAIM_GONE: Final = re.compile(r'persistentvolumeclaim "([^"]+)" not found')
_CONFIGMAPS: Final = re.compile(r"Missing required configmaps: \[?([^\]]+)\]?")


def claims(case: Case) -> Why | None:
    """What it mounts and what the scheduler waits for: claims, ConfigMaps."""
    if case.pod.node:
        return None
    said = words(case)
    for volume in rows(case.json, "spec", "volumes"):
        wanted = text(volume, "persistentVolumeClaim", "claimName")
        claim = case.named("persistentvolumeclaims", wanted) if wanted else None
        if wanted and claim is None and "persistentvolumeclaims" in case.others:
            return case.say("claim-missing", name=wanted)
        phase = text(claim, "status", "phase")
        if phase == "Lost":
            return case.say("claim-lost", name=wanted)
        # a claim that binds when its pod is placed is Pending until then, which is normal
        if phase == "Pending" and "unbound" in said:
            return _unbound(case, wanted, text(claim, "spec", "storageClassName"))
    if found := _CLAIM_GONE.search(said):
        return case.say("claim-missing", name=found[1])
    if found := _CONFIGMAPS.search(said):
        return case.say("configmap-missing", name=found[1].strip())
    return None


def _unbound(case: Case, claim: str, kind: str) -> Why:
    here, team = case.pod.namespace, case.team
    sides = ((team.name, here, claim), ("", team.namespace, f"{claim}-x-{here}-x-{team.name}"))
    told = next((e.message for side in sides for e in reversed(case.seen.about.get(side, ()))), "")
    found = refusal(case, told)
    said = found.cause if found else told
    answer = case.say("claim-unbound", name=claim, kind=kind or "the default", said=f": {said}" if said else "")
    return replace(answer, fix=found.fix) if found else answer


_RULES: Final = (
    ("pod anti-affinity", "anti-affinity"),
    ("pod affinity", "pod-affinity"),
    ("topology spread", "topology-spread"),
    ("free ports", "host-port"),
    ("volume node affinity", "volume-node"),
    ("pod number exceeded", "pods-of-node"),
    ("Too many pods", "pods-of-node"),
    ("topology", "topology"),
)
"""Causes that only the scheduler's message shows (kubernetes: pkg/scheduler/framework/plugins; KAI's node_info.go)."""


def rules(case: Case) -> Why | None:
    """Affinity between pods, ports, spread."""
    said = words(case)
    return next((case.say(id_) for marker, id_ in _RULES if marker in said), None)


def last_words(case: Case) -> Why:
    """The rest: the last message, or that there was none."""
    if said := words(case).strip():
        return case.say("said", said=said)
    if case.bind is not None:
        return case.say("binding")
    is_kai = case.pod.scheduler == KAI_SCHEDULER_NAME
    if is_kai and case.seen.simulated:
        return case.say("simulated")
    if not is_kai or case.group is not None:
        return case.say("unseen")
    # KAI makes no group for a pod that names one and has no owner; on the host no pod of a team has one (setOwner)
    named = text(case.json, "metadata", "annotations", "pod-group-name")
    if named and (case.team.mode == "host" or not rows(case.json, "metadata", "ownerReferences")):
        return case.say("group-gone", group=named)
    return case.say("no-group", where="on the host" if case.team.mode == "host" else "in the team's cluster")
