"""What all components share.

Owns: the type token, the one way to make child options, a tenant's provider, the one way to make a live call before a
resource, and that the state keeps no source lines.
Leaves to others: everything else.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Final

import pulumi
import pulumi_kubernetes as k8s

from components.failures import why_failed

FRAMES: Final = 1
"""Stack frames that the SDK sees. Its own are the innermost, and it notes those outside of them, so none."""

DELETED_AT_ONCE: Final = {"pulumi.com/deletionPropagationPolicy": "background"}
"""The provider deletes in the foreground: the object stays until the garbage collector has deleted its dependents.

To remove a finalizer is an update of the object, and KAI's webhooks judge updates of its queues and of its pods
(KAI@v0.16.8: operands/admission/resources.go, failurePolicy Fail). So while KAI does not answer, Queues stay. So do
Jobs whose pods have finalizers (`foregroundDeletion`, the Job controller's `job-tracking`). A check's old Job stayed
for more than two minutes, and its successor of the same name could not be made (docs/runs.md, 2026-11-26). A background
deletion waits for neither.
"""


class TenantProvider(k8s.Provider):  # type: ignore[misc]  # mypy does not follow the generated SDK
    """The provider of a tenant's API, with what everything made by it needs.

    `vcluster`: the Release; when it is deleted, everything inside is gone. `answers`: waits until the API answers.
    """

    vcluster: k8s.helm.v3.Release
    answers: pulumi.ResourceHook

    def __init__(
        self,
        name: str,
        *,
        kubeconfig: pulumi.Output[str],
        cluster_identifier: str,
        timeout_seconds: int,
        vcluster: k8s.helm.v3.Release,
        answers: pulumi.ResourceHook,
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__(
            name,
            kubeconfig=kubeconfig,
            cluster_identifier=cluster_identifier,
            kube_client_settings={"timeout": timeout_seconds},
            opts=opts,
        )
        self.vcluster, self.answers = vcluster, answers


class Component(pulumi.ComponentResource):
    """A component of this program: token `gpu-tenancy:index:<Class>`.

    `facts` are literal numbers and names, never Outputs: a policy can read them at preview, even where the inner
    cluster does not exist yet.
    """

    def __init_subclass__(cls) -> None:
        """Hide the types of attributes, which are for readers: the SDK takes them for the component's outputs, and
        evaluates all of them again for each resource."""
        super().__init_subclass__()
        cls.__annotations__ = {}

    def __init__(self, name: str, facts: Mapping[str, object], opts: pulumi.ResourceOptions | None = None) -> None:
        self._literals = dict(facts)
        self._made: list[pulumi.Resource] = []
        # not merged: the SDK's merge copies both lists, and costs as much as a resource's own options
        noted = pulumi.ResourceOptions() if opts is None else copy(opts)
        noted.transformations = [*(noted.transformations or ()), self._note]
        super().__init__(f"gpu-tenancy:index:{type(self).__name__}", name, dict(facts), noted)

    def register_outputs(self, outputs: pulumi.Inputs) -> None:
        """Register the outputs together with the facts: a later run can read outputs in the state, but no inputs."""
        super().register_outputs({**self._literals, **outputs})

    def _note(self, made: pulumi.ResourceTransformationArgs) -> None:
        """Remember what is made below this component, at any depth; changes nothing."""
        if made.resource is not self:
            self._made.append(made.resource)

    @property
    def made(self) -> tuple[pulumi.Resource, ...]:
        """Everything made below this component so far, at any depth."""
        return tuple(self._made)

    def failures(self) -> pulumi.Output[list[str]]:
        """What failed so far below this component, each once and in the order in which it was declared: a cause stands
        before what it brings about. Empty where nothing failed."""
        found: Awaitable[list[str]] = _failures(self.made)
        return pulumi.Output.from_input(found)

    def child(
        self,
        *,
        provider: pulumi.ProviderResource | None = None,
        depends_on: list[pulumi.Resource] | None = None,
        deleted_with: pulumi.Resource | None = None,
        protect: bool = False,
        replace_on_changes: list[str] | None = None,
        replacement_trigger: pulumi.Input[str | None] = None,
        ignore_changes: list[str] | None = None,
        first: pulumi.ResourceHook | None = None,
        before_create: pulumi.ResourceHook | None = None,
        before_update: pulumi.ResourceHook | None = None,
        after_update: pulumi.ResourceHook | None = None,
        retry: pulumi.ErrorHook | None = None,
    ) -> pulumi.ResourceOptions:
        """Options of a child. The caller's options belong to this component alone and are never merged in here.

        A child of a `TenantProvider` waits for the tenant's API before each create and update, and is deleted with the
        virtual cluster. `protect` is always set: children inherit it, and a protected Job can't be replaced.
        `replace_on_changes`: properties that Kubernetes never lets change. `replacement_trigger`: the child is replaced
        when this changes. In both cases the old object is deleted first, because the new one has its name. `first`
        (before a create or update) and `retry`: see `retry.py`. The engine turns an exception of `after_update` into a
        warning.
        """
        always = _given(first)
        if isinstance(provider, TenantProvider):
            always.insert(0, provider.answers)
            deleted_with = deleted_with or provider.vcluster
        creating, updating = [*always, *_given(before_create)], [*always, *_given(before_update)]
        return pulumi.ResourceOptions(
            parent=self,
            provider=provider,
            depends_on=depends_on,
            deleted_with=deleted_with,
            protect=protect,
            replace_on_changes=replace_on_changes,
            replacement_trigger=replacement_trigger,
            ignore_changes=ignore_changes,
            delete_before_replace=True if replace_on_changes or replacement_trigger is not None else None,
            hooks=pulumi.ResourceHookBinding(
                before_create=[*creating],
                before_update=[*updating],
                after_update=[after_update] if after_update else None,
                on_error=[retry] if retry else None,
            )
            if creating or updating or after_update or retry
            else None,
        )


@contextmanager
def no_frames() -> Iterator[None]:
    """While resources are declared, let the SDK not note the lines of code that made each.

    The engine keeps them and shows them to nobody (3.274.1). That costs up to 2 kB for each resource, in a state that
    is written after every step, and 10 % of the program's time. Tracebacks that people read are written later.
    """
    before = getattr(sys, "tracebacklimit", None)
    sys.tracebacklimit = FRAMES
    try:
        yield
    finally:
        if before is None:
            del sys.tracebacklimit
        else:
            sys.tracebacklimit = before


async def _failures(made: Sequence[pulumi.Resource]) -> list[str]:
    return list(dict.fromkeys([why for one in made if (why := await why_failed(one))]))


def _given(hook: pulumi.ResourceHook | None) -> list[pulumi.ResourceHook]:
    return [] if hook is None else [hook]


def live_hook(name: str, kubeconfig: pulumi.Output[str], call: Callable[[str], object]) -> pulumi.ResourceHook:
    """A hook that calls a cluster; its name must be unique in the stack.

    `call` gets the kubeconfig's text and runs in a thread, because all hooks of a program and the other teams'
    registrations share one event loop.
    """

    async def run(_: pulumi.ResourceHookArgs) -> None:
        text = await kubeconfig.future()
        if text is not None:
            await asyncio.to_thread(call, text)

    return pulumi.ResourceHook(name, run)
