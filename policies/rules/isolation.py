"""Isolation: a team's namespace has its guardrails, our workloads are plain, and vCluster's values open no door."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from names import team_namespace
from policies import names
from policies.facts import (
    containers,
    contains,
    own_nodes,
    pod_template,
    selector_text,
    team_name,
    team_name_in,
    team_of,
)
from policies.inventory import PolicyResource
from policies.plain import Unreadable, flag, get, mapping, mappings, maybe_text, text, texts
from policies.rule import Group, Rule, Scene, Stage, describe

POD_SECURITY_ORDER: Final = ("privileged", "baseline", "restricted")
"""From open to tight (Kubernetes' Pod Security Standards)."""

BASELINE_CAPABILITIES: Final = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)
"""What Pod Security's baseline lets a container add: these it has anyway by default."""
RESTRICTED_CAPABILITIES: Final = frozenset({"NET_BIND_SERVICE"})

HOST_LEVEL: Final = "baseline"
"""For workloads of ours that belong to no team."""

OPEN_DOORS: Final[Mapping[str, str]] = {
    "sync.toHost.persistentVolumes.enabled": "a tenant could mount any host path through a volume of its own",
    "sync.toHost.storageClasses.enabled": "a tenant could use any provisioner of the host",
    "sync.toHost.priorityClasses.enabled": "a tenant could place its pods before every other team's",
    "sync.toHost.networkPolicies.enabled": "a tenant could allow what the host's default-deny policy forbids",
    "sync.toHost.serviceAccounts.enabled": "a tenant could name accounts that the host trusts",
    "sync.toHost.namespaces.enabled": "a tenant could make namespaces without its ResourceQuota",
    "sync.toHost.ingresses.enabled": "a tenant could take host names of others",
    "sync.toHost.gatewayApi.enabled": "a tenant could take host names of others",
    "sync.toHost.pods.hybridScheduling.enabled": "pods would be scheduled past the team's own queues",
    "sync.toHost.volumeSnapshotContents.enabled": "a tenant could restore a snapshot of anybody's volume",
    "sync.fromHost.nodes.syncBackChanges": "a tenant could change labels and taints of the host's nodes",
    "sync.fromHost.secrets.enabled": "a tenant could read secrets of the host",
    "sync.fromHost.configMaps.enabled": "a tenant could read objects of the host",
    "controlPlane.hostPathMapper.enabled": "a tenant could read logs and volumes of the host's nodes",
    "networking.advanced.proxyKubelets.byIP": "each node would cost a host Service and open its kubelet",
}
"""Switches in vCluster's values that must be off, with the reason (vCluster chart 0.29 to 0.36, values.yaml)."""

FORBIDDEN_VALUES: Final[Mapping[str, str]] = {
    "sync.toHost.customResources": "objects of the tenant's choice would appear on the host",
    "sync.fromHost.customResources": "a tenant could read objects of the host",
    "rbac.role.extraRules": "the tenant's control plane would get more rights on the host",
    "rbac.clusterRole.extraRules": "the tenant's control plane would get rights on all of the host",
    "rbac.role.overwriteRules": "the tenant's control plane would get other rights on the host",
    "rbac.clusterRole.overwriteRules": "the tenant's control plane would get other rights on all of the host",
    "experimental.deploy.host.manifests": "objects would be made on the host that no policy sees",
    "experimental.deploy.host.manifestsTemplate": "objects would be made on the host that no policy sees",
    "experimental.syncSettings.targetNamespace": "pods would land where no ResourceQuota holds the team",
    "experimental.genericSync": "objects of the tenant's choice would appear on the host",
    "networking.replicateServices.fromHost": "a tenant would reach services of the host",
    "networking.replicateServices.toHost": "services of the tenant would appear in namespaces of the host",
    "plugins": "code that no policy sees would run beside the control plane",
}
"""Values of vCluster's chart that must be absent or empty, with the reason."""

PERSISTENCE: Final = (
    "controlPlane.statefulSet.persistence.volumeClaim.enabled",
    "controlPlane.backingStore.etcd.deploy.statefulSet.persistence.volumeClaim.enabled",
)
"""Where vCluster's data is: with the embedded database, and with a deployed etcd."""


