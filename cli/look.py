"""What a command sees of its stack now: the clusters are found once, and looked at as often as one likes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from cli.driver import Driver, Place
from seen.model import Seen, Team
from seen.read import Clusters, Look
from seen.snapshot import snapshot
from seen.why import Why, lost, whys


@dataclass(frozen=True, kw_only=True)
class View:
    """One look: what the clusters said, and the facts of it."""

    look: Look
    seen: Seen

    def whys(self, team: Team) -> list[Why]:
        """Every pod of a team that waits, and why."""
        return whys(self.look, self.seen, team)

    def lost(self, team: Team) -> list[Why]:
        """What KAI took from a team in the last hour."""
        return lost(self.seen, team)


def viewer(place: Place, driver: Driver) -> Callable[[], View]:
    """Return what takes a new look each time it is called. It raises nothing: see `Seen.gaps`."""
    reach = driver.reach()
    clusters = Clusters(reach.host, reach.teams)

    def view() -> View:
        found = clusters.look()
        return View(look=found, seen=snapshot(found, place.platform, stack=place.stack, at=datetime.now(UTC)))

    return view
