"""What a pod in a tenant's namespace on the host may be and ask for, and where it counts. Pure: conditions in CEL.

Owns: account, priority, node, queue, scheduler, resources, devices and runtime class of a pod.
Leaves to others: what a pod reaches of its node (`pod_isolation.py`).
"""

from __future__ import annotations

from functools import cache
from typing import Final

import names
import podspec
from components.restricted import USER
from components.team.cel import Kind, Rule, containers, listed, only, pod_and_containers, text, without
from components.team.tenant import Tenant
from settings.models import SchedulerMode

WORKLOAD_ACCOUNTS: Final = ("", "default")
"""Service accounts without rights. vCluster's own for workloads, `vc-workload-<release>`, has none either."""

OLD_QUEUE_LABEL: Final = "project"
"""The label that KAI reads for a queue when its own label is missing."""
NAMES_GPU: Final = f"k.startsWith('{names.GPU}') || k.startsWith('{names.MIG}')"
"""In CEL: whether the resource name `k` stands for a GPU or a part of one."""
TAKES_GPU: Final = (
    f"c.?resources.?limits.orValue({{}}).exists(k, ({NAMES_GPU}) && "
    "quantity(string(c.resources.limits[k])).isGreaterThan(quantity('0')))"
)
"""In CEL: whether the container `c` asks for a GPU."""
FRACTION_ANNOTATIONS: Final = (names.GPU_FRACTION, names.GPU_MEMORY_ASKED)
NODE_NAME: Final = "variables.spec.?nodeName.orValue('')"
MARKS: Final = f"(k + '/').startsWith('{names.GPU_GROUP}/')"
"""In CEL: whether the label `k` is KAI's for the GPU that fractions share, with or without a group behind it."""

OF_TENANCY: Final = ("kube-system", names.KAI_NAMESPACE)
"""Namespaces inside a virtual cluster whose pods belong to tenancy: its DNS and its scheduler."""


def paused(tenant: Tenant) -> list[Rule]:
    """While a tenant is paused, only the pods of its DNS and its scheduler start."""
    if not tenant.team.paused:
        return []
    return [
        Rule(
            name="paused",
            expression="request.operation != 'CREATE' || !variables.fromTenant || "
            f"variables.labels[?{text(names.SYNCED_NAMESPACE)}].orValue('') in {listed(OF_TENANCY)}",
            fix="the team is paused; its pods start when it is resumed (state: active)",
        )
    ]


def own_account(tenant: Tenant) -> Rule:
    """A tenant's pod runs under an account without rights on the host. The syncer sets it."""
    accounts = (*WORKLOAD_ACCOUNTS, f"vc-workload-{tenant.name}")
    return Rule(
        name="own-account",
        expression="!variables.fromTenant || variables.spec.?serviceAccountName.orValue('') in " + listed(accounts),
        fix=f"on the host, pods run under vc-workload-{tenant.name} or default; another account has rights there",
        spec_only=True,
    )


def own_priority(tenant: Tenant) -> Rule:
    """A pod has its tenant's class. Another class could put it before other teams, or before the node's own pods."""
    known = names.team_priority_class(tenant.name)
    return Rule(
        name="own-priority",
        expression=f"variables.spec.?priorityClassName.orValue('') in {listed(('', known))}",
        fix=f"on the host, the team's pods have the PriorityClass {known}; leave the others to the system",
        spec_only=True,
    )


def nodes(tenant: Tenant, others: tuple[str, ...]) -> list[Rule]:
    """Where a pod may run. `others`: nodes that are known to be other teams'."""
    if not tenant.node_selector:
        return [_unplaced()]
    selected = " && ".join(
        f"variables.spec.?nodeSelector[?{text(key)}].orValue('') == {text(value)}"
        for key, value in sorted(tenant.node_selector.items())
    )
    if tenant.nodes:
        # by name first: a selector has no effect on a pod that names its node
        fits = f"({NODE_NAME} != '' ? {NODE_NAME} in {listed(tenant.nodes)} : {selected})"
        where = f"the nodes {', '.join(tenant.nodes)}"
    elif tenant.own_kai:
        # the pool is found by labels, which admission can't look up: refuse at least nodes that are known to be another
        # team's
        fits = f"({NODE_NAME} != '' ? !({NODE_NAME} in {listed(others)}) : {selected})"
        where = "nodes that are no other team's"
    else:
        fits = f"({selected}) && (request.operation != 'CREATE' || {NODE_NAME} == '')"
        where = "its pool's nodes, which the host's scheduler chooses,"
    selector = ", ".join(f"{key}={value}" for key, value in sorted(tenant.node_selector.items()))
    return [
        Rule(
            name="own-nodes",
            expression=f"!variables.fromTenant || {fits}",
            fix=f"pods run on {where} only, by nodeName or by nodeSelector {selector}",
            spec_only=True,
        )
    ]