def limit_range(team: PolicyResource, scene: Scene) -> Iterator[str]:
    """The team's namespace has a LimitRange, without which a pod without requests is refused or unbounded."""
    name = team_name(team)
    if not scene.inventory.in_namespace(names.LIMIT_RANGE, team_namespace(name)):
        yield f"team {name}: no LimitRange in host namespace team-{name}; create one with default requests and limits"


def default_deny(team: PolicyResource, scene: Scene) -> Iterator[str]:
    """A NetworkPolicy selects every pod of the namespace for both directions, and none allows everything."""
    name = team_name(team)
    policies = scene.inventory.in_namespace(names.NETWORK_POLICY, team_namespace(name))
    if not any(_denies_by_default(policy) for policy in policies):
        yield (
            f"team {name}: no default-deny NetworkPolicy in host namespace team-{name}; create one with an empty "
            "podSelector "
            "and policyTypes Ingress and Egress"
        )
    for policy in policies:
        for direction, peers in (("ingress", "from"), ("egress", "to")):
            for rule in mappings(policy.properties, "spec", direction):
                if not mappings(rule, "ports") and (
                    not mappings(rule, peers) or any(_is_everybody(peer) for peer in mappings(rule, peers))
                ):
                    yield (
                        f"team {name}: {describe(policy)} allows {direction} of every peer on every port; name peers "
                        "in "
                        f"{peers!r}, or ports"
                    )


def _is_everybody(peer: Mapping[str, object]) -> bool:
    if get(peer, "namespaceSelector") is not None and _selects_all(peer, "namespaceSelector"):
        return _selects_all(peer, "podSelector")
    return maybe_text(peer, "ipBlock", "cidr") in ("0.0.0.0/0", "::/0") and not texts(peer, "ipBlock", "except")


def _denies_by_default(policy: PolicyResource) -> bool:
    spec = mapping(policy.properties, "spec")
    return _selects_all(spec, "podSelector") and {"Ingress", "Egress"} <= set(texts(spec, "policyTypes"))


def _selects_all(properties: Mapping[str, object], key: str) -> bool:
    selector = mapping(properties, key)
    return not mapping(selector, "matchLabels") and not mappings(selector, "matchExpressions")


def pod_security(team: PolicyResource, scene: Scene) -> Iterator[str]:
    """The namespace enforces at least the Pod Security level that the team declares."""
    name, declared = team_name(team), text(team.properties, "isolation")
    if declared not in POD_SECURITY_ORDER:
        yield f"team {name}: isolation {declared!r} is none of {', '.join(POD_SECURITY_ORDER)}"
        return
    for namespace in scene.inventory.of_type(names.NAMESPACE):
        if _name_of(namespace) != team_namespace(name):
            continue
        level = maybe_text(namespace.properties, "metadata", "labels", names.POD_SECURITY_LABEL) or "privileged"
        if level not in POD_SECURITY_ORDER or POD_SECURITY_ORDER.index(level) < POD_SECURITY_ORDER.index(declared):
            yield (
                f"team {name}: namespace team-{name} enforces Pod Security level {level!r}, declared is "
                f"{declared!r}; set "
                f"label {names.POD_SECURITY_LABEL}: {declared}"
            )
        return
    yield f"team {name}: no host namespace team-{name}; create it with label {names.POD_SECURITY_LABEL}: {declared}"


def _name_of(namespace: PolicyResource) -> str | None:
    try:
        return maybe_text(namespace.properties, "metadata", "name")
    except Unreadable:
        return None


def plain_workload(workload: PolicyResource, scene: Scene) -> Iterator[str]:
    """No privileged container, host path, host namespaces or added capabilities, by the team's declared level."""
    level = HOST_LEVEL
    if team_name_in(workload) is not None:
        level = text(team_of(workload, scene.inventory).properties, "isolation")
    if level == "privileged":
        return
    spec = mapping(pod_template(workload), "spec")
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if flag(spec, key):
            yield f"{describe(workload)}: {key} is on, isolation is {level!r}; turn it off"
    for volume in mappings(spec, "volumes"):
        if mapping(volume, "hostPath"):
            path = maybe_text(volume, "hostPath", "path")
            yield f"{describe(workload)}: mounts host path {path!r}, isolation is {level!r}; use another volume"
    allowed = RESTRICTED_CAPABILITIES if level == "restricted" else BASELINE_CAPABILITIES
    for container in containers(workload):
        name = maybe_text(container, "name")
        if flag(container, "securityContext", "privileged"):
            yield f"{describe(workload)}: container {name} is privileged, isolation is {level!r}; turn it off"
        added = sorted(set(texts(container, "securityContext", "capabilities", "add")) - allowed)
        if added:
            yield f"{describe(workload)}: container {name} adds capabilities {', '.join(added)}; drop them"


