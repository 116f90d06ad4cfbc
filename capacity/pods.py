"""A pod's requests, from JSON. Pure.

The pod may contain anything: a value of a wrong type counts as no request.
"""

from __future__ import annotations

from decimal import Decimal

from capacity.quantity import amount_of, pod_request
from lenient import rows, table


def asked_by(spec: object, resource: str) -> Decimal:
    """Return what a pod's `spec` asks of its node, in the resource's base unit. Sidecars, init containers, overhead and
    pod-level requests count as the scheduler counts them.
    """
    whole = _asked(spec, resource)
    return pod_request(
        [_asked(one, resource) or Decimal(0) for one in rows(spec, "containers")],
        [
            (_asked(one, resource) or Decimal(0), one.get("restartPolicy") == "Always")
            for one in rows(spec, "initContainers")
        ],
        overhead=_amount(table(spec, "overhead").get(resource)) or Decimal(0),
        whole=whole,
    )


def resources_of(spec: object) -> frozenset[str]:
    places = [spec, *rows(spec, "containers"), *rows(spec, "initContainers")]
    return frozenset(
        name for place in places for kind in ("requests", "limits") for name in table(place, "resources", kind)
    )


def _asked(place: object, resource: str) -> Decimal | None:
    """The API server copies a limit where there is no request."""
    asked = _amount(table(place, "resources", "requests").get(resource))
    return _amount(table(place, "resources", "limits").get(resource)) if asked is None else asked


def _amount(value: object) -> Decimal | None:
    """A valid request; None for anything else."""
    found = amount_of(value)
    return found if found is not None and found >= 0 else None
