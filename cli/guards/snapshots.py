"""The snapshots that an update takes first: of each team that it disturbs, if the stack file asks for that.

Owns: which teams, and taking their snapshots before anything is registered.
Leaves to others: the snapshot itself (`kube/snapshots.py`), what disturbs whom (`preview/changes.py`).
"""

from __future__ import annotations

from collections.abc import Mapping

import httpx2
import pulumi
from pydantic import JsonValue

from cli.guards.refusal import Refusal
from kube.client import connect
from kube.snapshot_pod import Store
from kube.snapshots import SnapshotError, take
from preview.changes import snapshots_first
from preview.facts import facts_of
from preview.observed import facts_in_state
from settings.models import Platform
from settings.tenants import team_of, tenants


def before_changes(resources: Mapping[str, JsonValue], platform: Platform, uid: str, kubeconfig: str) -> list[Refusal]:
    """Take the snapshots; return a refusal for each that failed. `resources` are the state's."""
    old = facts_in_state(resources)
    if old is None:
        return []
    wanted = snapshots_first(platform, old, facts_of(platform, cluster_uid=uid))
    if not wanted:
        return []
    refused: list[Refusal] = []
    there = tenants(platform)
    with connect(kubeconfig) as api:
        for team, why in wanted.items():
            kept = there[team].vcluster.snapshots
            assert kept is not None, "only teams that keep snapshots come here"
            try:
                scheduler = old.tenants[team].get("scheduler.version")
                store = Store(team=team, settings=kept)
                taken = take(api, store, why=f"before: {why}", scheduler=str(scheduler or ""))
            except (SnapshotError, httpx2.TransportError) as error:
                fix = f"repair that, or write teams.{team_of(platform, team)}.vcluster.snapshots.beforeChanges: false"
                refused.append(Refusal(cause=f"team {team}: the snapshot before this update: {error}", fix=fix))
            else:
                pulumi.log.info(f"team {team}: snapshot {taken.name} taken, {taken.why}")
    return refused
