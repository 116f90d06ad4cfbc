"""Who does the work: the lab for `host.provider: lab`, the real engine for every other provider.

Owns: the protocol that both keep, so that the commands do not care which one they talk to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from lightkube.config.kubeconfig import SingleConfig

from cli.cluster import Identity, Target
from cli.guards.memory import Remembered
from names import JSON, Object
from settings.models import Platform

"""What outputs are made of."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """What a driver works on. `platform` is the stack file's, already valid; where the file is broken or gone and the
    command can do without it, `whole` is off and `platform` has no team."""

    stack: str
    stack_file: Path
    root: Path
    platform: Platform
    whole: bool = True
    let_go: frozenset[str] = frozenset()
    """Teams that the command line names as to be deleted, where no stack file can say so."""


@dataclass(frozen=True, kw_only=True)
class TeamState:
    """What `status` shows of one tenant beside what the stack file says. None: not known."""

    api: str
    """`up`, `not made`, or `down: <why>`."""
    scheduler_version: str | None = None
    verdict: str | None = None
    checked_at: datetime | None = None
    note: str = ""
    facts: Object = field(default_factory=dict)
    """What the outputs say of it: the numbers of the last `up`."""
    failed: tuple[str, ...] = ()
    """What of it failed in the last update."""
    faults: tuple[str, ...] = ()
    """What is wrong with its own KAI now, a sentence each."""
    pods: tuple[Object, ...] = ()
    """Of a check that asked for a pair: the pods as its report lists them."""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """How a stack's clusters are reached, and what its last run said of each tenant. Holds credentials: never print it.

    A cluster without a kubeconfig at hand is None.
    """

    host: SingleConfig | None
    teams: Mapping[str, SingleConfig | None]
    made: Mapping[str, object]
    """The outputs of each team that was made."""

    def __repr__(self) -> str:
        return f"Reach(teams={list(self.teams)})"


class Driver(Protocol):
    """What both the lab and the engine can do. Every method raises `CommandError` and says progress on stderr."""

    says_first_line: bool
    """Whether `up`, `preview` and `down` say the first line themselves."""

    def use(self, host: Target | None) -> None:
        """Take the host's connection where there is one."""

    def ready(self) -> None:
        """Find what the driver itself needs, before anything is touched."""

    def own_cluster(self) -> Identity | None:
        """Return the cluster that the driver itself started, where it runs; None for a cluster of the user's."""

    def secret_kubeconfig(self) -> str | None:
        """Return the host's kubeconfig where the stack file holds it as a secret."""

    def remembered(self) -> Remembered:
        """Return what the state says of the last run."""

    def exports(self) -> str:
        """Return what a shell must export for a plain `pulumi` to find the same state; empty where nothing."""

    def compared(self, word: str) -> None:
        """Take the word for the program that the stack file was compared with the cluster just now."""

    def up(self) -> None:
        """Make the platform what the stack file says."""

    def preview(self) -> None:
        """Show what `up` would change; change nothing."""

    def digest(self, out: Path) -> None:
        """Write what `up` would change to a file, in the engine's own JSON. A preview that fails is written, too, and
        says why; without anything to write it is an error."""

    def drifts(self) -> bool:
        """Whether the cluster is other than the state says; change nothing."""

    def outputs(self) -> dict[str, JSON]:
        """Return the outputs without secrets; at least `teams`."""

    def kubeconfig(self, team: str, *, user: bool) -> str:
        """Return a team's kubeconfig, the non-admin one with `user`. The caller never prints it."""

    def reach(self) -> Reach:
        """Return how each cluster is reached. Of a stack that was never made: nothing."""

    def states(self) -> dict[str, TeamState]:
        """Return what is known about each tenant now; a dead team is an entry, not an error."""

    def down(self) -> None:
        """Remove everything that `up` made."""
