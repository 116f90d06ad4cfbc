"""Rules across the fields of a stack file, as pure functions. No Pulumi import.

Owns: what may not stand together, and which place of the file a broken sum is told at.
Leaves to others: the arithmetic and its words (`capacity`), the shape (`models.py`).

No rule asks a clock: a file that was valid yesterday is valid today (an override whose date has passed is simply no
longer in force).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Final, TypeAlias

import capacity
import names
import releases
from capacity import NODE_PORTS, UNLIMITED, LeafClaim, Verdict, hard_cap, listed, number
from settings import artifacts
from settings.claims import pool_capacities, shared_cost, tenant_claims
from settings.hosts import hosts_are_made_in_one_way
from settings.models import (
    Expose,
    GpuStack,
    HostProvider,
    Owner,
    Platform,
    Pool,
    Scheduler,
    SchedulerMode,
    Team,
    TeamCheck,
)
from settings.overrides import overrides_say_what_they_are_about
from settings.own_pods import (
    check_queues_are_free,
    restricted_teams_can_run,
    storage_holds_the_control_plane,
    team_names_are_free,
    virtual_schedulers_have_nodes,
)
from settings.problems import Path, Problem, shown
from settings.slurm import slurm_has_its_own_gpus
from settings.tenants import CANARY_SUFFIX, canary_of, path_of, tenants
from settings.workload_rules import RULES as WORKLOAD_RULES

Rule: TypeAlias = Callable[[Platform], Iterable[Problem]]

LONGEST_NAME: Final = 63
"""Kubernetes' limit for a name that is a DNS label, and for a label's value."""

_CHECK_POD: Final = f"{names.CHECK_NAME}-xxxxx-x-{names.CHECK_PAIR_NAMESPACE}-x-"
"""vCluster's name on the host for the check's pod (`<pod>-x-<namespace>-x-<virtual cluster>`), up to the team."""

LONGEST_TEAM_NAME: Final = LONGEST_NAME - len(_CHECK_POD)
"""31. Beyond it vCluster cuts the check pod's name on the host and puts a hash in the team's place, and nobody sees any
more whose pod it is. It is the tightest of our names: a Helm release may have 53 characters, `team-<name>` 63."""

_KAI_OWN_QUEUES: Final = ("default-parent-queue", "default-queue")
"""KAI's chart has queues of these names since 0.10; ours would be overwritten by them."""


# --- host and GPU software ------------------------------------------------------------------------------------------


def host_fits_together(platform: Platform) -> Iterator[Problem]:
    """The kubeconfig is a path, and the shared KAI is a release that we know."""
    host = platform.host
    if host.kubeconfig is not None and ("\n" in host.kubeconfig or "apiVersion" in host.kubeconfig):
        yield Problem(
            path=("host", "kubeconfig"),
            rule="must be a path",
            got="a kubeconfig's content",
            fix="remove it, and give the content with `pulumi config set --secret gpu-tenancy:kubeconfig`",
        )
    if host.scheduler is not None:
        path = ("host", "scheduler", "version")
        yield from _known("KAI release", host.scheduler.version, releases.KAI, path)


def gpu_software_is_known(platform: Platform) -> Iterator[Problem]:
    """The chart's version is known, and no RuntimeClass is made that somebody else brings."""
    gpu, path = platform.gpu, ("gpu", "version")
    if gpu.version is not None:
        if gpu.stack is GpuStack.DEVICE_PLUGIN:
            yield from _known("device plugin", gpu.version, releases.DEVICE_PLUGIN, path)
        elif gpu.stack is GpuStack.GPU_OPERATOR:
            yield from _known("GPU Operator", gpu.version, releases.GPU_OPERATOR, path)
        else:
            yield Problem(path=path, rule="has no meaning with stack fake", got=shown(gpu.version), fix="remove it")
    if gpu.injection is not None and gpu.stack is GpuStack.FAKE:
        yield Problem(
            path=("gpu", "injection"), rule="has no meaning with stack fake", got=gpu.injection.value, fix="remove it"
        )
    brings = {
        "k3s": platform.host.provider is HostProvider.K3S,
        "the GPU Operator": gpu.stack is GpuStack.GPU_OPERATOR,
    }
    for who, does in brings.items():
        if does and gpu.runtime_class.name == "nvidia" and gpu.runtime_class.owner is Owner.OURS:
            yield Problem(
                path=("gpu", "runtimeClass"),
                rule=f"{who} brings the RuntimeClass nvidia itself, a second one would be refused as AlreadyExists",
                got="owner: ours",
                fix="write runtimeClass: {name: nvidia, owner: cluster}",
                reads=(("host",), ("gpu",)),
            )
            return