def vcluster_values(release: PolicyResource, scene: Scene) -> Iterator[str]:
    """vCluster's values open no door to the host and show a tenant only its own pool's nodes."""
    values = mapping(release.properties, "values")
    team = text(release.properties, "name")
    for path, reason in OPEN_DOORS.items():
        if get(values, *path.split(".")) not in (None, False, "false"):
            yield f"team {team}: vCluster value {path} is on: {reason}; turn it off"
    for path, reason in FORBIDDEN_VALUES.items():
        if get(values, *path.split(".")):
            yield f"team {team}: vCluster value {path} is set: {reason}; remove it"
    nodes = mapping(values, "sync", "fromHost", "nodes")
    if not flag(nodes, "enabled"):
        return
    labels = mapping(nodes, "selector", "labels")
    wanted = own_nodes(tenant_of(release, scene), scene.inventory)
    if flag(nodes, "selector", "all") or not any(contains(labels, selector) for selector in wanted):
        yield (
            f"team {team}: vCluster shows nodes of others; set sync.fromHost.nodes.selector.labels to "
            f"{selector_text(wanted[-1])}"
        )


def tenant_of(release: PolicyResource, scene: Scene) -> PolicyResource:
    """Return the Team of a virtual cluster's Release, by the namespace that it goes to."""
    namespace = text(release.properties, "namespace")
    for name, team in scene.inventory.teams.items():
        if namespace == team_namespace(name):
            return team
    message = f"goes to namespace {namespace}, which belongs to no team of this stack"
    raise Unreadable(message)


def persistence(release: PolicyResource, scene: Scene) -> Iterator[str]:
    """The virtual cluster's data is on a volume: without, the next restart of its control plane loses the tenant."""
    if not scene.limits.require_persistence:
        return
    values = mapping(release.properties, "values")
    for path in PERSISTENCE:
        # absent or "auto": the chart's own choice is a volume claim
        if get(values, *path.split(".")) not in (None, True, "auto", "true"):
            yield (
                f"team {text(release.properties, 'name')}: vCluster value {path} is off, so a restart of its control "
                "plane wipes the team's cluster; turn it on"
            )


def is_vcluster(release: PolicyResource) -> bool:
    """Say whether a Release is a virtual cluster's."""
    return "vcluster" in (maybe_text(release.properties, "chart") or "").rpartition("/")[2]


RULES: Final = (
    Rule(
        name="limit-range",
        group=Group.ISOLATION,
        stage=Stage.STACK,
        sentence="Each team's host namespace has a LimitRange.",
        types=(names.TEAM,),
        check=limit_range,
    ),
    Rule(
        name="default-deny-network",
        group=Group.ISOLATION,
        stage=Stage.STACK,
        sentence="Each team's host namespace denies network traffic that no policy allows.",
        types=(names.TEAM,),
        check=default_deny,
    ),
    Rule(
        name="pod-security-level",
        group=Group.ISOLATION,
        stage=Stage.STACK,
        sentence="Each team's host namespace enforces the Pod Security level that the team declares.",
        types=(names.TEAM,),
        check=pod_security,
    ),
    Rule(
        name="plain-workload",
        group=Group.ISOLATION,
        stage=Stage.RESOURCE,
        sentence="Our workloads are not privileged and reach nothing of the host.",
        types=names.WORKLOADS,
        check=plain_workload,
    ),
    Rule(
        name="vcluster-values",
        group=Group.ISOLATION,
        stage=Stage.RESOURCE,
        sentence="A virtual cluster syncs nothing that lets its tenant out.",
        types=(names.RELEASE,),
        check=vcluster_values,
        applies=is_vcluster,
    ),
    Rule(
        name="vcluster-persistence",
        group=Group.ISOLATION,
        stage=Stage.RESOURCE,
        sentence="A virtual cluster keeps its data over restarts.",
        types=(names.RELEASE,),
        check=persistence,
        applies=is_vcluster,
        limits=("require_persistence",),
    ),
)
