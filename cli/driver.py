"""Who does the work: the lab for `host.provider: lab`, the real engine for every other provider.

Owns: the protocol of both, so that the commands work with either.
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


@dataclass(frozen=True, kw_only=True)
class Place:
    """What a driver works on. `platform` is that of the valid stack file. Where the file is broken or gone and the
    command can do without it, `whole` is off and `platform` has no team.
    """

    stack: str
    stack_file: Path
    root: Path
    platform: Platform
    whole: bool = True
    let_go: frozenset[str] = frozenset()
    """Teams to delete that the command line names, where no stack file can say so."""


@dataclass(frozen=True, kw_only=True)
class TeamState:
    """What `status` shows about one tenant besides the stack file. None: not known."""

    api: str
    """`up`, `not made`, or `down: <why>`."""
    scheduler_version: str | None = None
    verdict: str | None = None
    checked_at: datetime | None = None
    facts: Object = field(default_factory=dict)
    """Its outputs: the numbers of the last `up`."""
    failed: tuple[str, ...] = ()
    """Its failures in the last update."""
    faults: tuple[str, ...] = ()
    """The faults of its own KAI now, one sentence each."""
    pods: tuple[Object, ...] = ()
    """For a check of a pair: the pods as its report lists them."""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """How to reach a stack's clusters, and the last run's outputs of each tenant. Holds credentials: never print it.

    A cluster without a known kubeconfig is None.
    """

    host: SingleConfig | None
    teams: Mapping[str, SingleConfig | None]
    made: Mapping[str, object]
    """The outputs of each team that was made."""

    def __repr__(self) -> str:
        return f"Reach(teams={list(self.teams)})"


class Driver(Protocol):
    """What both the lab and the engine can do. Every method may raise `CommandError`, and prints progress on stderr.

    A method with an answer here has it for a driver without an engine, or without a cluster of its own.
    """

    says_first_line: bool = False
    """Whether `up`, `preview` and `down` print the first line themselves."""

    def use(self, host: Target | None) -> None:  # noqa: ARG002  (a driver that has its own needs none)
        """Take the host's connection where there is one."""
        return

    def ready(self) -> None:
        """Find what the driver itself needs, before it touches anything."""
        return

    def own_cluster(self) -> Identity | None:
        """Return the cluster that the driver itself started, where it runs; None for a cluster of the user's."""
        return None

    def secret_kubeconfig(self) -> str | None:
        """Return the host's kubeconfig where the stack file holds it as a secret."""
        return None

    def remembered(self) -> Remembered:
        """Return what the state says of the last run."""
        return Remembered()

    def exports(self) -> str:
        """Return what a shell must export so that a plain `pulumi` finds the same state; may be empty."""
        return ""

    def compared(self, word: str) -> None:  # noqa: ARG002  (no program, no token)
        """Take the token for the program that says that the stack file was just compared with the cluster."""
        return

    def up(self) -> None:
        """Make the platform what the stack file says."""

    def preview(self) -> None:
        """Show what `up` would change; change nothing."""

    def digest(self, out: Path) -> None:
        """Write what `up` would change to a file, in the engine's own JSON. A failed preview is written, too, and says
        why. It is an error where there is nothing to write.
        """

    def drifts(self) -> bool:
        """Whether the cluster differs from the state; change nothing."""

    def outputs(self) -> dict[str, JSON]:
        """Return the outputs without secrets; at least `teams`."""

    def kubeconfig(self, team: str, *, user: bool) -> str:
        """Return a team's kubeconfig, the non-admin one with `user`. The caller never prints it."""

    def reach(self) -> Reach:
        """Return how to reach each cluster; nothing for a stack that was never made."""

    def states(self) -> dict[str, TeamState]:
        """Return what is known about each tenant now; a dead team is an entry, not an error."""

    def down(self) -> None:
        """Remove everything that `up` made."""
