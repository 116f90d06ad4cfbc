"""What a test sets in the SDK is not there for the next one, in whichever order they come."""

from __future__ import annotations

import asyncio
import contextvars

import pulumi
import pytest
from pulumi.runtime import settings

from tests.recording import apart


def said() -> tuple[object, ...]:
    sdk = settings.SETTINGS
    return sdk.stack, sdk.monitor, sdk.dry_run, pulumi.Config("a").get("b")


def left() -> tuple[object, ...]:
    """What is set here, and what an empty context, as a thread has one, takes for it."""
    return dict(contextvars.copy_context()), said(), contextvars.Context().run(said)


@pytest.mark.parametrize("raised", [False, True])
def test_nothing_of_it_stays(raised: bool) -> None:
    def run() -> None:
        settings.SETTINGS.stack, settings.SETTINGS.monitor = "other", object()
        settings.SETTINGS.dry_run = True
        settings.ROOT.set(None)
        pulumi.runtime.set_all_config({"a:b": "c"}, [])
        stack, _, dry_run, config = said()
        assert (stack, dry_run, config) == ("other", True, "c")
        if raised:
            raise LookupError

    before = left()
    if raised:
        with pytest.raises(LookupError):
            apart(run)
    else:
        apart(run)
    assert left() == before


def test_nothing_from_outside_is_there() -> None:
    found: list[object] = []
    with pytest.MonkeyPatch.context() as outside:
        outside.setattr(settings.SETTINGS, "stack", "outside")
        apart(lambda: found.extend([*contextvars.copy_context(), asyncio.get_event_loop().is_running()]))
    assert found == [False]
