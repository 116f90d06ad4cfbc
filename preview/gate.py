"""What a change may not do without an override. Pure.

Owns: the judgement, on facts (`gate`) and on a preview's steps (`gate_preview`), and the messages.
Leaves to others: the command on files (`policies/gate.py`), where old facts and usage come from.

There are two callers and one judgement: the program calls `gate` with the facts that its stack kept, a report calls
`gate_preview` with the steps that an engine or the lab would take. Anything unknown is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

import names
import releases
import tokens
from preview.changes import Change, changes
from preview.facts import Facts
from preview.judges import machines, slots
from preview.judges.numbers import gpus
from preview.kinds import OF_THE_STACK, Allow
from preview.observed import facts_after, facts_before
from preview.steps import Object, Op, Preview, Step
from preview.usage import Usage, use_in
from preview.values import UnreadableError, get, plain, text
from settings.models import Override

IF_MEANT: Final = "; if that is meant"
"""What separates a refusal from the override that would allow it."""

SUGGESTED_DAYS: Final = 7
"""How long a suggested override holds: long enough for a review, and short enough that nobody has to remove it."""


@dataclass(frozen=True, kw_only=True, order=True)
class Refusal:
    """A refused change, and the override that would allow it."""

    team: str
    change: str
    """What an override may allow; `upgrade`, `unknown` and `unreadable` have none."""
    reason: str
    about: str = ""
    """The part of the team that it is about. Each part has one refusal."""

    @property
    def cause(self) -> str:
        """The reason without the suggested override."""
        return self.reason.partition(IF_MEANT)[0]

    @property
    def text(self) -> str:
        return f"team {self.team}: {self.reason}" if self.team else self.reason


def gate(
    old: Facts | None, new: Facts, *, usage: Usage | None, overrides: Sequence[Override], today: date
) -> list[Refusal]:
    """Return the refusals of a change from the old facts to the new ones, by team.

    `old` None: nothing existed, or it is not known what did; then only the steps can be judged. `usage` None: not
    known, so everything that depends on it counts as a loss.
    """
    found: list[Refusal] = []
    for change in changes(old, new, usage=usage) if old is not None else ():
        if change.kind.refused:
            found += _of_change(change, overrides, today)
    return sorted(_once(found))


def gate_preview(
    preview: Preview,
    *,
    usage: Usage | None,
    overrides: Sequence[Override],
    today: date,
    old: Facts | None = None,
    new: Facts | None = None,
) -> list[Refusal]:
    """Return the refusals of a preview, by team. They come from its steps, from the facts that these show, and from the
    facts of two stack files where these are given.
    """
    before, after = facts_before(preview), facts_after(preview)
    judge = _Steps(before=before, after=after, usage=usage, overrides=tuple(overrides), today=today)
    found = [refusal for step in preview.changes for refusal in judge.step(step)]
    found += gate(before, after, usage=usage, overrides=overrides, today=today)
    if old is not None and new is not None:
        found += gate(old, new, usage=usage, overrides=overrides, today=today)
    return sorted(_once(found))


def _once(found: Sequence[Refusal]) -> list[Refusal]:
    """One refusal for each topic. A team that is removed is not also replaced, and loses nothing else."""
    first: dict[tuple[str, str, str], Refusal] = {}
    for refusal in found:
        first.setdefault((refusal.team, refusal.change, refusal.about), refusal)
    gone = {refusal.team for refusal in first.values() if refusal.change == "delete" and refusal.about == _WHOLE}
    anew = {refusal.team for refusal in first.values() if refusal.change == "replace" and refusal.about == _WHOLE}

    def told(refusal: Refusal) -> bool:
        """Whether a more serious refusal of the same team covers it."""
        if refusal.change in _WITHOUT_OVERRIDE or (refusal.change == "delete" and refusal.about == _WHOLE):
            return False
        return refusal.team in gone or (
            refusal.about != _WHOLE and refusal.change == "replace" and refusal.team in anew
        )

    return [refusal for refusal in first.values() if not told(refusal)]


_WITHOUT_OVERRIDE: Final = ("upgrade", "unknown", "unreadable")
_WHOLE: Final = "team"
"""The part of a refusal about the whole tenant."""


# --- facts ----------------------------------------------------------------------------------------------------------


def _of_change(change: Change, overrides: Sequence[Override], today: date) -> Iterator[Refusal]:
    about = change.topic or change.path
    if change.allow is None:
        kind = "unreadable" if change.topic.startswith("unreadable") else "unknown"
        yield Refusal(team=change.tenant, change=kind, reason=change.means, about=about)
        return
    yield from _unless_allowed(change.tenant, change.allow, change.means, overrides, today, about=about)


def _unless_allowed(
    team: str, change: Allow, reason: str, overrides: Sequence[Override], today: date, *, about: str
) -> Iterator[Refusal]:
    its_own = [o for o in overrides if change in o.allow and (o.team == team or change in OF_THE_STACK)]
    if any(today <= override.until for override in its_own):
        return
    ended = [override.until for override in its_own]
    late = f" (its override ended on {max(ended)})" if ended else ""
    yield Refusal(
        team=team,
        change=change,
        reason=f"{reason}{IF_MEANT}, add to overrides: {suggested(team, change, today)}{late}",
        about=about,
    )


def suggested(team: str, change: Allow, today: date) -> str:
    """An override that allows a change, ready to paste; only the reason is missing."""
    until = today + timedelta(days=SUGGESTED_DAYS)
    whose = "" if change in OF_THE_STACK else f"team: {team}, "
    return f"{{{whose}allow: [{change}], until: {until}, reason: ...}}"


# --- steps ----------------------------------------------------------------------------------------------------------

_HARMLESS: Final = frozenset(
    {
        # what limits or serves a tenant, and keeps no data; the policy pack judges a removed limit
        tokens.CONFIG_MAP,
        tokens.LIMIT_RANGE,
        tokens.NODE_PATCH,
        tokens.RESOURCE_QUOTA,
        tokens.SECRET,
        tokens.SERVICE,
        tokens.SERVICE_ACCOUNT,
        tokens.NETWORK_POLICY,
        tokens.RUNTIME_CLASS,
        tokens.CLUSTER_ROLE,
        tokens.CLUSTER_ROLE_BINDING,
        tokens.ROLE,
        tokens.ROLE_BINDING,
        tokens.PRIORITY_CLASS,
        tokens.ADMISSION_POLICY,
        tokens.ADMISSION_BINDING,
        tokens.JOB,
        tokens.INGRESS,
        # stays on the cluster when it is deleted here (components/team/kai_scheduler.py)
        "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinitionPatch",
        tokens.STACK,
    }
)
"""Types whose deletion or replacement loses nothing that a tenant keeps or runs. A type that is neither here nor judged
below is unknown, and its deletion is refused.
"""
_JUDGED: Final = frozenset({tokens.NAMESPACE, tokens.QUEUE, tokens.RELEASE})
_OF_WORKLOADS: Final = (tokens.DEPLOYMENT, tokens.VOLUME_CLAIM)
_PROVIDER: Final = "pulumi:providers:"


@dataclass(frozen=True, kw_only=True)
class _Steps:
    """Judges one step at a time, with the facts that all of them show."""

    before: Facts
    after: Facts
    usage: Usage | None
    overrides: tuple[Override, ...]
    today: date

    def step(self, step: Step) -> Iterator[Refusal]:
        what = f"{step.kind} {step.name}"
        if step.op is Op.UNKNOWN:
            reason = f"{what}: the operation {step.operation!r} is unknown to this program, so it can't be judged"
            yield Refusal(team="", change="unknown", reason=reason, about=step.urn)
        old, new = ({key: plain(value) for key, value in (side or {}).items()} for side in (step.old, step.new))
        try:
            if step.op in (Op.DELETE, Op.REPLACE):
                yield from self._taken(step, old or new, what)
            elif step.op is Op.UPDATE:
                yield from _across_lines(step, old, new)
        except UnreadableError as error:
            reason = f"{step.op} of {step.urn}: {error}"
            yield Refusal(team=step.name, change="unreadable", reason=reason, about=step.urn)

    def _taken(self, step: Step, inputs: Object, what: str) -> Iterator[Refusal]:
        """A resource that is deleted or replaced."""
        change: Allow = "delete" if step.op is Op.DELETE else "replace"
        team = _tenant(step.type, inputs)
        if team is not None:
            if not slots.comes_and_goes(self.before.tenants.get(team, {}), use_in(self.usage, team)):
                reason = f"{change}s {what}, and with it everything in the team's virtual cluster"
                yield from self._unless(team, change, reason, about=_WHOLE)
        elif step.type == tokens.QUEUE:
            yield from self._queue(step, inputs, what)
        elif step.type in tokens.COMMANDS:
            yield from self._command(step, inputs, what)
        elif step.type in _OF_WORKLOADS and _labelled(inputs) and _labelled(inputs, names.LABEL_WORKLOAD):
            yield from self._workload(step, inputs, what)
        elif not _loses_nothing(step):
            owner = _labelled(inputs)
            reason = f"{change}s {what}, and this program does not know what is lost with a {step.type}"
            if owner:
                yield from self._unless(owner, change, reason, about=step.urn)
            else:
                yield Refusal(team="", change="unknown", reason=reason, about=step.urn)

    def _unless(self, team: str, change: Allow, reason: str, *, about: str) -> Iterator[Refusal]:
        yield from _unless_allowed(team, change, reason, self.overrides, self.today, about=about)

    def _queue(self, step: Step, inputs: Object, what: str) -> Iterator[Refusal]:
        """A deleted Queue. (The pods of a replaced Queue find it again by its name.)"""
        team, name = _labelled(inputs), text(inputs, "metadata", "name")
        if step.op is Op.REPLACE or not team or self._told_by_facts(team, name):
            return
        use = use_in(self.usage, team)
        in_it: Decimal | None = None
        if use is not None:
            in_it = use.queues.get(name, Decimal(0)) if use.queues is not None else use.gpus
        if in_it == 0:
            return
        run = "it is not known what runs in it" if in_it is None else f"up to {gpus(in_it)} run in it now"
        yield from self._unless(team, "lowerLimit", f"deletes {what}, and {run}", about=f"queue {name}")

    def _command(self, step: Step, inputs: Object, what: str) -> Iterator[Refusal]:
        """A deleted Command. What it made on a host is lost where it has a second script that removes it."""
        if not inputs.get("delete"):
            return
        chain = step.type_chain
        change: Allow | None = (
            "anotherCluster" if tokens.INSTALLED_HOST in chain else "slurm" if tokens.SLURM_CLUSTER in chain else None
        )
        if change is None:
            reason = f"{step.op}s {what}, and this program does not know what is lost with it"
            yield Refusal(team="", change="unknown", reason=reason, about=step.urn)
            return
        about = machines.HOST if change == "anotherCluster" else machines.SLURM
        lost = "the host cluster and all that is in it" if change == "anotherCluster" else "SLURM and its jobs"
        yield from self._unless("", change, f"{step.op}s {what}, and with it {lost}", about=about)

    def _workload(self, step: Step, inputs: Object, what: str) -> Iterator[Refusal]:
        """A workload's deleted Deployment, or its deleted or replaced volume."""
        team, name = _labelled(inputs), _labelled(inputs, names.LABEL_WORKLOAD)
        if step.type == tokens.VOLUME_CLAIM:
            name = name.removesuffix(names.CACHE)
        if self._whole_workload_goes(team, name) or (step.type == tokens.DEPLOYMENT and step.op is Op.REPLACE):
            return
        if step.type == tokens.DEPLOYMENT:
            reason, about = f"deletes {what}, and with it workload {name}", f"workload {name}"
            yield from self._unless(team, "lowerLimit", reason, about=about)
        elif not self._other_class(team, name):
            reason = f"{step.op}s {what}, and what workload {name} keeps in it is lost"
            yield from self._unless(team, "replace", reason, about=f"cache of {name}")

    def _whole_workload_goes(self, team: str, name: str) -> bool:
        """Whether the facts already judge the removal of a workload or of its whole team."""
        was, now = self.before.tenants.get(team), self.after.tenants.get(team)
        key = f"workloads.{name}.kind"
        return was is not None and (now is None or (key in was and key not in now))

    def _other_class(self, team: str, name: str) -> bool:
        """Whether the facts already judge another class of a workload's cache."""
        was, now = self.before.tenants.get(team, {}), self.after.tenants.get(team, {})
        path = f"workloads.{name}.cache.storageClass"
        return path in was and path in now and was[path] != now[path]

    def _told_by_facts(self, team: str, name: str) -> bool:
        """Whether the team's own facts already judge the removal of the queue or of the whole team."""
        was, now = self.before.tenants.get(team), self.after.tenants.get(team)
        if was is None or now is None:
            return was is not None
        leaves = {name, name.removeprefix(f"{team}-")}
        keys = {f"queues.{leaf}.gpu.limit" for leaf in leaves}
        return was.get("scheduler.mode") != now.get("scheduler.mode") or bool(keys & (was.keys() - now.keys()))


