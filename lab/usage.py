"""What runs in a lab now, for the gate: read from its servers, in the form of kubectl's list on a real host.

On a real host a tenant's pods are synced into its namespace. The lab syncs nothing: they are on the tenant's own
server. A pod that does not run uses nothing.
"""

from decimal import Decimal

from lab.clusters import HOST, Clusters
from lab.objects import Json, Objects
from names import team_namespace
from preview.facts import GPU_BOUND
from preview.judges.numbers import DISK
from preview.usage import Use, usage_of, use_of_pods

_NOTHING = {key: Decimal(0) for key in ("requests.cpu", "requests.memory", "requests.storage", "pods", DISK)}


def usage_now(clusters: Clusters) -> dict[str, Use]:
    quotas: list[Json] = _list(clusters, HOST, "ResourceQuota")
    bounded = usage_of({"items": quotas})
    found: dict[str, Use] = {}
    for server in clusters.names():
        tenant = _tenant_of(server)
        if tenant is not None:
            seen = use_of_pods(_list(clusters, server, "Pod"))
            bounds = {**_NOTHING, **bounded.get(tenant, Use()).bounds, GPU_BOUND: seen.bounds[GPU_BOUND]}
            found[tenant] = Use(bounds=bounds, nodes=seen.nodes, queues=seen.queues)
    return found


def _list(clusters: Clusters, server: str, kind: str) -> list[Json]:
    return Objects(server, clusters.client(server)).list("v1", kind) if clusters.find(server) else []


def _tenant_of(server: str) -> str | None:
    """The tenant of an API server: `team-ml-ml` belongs to ml; it is its namespace and its release (`simulate.py`)."""
    both = server.removeprefix(team_namespace(""))
    tenant = both[: len(both) // 2]
    return tenant if server == f"{team_namespace(tenant)}-{tenant}" else None