def artifacts_are_known(platform: Platform) -> Iterator[Problem]:
    """Charts and images come from places that the program can use, without a password, each chart in its version."""
    return artifacts.problems(platform)


# --- pools ----------------------------------------------------------------------------------------------------------


def pools_say_their_nodes(platform: Platform) -> Iterator[Problem]:
    """A pool has nodes by name, or labels that find them and how many; and shares its GPUs in one way."""
    for name, pool in platform.pools.items():
        path = ("pools", name)
        if pool.nodes and (pool.selector is not None or pool.node_count is not None):
            yield Problem(
                path=path,
                rule="has either nodes, or selector with nodeCount",
                got="both",
                fix="remove selector and nodeCount, or nodes",
            )
        elif not pool.nodes and not (pool.selector and pool.node_count):
            yield Problem(
                path=path,
                rule="has either nodes, or selector with nodeCount",
                got=_selector_got(pool),
                fix="write nodes: [name, ...] as kubectl shows them, or selector: {label: value} and nodeCount: N",
            )
        for node in sorted({node for node in pool.nodes if pool.nodes.count(node) > 1}):
            yield Problem(path=(*path, "nodes"), rule="names each node once", got=f"{node!r} twice", fix="remove one")
        if pool.sharing.time_slicing and pool.sharing.mps:
            yield Problem(
                path=(*path, "sharing"),
                rule="is either timeSlicing or mps",
                got="both",
                fix="keep one (mps bounds each replica's memory, time-slicing bounds nothing)",
            )
        if pool.gpus_per_node == 0:
            for key, there in (("sharing", pool.replicas > 1), ("taint", pool.taint)):
                if there:
                    yield Problem(
                        path=(*path, key), rule="is for pools with GPUs", got="gpusPerNode: 0", fix=f"remove {key}"
                    )


def _selector_got(pool: Pool) -> str:
    if pool.selector is None:
        return "neither" if pool.node_count is None else "nodeCount alone"
    return "selector without nodeCount" if pool.selector else "an empty selector, which is every node"


def pools_are_disjoint(platform: Platform) -> Iterator[Problem]:
    """No node is in two pools: quotas are checked against each pool's own number."""
    first: dict[str, str] = {}
    selectors: list[tuple[str, set[tuple[str, str]]]] = []
    for name, pool in platform.pools.items():
        for node in dict.fromkeys(pool.nodes):
            if first.setdefault(node, name) != name:
                yield Problem(
                    path=("pools", name, "nodes"),
                    rule="a node belongs to one pool",
                    got=f"{node!r}, which pool {first[node]} has",
                    fix="remove it from one of them",
                )
        if pool.selector:
            mine = set(pool.selector.items())
            for other, labels in selectors:
                if mine <= labels or labels <= mine:
                    yield Problem(
                        path=("pools", name, "selector"),
                        rule="must not find another pool's nodes",
                        got=f"a selector that {'equals' if mine == labels else 'overlaps'} that of pool {other}",
                        fix="select by a label that tells them apart",
                    )
            selectors.append((name, mine))


# --- teams: names, places, ways in ----------------------------------------------------------------------------------


def names_fit(platform: Platform) -> Iterator[Problem]:
    """Names stay valid and readable where Kubernetes, Helm and vCluster put more around them."""
    taken: dict[str, str] = {}
    for name, team in platform.teams.items():
        path: Path = ("teams", name)
        suffix = CANARY_SUFFIX if team.scheduler.canary else ""
        longest = LONGEST_TEAM_NAME - len(suffix)
        if len(name) > longest:
            why = f" less the {len(suffix)} of its canary's {suffix}" if suffix else ""
            yield Problem(
                path=path,
                rule=f"a team's name has at most {longest} characters ({LONGEST_NAME} less the {len(_CHECK_POD)} of "
                f"{_CHECK_POD!r} before it on the host{why})",
                got=f"{len(name)} characters",
                fix="shorten it",
            )
        if not name[0].isalpha():
            yield Problem(
                path=path,
                rule="a team's name starts with a letter, its virtual cluster's Service has the same name",
                got=shown(name),
                fix=f"write {'team-' + name!r}",
            )
        if team.scheduler.canary and name + CANARY_SUFFIX in platform.teams:
            yield Problem(
                path=("teams", name + CANARY_SUFFIX),
                rule=f"is the name of the canary of {name}",
                got=shown(name + CANARY_SUFFIX),
                fix="rename this team",
                reads=(path,),
            )
        yield from _queue_names(name, team, taken)


