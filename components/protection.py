"""What makes the engine refuse to delete before it deletes anything.

Owns: the one resource that stands on all of a team, or of the host.
Leaves to others: whether it is protected (`team/protection.py`).

The engine deletes what others stand on last. A protected resource stops the deletion of what it stands on, and of
nothing else: without this one a team's scheduler, queues and check were gone by the time that its protected virtual
cluster was met. (Engine v3.274.1, pkg/resource/deploy: performPostSteps; seen, docs/runs.md.)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy

import pulumi

from components.base import Component
from components.failures import why_failed


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
        real = [resource for resource in made if isinstance(resource, pulumi.CustomResource)]
        below: pulumi.Input[Sequence[pulumi.Resource]] = real
        if not known:
            # not of the list itself: the SDK would look into each resource for Outputs
            below = pulumi.Output.from_input(None).apply(lambda _: _those_that_did_well(real))
        # the SDK leaves a component out of `depends_on`; to the engine this is a dependency, too
        stands = pulumi.ResourceOptions() if opts is None else copy(opts)
        stands.depends_on, stands.deleted_with = below, after
        super().__init__(name, {}, stands)
        self.register_outputs({})


async def _those_that_did_well(made: Sequence[pulumi.Resource]) -> Sequence[pulumi.Resource]:
    # awaited here: an Output that comes from a failed resource fails whatever depends on it
    return [one for one in made if await why_failed(one) is None]
