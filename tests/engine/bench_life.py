"""The sources' claims about a scheduler's life, measured on the real engine in one run, beside the manual way.

Run by `make bench-life` where GPU_TENANCY_ENGINE_STACK names a stack file of a cluster that may be filled and emptied
(conftest.py), with two versions of KAI to be had (GPU_TENANCY_ENGINE_OTHER_KAI names the second). Prints a table as
docs/runs.md has it: claim, aim, by hand, ours. By hand is `by_hand.sh`: the same charts, values and objects by helm and
kubectl; where it has no such step, there is no number.
"""

from __future__ import annotations

import copy
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
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
    "back": Claim(what="back to the old version, check passed", claim="30 s", aim="20 s where it is still warm"),
    "deleted": Claim(what="virtual cluster deleted", claim="30 s", aim="10 s"),
    "again": Claim(what="installed again, check passed", claim=NONE, aim="90 s on two cores"),
}
"""In the order in which they are measured (the slides' claims table and the blog post)."""


def seconds(step: Callable[[], object]) -> float:
    """How long a step took."""
    began = time.monotonic()
    step()
    return time.monotonic() - began


def measure(engine: Engine, folder: Path, other: str) -> tuple[dict[str, float], dict[str, float]]:
    """Go through a scheduler's life once. Returns seconds by step: ours, and by hand."""
    data = platform(engine.platform, 1)
    (team,) = data["teams"]
    with_other = copy.deepcopy(data)
    with_other["teams"][team]["scheduler"]["version"] = other
    ours: dict[str, float] = {}

    def up(now: Mapping[str, Any]) -> float:
        engine.write(now)
        return seconds(engine.up)

    def removed() -> None:
        everything_unprotected(engine)
        engine.run("destroy", "--yes")

    bare = copy.deepcopy(data)
    bare["teams"][team] = {"resources": bare["teams"][team]["resources"] | {"gpus": 0}}
    ours["provisioned"] = up(bare)
    removed()
    ours["tested"] = up(data)
    ours["switched"] = up(with_other)
    ours["back"] = up(data)
    ours["deleted"] = seconds(removed)
    ours["again"] = up(data)
    removed()
    whole = time.monotonic()
    tested = by_hand(engine, data, folder)
    return ours, {"tested": tested, "deleted": time.monotonic() - whole - tested}


def table(ours: Mapping[str, float], hand: Mapping[str, float]) -> list[str]:
    """The table's lines."""
    lines = ["| step | claim | aim | by hand | ours |", "|---|---|---|---|---|"]
    for step, claim in CLAIMS.items():
        manual = f"{hand[step]:.0f} s" if step in hand else NONE
        lines.append(f"| {claim.what} | {claim.claim} | {claim.aim} | {manual} | {ours[step]:.0f} s |")
    return lines


def main() -> int:
    """Measure and print; the exit code."""
    why_not = available()
    other = os.environ.get(OTHER_KAI)
    if why_not or not other:
        print(f"not measured: {why_not or f'{OTHER_KAI} names no second version of KAI'}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        engine = fresh(Path(folder))
        try:
            ours, hand = measure(engine, Path(folder) / "hand", other)
        finally:
            everything_unprotected(engine)
            engine.run("destroy", "--yes", "--continue-on-error")
    print("\n".join(table(ours, hand)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
