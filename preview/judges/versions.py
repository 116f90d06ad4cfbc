"""Judges versions: upgrades in place, replacements, downgrades. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import releases
from preview.facts import CANARY_OF, Facts
from preview.judges.slots import never_in_place
from preview.kinds import Edit, Effect, Kind
from preview.values import numbers_of

KAI_CHANGES: Final = (
    "within a line KAI is upgraded in place, to another line replaced; with an unknown release it is unknown which"
)

SCHEDULER_AWAY: Final = (
    "away for about a minute (52 to 74 s on two cores); running pods go on, new ones wait, queues are kept"
)
"""Measured from the old scheduler's end to the first pod that the new one binds."""

SCHEDULER_ROLLS: Final = (
    "its pods restart; running pods go on, new ones are bound some seconds later, queues are kept, its check follows"
)


def promoted(old: Facts, new: Facts, team: str) -> str | None:
    """A promotion: the team's canary is removed, and the team gets its version. None where it is not one."""
    version = "scheduler.version"
    was, now = (facts.tenants.get(team, {}).get(version) for facts in (old, new))
    if was == now:
        return None
    of_team = (name for name, known in old.tenants.items() if known.get(CANARY_OF) == team and name not in new.tenants)
    return next((name for name in of_team if old.tenants[name].get(version) == now), None)


def kai_version(edit: Edit) -> Effect | None:
    """Another KAI, by a promotion of the canary or without."""
    effect = _kai_version(edit)
    if effect is not None and promoted(edit.old, edit.new, edit.tenant):
        return replace(effect, means=f"promotion of its canary's {edit.after}, {effect.means}")
    return never_in_place(edit, effect)


def _kai_version(edit: Edit) -> Effect | None:
    """Within its line Helm upgrades it, across lines it is replaced, in both directions."""
    topic = "scheduler"
    if edit.before is None or edit.after is None:
        return None  # the change of the mode covers it
    old, new = (releases.KAI.get(str(version)) for version in (edit.before, edit.after))
    if old is None or new is None:
        means = "KAI changes to or from a release that this program does not know: the effect is not known"
        return Effect(kind=Kind.UNKNOWN, means=means, allow="replace", topic=topic)
    if releases.same_line(old, new):
        means = f"scheduler upgraded in place: {SCHEDULER_ROLLS} (both are of line {new.line})"
        return Effect(kind=Kind.DISRUPTIVE, means=means, topic=topic)
    why = f"Helm can't upgrade line {old.line} to {new.line}"
    return Effect(kind=Kind.REPLACING, means=f"scheduler replaced: {SCHEDULER_AWAY} ({why})", topic=topic)


def shared_kai(edit: Edit) -> Effect | None:
    """Another version of the one KAI on the host, for a team that it schedules."""
    if edit.was.get("scheduler.mode") != "host":
        return None
    effect = _kai_version(edit)
    if effect is None:
        goes = edit.after is None
        gone = "the host's shared scheduler is removed: pods that name it wait"
        words = gone if goes else "the host gets a shared scheduler"
        return Effect(kind=Kind.DISRUPTIVE if goes else Kind.IN_PLACE, means=words, topic="shared scheduler")
    means = effect.means.replace("scheduler ", "the host's shared scheduler is ")
    return Effect(kind=effect.kind, means=means, allow=effect.allow, topic="shared scheduler")


def vcluster_version(edit: Edit) -> Effect | None:
    """Another vCluster: a newer one restarts; an older one is not supported."""
    return never_in_place(edit, _upgrade(edit, "vCluster", "its makers test steps of one minor version"))


def kubernetes_version(edit: Edit) -> Effect | None:
    """Another Kubernetes inside: a newer one restarts; an older API server may not be able to read the stored data."""
    effect = _upgrade(edit, "Kubernetes", "an API server is upgraded one minor version at a time")
    kai = releases.KAI.get(str(edit.now.get("scheduler.version")))
    if effect and effect.kind is Kind.LOSING and (kai is None or releases.fits(str(edit.before), kai)):
        # an older KAI brings an older default, which nobody asked for
        keep = f"{effect.means}; to keep the newer one write vcluster.kubernetesVersion: {edit.before}"
        effect = replace(effect, means=keep)
    return never_in_place(edit, effect)


def _upgrade(edit: Edit, what: str, one_step: str) -> Effect | None:
    old, new = numbers_of(edit.before), numbers_of(edit.after)
    words = f"{what} {edit.before} → {edit.after}"
    if old is None or new is None:
        return Effect(
            kind=Kind.UNKNOWN, means=f"{words}: these can't be compared", allow="replace", topic=f"api {what}"
        )
    if new < old and new[:2] != old[:2]:
        means = f"{words} is a downgrade: nobody supports it, and what the newer one stored may not be readable"
        return Effect(kind=Kind.LOSING, means=means, allow="replace", topic=f"api {what}")
    back = " is a downgrade to an older patch release" if new < old else ""
    restart = f"{words}{back}: its API server restarts, kubectl does not answer meanwhile, running pods go on"
    if new[0] == old[0] and new[1] - old[1] > 1:
        restart += f"; it skips minor versions, and {one_step}"
    return Effect(kind=Kind.DISRUPTIVE, means=restart, topic=f"api {what}")
