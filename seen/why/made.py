"""Pods that were never made: what keeps a Job, ReplicaSet or StatefulSet from making them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from lenient import Json, name, namespace, rows, table, text
from seen.numbers import number
from seen.read import Said
from seen.why.border import refusal
from seen.why.model import Case, Why
from seen.why.scheduler import ADMISSION, down, state_of

OWNERS: Final[Mapping[str, str]] = {"jobs": "Job", "replicasets": "ReplicaSet", "statefulsets": "StatefulSet"}
_OVER: Final = ("Complete", "Failed", "SuccessCriteriaMet")
"""Conditions of a Job that makes no more pods."""

_KNOWN: Final = (
    (r'RuntimeClass\S* "?([^" ]+)"? not found', "runtime-class-missing"),
    (r"no PriorityClass with name (\S+) was found", "priority-class-missing"),
    (r'serviceaccount "?([^" ]+)"? not found', "account-missing"),
    (r"both GPU fraction request and whole GPU|both GPU and GPU memory", "fraction-and-gpu"),
    (r"GPU sharing is disabled", "sharing-off"),
    (r"(?:gpu-fraction|gpu-memory|fraction count) annotation value|multiple fractional devices", "fraction-value"),
)
"""Messages of the API server and of KAI's webhook (KAI@v0.16.8:pkg/binder/plugins/gpusharing/gpu-request, the same at
v0.7.11).
"""


def owners(said: Said) -> Iterator[tuple[str, Json]]:
    """(kind, object) of owners that lack pods."""
    for kind, word in OWNERS.items():
        for one in said.all(kind):
            if _lacks(word, table(one, "spec"), table(one, "status")):
                yield word, one


def _lacks(kind: str, spec: Json, status: Json) -> bool:
    if kind != "Job":
        return number(spec.get("replicas", 1)) > number(status.get("replicas", 0))
    if any(text(one, "type") in _OVER and text(one, "status") == "True" for one in rows(status, "conditions")):
        return False
    at_once = number(spec.get("parallelism", 1))
    left = number(spec.get("completions", at_once)) - number(status.get("succeeded", 0))
    return min(at_once, left) > number(status.get("active", 0))


def unmade(case: Case, owner: Json) -> Why | None:
    """Why this owner has not made a pod; None where it just has not done it yet."""
    if table(owner, "spec").get("suspend") is True:
        return case.say("suspended")
    said = case.last("FailedCreate")
    return (_known(case, said) or case.say("not-made", said=_plain(said))) if said else None


def _plain(said: str) -> str:
    return re.sub(r'^Error creating: (pods? "[^"]*" is forbidden: )?', "", said)


def _known(case: Case, said: str) -> Why | None:
    for pattern, id_ in _KNOWN:
        if found := re.search(pattern, said, re.IGNORECASE):
            return case.say(id_, *found.groups(), said=said.rpartition("denied the request: ")[2])
    if "failed calling webhook" in said and re.search(r"kai|run\.ai", said):
        part = down(case, ADMISSION)
        state = f"it {state_of(case, part)}" if part else "its pods are ready, and it is slow or has no certificate yet"
        return case.say("kai-webhook", part=part.name if part else "admission", state=state)
    return refusal(case, said)


def same(owner: Json, wanted: str) -> bool:
    """Whether a name means this owner."""
    return wanted in (name(owner), f"{namespace(owner)}/{name(owner)}")
