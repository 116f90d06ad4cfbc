"""A team writes what it likes into its own cluster: no object of it may end the search for the others."""

from __future__ import annotations

import random
from typing import Any

import pytest

from seen.read import Look, Said
from seen.snapshot import snapshot
from seen.why import Request, lost, whys, would
from tests.seen.world import platform, recorded

JUNK: tuple[Any, ...] = (None, {}, [], "", 0, -1, "x", True, [None], {"a": 1}, 3.5, "1e400")


def spoiled(thing: Any, dice: random.Random, share: float) -> Any:
    if dice.random() < share:
        return dice.choice(JUNK)
    if isinstance(thing, dict):
        return {key: spoiled(value, dice, share) for key, value in thing.items() if dice.random() > share / 2}
    return [spoiled(one, dice, share) for one in thing] if isinstance(thing, list) else thing


def mess(said: Said, dice: random.Random, share: float) -> Said:
    kinds = {kind: [spoiled(one, dice, share) for one in said.all(kind)] for kind in said.objects}
    objects = {kind: tuple(one for one in found if isinstance(one, dict)) for kind, found in kinds.items()}
    return Said(api=said.api, version=said.version, objects=objects)


@pytest.mark.parametrize("share", [0.002, 0.01, 0.05])
@pytest.mark.parametrize("recording", ["reclaimed", "edited", "without-binder"])
@pytest.mark.parametrize("seeds", [range(3), pytest.param(range(3, 12), marks=pytest.mark.slow)], ids=["few", "more"])
def test_spoiled_objects_are_passed_over(recording: str, share: float, seeds: range) -> None:
    look, at = recorded(recording)
    for seed in seeds:
        dice = random.Random(seed)
        spoilt = Look(
            host=mess(look.host, dice, share), teams={team: mess(s, dice, share) for team, s in look.teams.items()}
        )
        seen = snapshot(spoilt, platform("virtual"), stack="dev", at=at)
        assert {"ml", "research"} <= {team.name for team in seen.teams}
        for team in seen.teams:
            for answer in (*whys(spoilt, seen, team), *lost(seen, team)):
                assert answer.cause
            for request in (Request(gpus=1), Request(fraction=0.5)):
                answered = would(spoilt, seen, team, request)
                assert answered.why is not None or answered.node
