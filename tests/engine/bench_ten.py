"""Ten teams on real GPUs, from nothing to passed checks and back, as often as there is time for it.

    python -m tests.engine.bench_ten ROUNDS SECONDS

Needs what `test_gpus.py` needs, and helm. First one team with every GPU of a node in one pod, then ten teams (each with
a replica of a time-sliced GPU), then that one team by helm and kubectl alone (`by_hand.sh`), then ten teams again until
ROUNDS are done or SECONDS are up. Each row is printed when it is there; a round that fails is told and the next begins.
The exit code is that of the rounds.
"""

from __future__ import annotations

import copy
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from tests.engine import gpus
from tests.engine.bench import available, by_hand, platform
from tests.engine.conftest import STACK, Engine, Row, everything_unprotected, fresh, overriding, since, told

TEAMS: Final = 10
RESOURCES: Final = {"gpus": 1, "cpu": 1, "memory": "8Gi", "pods": 14}
"""Of a team: KAI, the virtual cluster and a check with torch. Ten of them fit a node with 16 cores and 125 GiB."""
ROUND_SECONDS: Final = 170
"""A round is begun where so much is left."""
BEFORE_BY_HAND: Final = 3
"""So many rounds come before the script."""
GOOD: Final = ("pass", "warn")


def one_team(engine: Engine) -> gpus.Json:
    """One team whose check has all GPUs of a node in one pod."""
    found = gpus.ground(engine.platform)
    data = platform(engine.platform, 1)
    (team,) = data["teams"].values()
    team["resources"] = {**RESOURCES, "gpus": found.gpus}
    team["queues"] = {"work": {"gpu": found.gpus}}
    team["check"] = {"gpus": found.gpus}
    return data


def ten_teams(engine: Engine) -> gpus.Json:
    """Ten teams with a replica each, and the host's own checks before theirs."""
    found = gpus.ground(engine.platform)
    data = platform(engine.platform, TEAMS)
    data["pools"][found.pool]["sharing"] = {"timeSlicing": {"replicas": max(8, math.ceil(TEAMS / found.gpus))}}
    data["check"]["host"] = True
    for team in data["teams"].values():
        team["resources"] = dict(RESOURCES)
        team["scheduler"] = {**team["scheduler"], "gpuSharing": False}
    return data


def timed(what: str, step: Callable[[], object]) -> None:
    """Do it, and print its row with what it returned."""
    began = time.monotonic()
    found = step()
    told(Row(what=what, verdict="done", how="-", seconds=since(began), sentence=str(found or "")))


def looked(what: str, step: Callable[[], object]) -> None:
    """The same for what is only looked at: when it fails, the round goes on."""
    try:
        timed(what, step)
    except (Exception, pytest.fail.Exception) as error:
        told(Row(what=what, verdict="FAILED", how="-", seconds=0.0, sentence=str(error)))


def deployed(engine: Engine, what: str, data: gpus.Json) -> None:
    """`up` to checks that all passed; a row with their verdicts."""
    engine.write(data)
    began = time.monotonic()
    engine.up()
    took = since(began)
    reports = [gpus.report_of(engine, team) for team in data["teams"]]
    verdicts = sorted(report["verdict"] for report in reports)
    uuids = {uuid for report in reports for uuid in report["coverage"]["uuids"]}
    said = f"{', '.join(verdicts)} on {len(uuids)} GPUs; checks took {[report['seconds'] for report in reports]} s"
    told(Row(what=what, verdict="passed", how="-", seconds=took, sentence=said))
    assert set(verdicts) <= set(GOOD), [report["sentence"] for report in reports]


def removed(engine: Engine) -> None:
    """Everything."""
    everything_unprotected(engine)
    engine.run("destroy", "--yes")


def one_fewer(engine: Engine, data: gpus.Json) -> None:
    """Leave the last team out of the file."""
    fewer = copy.deepcopy(data)
    gone = list(fewer["teams"])[-1]
    del fewer["teams"][gone]
    fewer["overrides"] = overriding([gone], "delete")
    everything_unprotected(engine)
    engine.write(fewer)
    looked(f"one team of {TEAMS} removed", lambda: engine.up() and "")


def status(engine: Engine) -> str:
    """`make status`; its exit code."""
    command = [sys.executable, "-m", "cli", "--stack", STACK, "status"]
    done = subprocess.run(command, cwd=engine.folder, env=dict(engine.environment), check=False, capture_output=True)
    return f"exit code {done.returncode}"


def unchanged(engine: Engine) -> str:
    """A preview; says what it would change."""
    steps = engine.steps()
    return f"{len(steps)} changes {sorted(steps)[:5] if steps else ''}".strip()


def single(engine: Engine, data: gpus.Json) -> None:
    """One team from nothing to a passed check and to nothing again."""
    deployed(engine, f"1 team, {gpus.ground(engine.platform).gpus} GPUs in one pod", data)
    looked("unchanged preview, 1 team", lambda: unchanged(engine))
    timed("down, 1 team", lambda: removed(engine))


def round_of_ten(engine: Engine, number: int) -> None:
    """Ten teams from nothing to passed checks and to nothing again. The first round is looked at, too."""
    data, left = ten_teams(engine), TEAMS
    deployed(engine, f"{TEAMS} teams, round {number}", data)
    if number == 1:
        looked(f"unchanged preview, {TEAMS} teams", lambda: unchanged(engine))
        looked(f"status, {TEAMS} teams", lambda: status(engine))
        one_fewer(engine, data)
        left -= 1
    timed(f"down, {left} teams", lambda: removed(engine))


def attempted(engine: Engine, what: str, step: Callable[[], None]) -> bool:
    """Whether a step worked. What did not is told, and the next begins from nothing."""
    try:
        step()
    except (Exception, pytest.fail.Exception) as error:
        told(Row(what=what, verdict="FAILED", how="-", seconds=0.0, sentence=str(error)))
        everything_unprotected(engine)
        engine.run("destroy", "--yes", "--continue-on-error")
        return False
    return True


def measure(engine: Engine, folder: Path, rounds: int, end: float) -> list[bool]:
    """All of it, until the monotonic time `end`; whether each round of ten worked."""
    alone, good = one_team(engine), list[bool]()
    attempted(engine, "1 team", lambda: single(engine, alone))
    for number in range(1, rounds + 1):
        if end - time.monotonic() < ROUND_SECONDS:
            break
        good.append(attempted(engine, f"{TEAMS} teams, round {number}", partial(round_of_ten, engine, number)))
        if number == min(rounds, BEFORE_BY_HAND) and end - time.monotonic() > ROUND_SECONDS:
            looked(
                "1 team by hand, and its removal", lambda: f"{by_hand(engine, alone, folder).tested:.1f} s without it"
            )
    said = f"{sum(good)} of {len(good)} without a failure"
    told(Row(what=f"{TEAMS} teams from nothing", verdict="done", how="-", seconds=0.0, sentence=said))
    return good


def main(rounds: int, seconds: float) -> int:
    """Measure and print; the exit code."""
    why_not = available()
    if why_not is not None:
        print(f"not measured: {why_not}", file=sys.stderr)
        return 1
    end = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        good = measure(fresh(Path(folder)), Path(folder) / "hand", rounds, end)
    return 0 if good and all(good) else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), float(sys.argv[2])))