def _queue_names(name: str, team: Team, taken: dict[str, str]) -> Iterator[Problem]:
    """`taken`: queues on the host by name, and whose each is."""
    mode = team.scheduler.mode
    if mode is SchedulerMode.DEFAULT:
        return
    on_host = mode is SchedulerMode.HOST
    for leaf in ("", *team.queues):
        path: Path = ("teams", name, "queues", leaf) if leaf else ("teams", name)
        full = names.leaf_queue(name, leaf, on_host=on_host) if leaf else names.parent_queue(name)
        if leaf and full == name:
            yield Problem(
                path=path,
                rule="a leaf queue can't have its team's name, which is the parent queue's",
                got=shown(leaf),
                fix="rename the queue",
            )
        if full in _KAI_OWN_QUEUES:
            yield Problem(
                path=path, rule="is the name of a queue that KAI makes itself", got=shown(full), fix="rename it"
            )
        if len(full) > LONGEST_NAME:
            yield Problem(
                path=path,
                rule=f"a queue's name has at most {LONGEST_NAME} characters, pods carry it as a label",
                got=f"{full!r}, {len(full)} characters",
                fix="shorten the queue's or the team's name",
            )
        owner = f"team {name}" if not leaf else f"queue {leaf} of team {name}"
        if on_host and taken.setdefault(full, owner) != owner:
            yield Problem(
                path=path,
                rule="queues on the host have different names (a leaf is <team>-<leaf> there)",
                got=f"{full!r}, which {taken[full]} has",
                fix="rename one of them",
            )


def teams_have_their_place(platform: Platform) -> Iterator[Problem]:
    """A pool that is there, nodes that the pool has, GPUs only where there are some."""
    for name, team in tenants(platform).items():
        path: Path = path_of(platform, name)
        if canary_of(platform, name) is None:
            yield from _pool_of_team(platform, name, team)
        pool = platform.pools.get(team.pool or "")
        if pool is None or not team.nodes:
            continue
        reads = (("pools", team.pool or ""),)
        if not pool.nodes:
            yield Problem(
                path=(*path, "nodes"),
                rule=f"needs a pool whose nodes have names, {team.pool} is found by labels",
                got=shown(list(team.nodes)),
                fix=f"write pools.{team.pool}.nodes instead of its selector",
                reads=reads,
            )
            continue
        for node in dict.fromkeys(team.nodes):
            if node not in pool.nodes:
                yield Problem(
                    path=(*path, "nodes"),
                    rule=f"names nodes of pool {team.pool} ({listed(pool.nodes)})",
                    got=shown(node),
                    fix=_choose(node, pool.nodes),
                    reads=reads,
                )
            elif team.nodes.count(node) > 1:
                yield Problem(
                    path=(*path, "nodes"), rule="names each node once", got=f"{node!r} twice", fix="remove one"
                )


def _pool_of_team(platform: Platform, name: str, team: Team) -> Iterator[Problem]:
    path = ("teams", name)
    gpus = team.resources.gpus
    if team.pool is not None and team.pool not in platform.pools:
        yield Problem(
            path=(*path, "pool"),
            rule="must be one of the pools",
            got=shown(team.pool),
            fix=_choose(team.pool, tuple(platform.pools)),
            reads=(("pools", team.pool),),
        )
    if team.pool is None and team.nodes:
        yield Problem(path=(*path, "nodes"), rule="needs a pool", got="no pool", fix="write pool, or remove nodes")
    if team.pool is None and (gpus.quota or gpus.limit):
        with_gpus = [pool_name for pool_name, pool in platform.pools.items() if pool.gpus_per_node]
        yield Problem(
            path=(*path, "resources", "gpus"),
            rule="needs a pool",
            got=f"quota {gpus.quota}, limit {gpus.limit} and no pool",
            fix=f"write pool: {' or '.join(with_gpus[:3])}" if with_gpus else "add a pool with GPUs, or remove gpus",
            reads=(("pools",),),
        )


