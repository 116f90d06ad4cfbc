"""What a change means for the teams that work on the platform. Pure.

Owns: which team a resource belongs to, what a team notices, each thing once.
Leaves to others: what a change of a setting does (`preview/table`), what is allowed (`preview/gate.py`), how it
looks (`comment.py`).

There are two sources: the changed settings, judged by the table of fields, and the steps, which also show changes that
no setting asked for. Where both are about the same topic of a team, the table's sentence wins, because it has both
values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import tokens
from lenient import name, namespace, text
from names import LABEL_TEAM
from preview.changes import EVERYONE, Change, changes
from preview.facts import facts_of
from preview.judges import slots
from preview.judges.numbers import GPUS, topic_of
from preview.judges.versions import SCHEDULER_AWAY, SCHEDULER_ROLLS
from preview.kinds import Kind
from preview.observed import facts_after, facts_before
from preview.steps import Op, Preview, Step
from preview.usage import Usage
from report.quota import team_states
from settings.infrastructure import GPU_SOFTWARE_CHANGES
from settings.models import Platform, SchedulerMode

_NUMBERS: Final = frozenset(
    {GPUS, "quota", *map(topic_of, ("requests.cpu", "requests.memory", "requests.storage", "pods"))}
)
"""Topics of numbers: a lower number takes nothing from what runs, it only limits new pods."""


class Gravity(IntEnum):
    """How serious it is for the team, the most serious first."""

    LOSS = 0
    """Something of the team is lost, or it is not known that it is not."""
    AWAY = 1
    """Something that the team uses does not answer for a while."""
    LESS = 2
    """The team may use less than before."""
    NEWS = 3
    """Something happens, but nothing of the team is touched."""


@dataclass(frozen=True, kw_only=True, order=True)
class Impact:
    """One thing that a team notices. team `""` is everyone."""

    gravity: Gravity
    team: str
    text: str
    topic: str = ""
    """What it is about. Of two impacts on one topic of a team the first is shown."""


class Owners:
    """Says whose a resource is."""

    def __init__(self, preview: Preview, names: frozenset[str]) -> None:
        self._steps: Mapping[str, Step] = {step.urn: step for step in preview.steps}
        self._names = sorted(names, key=lambda name: (-len(name), name))

    def team_of(self, step: Step) -> str:
        """The tenant that a resource belongs to, or `""` for the host's own.

        By the Team component above it; where the preview leaves out unchanged parents, by its own inputs; last by its
        name, the longest tenant first (`ml-canary-queue` belongs to `ml-canary`, not to `ml`).
        """
        current: Step | None = step
        for _ in range(16):  # deeper than any tree of ours; ends the loop for a damaged one
            if current is None:
                break
            if current.type == tokens.TEAM:
                return self._known(current.inputs.get("name"), current.name)
            current = self._steps.get(current.parent or "")
        by_input = self._by_inputs(step)
        if by_input:
            return by_input
        if tokens.TEAM not in step.type_chain:
            return EVERYONE
        for team in self._names:
            if step.name == team or step.name.startswith(f"{team}-") or step.name.endswith(f"-{team}"):
                return team
        return EVERYONE

    def _known(self, *candidates: object) -> str:
        known = [c for c in candidates if isinstance(c, str) and c in self._names]
        return known[0] if known else next((c for c in candidates if isinstance(c, str)), EVERYONE)

    def _by_inputs(self, step: Step) -> str:
        inputs = step.inputs
        candidates = [inputs.get("team")] if step.type.startswith("gpu-tenancy:") else []
        candidates += [text(inputs, "metadata", "labels", LABEL_TEAM)]
        candidates += [place.removeprefix("team-") for place in (namespace(inputs), name(inputs))]
        # the host's own checks have a label with a team that does not exist
        return next((one for one in candidates if isinstance(one, str) and one in self._names), EVERYONE)


def changed_settings(
    base: Platform | None, head: Platform | None, preview: Preview, usage: Usage | None = None
) -> tuple[Change, ...]:
    """The changes between two stack files; where there is only one, those that the preview's steps show."""
    if base is not None and head is not None:
        return changes(facts_of(base), facts_of(head), usage=usage)
    return changes(facts_before(preview), facts_after(preview), usage=usage)


def impacts(
    base: Platform | None,
    head: Platform | None,
    preview: Preview,
    *,
    usage: Usage | None = None,
    settings: Iterable[Change] | None = None,
) -> tuple[Impact, ...]:
    """What each team notices, the worst first. `settings`: what changes in the stack file, where that is known."""
    before, after = team_states(base), team_states(head)
    owners = Owners(preview, frozenset({*before, *after}))
    known = changed_settings(base, head, preview, usage) if settings is None else settings
    steps: list[Impact] = []
    sharing = [name for name, state in after.items() if state.mode == SchedulerMode.HOST.value and name in before]
    for step in preview.changes:
        team = owners.team_of(step)
        if step.op is Op.UNKNOWN:
            text = f"{step.kind} {step.name}: the operation {step.operation} is unknown to this program"
            steps.append(Impact(gravity=Gravity.LOSS, team=team, text=text, topic=step.urn))
        elif team:
            steps += _of_team(step, team, gone=team not in after)
        elif step.type == tokens.RELEASE and tokens.KAI_SCHEDULER in step.type_chain:
            steps += [impact for name in sharing for impact in _of_shared_scheduler(step, name)]
        else:
            steps += _of_host(step)
    return tuple(sorted(_once(_of_settings(known), steps)))


