"""What a command sees of its stack now: the clusters are found once, and looked at as often as one likes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from cli.driver import Driver, Place
from seen.model import Seen
from seen.read import look
from seen.snapshot import snapshot


def looker(place: Place, driver: Driver) -> Callable[[], Seen]:
    """Return what takes a new snapshot each time it is called. It raises nothing: see `Seen.gaps`."""
    reach = driver.reach()

    def see() -> Seen:
        return snapshot(look(reach.host, reach.teams), place.platform, stack=place.stack, at=datetime.now(UTC))

    return see
