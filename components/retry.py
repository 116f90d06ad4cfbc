"""What an update waits for or retries, and for how long.

Owns: the two hooks that wait after KAI was just installed or replaced, when parts of it come a little later.
Leaves to others: which resources need them. Neither may block (`base.live_hook` says why).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

import pulumi

import kube
from components.base import live_hook

RETRIES: Final = 36
RETRIES_OF_A_PREVIEW: Final = 2
"""A preview asks a webhook that exists already, so few tries are enough."""

PAUSE_SECONDS: Final = 5.0
"""With `RETRIES` this makes three minutes, on top of the provider's own retries. KAI's operator makes the webhook's
Deployment 30 to 45 seconds after Helm ends, and later on a busy node.
"""

LONGEST_CAUSE: Final = 200
"""Characters. An API server puts the cause last."""


def when_it_comes(name: str) -> pulumi.ErrorHook:
    """A hook that tries a failed create or update again; its name must be unique in the stack."""
    return pulumi.ErrorHook(name, is_coming)


async def is_coming(error: pulumi.ErrorHookArgs) -> bool:
    """Whether to try again, because what is missing comes soon. Waits before it returns."""
    newest = error.errors[0] if error.errors else ""
    most = RETRIES_OF_A_PREVIEW if pulumi.runtime.is_dry_run() else RETRIES
    if len(error.errors) > most or not kube.comes_later(newest):
        return False
    if len(error.errors) == 1:
        # the engine's own line about a retry gives no cause; logged once, because the next ones are the same
        pulumi.log.info(f"{error.name}: tried again for up to {most * PAUSE_SECONDS:.0f} s: {cause_of(newest)}")
    await asyncio.sleep(PAUSE_SECONDS)
    return True


def cause_of(error: str) -> str:
    """Return the cause in a provider's error: the last clause of its longest line, which names what did not answer."""
    lines = [line.strip(" *\t") for line in error.splitlines() if line.strip()]
    longest = max(lines, key=len, default="no reason was given")
    return longest if len(longest) <= LONGEST_CAUSE else f"...{longest[-LONGEST_CAUSE:]}"


def when_admitted(name: str, kubeconfig: pulumi.Output[str], manifest: Mapping[str, object]) -> pulumi.ResourceHook:
    """A hook that waits until the cluster would accept this object.

    For a Queue: a slow start of KAI is then no error. For a Job's pod: the API server accepts the Job earlier, but a
    refused pod makes the Job's controller back off for 1, 2, 4, 8... seconds.
    """
    return live_hook(name, kubeconfig, lambda text: kube.wait_until_admitted(text, manifest))
