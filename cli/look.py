"""A command's view of its stack: finds the clusters once, and looks at them as often as needed."""

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
    look: Look
    seen: Seen

    def whys(self, team: Team) -> list[Why]:
        """Every pod of a team that waits, and why."""
        return whys(self.look, self.seen, team)

    def lost(self, team: Team) -> list[Why]:
        """The pods of a team that KAI evicted in the last hour."""
        return lost(self.seen, team)


def viewer(place: Place, driver: Driver) -> Callable[[], View]:
    """Return a function that takes a new look at each call. It raises nothing: see `Seen.gaps`."""
    reach = driver.reach()
    clusters = Clusters(reach.host, reach.teams)

    def view() -> View:
        found = clusters.look()
        return View(look=found, seen=snapshot(found, place.platform, stack=place.stack, at=datetime.now(UTC)))

    return view
