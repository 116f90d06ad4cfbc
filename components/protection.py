"""What makes the engine refuse a deletion before it deletes anything.

Owns: the one resource that depends on everything of a team, or of the host.
Leaves to others: whether it is protected (`team/protection.py`).

The engine deletes a resource only after its dependents. A protected resource stops only the deletion of what it depends
on. Without this resource a team's scheduler, queues and check were gone before the engine came to its protected virtual
cluster. (Engine v3.274.1, pkg/resource/deploy: performPostSteps; seen, docs/runs.md.)
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from copy import copy
from typing import TypeVar

import pulumi

from components.base import Component
from components.failures import why_failed

T = TypeVar("T")


class Protection(Component):
    """Depends on resources, so a deletion comes to it before any of them.

    `after`: another protection that it depends on. `known`: whether the state has it already. If so, it is only
    declared where all of `made` succeeded: in a run with failures the engine keeps the one in the state, which depends
    on more. A new one depends on what succeeded.
    """

    def __init__(
        self,
        name: str,
        made: Iterable[pulumi.Resource],
        *,
        known: bool,
        after: pulumi.Resource | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        # a component is deleted after everything below it
        real: set[pulumi.Resource] = {resource for resource in made if isinstance(resource, pulumi.CustomResource)}
        stood_on: set[pulumi.Resource] | Awaitable[set[pulumi.Resource]] = real if known else _those_that_did_well(real)
        # an empty list that comes from them: of a list of them the SDK would make an Output of each
        below: pulumi.Output[list[pulumi.Resource]] = pulumi.Output(stood_on, _at_once([]), _at_once(True))
        # the SDK leaves a component out of `depends_on`; for the engine this is a dependency, too
        stands = pulumi.ResourceOptions() if opts is None else copy(opts)
        stands.depends_on, stands.deleted_with = below, after
        super().__init__(name, {}, stands)
        self.register_outputs({})


async def _those_that_did_well(made: set[pulumi.Resource]) -> set[pulumi.Resource]:
    # awaited here: an Output of a failed resource fails everything that depends on it
    return {one for one in made if await why_failed(one) is None}


async def _at_once(value: T) -> T:
    return value
