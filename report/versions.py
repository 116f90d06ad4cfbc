"""Which versions change for which teams, and what that means. Pure.

Owns: scheduler, virtual cluster and shared-KAI versions before and after, equal changes of several teams in one row.
Leaves to others: what a change of a version does (`preview/judges/versions.py`), lines (`releases`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import releases
from preview.changes import Change
from preview.judges.versions import SCHEDULER_AWAY
from settings.models import Platform, SchedulerMode, Team
from settings.tenants import tenants


@dataclass(frozen=True, kw_only=True)
class VersionChange:
    """One version before and after, the same for all `teams`. None: no version. No teams: the host's."""

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


_WHAT: Final = {
    "vcluster.kubernetesVersion": "Kubernetes inside",
    "scheduler.version": "KAI",
    "vcluster.version": "vCluster",
}
"""A team's version fields, and their names for people."""


def version_changes(
    base: Platform | None, head: Platform | None, settings: Sequence[Change]
) -> tuple[VersionChange, ...]:
    """Every changed version, without those of removed teams (reported above).

    `settings`: the changes between the two files and their effects.
    """
    found: dict[tuple[str, str | None, str | None], VersionChange] = {}
    for change in (*_new(base, head), *_edited(settings)):
        key = (change.what, change.before, change.after)
        known = found.get(key)
        found[key] = change if known is None else replace(known, teams=(*known.teams, *change.teams))
    if base and head and (shared := _shared(base, head)):
        found["shared", shared.before, shared.after] = shared
    return tuple(found[key] for key in sorted(found, key=str))


def _new(base: Platform | None, head: Platform | None) -> Iterator[VersionChange]:
    """The versions of a new team."""
    before: Mapping[str, Team] = tenants(base) if base else {}
    for name, team in sorted(tenants(head).items() if head else ()):
        if name in before:
            continue
        vcluster = team.vcluster.version or releases.DEFAULT_VCLUSTER
        for what, version, means in (
            ("KAI", kai_version(team), "new scheduler"),
            ("vCluster", vcluster, "new virtual cluster"),
        ):
            if version is not None:
                yield VersionChange(teams=(name,), what=what, before=None, after=version, means=means)


def _edited(settings: Sequence[Change]) -> Iterator[VersionChange]:
    for change in sorted(settings, key=lambda change: change.tenant):
        what = _WHAT.get(change.path.removeprefix(f"teams.{change.tenant}."))
        if what is not None:
            before, after = (None if value is None else str(value) for value in (change.before, change.after))
            means = _without_versions(change.means) or (
                "its own scheduler is removed" if after is None else "new scheduler"
            )
            yield VersionChange(teams=(change.tenant,), what=what, before=before, after=after, means=means)


def _without_versions(means: str) -> str:
    """The text of a change without the two versions, which have their own column."""
    head, colon, rest = means.partition(": ")
    return rest if colon and "→" in head and "downgrade" not in head else means


def _shared(base: Platform, head: Platform) -> VersionChange | None:
    """Another version of the one KAI on the host."""
    before, after = (found.host.scheduler.version if found.host.scheduler else None for found in (base, head))
    if before == after:
        return None
    old, new = releases.KAI.get(before or ""), releases.KAI.get(after or "")
    if before is None or after is None:
        means = "new scheduler" if before is None else "the shared scheduler is removed"
    elif old is None or new is None:
        means = "a release that this program does not know, so perhaps a replacement"
    elif releases.same_line(old, new):
        means = "the same release line: upgraded in place, pods that wait are bound some seconds later"
    else:
        means = f"another release line: scheduler replaced, {SCHEDULER_AWAY}"
    return VersionChange(teams=(), what="shared KAI on the host", before=before, after=after, means=means)