def tenants_can_be_reached(platform: Platform) -> Iterator[Problem]:
    """Each way in has what it needs, and no two tenants have one port."""
    ports: dict[str, int] = {}
    for name, team in tenants(platform).items():
        path, access = path_of(platform, name), team.access
        written = canary_of(platform, name) is None
        if access.expose is Expose.NODE_PORT:
            ports[name] = access.port or capacity.node_port(name)
            if access.port is not None and access.port not in NODE_PORTS:
                yield Problem(
                    path=(*path, "access", "port"),
                    rule=f"must be a NodePort, {NODE_PORTS.start} to {NODE_PORTS.stop - 1}",
                    got=str(access.port),
                    fix=f"remove it (the name gives {capacity.node_port(name)}), or choose one of these",
                )
            if platform.host.reachable_at is None and written:
                yield Problem(
                    path=(*path, "access", "expose"),
                    rule="nodePort (the default) needs host.address, which goes into the API server's certificate",
                    got="no host.address",
                    fix="write host.address: the name or IP of a node that the team reaches, or another expose",
                    reads=(("host",),),
                )
        elif access.port is not None:
            yield Problem(
                path=(*path, "access", "port"),
                rule="is for expose: nodePort",
                got=f"expose: {access.expose.value}",
                fix="remove port",
            )
        if access.expose is Expose.LOAD_BALANCER and not access.host_names:
            yield Problem(
                path=(*path, "access", "hostNames") if written else (*path, "hostNames"),
                rule="loadBalancer needs the name under which the API server will be reached",
                got="no hostNames",
                fix=f"write hostNames: [{name}.example.com] with the name that will point at it",
            )
    for verdict in capacity.port_clashes(ports):
        yield _told(verdict, (*path_of(platform, verdict.about[-1]), "access", "port"))


# --- teams: scheduler, queues, check --------------------------------------------------------------------------------


def schedulers_fit_their_mode(platform: Platform) -> Iterator[Problem]:
    """Versions are known and given where they mean something; a mode has what it needs."""
    for name, team in platform.teams.items():
        path: Path = ("teams", name, "scheduler")
        scheduler = team.scheduler
        if scheduler.mode is SchedulerMode.VIRTUAL:
            if scheduler.version is None:
                yield Problem(
                    path=(*path, "version"),
                    rule="is needed with mode virtual",
                    got=None,
                    fix=f"write version: {releases.DEFAULT_KAI}, or one of {', '.join(releases.KAI)}",
                )
            else:
                yield from _known("KAI release", scheduler.version, releases.KAI, (*path, "version"))
            if scheduler.canary is not None:
                here = (*path, "canary", "version")
                yield from _known("KAI release", scheduler.canary.version, releases.KAI, here)
        else:
            yield from _without_own_kai(scheduler, path)
        if scheduler.mode is SchedulerMode.HOST and platform.host.scheduler is None:
            yield Problem(
                path=(*path, "mode"),
                rule="host needs host.scheduler, the KAI that such teams share",
                got="no host.scheduler",
                fix=f"write host.scheduler: {{version: {releases.DEFAULT_KAI}}}",
                reads=(("host",),),
            )
        if scheduler.mode is SchedulerMode.DEFAULT and scheduler.gpu_sharing:
            yield Problem(
                path=(*path, "gpuSharing"),
                rule="needs a KAI",
                got="mode: default",
                fix="write mode: virtual and a version, or remove gpuSharing",
            )
        pool = platform.pools.get(team.pool or "")
        if scheduler.gpu_sharing and pool is not None and pool.replicas > 1:
            yield Problem(
                path=(*path, "gpuSharing"),
                rule=f"and replicas exclude each other: pool {team.pool} shares each GPU as {pool.replicas} replicas, "
                "and KAI would cut a replica up as if it were a GPU",
                got="true",
                fix=f"remove gpuSharing, or pools.{team.pool}.sharing",
                reads=(("pools", team.pool or ""),),
            )


