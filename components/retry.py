"""What is tried again inside an update, and for how long.

Owns: the one hook that waits for what comes a little later in a cluster whose KAI was just installed or replaced.
Leaves to others: which resources need it.
"""

from __future__ import annotations

import time
from typing import Final

import pulumi

RETRIES: Final = 36
PAUSE_SECONDS: Final = 5.0
"""Together three minutes, on top of the provider's own retries: KAI's operator makes the webhook's Deployment 30 to 45
seconds after helm is content, and later where the node is busy."""

TRANSIENT: Final = (
    # KAI's webhooks are not up yet, or its kinds are not there yet
    "failed calling webhook",
    "no matches for kind",
    "connection refused",
    "no endpoints available",
    # the Job that is replaced goes when its pods do, and those go by the same webhook
    "object is being deleted",
)


def when_it_comes(name: str) -> pulumi.ErrorHook:
    """A hook that tries a failed create or update again; its name must be unique in the stack."""
    return pulumi.ErrorHook(name, is_coming)


def is_coming(error: pulumi.ErrorHookArgs) -> bool:
    """Whether to try again: what is missing will be there in a moment. Waits before it says so."""
    newest = error.errors[0] if error.errors else ""
    if len(error.errors) > RETRIES or not any(text in newest for text in TRANSIENT):
        return False
    time.sleep(PAUSE_SECONDS)
    return True
