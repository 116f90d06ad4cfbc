"""Recordings of real clusters, and a small world of two teams to plant causes into.

A recording is what the clusters' own API servers said (Kubernetes 1.34, vCluster 0.36.1, KAI v0.16.8), cut down to what
a search may look at: one object a line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from datetime import UTC, datetime
from functools import cache
from typing import Any

import yaml

from seen.model import Seen
from seen.read import UP, Look, Said
from seen.snapshot import snapshot
from settings.load import load_stack_file
from settings.models import Platform
from tests.conftest import ROOT

HERE = ROOT / "tests" / "seen"
Json = dict[str, Any]


@cache
def platform(name: str) -> Platform:
    """The stack file beside the recordings: `virtual`, `host` or `world`."""
    return load_stack_file(HERE / f"Pulumi.{name}.yaml")


@cache
def recorded(name: str) -> tuple[Look, datetime]:
    """What the clusters said, and when."""
    lines = (json.loads(line) for line in (HERE / "recorded" / f"{name}.jsonl").read_text().splitlines())
    at = datetime.fromisoformat(next(lines)["at"])
    sides: dict[str, Said] = {}
    objects: dict[str, list[Json]] = {}
    for line in lines:
        if "side" in line:
            objects = {kind: [] for kind in line["kinds"]}
            sides[line["side"]] = Said(
                api=line["api"], version=line["version"], refused=line["refused"], objects=Lists(objects)
            )
        else:
            objects[line["kind"]].append(line["object"])
    return Look(host=sides.pop("host"), teams=sides), at


class Lists(Mapping[str, tuple[Json, ...]]):
    """Lists that are filled later."""

    def __init__(self, of: dict[str, list[Json]]) -> None:
        self._of = of

    def __getitem__(self, kind: str) -> tuple[Json, ...]:
        return tuple(self._of[kind])

    def __iter__(self) -> Iterator[str]:
        return iter(self._of)

    def __len__(self) -> int:
        return len(self._of)


NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


@cache
def _world(name: str) -> str:
    """As JSON: an anchor's value would be one object in several places."""
    return json.dumps(yaml.load((HERE / name).read_text(), yaml.CSafeLoader))


class World:
    """Two teams on two nodes of four GPUs each, everything well. `plant` changes it."""

    def __init__(self, name: str = "world.yaml") -> None:
        base = json.loads(_world(name))
        self.host: dict[str, list[Json]] = base["host"]
        self.teams: dict[str, dict[str, list[Json]]] = base["teams"]
        self.api = dict.fromkeys(self.teams, UP)
        self.refused: dict[str, dict[str, str]] = {"host": {}, **{team: {} for team in self.teams}}

    def plant(self, change: Mapping[str, Any]) -> None:
        """Add objects (`add`), merge into some (`change`), take some away (`drop`), each by side and kind."""
        for side, kinds in (change.get("add") or {}).items():
            for kind, objects in kinds.items():
                self._side(side).setdefault(kind, []).extend(deepcopy(objects))
        for side, kinds in (change.get("change") or {}).items():
            for kind, named in kinds.items():
                for name, patch in named.items():
                    merge(self._one(side, kind, name), patch)
        for side, kinds in (change.get("drop") or {}).items():
            for kind, names in kinds.items():
                self._side(side)[kind] = [o for o in self._side(side)[kind] if o["metadata"]["name"] not in names]
        self.api |= change.get("api") or {}

    def _side(self, side: str) -> dict[str, list[Json]]:
        return self.host if side == "host" else self.teams[side]

    def _one(self, side: str, kind: str, name: str) -> Json:
        return next(o for o in self._side(side)[kind] if o["metadata"]["name"] == name)

    def look(self) -> Look:
        return Look(
            host=said(self.host, refused=self.refused["host"]),
            teams={
                team: said(kinds, api=self.api[team], refused=self.refused[team]) for team, kinds in self.teams.items()
            },
        )

    def seen(self, stack: str = "world") -> tuple[Look, Seen]:
        found = self.look()
        return found, snapshot(found, platform(stack), stack="dev", at=NOW)


def said(kinds: Mapping[str, Iterable[Json]], *, api: str = UP, refused: Mapping[str, str]) -> Said:
    if api != UP:
        return Said(api=api)
    known = {kind: tuple(objects) for kind, objects in kinds.items() if kind not in refused}
    return Said(api=api, version="v1.34.4", objects=known, refused=refused)


def merge(into: Json, patch: Mapping[str, Any]) -> None:
    """Merge a patch as JSON Merge Patch does: a mapping into a mapping, null takes away."""
    for key, value in patch.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        elif value is None:
            into.pop(key, None)
        else:
            into[key] = deepcopy(value)