def _unplaced() -> Rule:
    fits = " && ".join(
        (
            f"(request.operation != 'CREATE' || {NODE_NAME} == '')",
            "variables.spec.?tolerations.orValue([]).all(t, t.?key.orValue('').startsWith('node.kubernetes.io/'))",
        )
    )
    return Rule(
        name="own-nodes",
        expression=f"!variables.fromTenant || ({fits})",
        fix="the team has no pool, so its pods run where the host's scheduler puts them: without nodeName, and with no "
        "toleration but those of node.kubernetes.io/; give the team a pool for more",
        spec_only=True,
    )


def queues(tenant: Tenant, foreign: tuple[str, ...]) -> list[Rule]:
    """Which queue counts a pod. `foreign`: queues of a KAI on the host that is not ours, and so counts all pods."""
    label = f"variables.labels[?{text(names.KAI_QUEUE_LABEL)}].orValue('')"
    by_kai = f"variables.spec.?schedulerName.orValue('') == {text(names.KAI_SCHEDULER_NAME)}"
    if tenant.team.scheduler.mode is not SchedulerMode.HOST:
        scheduler = _own_scheduler((names.DEFAULT_SCHEDULER,))
        if not foreign:
            # our own KAI only looks at namespaces of mode-host teams, so it ignores a label here
            return [scheduler]
        fallback = f"variables.labels[?{text(OLD_QUEUE_LABEL)}].orValue('')"
        queue = f"({label} != '' ? {label} : {fallback})"
        return [
            scheduler,
            Rule(
                name="not-the-hosts-queues",
                expression=f"!({by_kai}) || !({queue} in {listed(foreign)})",
                fix=f"the KAI on the host would count this pod in a queue of another team; call the team's own queue "
                f"otherwise (label {names.KAI_QUEUE_LABEL}, without it {OLD_QUEUE_LABEL})",
            ),
        ]
    own = host_queues(tenant)
    return [
        _own_scheduler((names.DEFAULT_SCHEDULER, names.KAI_SCHEDULER_NAME)),
        Rule(
            name="own-queues",
            # without the label KAI uses another label, and then a queue that all share
            expression=f"!variables.fromTenant || (!({by_kai}) && {label} == '') || {label} in {listed(own)}",
            fix=f"a pod for KAI needs the label {names.KAI_QUEUE_LABEL} with a queue of the team: {', '.join(own)}",
        ),
        Rule(
            name="gpus-through-kai",
            # a pod that is created with a node never reaches KAI, which counts; later KAI sets the node
            expression="!variables.fromTenant || !(variables.asksGpu || variables.asksPart) || "
            f"({by_kai} && (request.operation != 'CREATE' || {NODE_NAME} == ''))",
            fix=f"a pod that asks for a GPU needs schedulerName {names.KAI_SCHEDULER_NAME} and no nodeName",
        ),
        Rule(
            name="no-kai-marks",
            # with the mark of another team's GPU KAI would take it for bound to that GPU
            expression="request.operation == 'CREATE' ? "
            f"!variables.fromTenant || (!variables.labels.exists(k, {MARKS}) && {_counted()}) : "
            f"!variables.byTenant || {_kept('labels', _PLACES)} && {_kept('annotations', _COUNTS)}",
            fix=f"only KAI writes the label {names.GPU_GROUP}, when it binds a pod to a part of a GPU, and it counts a "
            f"pod by what it says: {names.GPU_FRACTION} is a plain number, it, {names.GPU_MEMORY_ASKED}, "
            f"{names.GPU_FRACTION_DEVICES} and KAI's group stay as they are, and {_SKIPS} and {names.MIG}... are not "
            "for this team",
        ),
    ]


