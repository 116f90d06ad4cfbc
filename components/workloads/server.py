"""What the components of all kinds of workloads share: their arguments, and how they make an object of the team's.

A kind is a subclass in a file of its own, and an entry in `workloads.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import pulumi
import pulumi_kubernetes as k8s

from components.base import DELETED_AT_ONCE, Component
from components.workloads.pods import Placement, Spec, metadata, stamp
from settings.models import Platform
from settings.workloads import AnyWorkload

Kind = TypeVar("Kind", bound=AnyWorkload)


@dataclass(frozen=True, kw_only=True)
class ServerArgs(Generic[Kind]):
    """`provider` is the tenant's, `host_provider` the host's. `secrets`: values by source (`components/secrets.py`).
    `paused`: its pods can't start, so there is no test."""

    name: str
    workload: Kind
    place: Placement
    platform: Platform
    provider: k8s.Provider
    host_provider: k8s.Provider
    host_namespace: str
    secrets: Mapping[str, pulumi.Output[str]]
    paused: bool
    depends_on: list[pulumi.Resource]
    host_depends_on: list[pulumi.Resource]


class Server(Component, Generic[Kind]):
    """One workload of a team."""

    _args: ServerArgs[Kind]

    def _opts(
        self, depends_on: list[pulumi.Resource], secrets: Sequence[pulumi.Output[str]] = ()
    ) -> pulumi.ResourceOptions:
        """`secrets`: values that the pods read when they start, so with another value they are made anew: a change of a
        Secret restarts no pod by itself."""
        values = pulumi.Output.all(*secrets).apply(lambda found: stamp(*found)) if secrets else None
        return self.child(provider=self._args.provider, depends_on=depends_on, replacement_trigger=values)

    def _deployment(self, secrets: Sequence[pulumi.Output[str]]) -> Spec:
        """The Deployment's metadata. Nobody waits for its pods: one that waits for a GPU is not a failed deploy. The
        provider then doesn't wait for its removal either (v4.32.0:provider/pkg/metadata/overrides.go,
        allowsSkipAwaitWithDelete), so one that is made anew has to be gone at once."""
        at_once = DELETED_AT_ONCE if secrets else {}
        return {
            **metadata(self._args.place, self._args.name),
            "annotations": {"pulumi.com/skipAwait": "true", **at_once},
        }