def _without_own_kai(scheduler: Scheduler, path: Path) -> Iterator[Problem]:
    mode = scheduler.mode.value
    if scheduler.version is not None:
        fix = "remove it (host.scheduler.version says it)" if mode == "host" else "remove it, or write mode: virtual"
        yield Problem(
            path=(*path, "version"),
            rule=f"has no meaning with mode {mode}",
            got=shown(scheduler.version),
            fix=fix,
        )
    if scheduler.canary is not None:
        yield Problem(
            path=(*path, "canary"), rule="needs mode virtual", got=f"mode: {mode}", fix="remove it, or change the mode"
        )


def virtual_clusters_fit_their_kai(platform: Platform) -> Iterator[Problem]:
    """vCluster's release is known, and its Kubernetes is one that the tenant's KAI runs on."""
    for name, team in tenants(platform).items():
        path: Path = ("teams", canary_of(platform, name) or name, "vcluster")
        wanted = team.vcluster.version or releases.DEFAULT_VCLUSTER
        written = canary_of(platform, name) is None
        if written:
            yield from _known("vCluster release", wanted, releases.VCLUSTER, (*path, "version"))
        vcluster = releases.VCLUSTER.get(wanted)
        if vcluster is None:
            continue
        store = team.vcluster.backing_store
        if store not in vcluster.backing_stores and written:
            yield Problem(
                path=(*path, "backingStore"),
                rule=f"must be one that vCluster {wanted} has ({', '.join(vcluster.backing_stores)})",
                got=shown(store),
                fix=f"write {vcluster.backing_stores[0]}",
            )
        kubernetes = team.vcluster.kubernetes_version
        if kubernetes is not None and not vcluster.takes(kubernetes):
            if written:
                minors = sorted({releases.minor(tag) for tag in vcluster.kubernetes_versions}, reverse=True)
                known = ", ".join(f"v{major}.{minor}" for major, minor in minors)
                yield Problem(
                    path=(*path, "kubernetesVersion"),
                    rule=f"must be one that vCluster {wanted} knows (any patch release of {known})",
                    got=shown(kubernetes),
                    fix=_choose(kubernetes, (releases.DEFAULT_KUBERNETES, *vcluster.kubernetes_versions)),
                )
            continue
        kai = releases.KAI.get(team.scheduler.version or "")
        if kai is None or team.scheduler.mode is not SchedulerMode.VIRTUAL:
            continue
        if kubernetes is not None and not releases.fits(kubernetes, kai):
            yield Problem(
                path=(*path, "kubernetesVersion"),
                rule=f"KAI {kai.version} of {name} runs on Kubernetes {kai.kubernetes_max} at most",
                got=shown(kubernetes),
                fix=f"write {releases.kubernetes_for(vcluster, kai)}, or choose a newer KAI",
            )


def kai_teams_have_queues(platform: Platform) -> Iterator[Problem]:
    """KAI places nothing without a leaf queue; the host's own scheduler knows none."""
    for name, team in platform.teams.items():
        path: Path = ("teams", name, "queues")
        if team.scheduler.mode is SchedulerMode.DEFAULT:
            if team.queues:
                yield Problem(
                    path=path,
                    rule="needs a KAI, nobody would serve them",
                    got="mode: default",
                    fix="write scheduler: {mode: virtual, version: ...}, or remove queues",
                )
        elif not team.queues:
            yield Problem(
                path=path,
                rule=f"mode {team.scheduler.mode.value} needs at least one leaf queue, KAI places nothing without",
                got="none",
                fix=f"write queues: {{work: {{gpu: {team.resources.gpus.quota}}}}}",
            )
        if not team.scheduler.gpu_sharing and team.scheduler.mode is not SchedulerMode.DEFAULT:
            for leaf, queue in team.queues.items():
                for key, amount in (("quota", queue.gpu.quota), ("limit", queue.gpu.limit)):
                    if amount != int(amount):
                        yield Problem(
                            path=(*path, leaf, "gpu", key),
                            rule="a part of a GPU needs scheduler.gpuSharing",
                            got=number(amount),
                            fix="write a whole number, or gpuSharing: true",
                        )


def checks_can_run(platform: Platform) -> Iterator[Problem]:
    """What the check asks for is what the team's own workloads could get."""
    for name, team in platform.teams.items():
        check, path = team.check, ("teams", name, "check")
        if check.queue is not None and check.queue not in team.queues:
            yield Problem(
                path=(*path, "queue"),
                rule="must be a leaf queue of the team",
                got=shown(check.queue),
                fix=_choose(check.queue, tuple(team.queues)),
                reads=(("teams", name, "queues", check.queue),),
            )
        yield from _parts_of_a_gpu(platform, team, path)
        yield from _check_within_limits(name, team, path)