_SKIPS: Final = "kai.scheduler/skip-podgrouper"
_COUNTS: Final = (
    "(k in "
    f"{listed((names.GPU_FRACTION, names.GPU_MEMORY_ASKED, names.GPU_FRACTION_DEVICES, 'pod-group-name', _SKIPS))} || "
    f"k.startsWith({text(names.MIG)}))"
)
"""In CEL: whether KAI counts a pod by the annotation `k`: how much it gets, and in which group, and so queue. KAI reads
them anew in each cycle, also of a pod that runs; one that says less later frees what it has, and a group of that name
may be another team's (KAI@v0.16.8:pkg/scheduler/api/pod_info/pod_info.go, updatePodAdditionalFields; node_info.go,
setAcceptedResources; cache/cluster_info, snapshotPodGroups).
"""
_PLACES: Final = f"({MARKS} || k == 'kai.scheduler/subgroup-name')"
"""In CEL: the same for the label `k`; a pod of a subgroup that is not there is in no queue (job_info.go, AddTaskInfo).
"""


def _counted() -> str:
    """Whether the annotations of a new pod count as what it gets: KAI before 0.12 lets NaN through, which is above no
    limit; one about MIG replaces whole GPUs; and what is grouped by nobody may name any group."""
    plain = f"variables.annotations[k].matches({text('^[0-9.eE+-]+$')})"
    return (
        f"variables.annotations.all(k, !k.startsWith({text(names.MIG)}) && k != {text(_SKIPS)} && "
        f"(k != {text(names.GPU_FRACTION)} || {plain}))"
    )


def _kept(field: str, which: str) -> str:
    """Whether an update leaves the labels or annotations `which` as they are, in the old object and in the new one."""
    both = f"[oldObject.?metadata.?{field}.orValue({{}}), variables.{field}]"
    return f"[{both}].all(b, b.all(m, m.all(k, !{which} || b.all(n, n[?k].orValue('') == m[k]))))"


def _own_scheduler(known: tuple[str, ...]) -> Rule:
    return Rule(
        name="own-scheduler",
        expression=f"!variables.fromTenant || {NODE_NAME} != '' || "
        f"variables.spec.?schedulerName.orValue('') in {listed(('', *known))}",
        fix=f"on the host, pods without a node are scheduled by {' or '.join(known)}; no other scheduler is for this "
        "team",
        spec_only=True,
    )


def host_queues(tenant: Tenant) -> list[str]:
    """The tenant's leaf queues in the host's KAI."""
    return [names.leaf_queue(tenant.name, leaf, on_host=True) for leaf in tenant.queues]


@cache
def counted_resources() -> Rule:
    """A container asks only for resources that the quota counts."""
    # the ResourceQuota ignores a name that it does not list, and a kubelet a name that its node does not have: the pod
    # would count as one that asks for a GPU, and ask for nothing
    whole = (*podspec.RESOURCES, *(name for name in names.GPU_RESOURCES if not name.startswith(names.MIG)))
    slices = f"k.startsWith({text(names.MIG)}) && k.substring({len(names.MIG)}) in {listed(names.MIG_PROFILES)}"
    asked = "[c.?resources.?limits, c.?resources.?requests]"
    return without(
        pod_and_containers(f"!{asked}.all(r, r.orValue({{}}).all(k, k in {listed(whole)} || {slices}))"),
        name="counted-gpus",
        fix=f"a pod asks for {', '.join(podspec.RESOURCES)}, and for GPUs by a name that the team's ResourceQuota "
        f"counts; ask for {names.GPU}",
    )


@cache
def no_resource_claims() -> Rule:
    """No ResourceQuota counts a device by claim (DRA)."""
    asked = "variables.spec.?resourceClaims.orValue([])"
    of_containers = containers("c.?resources.?claims.orValue([]).size() > 0")
    return without(
        f"{asked}.map(r, r.name) + {of_containers}",
        name="no-resource-claims",
        fix=f"a pod gets devices by {names.GPU}, which the team's ResourceQuota counts, and by no ResourceClaim; "
        "remove resourceClaims",
    )


