"""The sources' claims about a scheduler's life, measured on the real engine in one run, beside the manual way.

Run by `make bench-life` where GPU_TENANCY_ENGINE_STACK names a stack file of a cluster that may be filled and emptied
(conftest.py), with two versions of KAI to be had (GPU_TENANCY_ENGINE_OTHER_KAI names the second). Prints a table as
docs/runs.md has it: claim, aim, by hand, ours. By hand is `by_hand.sh`: the same charts, values and objects by helm and
kubectl; where it has no such step, there is no number.
"""

from __future__ import annotations

import argparse
import copy
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.engine.bench import available, by_hand, platform
from tests.engine.conftest import Engine, everything_unprotected, fresh

OTHER_KAI: Final = "GPU_TENANCY_ENGINE_OTHER_KAI"
NONE: Final = "-"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What the source documents say of one step, and what this program aims at; seconds in words."""

    what: str
    claim: str
    aim: str


CLAIMS: Final = {
    "provisioned": Claim(what="virtual cluster provisioned", claim="under a minute", aim="60 s"),
    "tested": Claim(what="first workload tested, from nothing", claim="5 minutes (4 hours before)", aim="90 s"),
    "switched": Claim(what="scheduler version switched, check passed", claim="30 s (2 hours before)", aim="60 s"),
    "back": Claim(what="back to the old version, check passed", claim="30 s", aim=NONE),
    "beside": Claim(what="another version beside it, check passed", claim=NONE, aim=NONE),
    "warm": Claim(what="back to the version that is still warm", claim="30 s", aim="20 s"),
    "deleted": Claim(what="virtual cluster deleted, with its KAI", claim="30 s", aim="10 s"),
    "again": Claim(what="installed again, check passed", claim=NONE, aim="90 s on two cores"),
}
"""The slides' claims table and the blog post."""


@dataclass(frozen=True, kw_only=True)
class World:
    """A stack with one team, and the second version of KAI. `folder`: for what is done by hand."""

    engine: Engine
    data: dict[str, Any]
    folder: Path
    other: str

    @property
    def team(self) -> str:
        (team,) = self.data["teams"]
        return str(team)

    def up(self, now: Mapping[str, Any]) -> float:
        """Make it so; how long that took."""
        self.engine.write(now)
        return seconds(self.engine.up)

    def removed(self) -> None:
        """Everything gone."""
        everything_unprotected(self.engine)
        self.engine.run("destroy", "--yes", "--skip-preview")


def seconds(step: Callable[[], object]) -> float:
    """How long a step took."""
    began = time.monotonic()
    step()
    return time.monotonic() - began


def install(world: World) -> dict[str, float]:
    """From nothing, and gone again."""
    bare = copy.deepcopy(world.data)
    bare["teams"][world.team] = {"resources": bare["teams"][world.team]["resources"] | {"gpus": 0}}
    found = {"provisioned": world.up(bare)}
    world.removed()
    found["tested"] = world.up(world.data)
    found["deleted"] = seconds(world.removed)
    found["again"] = world.up(world.data)
    return found


def versions(world: World) -> dict[str, float]:
    """Another version and back: beside the old one, which stays warm, and in its place."""
    other = with_version(world.data, world.team, world.other)
    beside = copy.deepcopy(world.data)
    beside["teams"][world.team]["scheduler"]["canary"] = {"version": world.other, "gpus": 1}
    world.up(world.data)
    return {
        "beside": world.up(beside),
        "warm": world.up(world.data),
        "switched": world.up(other),
        "back": world.up(world.data),
    }


def hand(world: World) -> dict[str, float]:
    """By helm and kubectl: from nothing, another version in place of the first and back, gone, and once more."""
    other = with_version(world.data, world.team, world.other)
    first = by_hand(world.engine, world.data, world.folder / "first", then=(other, world.data))
    switched, back = first.then
    return {
        "provisioned": first.provisioned,
        "tested": first.tested,
        "switched": switched,
        "back": back,
        "deleted": first.deleted,
        "again": by_hand(world.engine, world.data, world.folder / "again").tested,
    }


def with_version(data: Mapping[str, Any], team: str, version: str) -> dict[str, Any]:
    """The same platform with another KAI of the team."""
    other = copy.deepcopy(dict(data))
    other["teams"][team]["scheduler"]["version"] = version
    return other


PARTS: Final = {"install": install, "versions": versions, "hand": hand}
"""What can be measured alone: each begins with nothing."""


def measure(world: World, parts: Iterable[str]) -> dict[str, dict[str, float]]:
    """Go through a scheduler's life once. Returns seconds by part and step."""
    found = {}
    for part in parts:
        found[part] = PARTS[part](world)
        world.removed()
    return found


def table(found: Mapping[str, Mapping[str, float]]) -> list[str]:
    """The table's lines; `-` for what was not measured."""
    ours = {**found.get("install", {}), **found.get("versions", {})}
    manual = found.get("hand", {})

    def told(from_: Mapping[str, float], step: str) -> str:
        return f"{from_[step]:.0f} s" if step in from_ else NONE

    lines = ["| step | claim | aim | by hand | ours |", "|---|---|---|---|---|"]
    for step, claim in CLAIMS.items():
        lines.append(f"| {claim.what} | {claim.claim} | {claim.aim} | {told(manual, step)} | {told(ours, step)} |")
    return lines


def main(parts: Sequence[str] = tuple(PARTS)) -> int:
    """Measure and print; the exit code."""
    why_not = available()
    other = os.environ.get(OTHER_KAI)
    if why_not or not other:
        print(f"not measured: {why_not or f'{OTHER_KAI} names no second version of KAI'}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        engine = fresh(Path(folder))
        world = World(engine=engine, data=platform(engine.platform, 1), folder=Path(folder) / "hand", other=other)
        try:
            found = measure(world, parts)
        finally:
            everything_unprotected(engine)
            engine.run("destroy", "--yes", "--continue-on-error")
    print("\n".join(table(found)))
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"{os.cpu_count()} cores, load {load} (1, 5 and 15 minutes) at the end")
    return 0


if __name__ == "__main__":
    given = argparse.ArgumentParser(prog="python -m tests.engine.bench_life", description=__doc__)
    given.add_argument("--part", action="append", choices=PARTS, help="one of them alone; all unless told")
    sys.exit(main(given.parse_args().part or tuple(PARTS)))
