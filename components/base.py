"""What all components share.

Owns: the type token, the one way to make child options, and the one way to make a live call before a resource.
Leaves to others: everything else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pulumi


class Component(pulumi.ComponentResource):
    """A component of this program: token `gpu-tenancy:index:<Class>`.

    `facts` are literal numbers and names, never Outputs: a policy can read them at preview, even where the inner
    cluster does not exist yet.
    """

    def __init__(self, name: str, facts: Mapping[str, object], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(f"gpu-tenancy:index:{type(self).__name__}", name, dict(facts), opts)
        self._literals = dict(facts)

    def register_outputs(self, outputs: pulumi.Inputs) -> None:
        """Register the outputs, and the facts with them: a later run can read outputs in the state, but no inputs."""
        super().register_outputs({**self._literals, **outputs})

    def child(
        self,
        *,
        provider: pulumi.ProviderResource | None = None,
        depends_on: list[pulumi.Resource] | None = None,
        deleted_with: pulumi.Resource | None = None,
        protect: bool = False,
        replace_on_changes: list[str] | None = None,
        first: pulumi.ResourceHook | None = None,
        retry: pulumi.ErrorHook | None = None,
    ) -> pulumi.ResourceOptions:
        """Options of a child. The caller's options belong to this component alone and are never merged in here.

        `protect` is said for each child, because it is inherited otherwise: a protected team whose check Job can't be
        replaced could never be checked again. `replace_on_changes`: properties that Kubernetes never lets change; the
        old object goes first, because the new one has its name. `first` (before a create or update) and `retry`: see
        `retry.py`.
        """
        return pulumi.ResourceOptions(
            parent=self,
            provider=provider,
            depends_on=depends_on,
            deleted_with=deleted_with,
            protect=protect,
            replace_on_changes=replace_on_changes,
            delete_before_replace=True if replace_on_changes else None,
            hooks=pulumi.ResourceHookBinding(
                before_create=[first] if first else None,
                before_update=[first] if first else None,
                on_error=[retry] if retry else None,
            )
            if first or retry
            else None,
        )


def live_hook(name: str, kubeconfig: pulumi.Output[str], call: Callable[[str], object]) -> pulumi.ResourceHook:
    """A hook that calls a cluster; its name must be unique in the stack.

    `call` gets the kubeconfig's text, in a thread: all hooks of a program run in one event loop, and so do the other
    teams' registrations.
    """

    async def run(_: pulumi.ResourceHookArgs) -> None:
        text = await kubeconfig.future()
        if text is not None:
            await asyncio.to_thread(call, text)

    return pulumi.ResourceHook(name, run)