def _parts_of_a_gpu(platform: Platform, team: Team, path: Path) -> Iterator[Problem]:
    check, pool = team.check, platform.pools.get(team.pool or "")
    parts = {"fraction": check.fraction, "gpuMemoryMib": check.gpu_memory_mib, "pair": check.pair}
    given = [key for key, there in parts.items() if there is not None]
    if len(given) > 1:
        rule = "asks for one of fraction, gpuMemoryMib and pair"
        yield Problem(path=path, rule=rule, got=" and ".join(given), fix="keep one of them")
    if check.pair is not None and (check.share or 0) > 1:
        rule = "both shares of a pair are of one GPU, so together at most 1"
        got = f"{number(check.pair[0])} + {number(check.pair[1])} = {number(check.share or 0)}"
        yield Problem(path=(*path, "pair"), rule=rule, got=got, fix="lower one of them")
    if check.pair is not None and team.scheduler.mode is SchedulerMode.HOST:
        rule = "a pair needs mode virtual: what KAI on the host writes on its pods is not seen inside"
        yield Problem(path=(*path, "pair"), rule=rule, got=shown("host"), fix="ask for a fraction")
    for key, there in parts.items():
        if there is not None and not team.scheduler.gpu_sharing:
            fix = "write scheduler.gpuSharing: true" if pool is None or pool.replicas == 1 else "ask for whole replicas"
            yield Problem(
                path=(*path, key),
                rule="a part of a GPU needs scheduler.gpuSharing",
                got=shown(there),
                fix=f"{fix}, or remove {key}",
                reads=(("pools", team.pool or ""),),
            )
    if check.gpu_memory_mib is not None and pool is not None:
        reads = (("pools", team.pool or ""),)
        if pool.gpu_memory_mib is None:
            yield Problem(
                path=(*path, "gpuMemoryMib"),
                rule=f"needs pools.{team.pool}.gpuMemoryMib, KAI would take a GPU for 100 MiB",
                got=shown(check.gpu_memory_mib),
                fix="write the memory of one GPU there, or ask for a fraction",
                reads=reads,
            )
        elif check.gpu_memory_mib > pool.gpu_memory_mib:
            yield Problem(
                path=(*path, "gpuMemoryMib"),
                rule=f"must be at most one GPU's {pool.gpu_memory_mib} MiB",
                got=str(check.gpu_memory_mib),
                fix="lower it",
                reads=reads,
            )


def _asked_by(check: TeamCheck, pool: Pool | None) -> float:
    """GPUs (replicas) that the check takes from its queue."""
    if check.share is not None:
        return check.share
    if check.gpu_memory_mib is not None:
        return check.gpu_memory_mib / pool.gpu_memory_mib if pool is not None and pool.gpu_memory_mib else 0
    return check.gpus


def _check_within_limits(name: str, team: Team, path: Path) -> Iterator[Problem]:
    check, gpus = team.check, team.resources.gpus
    if not check.enabled or gpus.limit == 0:
        return
    asked = _asked_by(check, None)
    leaf = check.queue or next(iter(team.queues), None)
    queue = team.queues.get(leaf or "")
    limits = [("the team's limit", float(gpus.limit))]
    if queue is not None and team.scheduler.mode is not SchedulerMode.DEFAULT:
        limits.append((f"the limit of queue {leaf}", queue.gpu.limit))
    for whose, limit in limits:
        if limit != UNLIMITED and asked > limit:
            yield Problem(
                path=(*path, "pair" if check.pair else "gpus" if check.fraction is None else "fraction"),
                rule=f"must be at most {whose} {number(limit)}, or the check could never run",
                got=number(asked),
                fix="lower it, raise that limit, or name another queue (check.queue)",
                reads=(("teams", name, "queues"),),
            )
            return


# --- sums -----------------------------------------------------------------------------------------------------------


def gpus_fit_the_nodes(platform: Platform) -> Iterator[Problem]:
    """Quota and limit of each tenant are within what its nodes advertise."""
    pools = {pool.name: pool for pool in pool_capacities(platform)}
    claims = tenant_claims(platform)
    for claim in claims:
        path = path_of(platform, claim.name)
        gpus = (*path, "gpus") if claim.owner != claim.name else (*path, "resources", "gpus")
        for verdict in capacity.quota_against_limit(claim.name, claim.quota, claim.limit):
            yield _told(verdict, (*gpus, "limit"))
        if claim.pool in pools:
            for verdict in capacity.gpus_within_nodes(claim, pools[claim.pool]):
                yield _told(verdict, gpus if claim.owner != claim.name else (*gpus, verdict.field))


