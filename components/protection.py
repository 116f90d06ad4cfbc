"""What makes the engine refuse to delete before it deletes anything.

Owns: the one resource that stands on all of a team, or of the host.
Leaves to others: whether it is protected (`team/protection.py`).

The engine deletes what others stand on last. A protected resource stops the deletion of what it stands on, and of
nothing else: without this one a team's scheduler, queues and check were gone by the time that its protected virtual
cluster was met. (Engine v3.274.1, pkg/resource/deploy: performPostSteps; seen, docs/runs.md.)
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
    """Stands on resources, and so is met before any of them when they are deleted.

    `after`: another one that it stands on. `known`: whether the state has it already. Then it comes only where all of
    `made` did well: in a run in which something failed the engine keeps the one in the state, which stands on more. A
    new one stands on what did well.
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
        # a component goes when what is below it has gone
        real: set[pulumi.Resource] = {resource for resource in made if isinstance(resource, pulumi.CustomResource)}
        stood_on: set[pulumi.Resource] | Awaitable[set[pulumi.Resource]] = real if known else _those_that_did_well(real)
        # an empty list that comes from them: of a list of them the SDK would make an Output of each
        below: pulumi.Output[list[pulumi.Resource]] = pulumi.Output(stood_on, _at_once([]), _at_once(True))
        # the SDK leaves a component out of `depends_on`; to the engine this is a dependency, too
        stands = pulumi.ResourceOptions() if opts is None else copy(opts)
        stands.depends_on, stands.deleted_with = below, after
        super().__init__(name, {}, stands)
        self.register_outputs({})


async def _those_that_did_well(made: set[pulumi.Resource]) -> set[pulumi.Resource]:
    # awaited here: an Output that comes from a failed resource fails whatever depends on it
    return {one for one in made if await why_failed(one) is None}


async def _at_once(value: T) -> T:
    return value
