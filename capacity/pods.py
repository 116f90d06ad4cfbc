"""What a pod of JSON asks of its node. Pure.

Whoever wrote the pod wrote what they liked: what is no list, no mapping or no quantity asks for nothing.
"""

from __future__ import annotations

from decimal import Decimal

from capacity.quantity import amount_of, pod_request
from lenient import rows, table


def asked_by(spec: object, resource: str) -> Decimal:
    """Return what a pod's `spec` asks of its node, in the resource's base unit: sidecars and init containers, overhead
    and a request of the pod as such counted as the scheduler counts them."""
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
    """Return the names of all resources that a pod asks for."""
    places = [spec, *rows(spec, "containers"), *rows(spec, "initContainers")]
    return frozenset(
        name for place in places for kind in ("requests", "limits") for name in table(place, "resources", kind)
    )


def _asked(place: object, resource: str) -> Decimal | None:
    """The API server copies a limit where there is no request."""
    asked = _amount(table(place, "resources", "requests").get(resource))
    return _amount(table(place, "resources", "limits").get(resource)) if asked is None else asked


def _amount(value: object) -> Decimal | None:
    """A quantity that somebody may ask for; None for anything else."""
    found = amount_of(value)
    return found if found is not None and found >= 0 else None