def gpus_add_up(platform: Platform) -> Iterator[Problem]:
    """The collision invariant, per node; and what is guaranteed on a pool is there."""
    pools, claims = pool_capacities(platform), tenant_claims(platform)
    collisions = capacity.collisions(pools, claims)
    for verdict in collisions:
        yield _told(verdict, ("pools", verdict.pool or ""))
    over = {verdict.pool for verdict in collisions if verdict.field == "limit"}
    for verdict in capacity.pool_quotas(pools, claims):
        # limits that are too high are told already; quotas are never above them
        if verdict.pool not in over:
            yield _told(verdict, ("pools", verdict.pool or ""))


def queues_fit_their_team(platform: Platform) -> Iterator[Problem]:
    """Leaf queues' GPUs are within the team's."""
    pools = {pool.name: pool for pool in pool_capacities(platform)}
    for claim in tenant_claims(platform):
        if claim.owner != claim.name:
            continue  # a canary's one queue is made from its own numbers
        team = platform.teams[claim.name]
        if team.scheduler.mode is SchedulerMode.DEFAULT:
            continue
        pool = pools.get(claim.pool or "")
        if pool is None and (team.pool is not None or UNLIMITED in (claim.quota, claim.limit)):
            continue  # what the team sees is unknown, and told elsewhere
        seen = capacity.visible_gpus(claim, pool) if pool is not None else 0
        leaves = [LeafClaim(name=leaf, quota=q.gpu.quota, limit=q.gpu.limit) for leaf, q in team.queues.items()]
        quota, limit = hard_cap(claim.quota, seen), hard_cap(claim.limit, seen)
        for verdict in capacity.leaf_queues(claim.name, quota, limit, leaves):
            path: Path = ("teams", claim.name, "queues")
            if verdict.queue is not None:
                path = (*path, verdict.queue, "gpu", verdict.field)
            yield _told(verdict, path)


def everything_has_room(platform: Platform) -> Iterator[Problem]:
    """CPU, memory and pods, tenancy's own included, fit the nodes."""
    for verdict in capacity.room(pool_capacities(platform), tenant_claims(platform), shared_cost(platform)):
        path: Path = ("pools",) if verdict.pool is None else ("pools", verdict.pool)
        yield _told(verdict, path, reads=(("host", "headroom"), ("host", "scheduler")))


def _told(verdict: Verdict, path: Path, reads: tuple[Path, ...] = ()) -> Problem:
    return Problem(path=path, rule=verdict.rule, got=verdict.got, fix=verdict.fix, reads=reads)


# --- words ----------------------------------------------------------------------------------------------------------


def _known(what: str, version: str, table: Mapping[str, object], path: Path) -> Iterator[Problem]:
    if version not in table:
        yield Problem(
            path=path,
            rule=f"is not a {what} that this program knows ({', '.join(table)})",
            got=shown(version),
            fix=_choose(version, tuple(table)),
        )


def _choose(word: str, known: tuple[str, ...]) -> str:
    near = get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"write one of {listed(known)}" if known else "there is none to choose from"


RULES: Final[tuple[Rule, ...]] = (
    host_fits_together,
    gpu_software_is_known,
    pools_say_their_nodes,
    pools_are_disjoint,
    names_fit,
    teams_have_their_place,
    schedulers_fit_their_mode,
    virtual_clusters_fit_their_kai,
    kai_teams_have_queues,
    checks_can_run,
    tenants_can_be_reached,
    gpus_fit_the_nodes,
    gpus_add_up,
    queues_fit_their_team,
    everything_has_room,
    artifacts_are_known,
    overrides_say_what_they_are_about,
    *WORKLOAD_RULES,
    slurm_has_its_own_gpus,
    hosts_are_made_in_one_way,
    team_names_are_free,
    storage_holds_the_control_plane,
    virtual_schedulers_have_nodes,
    restricted_teams_can_run,
    check_queues_are_free,
)
"""Every rule, in the order of the file. All run, whatever the others say."""
