"""What the state knows of the last run, and what a run may not undo without an override.

Owns: reading the cluster's UID and every team's facts in a state; refusing another cluster and a team that is left out.
Leaves to others: getting the state (`program.py` asks the engine, the commands export it), changes that lose something
(`losses.py`). Pure: no Pulumi import.

The engine deletes at the end of a run. When it refuses to delete a protected team, everything else is changed already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final

import tokens
from cli.guards.refusal import Refusal, lifted, line_for, line_for_team
from components.team.protection import override_for
from components.team.tenant import resolve
from lenient import table, text
from names import PROTECTED_OUTPUT
from settings.models import Platform
from settings.tenants import team_of

CLUSTER: Final = "host-uid"
"""The name of the namespace kube-system as the program reads it (`components/host/cluster.py`); its UID is the
cluster's."""


@dataclass(frozen=True, kw_only=True)
class RememberedTeam:
    """A tenant of the last run. `facts` are empty where that run did not end normally. `protected`: whether the engine
    refuses to delete it; yes where the state does not say.
    """

    name: str
    urn: str
    facts: Mapping[str, object]
    protected: bool

    @property
    def canary(self) -> bool:
        """Whether it is a canary, which needs no override to be removed."""
        return bool(self.facts.get("canaryOf"))


@dataclass(frozen=True, kw_only=True)
class Remembered:
    """The content of a state; empty where nothing was made yet."""

    uid: str | None = None
    teams: Mapping[str, RememberedTeam] = field(default_factory=dict)
    protections: frozenset[str] = frozenset()
    """The names of the teams' protections (`components/protection.py`)."""
    made: bool = True
    """Whether a run got as far as the first provider; yes where no state says."""

    def with_protection(self, protected: frozenset[str]) -> Remembered:
        """Return the same, with each resource's protection from an exported state."""
        teams = {name: replace(team, protected=name in protected) for name, team in self.teams.items()}
        return replace(self, teams=teams)


def remembered(resources: Mapping[str, object]) -> Remembered:
    """Return the content of a state. `resources`: by URN, each with `type` and `outputs`."""
    uid: str | None = None
    teams: dict[str, RememberedTeam] = {}
    protections: set[str] = set()
    for urn, entry in resources.items():
        kind, said, name = text(entry, "type"), table(entry, "outputs"), urn.rpartition("::")[2]
        if kind == tokens.NAMESPACE and name == CLUSTER:
            uid = text(said, "metadata", "uid") or None
        elif kind == tokens.TEAM:
            protected = said.get(PROTECTED_OUTPUT, not said.get("canaryOf")) is not False
            teams[name] = RememberedTeam(name=name, urn=urn, facts=said, protected=protected)
        elif kind == tokens.PROTECTION:
            protections.add(name)
    made = any(text(entry, "type") not in ("", tokens.STACK) for entry in resources.values())
    return Remembered(uid=uid, teams=teams, protections=frozenset(protections), made=made)


def another_cluster(
    was: Remembered, uid: str, context: str, platform: Platform, stack: str, today: date
) -> list[Refusal]:
    """Refuse a cluster other than the one on which the stack was made."""
    if was.uid is None or was.uid == uid or lifted("anotherCluster", platform.overrides, today) is not None:
        return []
    line = line_for("anotherCluster", [], today, "the cluster was made anew under the same address")
    return [
        Refusal(
            cause=f"stack {stack} was made on cluster {was.uid}, and context {context} is cluster {uid}",
            fix="choose the right context (host.context, KUBECONFIG); if the old cluster is gone for good: "
            f"`pulumi stack rm --force {stack}`, then start anew; if it is the same one after all, {line} below "
            "overrides",
        )
    ]


def left_out(
    was: Remembered, platform: Platform, stack: str, today: date, *, released: frozenset[str] = frozenset()
) -> list[Refusal]:
    """Refuse to leave out a team without an override, or one that the engine still protects.

    `released`: teams whose protection the caller has just lifted in the state.
    """
    there = resolve(platform)
    found = []
    for team in was.teams.values():
        if team.name in there or team.canary:
            continue
        line = line_for_team(team.name, "delete", today, "the team is dissolved")
        pair = platform.teams.get(team_of(platform, team.name))
        if pair is not None and pair.blue_green is not None:
            cause = f"virtual cluster {team.name} serves its team, and the stack file leaves it out"
            fix = f"keep it beside the other one, `make up STACK={stack}`, and leave it out when the other one serves"
            found.append(Refusal(cause=cause, fix=fix))
            continue
        if override_for(team.name, "delete", platform.overrides, today) is None:
            found.append(
                Refusal(
                    cause=f"team {team.name} is left out of the stack file, and it is protected against deletion",
                    fix=f"put it back into Pulumi.{stack}.yaml, or add there below overrides {line}",
                )
            )
        elif team.protected and team.name not in released:
            found.append(
                Refusal(
                    cause=f"team {team.name} may go by its override, but the state still protects it: the engine would "
                    "refuse it, after it has changed the others",
                    fix=f"`make up STACK={stack}` lifts the protection first; or put the team back, `pulumi up` with "
                    "the override, then leave it out",
                )
            )
    return found
