"""Between a virtual cluster and the host: a pod that an API server refused. Pure."""

from __future__ import annotations

import re
from typing import Final

from names import GPU, QUOTA_NAME
from seen.numbers import number
from seen.why.model import Case, Why, several

_AMOUNTS: Final = r"([^\s,]{1,400}(?:,[^\s,]{1,400})*)"
"""`requests.nvidia.com/gpu=1,pods=2`. A team may write events with texts of any length."""
_QUOTA: Final = re.compile(
    rf"exceeded quota: (\S{{1,253}}), requested: {_AMOUNTS}, used: {_AMOUNTS}, limited: {_AMOUNTS}$"
)
_UNSAID: Final = re.compile(r"failed quota: (\S+): must specify (.*)$")
"""Kubernetes' quota admission (staging: apiserver, plugin/resourcequota/controller.go)."""
_SECURITY: Final = re.compile(r'violates PodSecurity "([^":]+)[^"]*": (.*)$')
_POLICY: Final = re.compile(r"ValidatingAdmissionPolicy '([^']+)' with binding '[^']+' denied request: (.*)$")
_WEBHOOK: Final = re.compile(r'admission webhook "([^"]+)" denied the request: (.*)$')
_DEAD: Final = re.compile(r'failed calling webhook "([^"]+)"')
_RANGE: Final = re.compile(r"is forbidden: ((?:maximum|minimum|max|min) .*)$")
_CONFLICT: Final = "Operation cannot be fulfilled"
"""Two writers at once; the syncer tries again."""
_SYNCERS: Final = ("SyncError", "SyncWarning")
_NO_NODE: Final = re.compile(r"Given nodeName (\S+) does not exist in virtual cluster")
"""VC@v0.36.1:pkg/controllers/resources/pods/syncer.go."""
_FIELDS: Final = {GPU: "gpus", "cpu": "cpu", "memory": "memory", "pods": "pods", "storage": "storage"}
"""The stack file's field for a quota's key."""


def paused(case: Case) -> Why | None:
    """The host accepts no pod of a paused team, whoever placed it."""
    if not case.team.paused or case.on_host is not None or case.pod.ours:
        return None
    return case.say("paused")


def refused(case: Case) -> Why | None:
    """The syncer's message about a pod that the host does not have."""
    every = [e.message for e in case.events if e.reason in _SYNCERS and _CONFLICT not in e.message]
    if not every or case.on_host is not None:
        return None
    said = every[-1]
    if found := _NO_NODE.search(said):
        return case.say("node-unknown", wanted=found[1])
    return refusal(case, said) or case.say("border", said=said.partition("to host cluster: ")[2] or said)


def unsynced(case: Case) -> Why | None:
    """It has a node, but the host does not have the pod."""
    if not case.pod.node or case.on_host is not None or "pods" not in case.host:
        return None
    return case.say("unsynced")


def refusal(case: Case, said: str) -> Why | None:
    """What an API server's refusal means, whichever server it was."""
    said = " ".join(said.split())
    if found := _QUOTA.search(said):
        return _quota(case, *found.groups())
    if found := _UNSAID.search(said):
        return case.say("quota-unsaid", quota=found[1], what=found[2])
    if found := _SECURITY.search(said):
        return case.say("security", level=found[1], said=found[2])
    if found := _POLICY.search(said):
        return case.say("policy", policy=found[1], said=found[2])
    if found := _DEAD.search(said):
        return case.say("webhook-down", webhook=found[1])
    if found := _WEBHOOK.search(said):
        return case.say("webhook", webhook=found[1], said=found[2])
    if "PreemptionPolicy" in said and "must not be provided" in said:
        return case.say("preemption-policy")
    if found := _RANGE.search(said):
        return case.say("limit-range", said=found[1])
    return None


def _amounts(said: str) -> dict[str, str]:
    return dict(part.strip().split("=", 1) for part in said.split(",") if "=" in part)


def _quota(case: Case, quota: str, requested: str, used: str, limited: str) -> Why:
    asked, taken, most = _amounts(requested), _amounts(used), _amounts(limited)
    key = next(iter(most), "")
    what = key.removeprefix("requests.")
    numbers = f"{taken.get(key)} of {most.get(key)} {what} used, {asked.get(key)} asked"
    if quota not in (QUOTA_NAME, f"vc-{case.team.name}"):
        return case.say("own-quota", quota=quota, numbers=numbers)
    parents = [queue for queue in case.team.queues if not queue.parent]
    wide = next((q for q in parents if q.limit < 0 or q.limit > number(most.get(key))), None)
    if what == GPU and wide is not None:
        allowed = "any number" if wide.limit < 0 else f"{wide.limit:g}"
        return case.say("queue-edited", numbers=numbers, queue=wide.name, allowed=allowed)
    return case.say("host-quota", numbers=numbers, field=_FIELDS.get(what, what))


def holders(case: Case, queues: set[str]) -> str:
    """The pods with GPUs in these queues: `default/a (1), default/b (0.5)`."""
    held = [pod for pod in case.team.pods if pod.holds and pod.queue in queues and pod.share]
    return several([f"{pod.namespace}/{pod.name} ({pod.share:g})" for pod in held])
