"""Rules about a team's two virtual clusters.

Owns: what can't go together with `blueGreen`. Leaves to others: versions (`schedulers.py`), the sums (`sums.py`).
"""

from __future__ import annotations

from collections.abc import Iterator

import releases
from settings.models import Expose, Platform, SchedulerMode
from settings.problems import Path, Problem
from settings.words import known_version


def slots_can_change_places(platform: Platform) -> Iterator[Problem]:
    """The slot that serves exists, and nothing of the team belongs to only one slot."""
    for name, team in platform.teams.items():
        pair = team.blue_green
        if pair is None:
            continue
        path: Path = ("teams", name, "blueGreen")
        if pair.serves not in pair.slots:
            yield Problem(
                path=(*path, "serves"),
                rule="names a virtual cluster that is there",
                got=f"{pair.serves} and no {pair.serves}",
                fix=f"write {pair.serves}: {{}}" + (f", or serves: {pair.other}" if pair.slots else ""),
            )
        for slot, said in pair.slots.items():
            if said.version is not None:
                yield from known_version("KAI release", said.version, releases.KAI, (*path, slot, "version"))
        mode = team.scheduler.mode
        if mode is not SchedulerMode.VIRTUAL:
            yield Problem(
                path=path, rule="needs mode virtual", got=f"mode: {mode.value}", fix="remove it, or change the mode"
            )
        if team.scheduler.canary is not None:
            yield Problem(
                path=path,
                rule="can't go with scheduler.canary: the slot that does not serve is the trial",
                got="both",
                fix=f"write the canary's version into blueGreen.{pair.other}, and remove canary",
            )
        if team.workloads:
            yield Problem(
                path=path,
                rule="can't go with workloads: their ports and GPUs belong to one virtual cluster",
                got=", ".join(team.workloads),
                fix="remove blueGreen, or give the workloads a team of their own",
            )
        if team.access.expose is Expose.LOAD_BALANCER:
            yield Problem(
                path=path,
                rule="can't go with expose: loadBalancer: the balancer's name belongs to one virtual cluster",
                got="both",
                fix="write expose: nodePort, or remove blueGreen",
            )
