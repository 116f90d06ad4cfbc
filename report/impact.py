"""What a preview's steps mean for the teams that work on the platform. Pure.

Owns: which team a resource belongs to, and what a team notices when it changes.
Leaves to others: what is allowed (`policies/`), how it looks (`comment.py`).

The times are from runs on a real cluster (docs/runs.md): another KAI line on a 2-core host, 40 s from the old
scheduler's end to the new one's first bound pod.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from capacity import UNLIMITED
from preview.steps import Op, Preview, Step
from report.quota import team_states
from settings.models import Platform, SchedulerMode

TEAM: Final = "gpu-tenancy:index:Team"
VIRTUAL_CLUSTER: Final = "gpu-tenancy:index:VirtualCluster"
KAI_SCHEDULER: Final = "gpu-tenancy:index:KaiScheduler"
GPU_SOFTWARE: Final = "gpu-tenancy:index:GpuSoftware"
HOST_CLUSTER: Final = "gpu-tenancy:index:HostCluster"
NODE_POOL: Final = "gpu-tenancy:index:NodePool"
RELEASE: Final = "kubernetes:helm.sh/v3:Release"
NAMESPACE: Final = "kubernetes:core/v1:Namespace"
QUEUE: Final = "kubernetes:scheduling.run.ai/v2:Queue"
TEAM_LABEL: Final = "gpu-tenancy/team"
GPU_CHECK: Final = "gpu-tenancy:index:GpuCheck"
JOB: Final = "kubernetes:batch/v1:Job"
EVERYONE: Final = ""

SCHEDULER_AWAY: Final = "away for about 40 s; pods that run go on, new ones wait, queues are kept"


class Gravity(IntEnum):
    """How bad it is for the team, worst first."""

    LOSS = 0
    """What the team has there is gone afterwards."""
    AWAY = 1
    """Something that the team uses does not answer for a while."""
    LESS = 2
    """The team may use less than before."""


@dataclass(frozen=True, kw_only=True, order=True)
class Impact:
    """One thing that a team notices. team `""` is everyone."""

    gravity: Gravity
    team: str
    text: str


class Owners:
    """Says whose a resource is."""

    def __init__(self, preview: Preview, names: frozenset[str]) -> None:
        self._steps: Mapping[str, Step] = {step.urn: step for step in preview.steps}
        self._names = sorted(names, key=lambda name: (-len(name), name))

    def team_of(self, step: Step) -> str:
        """The tenant that a resource belongs to, or `""` for the host's own.

        By the Team component above it; where the preview leaves unchanged parents out, by its own inputs, and last by
        its name, the longest tenant first (`ml-canary-queue` is `ml-canary`'s, not `ml`'s).
        """
        current: Step | None = step
        for _ in range(16):  # deeper than any tree of ours, and an end for a damaged one
            if current is None:
                break
            if current.type == TEAM:
                return self._known(current.inputs.get("name"), current.name)
            current = self._steps.get(current.parent or "")
        by_input = self._by_inputs(step)
        if by_input:
            return by_input
        if TEAM not in step.type_chain:
            return EVERYONE
        for name in self._names:
            if step.name == name or step.name.startswith(f"{name}-") or step.name.endswith(f"-{name}"):
                return name
        return EVERYONE

    def _known(self, *candidates: object) -> str:
        known = [c for c in candidates if isinstance(c, str) and c in self._names]
        return known[0] if known else next((c for c in candidates if isinstance(c, str)), EVERYONE)

    def _by_inputs(self, step: Step) -> str:
        inputs = step.inputs
        candidates = [inputs.get("team")] if step.type.startswith("gpu-tenancy:") else []
        metadata = inputs.get("metadata")
        if isinstance(metadata, dict):
            labels = metadata.get("labels")
            candidates += [labels.get(TEAM_LABEL)] if isinstance(labels, dict) else []
            places = (metadata.get("namespace"), metadata.get("name"))
            candidates += [place.removeprefix("team-") for place in places if isinstance(place, str)]
        # the host's own checks are labelled with a team that is none
        return next((name for name in candidates if isinstance(name, str) and name in self._names), EVERYONE)


def impacts(base: Platform | None, head: Platform | None, preview: Preview) -> tuple[Impact, ...]:
    """What each team notices, the worst first."""
    before, after = team_states(base), team_states(head)
    owners = Owners(preview, frozenset({*before, *after}))
    found: set[Impact] = set()
    for step in preview.changes:
        team = owners.team_of(step)
        if team:
            impact = _of_team(step, team, gone=team not in after)
            found |= {impact} if impact else set()
        elif step.type == RELEASE and KAI_SCHEDULER in step.type_chain:
            sharing = [
                name for name, state in after.items() if state.mode == SchedulerMode.HOST.value and name in before
            ]
            found |= {impact for name in sharing if (impact := _of_shared_scheduler(step, name))}
        else:
            impact = _of_host(step)
            found |= {impact} if impact else set()
    for name, state in after.items():
        was = before.get(name)
        if was is None:
            continue
        if was.pool != state.pool:
            pools = f"from pool {was.pool or '(none)'} to {state.pool or '(none)'}"
            text = f"moves {pools}: pods on the old nodes have to be started anew"
            found.add(Impact(gravity=Gravity.LESS, team=name, text=text))
        elif _lower(state.limit, was.limit):
            text = (
                f"limit {_amount(was.limit)} → {_amount(state.limit)}: pods that run go on, new ones wait until it fits"
            )
            found.add(Impact(gravity=Gravity.LESS, team=name, text=text))
        elif _lower(state.quota, was.quota):
            text = f"quota {_amount(was.quota)} → {_amount(state.quota)}: less is guaranteed, the rest may be reclaimed"
            found.add(Impact(gravity=Gravity.LESS, team=name, text=text))
    lost = {impact.team for impact in found if impact.gravity is Gravity.LOSS}
    # who loses the whole virtual cluster need not hear that its scheduler is away
    return tuple(sorted(i for i in found if i.gravity is Gravity.LOSS or i.team not in lost))


def runs_again(step: Step) -> bool:
    """Whether this replacement is a GPU check that runs again. A Job can't be changed, so it is replaced; it holds
    nothing, and nobody misses the old one."""
    return step.op is Op.REPLACE and step.type == JOB and GPU_CHECK in step.type_chain


def _lower(after: int, before: int) -> bool:
    if after == UNLIMITED:
        return False
    return before == UNLIMITED or after < before


def _amount(value: int) -> str:
    return "unlimited" if value == UNLIMITED else str(value)


def _of_team(step: Step, team: str, *, gone: bool) -> Impact | None:
    """What one changed resource of a team means for it."""
    taken = step.op in (Op.DELETE, Op.REPLACE)
    chain = step.type_chain
    whole = (
        step.type in (TEAM, VIRTUAL_CLUSTER)
        or (step.type == RELEASE and VIRTUAL_CLUSTER in chain)
        or (step.type == NAMESPACE and _object_name(step) == f"team-{team}")
    )
    if whole and taken:
        if gone:
            text = "removed: its virtual cluster and its namespace, with everything in them"
        else:
            text = "its virtual cluster is made anew: everything in it is lost, and its kubeconfig stops working"
        return Impact(gravity=Gravity.LOSS, team=team, text=text)
    if gone:
        return None
    if step.type == RELEASE and KAI_SCHEDULER in chain:
        if step.op is Op.DELETE:
            return Impact(
                gravity=Gravity.AWAY, team=team, text="its KAI scheduler goes: pods that name it wait for ever"
            )
        if step.op is Op.REPLACE:
            return Impact(gravity=Gravity.AWAY, team=team, text=f"scheduler replaced: {SCHEDULER_AWAY}")
        if step.op is Op.UPDATE:
            text = "scheduler upgraded in place: its pods roll, pods that wait are bound some seconds later"
            return Impact(gravity=Gravity.AWAY, team=team, text=text)
    if step.type == RELEASE and VIRTUAL_CLUSTER in chain and step.op is Op.UPDATE:
        text = "its API server restarts: kubectl does not answer meanwhile, pods that run go on"
        return Impact(gravity=Gravity.AWAY, team=team, text=text)
    if step.type == QUEUE and taken:
        text = f"queue {step.name} goes" if step.op is Op.DELETE else f"queue {step.name} is made anew"
        return Impact(gravity=Gravity.AWAY, team=team, text=f"{text}: pods in it wait")
    return None


def _of_shared_scheduler(step: Step, team: str) -> Impact | None:
    """What a change of the one KAI on the host means for a team that is scheduled by it."""
    if step.op is Op.CREATE:
        return None
    how = "upgraded in place" if step.op is Op.UPDATE else "replaced"
    text = f"the host's shared scheduler is {how}: pods that run go on, new ones wait meanwhile"
    return Impact(gravity=Gravity.AWAY, team=team, text=text)


def _object_name(step: Step) -> str:
    """The Kubernetes object's own name."""
    metadata = step.inputs.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) else ""


def _of_host(step: Step) -> Impact | None:
    """What one changed resource of the host means for everyone."""
    taken = step.op in (Op.DELETE, Op.REPLACE)
    if step.type == HOST_CLUSTER and taken:
        return Impact(gravity=Gravity.LOSS, team=EVERYONE, text="the host cluster goes, with every team in it")
    if GPU_SOFTWARE in step.type_chain and step.type == RELEASE and step.op is not Op.CREATE:
        text = "the GPU software on the nodes changes: pods that run keep their GPUs, new ones wait until it is back"
        return Impact(gravity=Gravity.AWAY, team=EVERYONE, text=text)
    if step.type == NODE_POOL and taken:
        return Impact(gravity=Gravity.AWAY, team=EVERYONE, text=f"pool {step.name} goes or is made anew")
    return None
