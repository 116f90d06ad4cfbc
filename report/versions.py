"""Which versions change for whom, and what that means. Pure.

Owns: scheduler, virtual cluster and shared-KAI versions before and after, equal changes of several teams in one row.
Leaves to others: what a release needs and which line it is in (`releases`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import releases
from report.impact import SCHEDULER_AWAY
from settings.models import Platform, SchedulerMode, Team
from settings.tenants import tenants


@dataclass(frozen=True, kw_only=True)
class VersionChange:
    """One version before and after, the same for all `teams`. None: not there. No teams: the host's."""

    teams: tuple[str, ...]
    what: str
    before: str | None
    after: str | None
    means: str


def kai_version(team: Team) -> str | None:
    """The KAI release of a team's own scheduler; None where it has none of its own."""
    if team.scheduler.mode is not SchedulerMode.VIRTUAL:
        return None
    return team.scheduler.version or releases.DEFAULT_KAI


def _kai_means(before: str | None, after: str | None) -> str:
    if before is None:
        return "new scheduler"
    if after is None:
        return "its own scheduler goes"
    old, new = releases.KAI.get(before), releases.KAI.get(after)
    if old is None or new is None:
        return "a release that this program does not know: no word on lines"
    if releases.same_line(old, new):
        return "the same release line: upgraded in place, pods that wait are bound some seconds later"
    return f"another release line: scheduler replaced, {SCHEDULER_AWAY}"


def kubernetes_version(team: Team) -> str:
    """What runs inside the virtual cluster. The host's KAI has no say in it (`components/team/tenant.py`)."""
    vcluster = releases.VCLUSTER.get(team.vcluster.version or releases.DEFAULT_VCLUSTER)
    if team.vcluster.kubernetes_version or vcluster is None:
        return team.vcluster.kubernetes_version or "unknown"
    return releases.kubernetes_for(vcluster, releases.KAI.get(kai_version(team) or ""))


def _vcluster_means(before: str | None, after: str | None) -> str:
    if before is None:
        return "new virtual cluster"
    return "removed with the team" if after is None else "its API server restarts; pods that run go on"


def version_changes(base: Platform | None, head: Platform | None) -> tuple[VersionChange, ...]:
    """Every changed version; a removed team's are left out (what goes with it stands above)."""
    before: Mapping[str, Team] = tenants(base) if base else {}
    after: Mapping[str, Team] = tenants(head) if head else {}
    old_shared = base.host.scheduler.version if base and base.host.scheduler else None
    new_shared = head.host.scheduler.version if head and head.host.scheduler else None
    found: dict[tuple[str, str | None, str | None], VersionChange] = {}
    for name, team in sorted(after.items()):
        was = before.get(name)
        old_kai, new_kai = kai_version(was) if was else None, kai_version(team)
        old_vcluster = (was.vcluster.version or releases.DEFAULT_VCLUSTER) if was else None
        new_vcluster = team.vcluster.version or releases.DEFAULT_VCLUSTER
        old_inside = kubernetes_version(was) if was else None
        new_inside = kubernetes_version(team)
        for what, old, new, means in (
            ("Kubernetes inside", old_inside, new_inside, _vcluster_means(old_inside, new_inside)),
            ("KAI", old_kai, new_kai, _kai_means(old_kai, new_kai)),
            ("vCluster", old_vcluster, new_vcluster, _vcluster_means(old_vcluster, new_vcluster)),
        ):
            if old == new or (was is None and what == "Kubernetes inside"):
                continue
            change = VersionChange(teams=(name,), what=what, before=old, after=new, means=means)
            known = found.get((what, old, new))
            found[what, old, new] = change if known is None else replace(known, teams=(*known.teams, name))
    if base and head and old_shared != new_shared:
        means = _kai_means(old_shared, new_shared)
        found["shared", old_shared, new_shared] = VersionChange(
            teams=(), what="shared KAI on the host", before=old_shared, after=new_shared, means=means
        )
    return tuple(found[key] for key in sorted(found, key=str))