def no_devices_by_name(tenant: Tenant) -> Rule:
    """No container itself names a device to NVIDIA's runtime. For a fraction KAI does so, through its ConfigMap."""
    by_kai = f"{only('e.valueFrom', ('configMapKeyRef',))} && variables.asksPart"
    if not tenant.team.scheduler.shares:
        by_kai = "false"
    bad_variable = (
        f"c.?env.orValue([]).exists(e, e.name in {listed(podspec.DEVICE_VARIABLES)} && "
        f"(has(e.valueFrom) ? !({by_kai}) : !(e.?value.orValue('') in {listed(podspec.NO_DEVICES)})))"
    )
    bad_mount = f"c.?volumeMounts.orValue([]).exists(m, m.mountPath.contains({text(podspec.DEVICE_MOUNTS)}))"
    annotations = f"variables.annotations.filter(k, k.matches({text(podspec.RUNTIME_ANNOTATIONS)}))"
    return without(
        f"variables.fromTenant ? {annotations} + {containers(f'{bad_variable} || {bad_mount}')} : []",
        name="no-devices-by-name",
        # its annotations are not in the spec
        spec_only=False,
        fix=f"a pod names no device: ask for {names.GPU}, and remove the annotations, mounts and variables "
        f"{', '.join(podspec.DEVICE_VARIABLES)} (void and none may stay) of what is named here",
    )


def runtime_class(tenant: Tenant, own: str) -> Rule:
    """The one class of the platform, for pods that ask for a GPU; no other class."""
    chosen = "variables.spec.?runtimeClassName.orValue('')"
    if tenant.has_gpus and tenant.kai is not None and tenant.kai.fractions_need_default_runtime:
        # this KAI's reservation pods name no class, so the syncer gives every pod of the tenant the GPUs' class
        fits, whom = "true", "this team's pods"
    elif tenant.team.scheduler.shares:
        fits, whom = "variables.asksGpu || variables.asksPart", "pods that ask for a GPU or a part of one"
    else:
        # no pod is bound to a part of a GPU here, so the tenant wrote the mark itself
        fits, whom = "variables.asksGpu", "pods that ask for a GPU, and gpuSharing is off"
    return Rule(
        name="runtime-class-for-gpus",
        expression=f"{chosen} == '' || ({chosen} == {text(own)} && ({fits}))",
        fix=f"runtime class {own} is for {whom}, and no other class is for this team; remove it",
    )


def one_mps_user(tenant: Tenant) -> list[Rule]:
    """On a pool shared by MPS all containers with a GPU run as one user, that of the checks.

    MPS serves one user's processes at a time, and others wait until the last of those has ended. Where a process gives
    up waiting, its daemon answers nobody any more until it is started again (driver 580.159.04, docs/runs.md). So one
    pod of another user would take the GPU from all teams. A pod with a user namespace is another user on the host.
    """
    if tenant.pool is None or tenant.pool.sharing.mps is None:
        return []
    user = "c.?securityContext.?runAsUser.orValue(variables.spec.?securityContext.?runAsUser.orValue(-1))"
    return [
        without(
            containers(f"({TAKES_GPU}) && ({user} != {USER} || !variables.spec.?hostUsers.orValue(true))"),
            name="one-mps-user",
            fix=f"the pool's GPUs are shared by MPS, which serves one user at a time: a container with a GPU runs as "
            f"user {USER}, without a user namespace; set securityContext.runAsUser",
        )
    ]


def variables(tenant: Tenant) -> dict[str, str]:
    """The variables that the rules share, by name. The API server evaluates each when a rule first uses it."""
    account = f"system:serviceaccount:{tenant.namespace}:"
    every_container = " + ".join(
        f"variables.spec.?{field}.orValue([])" for field in ("containers", "initContainers", "ephemeralContainers")
    )
    return {
        # untyped: otherwise the server's checker would look for a Pod's fields in a Service, and warn
        "spec": "dyn(object).?spec.orValue({})",
        "labels": "object.?metadata.?labels.orValue({})",
        "annotations": "object.?metadata.?annotations.orValue({})",
        "byTenant": f"request.userInfo.username.startsWith({text(account)})",
        "fromTenant": f"{text(names.SYNCED_BY)} in variables.labels || variables.byTenant",
        "settled": f"request.kind.kind != {text(Kind.POD)} || "
        "request.operation == 'UPDATE' && variables.spec == dyn(oldObject).?spec.orValue({})",
        "containers": every_container,
        # KAI's reservation pod asks for a whole GPU, so it needs no rule of its own
        "asksGpu": f"variables.containers.exists(c, {TAKES_GPU})",
        "asksPart": f"variables.labels.exists(k, {MARKS}) || "
        f"variables.annotations.exists(k, k in {listed(FRACTION_ANNOTATIONS)})",
    }
