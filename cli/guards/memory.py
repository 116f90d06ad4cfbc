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
from cli.preflight.facts import NOBODYS, Whose
from components.team.protection import override_for
from components.team.tenant import resolve
from lenient import table, text
from names import PROTECTED_OUTPUT, team_namespace
from settings.models import Platform
from settings.tenants import team_of

CLUSTER: Final = "host-uid"
"""The name of the namespace kube-system as the program reads it (`components/host/cluster.py`); its UID is the
cluster's."""

FIELD_MANAGER: Final = "__fieldManager"
"""The provider's note of the name by which it applied an object (pulumi-kubernetes v4.32.0:
provider/pkg/provider/provider.go). Each resource has its own."""


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
    spaces: frozenset[str] | None = None
    """The namespaces on the host; None where no state says."""
    managers: frozenset[str] | None = None
    """The field managers by which our labels are on nodes; None where no state says."""
    patches: Mapping[str, str] = field(default_factory=dict)
    """The resource that labels a node, by the node's name."""

    @property
    def whose(self) -> Whose:
        """Which objects on the cluster are this stack's. Before the first run none is, whatever its label says."""
        return Whose(spaces=self.spaces, managers=self.managers) if self.made else NOBODYS

    def with_state(self, protected: frozenset[str], *, half_labelled: bool) -> Remembered:
        """Return the same, with each resource's protection from an exported state. `half_labelled`: whether a killed
        run was labelling a node: then the state does not know by which field manager."""
        teams = {name: replace(team, protected=name in protected) for name, team in self.teams.items()}
        return replace(self, teams=teams, managers=None if half_labelled else self.managers)


def remembered(resources: Mapping[str, object]) -> Remembered:
    """Return the content of a state. `resources`: by URN, each with `type` and `outputs`."""
    uid: str | None = None
    teams: dict[str, RememberedTeam] = {}
    protections: set[str] = set()
    spaces: set[str] = set()
    patches: dict[str, str] = {}
    managers: set[str] = set()
    for urn, entry in resources.items():
        kind, said, name = text(entry, "type"), table(entry, "outputs"), urn.rpartition("::")[2]
        if kind == tokens.NAMESPACE and name == CLUSTER:
            uid = text(said, "metadata", "uid") or None
        elif kind == tokens.TEAM:
            protected = said.get(PROTECTED_OUTPUT, not said.get("canaryOf")) is not False
            teams[name] = RememberedTeam(name=name, urn=urn, facts=said, protected=protected)
        elif kind == tokens.PROTECTION:
            protections.add(name)
        elif kind == tokens.NAMESPACE and tokens.TEAM not in urn:  # a virtual cluster's are no namespaces of the host
            spaces.add(text(said, "metadata", "name"))
        elif kind == tokens.NODE_PATCH:
            patches[text(said, "metadata", "name")] = name
            managers.add(text(said, FIELD_MANAGER))
    made = any(text(entry, "type") not in ("", tokens.STACK) for entry in resources.values())
    return Remembered(
        uid=uid,
        teams=teams,
        protections=frozenset(protections),
        made=made,
        spaces=frozenset(spaces | {team_namespace(team) for team in teams}),
        managers=None if "" in managers else frozenset(managers),
        patches=patches,
    )


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
