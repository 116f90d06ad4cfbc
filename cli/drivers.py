"""Which driver a stack gets. Only this module knows both, so that neither knows the other."""

from __future__ import annotations

from cli.driver import Driver, Place
from settings.models import HostProvider


def driver_for(place: Place) -> Driver:
    """Return who drives this stack. Chosen by the stack file's provider, never by the stack's name."""
    if place.platform.host.provider is HostProvider.LAB:
        from cli.simulation import LabBridge  # import the lab only where it is used

        return LabBridge(place)
    from cli.engine import EngineDriver

    return EngineDriver(place)