def _once(settings: Iterable[Impact], steps: Iterable[Impact]) -> Iterator[Impact]:
    """Each topic once. A team that loses its whole virtual cluster need not know that its scheduler is away."""
    first = {(impact.team, impact.topic): impact for impact in settings}
    said = {*first, *((team, _API) for team, topic in first if topic in _RESTARTS_API)}
    for impact in steps:
        if not {(impact.team, impact.topic), (EVERYONE, impact.topic)} & said:
            first.setdefault((impact.team, impact.topic), impact)
    gone = {impact.team for impact in first.values() if impact.topic == _WHOLE}
    for impact in first.values():
        if impact.topic == _WHOLE or impact.team not in gone:
            yield impact


_WHOLE: Final = "team"
_API: Final = "api"
_SCHEDULER: Final = "scheduler"
_SHARED: Final = "shared scheduler"
_SOFTWARE: Final = "gpu software"
_RESTARTS_API: Final = ("api vCluster", "api Kubernetes", "address", "cluster")
"""Topics of settings whose change also updates the vCluster's release."""


def _of_settings(found: Iterable[Change]) -> Iterator[Impact]:
    for change in found:
        if not change.means or (change.kind is Kind.IN_PLACE and change.topic != slots.TOPIC):
            continue
        yield Impact(gravity=_gravity(change), team=change.tenant, text=change.means, topic=change.topic or change.path)


def _gravity(change: Change) -> Gravity:
    if change.kind is Kind.IN_PLACE:
        return Gravity.NEWS
    if change.topic in _NUMBERS or change.topic.startswith("queue "):
        return Gravity.LESS
    return Gravity.LOSS if change.kind.refused else Gravity.AWAY


def runs_again(step: Step) -> bool:
    """Whether this replacement is a GPU check that runs again. A Job can't be changed, so it is replaced; nothing is
    lost with the old one.
    """
    return step.op is Op.REPLACE and step.type == tokens.JOB and tokens.GPU_CHECK in step.type_chain


def _of_team(step: Step, team: str, *, gone: bool) -> Iterator[Impact]:

    def told(gravity: Gravity, text: str, topic: str) -> Impact:
        return Impact(gravity=gravity, team=team, text=text, topic=topic)

    taken, chain = step.op in (Op.DELETE, Op.REPLACE), step.type_chain
    if taken and _is_whole(step, team):
        if gone:
            text = slots.goes({}, team)
        else:
            text = "its virtual cluster is made anew: everything in it is lost, and its kubeconfig stops working"
        yield told(Gravity.LOSS, text, _WHOLE)
    elif gone:
        return
    elif step.type == tokens.RELEASE and tokens.KAI_SCHEDULER in chain:
        text = {
            Op.DELETE: "its KAI scheduler is removed: pods that name it wait for ever",
            Op.REPLACE: f"scheduler replaced: {SCHEDULER_AWAY}",
            Op.UPDATE: f"scheduler upgraded in place: {SCHEDULER_ROLLS}",
        }.get(step.op, "")
        if text:
            yield told(Gravity.AWAY, text, _SCHEDULER)
    elif step.type == tokens.RELEASE and tokens.VIRTUAL_CLUSTER in chain and step.op is Op.UPDATE:
        yield told(Gravity.AWAY, "its API server restarts: kubectl does not answer meanwhile, running pods go on", _API)
    elif step.type == tokens.QUEUE and taken:
        goes = "is removed" if step.op is Op.DELETE else "is made anew"
        leaf = name(step.inputs).removeprefix(f"{team}-")
        yield told(Gravity.AWAY, f"queue {step.name} {goes}: pods in it wait", f"queue {leaf}")


def _is_whole(step: Step, team: str) -> bool:
    """Whether a team is lost with this resource."""
    return (
        step.type in (tokens.TEAM, tokens.VIRTUAL_CLUSTER)
        or (step.type == tokens.RELEASE and tokens.VIRTUAL_CLUSTER in step.type_chain)
        or (step.type == tokens.NAMESPACE and name(step.inputs) == f"team-{team}")
    )


def _of_shared_scheduler(step: Step, team: str) -> Iterator[Impact]:
    """What a change of the one KAI on the host means for a team that it schedules."""
    if step.op is not Op.CREATE:
        how = "upgraded in place" if step.op is Op.UPDATE else "replaced"
        text = f"the host's shared scheduler is {how}: running pods go on, new ones wait meanwhile"
        yield Impact(gravity=Gravity.AWAY, team=team, text=text, topic=_SHARED)


def _of_host(step: Step) -> Iterator[Impact]:
    taken = step.op in (Op.DELETE, Op.REPLACE)
    if step.type == tokens.HOST_CLUSTER and taken:
        yield Impact(
            gravity=Gravity.LOSS, team=EVERYONE, text="the host cluster is removed, with every team in it", topic=_WHOLE
        )
    elif tokens.GPU_SOFTWARE in step.type_chain and step.type == tokens.RELEASE and step.op is not Op.CREATE:
        text = GPU_SOFTWARE_CHANGES
        yield Impact(gravity=Gravity.AWAY, team=EVERYONE, text=text, topic=_SOFTWARE)
    elif step.type == tokens.NODE_POOL and taken:
        text = f"pool {step.name} is removed or made anew"
        yield Impact(gravity=Gravity.AWAY, team=EVERYONE, text=text, topic=step.urn)
