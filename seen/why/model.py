"""An answer, everything that is known about one pod, and the sentences. Pure, except that it reads `sentences.yaml`
once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

import yaml

from capacity import listed
from hints import filled
from lenient import Json, condition, name, namespace, text
from seen.model import Event, Pod, Seen, Team

SENTENCES: Final = Path(__file__).with_name("sentences.yaml")
FEW: Final = 3
"""The most pods or nodes that a sentence names; the rest is counted."""


@cache
def sentences() -> Mapping[str, Mapping[str, str]]:
    """Cause and fix by kind."""
    found: Mapping[str, Mapping[str, str]] = yaml.safe_load(SENTENCES.read_text(encoding="utf-8"))
    return found


@dataclass(frozen=True, kw_only=True)
class Why:
    """`id` names the kind of cause. `cause` and `fix` are one sentence each, without a full stop at the end."""

    id: str
    team: str
    namespace: str
    pod: str
    cause: str
    fix: str


def because(id_: str, *args: str, team: str, namespace: str, pod: str, **words: object) -> Why:
    """Return the answer of a kind with its sentences filled in."""
    told = sentences()[id_]
    known = {"team": team, "namespace": namespace, "pod": pod, **words}
    cause, fix = (one_line(filled(told[part], *args, **known)) for part in ("cause", "fix"))
    return Why(id=id_, team=team, namespace=namespace, pod=pod, cause=cause, fix=fix)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One pod with everything known about it. `inside`: the pod in its team's cluster; `on_host`: on the host; None:
    not there.
    """

    seen: Seen
    team: Team
    pod: Pod
    inside: Json | None
    on_host: Json | None
    events: Sequence[Event]
    """About this pod, the oldest first, from both sides."""
    group: Json | None = None
    """KAI's PodGroup."""
    bind: Json | None = None
    """KAI's BindRequest."""
    others: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    """Other objects of its cluster, by kind (`seen/read.py`)."""
    host: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    """Objects of the host, by kind."""

    @property
    def json(self) -> Json:
        """The pod in its own cluster, or else on the host."""
        return self.inside or self.on_host or {}

    @property
    def placed(self) -> Json:
        """The pod on the side that runs it: the host, if the pod is there."""
        return self.on_host or self.inside or {}

    @property
    def scheduled(self) -> Json:
        """The condition that a scheduler wrote. The team's own KAI writes it inside, the host's outside."""
        for side in (self.inside, self.on_host):
            found = condition(side, "PodScheduled")
            if found.get("status") == "False":
                return found
        return {}

    @property
    def queue(self) -> str:
        """The queue that KAI chose for it, or else the one that it names."""
        return text(self.group, "spec", "queue") or self.pod.queue

    @property
    def where(self) -> str:
        """Where the scheduler of its team runs."""
        return "on the host" if self.team.mode == "host" else f"in team {self.team.name}'s cluster"

    def say(self, id_: str, *args: str, **words: object) -> Why:
        """Return the answer of a kind about this pod."""
        mine = {"node": self.pod.node, "pool": self.team.pool, **words}
        return because(id_, *args, team=self.team.name, namespace=self.pod.namespace, pod=self.pod.name, **mine)

    def last(self, *reasons: str) -> str:
        """The message of the newest event with one of these reasons; empty without one."""
        return next((e.message for e in reversed(self.events) if e.reason in reasons), "")

    def named(self, kind: str, wanted: str) -> Json | None:
        """An object of the pod's own namespace by name."""
        here = self.pod.namespace
        return next((o for o in self.others.get(kind, ()) if name(o) == wanted and namespace(o) == here), None)


def one_line(said: str) -> str:
    """A text on one line, without a full stop at its end."""
    return " ".join(said.split()).rstrip(". ")


def several(parts: Sequence[str]) -> str:
    """`a, b, c and 4 more`: a sentence names only a few."""
    return listed(parts, FEW)


def counted_as(what: str, number: object) -> str:
    """`GPUs`, of one `GPU`."""
    return what.removesuffix("s") if str(number) == "1" else what
