"""`make snapshot` and `make restore`: keep a team's virtual cluster, and go back to it.

Owns: which team and which snapshot are meant, what a restore loses in words, the question.
Leaves to others: the work on the cluster (`kube/snapshots.py`), what changed since (`kube/contents.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import httpx2

import kube
from cli import say
from cli.cluster import Target
from cli.driver import Driver, Place
from cli.errors import CommandError, InputError
from kube.client import connect, connect_to
from kube.contents import Since, since
from kube.snapshot_pod import Store
from kube.snapshots import Snapshot, SnapshotError, go_back, recorded, take
from lenient import text
from settings.models import HostProvider
from settings.tenants import meant, slot_of, team_of, tenants

NAMED: Final = 5
"""The most objects that are named; the rest is counted."""


def store_of(place: Place, team: str) -> Store:
    """Return where a team's snapshots are. Raises `InputError`."""
    if place.platform.host.provider is HostProvider.LAB:
        raise InputError(
            f"stack {place.stack} is a lab: its virtual clusters are plain API servers without vCluster.",
            "ask for a stack on a cluster",
        )
    team = meant(place.platform, team)
    kept_of = team in place.platform.teams or slot_of(place.platform, team) is not None  # a canary keeps no snapshots
    found = tenants(place.platform).get(team) if kept_of else None
    if found is None:
        names = ", ".join(sorted(place.platform.teams)) or "(none)"
        got = f"there is no team {team!r}" if team else "no team is named"
        raise InputError(f"{got} in {place.stack_file.name}.", f"TEAM=<team> with one of: {names}")
    kept = found.vcluster.snapshots
    if kept is None:
        raise InputError(
            f"team {team} keeps no snapshots: {place.stack_file.name} has no "
            f"teams.{team_of(place.platform, team)}.vcluster.snapshots.",
            f"write `vcluster: {{snapshots: {{}}}}` for it and `make up STACK={place.stack}`: that makes a volume",
        )
    return Store(team=team, settings=kept)


def snapshot(place: Place, driver: Driver, host: Target, store: Store) -> None:
    with api_of(host) as api:
        found = take(api, store, why="asked for", scheduler=_scheduler(driver, store.team))
    say.line(f"team {store.team}: snapshot {found.name} taken; nothing stopped for it")
    say.line(f"`make restore STACK={place.stack} TEAM={store.team} SNAPSHOT={found.name}` goes back to it")


def restore(place: Place, driver: Driver, host: Target, store: Store, name: str, *, yes: bool) -> None:
    """Say what a restore loses, ask, and restore."""
    with api_of(host) as api:
        chosen = _chosen(place, store, recorded(api, store), name)
        now = _scheduler(driver, store.team)
        if (now or "") != chosen.scheduler:
            raise InputError(
                f"snapshot {chosen.name} has KAI {chosen.scheduler or 'none'} in it, and team {store.team} runs "
                f"{now or 'none'}: what `make up` knows of it would be wrong.",
                f"write that version for the team, `make up STACK={place.stack}`, then this again",
            )
        inside = driver.kubeconfig(store.team, user=False)
        for line in lost(store.team, chosen, _since(inside, chosen)):
            say.line(line)
        if not yes and not agreed():
            raise CommandError("nothing was changed.", "answer yes, or pass YES=1 where nobody can be asked")
        go_back(api, store, chosen)
    say.line(f"team {store.team}: its virtual cluster is as it was in {chosen.name}; waiting for its API server")
    try:
        kube.wait_until_it_answers(inside, store.team)
    except TimeoutError as error:
        raise CommandError(f"{error}.", f"`make status STACK={place.stack}`") from None
    say.line(
        f"it answers. What `make up` made in it since is gone, too: `make drift STACK={place.stack}` shows that, and a "
        "`pulumi refresh` before the next `make up` makes it anew"
    )


def _chosen(place: Place, store: Store, found: Sequence[Snapshot], name: str) -> Snapshot:
    for one in found:
        if one.name == name:
            return one
    if not found:
        raise InputError(
            f"team {store.team} has no snapshot.", f"`make snapshot STACK={place.stack} TEAM={store.team}` takes one"
        )
    listed = "\n".join(f"  {one.name}  {one.why}" for one in found)
    got = f"has no snapshot {name!r}" if name else "has several snapshots, and none is named"
    raise InputError(f"team {store.team} {got}.", "SNAPSHOT=<name> with one of these, the newest first", detail=listed)


def lost(team: str, chosen: Snapshot, found: Since | None) -> list[str]:
    """Return what a restore loses, one line each."""
    lines = [f"team {team} goes back to {chosen.name} (taken {chosen.taken:%Y-%m-%d %H:%M:%S} UTC, {chosen.why}):"]
    if found is None:
        lines.append("  its API server does not answer, so what was made and changed since can't be listed")
    else:
        lines += _listed("made since, and lost", found.made)
        lines += _listed("changed since, and back to what they were", found.changed)
    return [
        *lines,
        "  what was deleted since comes back",
        "  every pod of the team ends now and starts anew, and its API server is away for about a minute",
        "  volumes of pods are not part of a snapshot: they stay as they are",
    ]


def _listed(what: str, objects: Sequence[str]) -> list[str]:
    if not objects:
        return [f"  {what}: nothing"]
    more = f", and {len(objects) - NAMED} more" if len(objects) > NAMED else ""
    return [f"  {what}: {len(objects)} ({', '.join(objects[:NAMED])}{more})"]


def _since(kubeconfig: str, chosen: Snapshot) -> Since | None:
    try:
        with connect(kubeconfig) as api:
            return since(api, chosen.taken)
    except (httpx2.TransportError, RuntimeError):
        return None


def agreed() -> bool:
    """Ask a person; without a terminal the answer is no."""
    if not sys.stdin.isatty():
        return False
    say.line("type yes to go on:")
    return sys.stdin.readline().strip() == "yes"


def _scheduler(driver: Driver, team: str) -> str | None:
    """The KAI that the last `make up` made."""
    return text(driver.outputs(), "teams", team, "schedulerVersion") or None


@contextmanager
def api_of(host: Target) -> Iterator[httpx2.Client]:
    """The host's API; its failures become one error."""
    try:
        with connect_to(host.config) as api:
            yield api
    except SnapshotError as error:
        raise CommandError(f"{error}.", "see docs/guides/snapshots.md") from None
    except (httpx2.HTTPError, OSError) as error:
        raise CommandError(f"the cluster does not answer: {error}.", "check that it runs, then this again") from None
