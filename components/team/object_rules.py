"""What other objects in a tenant's namespace on the host may be: claims, Services, bindings. Pure, conditions in CEL.

A virtual cluster's account may make claims and Services (vCluster chart/templates/role.yaml). It may not make bindings
and ResourceClaims; if somebody allows that, these rules still hold.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from components.team.cel import Kind, Rule, listed, text
from components.team.tenant import Tenant

CLONED: Final = ("PersistentVolumeClaim", "VolumeSnapshot")
"""Sources for a claim's data: objects of its own namespace."""
OLD_CLASS: Final = "volume.beta.kubernetes.io/storage-class"


def new_volume(claim: str) -> str:
    """Say in CEL that a claim, or a claim's template, gets a new volume and picks no existing one."""
    fits = " && ".join(
        (
            "c.spec.?volumeName.orValue('') == ''",
            "!has(c.spec.selector)",
            # explicitly empty: finds only volumes that somebody made by hand
            "c.spec.?storageClassName.orValue('any') != ''",
            f"c.?metadata.?annotations[?{text(OLD_CLASS)}].orValue('any') != ''",
            "[c.spec.?dataSource, c.spec.?dataSourceRef].all(s, !s.hasValue() || "
            f"s.value().kind in {listed(CLONED)} && s.?namespace.orValue('') == '')",
        )
    )
    # a list of one: CEL's way to name a value
    return f"[{claim}].all(c, {fits})"


@cache
def own_volumes() -> Rule:
    """A claim of the tenant gets a new volume, and no other volume later."""
    made = f"!variables.fromTenant || {new_volume('dyn(object)')}"
    named = "variables.spec.?volumeName.orValue('')"
    kept = f"!variables.byTenant || {named} == dyn(oldObject).?spec.?volumeName.orValue('')"
    return Rule(
        name="own-volumes",
        kinds=(Kind.CLAIM,),
        expression=f"request.operation == 'CREATE' ? {made} : {kept}",
        fix="a claim gets a new volume of a storage class: remove volumeName, selector, an empty storageClassName, and "
        f"data sources other than {' and '.join(CLONED)} of the same namespace",
    )


@cache
def no_external_ips() -> Rule:
    """A Service of the tenant takes no address that may belong to somebody else."""
    return Rule(
        name="no-external-ips",
        kinds=(Kind.SERVICE,),
        expression="!variables.fromTenant || variables.spec.?externalIPs.orValue([]).size() == 0",
        fix="a Service with externalIPs would take traffic that is for others; remove externalIPs",
    )


def own_bindings(tenant: Tenant, others: tuple[str, ...]) -> list[Rule]:
    """A pod is bound to a node of its tenant, whoever binds it. The control plane's pods may be anywhere."""
    if not tenant.node_selector:
        return []
    node = "dyn(object).?target.?name.orValue('')"
    if tenant.nodes:
        fits, where = f"{node} in {listed(tenant.nodes)}", f"the nodes {', '.join(tenant.nodes)}"
    else:
        fits, where = f"!({node} in {listed(others)})", "nodes that are no other team's"
    control_plane = f"^{tenant.name}(-etcd)?-[0-9]+$"
    return [
        Rule(
            name="own-binding",
            kinds=(Kind.BINDING,),
            # the name is the pod's; where the body has none, the server takes it from the request's path
            expression=f"request.name.matches({text(control_plane)}) || {fits}",
            fix=f"pods run on {where} only",
        )
    ]


@cache
def no_claims_of_devices() -> Rule:
    """The tenant makes no ResourceClaim. The host's scheduler may, for a resource name that the quota counts."""
    return Rule(
        name="no-device-claims",
        kinds=(Kind.RESOURCE_CLAIM, Kind.RESOURCE_CLAIM_TEMPLATE),
        expression="!variables.fromTenant",
        fix="devices by claim are in no ResourceQuota; ask for GPUs by resource name",
    )