def _loses_nothing(step: Step) -> bool:
    if step.type.startswith((tokens.OURS, _PROVIDER)) or step.type in _HARMLESS or step.type in _JUDGED:
        return True
    # KAI's operator waits for this kind, and nobody makes objects of it
    return step.type == tokens.CUSTOM_RESOURCE_DEFINITION and tokens.KAI_SCHEDULER in step.type_chain


def _tenant(type_: str, inputs: Object) -> str | None:
    """The team that is lost with a resource: the resource is its component, its namespace or its vCluster."""
    if type_ == tokens.TEAM:
        return text(inputs, "name") or "?"
    if type_ == tokens.VIRTUAL_CLUSTER:
        return text(inputs, "team") or "?"
    if type_ == tokens.NAMESPACE:
        return names.team_of_namespace(text(inputs, "metadata", "name"))
    if type_ == tokens.RELEASE and text(inputs, "chart").rpartition("/")[2].startswith("vcluster"):
        return names.team_of_namespace(text(inputs, "namespace"))
    return None


def _labelled(inputs: Object, label: str = names.LABEL_TEAM) -> str:
    """The team, or with `LABEL_WORKLOAD` the workload, that an object of ours is labelled with."""
    labels = get(inputs, "metadata", "labels")
    found = labels.get(label) if isinstance(labels, dict) else None
    return found if isinstance(found, str) else ""


def _across_lines(step: Step, old: Object, new: Object) -> Iterator[Refusal]:
    """A KAI that would be upgraded in place from one line to another. Helm can't do that, so no override allows it."""
    if step.type != tokens.RELEASE or "kai-scheduler" not in text(new, "chart"):
        return
    before, after = text(old, "version"), text(new, "version")
    if before == after:
        return
    lines = [releases.KAI[version].line if version in releases.KAI else None for version in (before, after)]
    if None in lines or lines[0] != lines[1]:
        yield Refusal(
            team=step.name,
            change="upgrade",
            reason=f"updates KAI in place from {before or 'none'} to {after or 'none'}, which are not of one line; "
            "Helm cannot do that, so the release must be replaced",
            about=step.urn,
        )
