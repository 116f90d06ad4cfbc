"""The snapshot from the clusters' answers. Pure.

Owns: the team of each pod, the pool of each node, the use of each queue.
Leaves to others: a pod alone (`pods.py`), the units of a node (`gpus.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final

from lenient import Json, condition, moment, name, namespace, parsed, rows, table, tag_of, text
from names import (
    FENCED_FOR,
    GPU,
    GPU_PRODUCT,
    GPU_RESOURCES,
    KAI_RESERVATION_NAMESPACE,
    LABEL_FENCED,
    LABEL_POOL,
    LABEL_TEAM,
    PRESSURES,
    SYNCED_FROM,
    leaf_queue,
    parent_queue,
    team_namespace,
)
from seen.gpus import RESERVED_UUID, Taken, units_of
from seen.model import Check, Component, Event, Finding, Gap, Holder, Node, Pod, Pool, Queue, Seen, Team
from seen.numbers import number
from seen.pods import INNER_NAME, gpus_asked, groups, memory_of, pod_of, requests
from seen.read import UP, Look, Said
from settings.infrastructure import refuses_several
from settings.models import HostProvider, Platform, SchedulerMode
from settings.models import Team as Wanted
from settings.tenants import tenants

NOT_MADE: Final = "not made"
CONTROL_PLANE: Final = "app"
"""vCluster's label on its control plane, with the value `vcluster`."""
PLUGIN: Final = "device-plugin"
MOST_UNITS: Final = 1024
"""The most units that one pod can have of a node: more than any node has. A team may write any number in its cluster.
"""
LONGEST_SAID: Final = 4096
"""The most characters of an event that are read; anybody may write a longer one."""


def snapshot(look: Look, platform: Platform, *, stack: str, at: datetime) -> Seen:
    """Return the snapshot, for the teams and pools of a stack file. Teams that only the host has come after them."""
    known = tenants(platform)
    there = _namespaces(look.host)
    every = (*known, *(team for team in there if team not in known), *(t for t in look.teams if t not in known))
    by_space: dict[str, list[Json]] = {}
    for pod in look.host.all("pods"):
        by_space.setdefault(namespace(pod), []).append(pod)
    pods = {team: _pods(team, look, by_space.get(team_namespace(team), [])) for team in dict.fromkeys(every)}
    own = _host_pods(look.host)
    return Seen(
        stack=stack,
        at=at,
        kubernetes=look.host.version,
        pools=_pools(look.host, platform, [*(p for found in pods.values() for p in found), *own]),
        teams=tuple(_team(team, known.get(team), platform, look, pods[team], there) for team in pods),
        kai=_components(look.host.all("kai")),
        plugin=_components(d for d in look.host.all("daemonsets") if PLUGIN in name(d)),
        pods=tuple(pod for pod, raw in own if gpus_asked(raw) or pod.groups),
        events=tuple(_events("", look.host)) + tuple(e for t, said in look.teams.items() for e in _events(t, said)),
        gaps=tuple(_gaps("host", look.host)) + tuple(g for t, s in look.teams.items() for g in _gaps(f"team {t}", s)),
        simulated=platform.host.provider is HostProvider.LAB,
    )


def _gaps(whose: str, said: Said) -> Iterator[Gap]:
    if said.api != UP:
        yield Gap(what=f"{whose}: everything", why=said.api)
    for kind, why in said.refused.items():
        yield Gap(what=f"{whose}: {kind}", why=why)


def _namespaces(host: Said) -> dict[str, Json]:
    """The teams' namespaces on the host, by team."""
    found = {}
    for space in host.all("namespaces"):
        team = text(space, "metadata", "labels", LABEL_TEAM)
        if team and name(space) == team_namespace(team):
            found[team] = space
    return found


# --- pods -------------------------------------------------------------------------------------------------------------

Pair = tuple[Pod, Json]
"""A pod, and its JSON from the cluster that knows it best."""


def _pods(team: str, look: Look, there: Iterable[Json]) -> list[Pair]:
    """A team's pods. `there`: those in its namespace on the host."""
    said, memory = look.of(team), memory_of(look.host.all("nodes"))
    on_host: dict[tuple[str, str], Json] = {}
    for pod in there:
        away = table(pod, "metadata", "annotations")
        on_host[str(away.get(SYNCED_FROM, "")), str(away.get(INNER_NAME, name(pod)))] = pod
    found = []
    for pod in said.all("pods"):
        other = on_host.pop((namespace(pod), name(pod)), None)
        found.append((pod_of(pod, other, team=team, memory=memory), pod))
    # the control plane, and everything where the team's API does not answer
    found += [(pod_of(None, pod, team=team, memory=memory), pod) for pod in on_host.values()]
    return sorted(found, key=lambda pair: (pair[0].ours, pair[0].namespace, pair[0].name))


def _host_pods(host: Said) -> list[Pair]:
    spaces = {team_namespace(team) for team in _namespaces(host)}
    memory = memory_of(host.all("nodes"))
    return [
        (pod_of(None, pod, team="", memory=memory), pod) for pod in host.all("pods") if namespace(pod) not in spaces
    ]


# --- nodes ------------------------------------------------------------------------------------------------------------


def _pools(host: Said, platform: Platform, pods: Iterable[Pair]) -> tuple[Pool, ...]:
    taken = _taken(pods)
    nodes = [_node(node, platform, taken.get(name(node), Taken())) for node in host.all("nodes")]
    found = [
        Pool(
            name=name_,
            nodes=tuple(n for n in nodes if n.pool == name_),
            one_each=refuses_several(platform.gpu, pool),
            unit=pool.unit,
        )
        for name_, pool in platform.pools.items()
    ]
    others = tuple(node for node in nodes if node.pool not in platform.pools and node.units)
    return (*found, Pool(name="", nodes=others)) if others else tuple(found)


def _taken(pods: Iterable[Pair]) -> dict[str, Taken]:
    found: dict[str, Taken] = {}
    for pod, raw in pods:
        if not pod.holds:
            continue
        node = found.setdefault(pod.node, Taken())
        cpu, memory = requests(raw)
        node.cpu, node.memory = node.cpu + cpu, node.memory + memory
        holder = Holder(team=pod.team, namespace=pod.namespace, pod=pod.name, share=pod.fraction)
        if pod.namespace == KAI_RESERVATION_NAMESPACE:
            for group in groups(table(raw, "metadata", "labels")):
                node.shared.setdefault(group, [])
                node.uuids[group] = text(raw, "metadata", "annotations", RESERVED_UUID)
            continue
        for group in pod.groups:
            node.shared.setdefault(group, []).append(holder)
        for resource, count in gpus_asked(raw).items():
            one = Holder(team=pod.team, namespace=pod.namespace, pod=pod.name, share=1.0)
            node.whole += [(resource, one)] * min(int(count), MOST_UNITS)
    return found


def _node(node: Json, platform: Platform, taken: Taken) -> Node:
    labels = {str(key): str(value) for key, value in table(node, "metadata", "labels").items()}
    given = table(node, "status", "allocatable")
    return Node(
        name=name(node),
        pool=_pool_of(name(node), labels, platform),
        ready=condition(node, "Ready").get("status") == "True",
        cordoned=table(node, "spec").get("unschedulable") is True,
        fenced=text(node, "metadata", "annotations", FENCED_FOR) if LABEL_FENCED in labels else None,
        taints=tuple(
            f"{text(taint, 'key')}={text(taint, 'value')}:{text(taint, 'effect')}".replace("=:", ":")
            for taint in rows(node, "spec", "taints")
        ),
        product=labels.get(GPU_PRODUCT, ""),
        memory_mib=memory_of([node]).get(name(node), 0),
        units=units_of(node, taken),
        pressures=tuple(kind for kind in PRESSURES if condition(node, kind).get("status") == "True"),
        cpu=number(given.get("cpu")),
        memory=number(given.get("memory")),
        cpu_used=taken.cpu,
        memory_used=taken.memory,
        labels=labels,
    )


def _pool_of(node: str, labels: Mapping[str, str], platform: Platform) -> str:
    for pool, wanted in platform.pools.items():
        if node in wanted.nodes or (wanted.selector and wanted.selector.items() <= labels.items()):
            return pool
    return labels.get(LABEL_POOL, "")


# --- teams ------------------------------------------------------------------------------------------------------------


def _team(
    team: str, wanted: Wanted | None, platform: Platform, look: Look, pods: list[Pair], there: Mapping[str, Json]
) -> Team:
    said, space = look.of(team), there.get(team)
    mode = wanted.scheduler.mode.value if wanted else ""
    on_host = mode == SchedulerMode.HOST
    found = [pod for pod, _ in pods]
    missing = look.host.api == UP and "namespaces" not in look.host.refused and space is None
    return Team(
        name=team,
        namespace=team_namespace(team),
        pool=(wanted.pool if wanted else text(space, "metadata", "labels", LABEL_POOL)) or "",
        mode=mode,
        nodes=_nodes_of(wanted, platform, said, look.host),
        api=NOT_MADE if missing and said.api != UP else said.api,
        made=moment(space, "metadata", "creationTimestamp"),
        kubernetes=said.version,
        vcluster=next((_tag(raw) for _, raw in pods if _is_control_plane(raw)), ""),
        kai=_components((look.host if on_host else said).all("kai")),
        queues=tuple(_queues(team, look.host if on_host else said, found, on_host=on_host)),
        pods=tuple(found),
        quota=_quota(look.host, team_namespace(team)),
        check=_check(said),
        sharing=wanted is None or wanted.scheduler.shares,
        paused=wanted is not None and wanted.paused,
    )


def _nodes_of(wanted: Wanted | None, platform: Platform, said: Said, host: Said) -> tuple[str, ...]:
    if wanted is not None and wanted.pool is None:
        # then the host's nodes are not synced: its cluster only lists stand-ins for nodes that run its pods
        return tuple(name(node) for node in host.all("nodes"))
    if said.all("nodes"):
        return tuple(name(node) for node in said.all("nodes"))
    pool = platform.pools.get(wanted.pool or "") if wanted else None
    if wanted is None or pool is None:
        return ()
    named = wanted.nodes or pool.nodes
    selector = (pool.selector or {}).items()
    return named or tuple(
        name(n) for n in host.all("nodes") if selector and selector <= table(n, "metadata", "labels").items()
    )


def _is_control_plane(pod: Json) -> bool:
    return text(pod, "metadata", "labels", CONTROL_PLANE) == "vcluster"


def _tag(thing: Json, *path: str) -> str:
    """The tag of the first image of a pod, or of a pod's template at a path."""
    return tag_of(next((text(c, "image") for c in rows(thing, *path, "spec", "containers")), ""))


def _components(objects: Iterable[Json]) -> tuple[Component, ...]:
    """Deployments and DaemonSets; their numbers have different names."""
    return tuple(
        Component(
            name=name(one),
            version=_tag(one, "spec", "template"),
            ready=int(number(table(one, "status").get("readyReplicas") or table(one, "status").get("numberReady"))),
            wanted=int(
                number(table(one, "status").get("desiredNumberScheduled") or table(one, "spec").get("replicas"))
            ),
        )
        for one in objects
        if name(one)
    )


def _queues(team: str, said: Said, pods: list[Pod], *, on_host: bool) -> Iterator[Queue]:
    parent = parent_queue(team)
    mine = [
        queue
        for queue in said.all("queues")
        if not on_host or parent in (name(queue), text(queue, "spec", "parentQueue"))
    ]
    children = {name(q): {name(c) for c in mine if text(c, "spec", "parentQueue") == name(q)} for q in mine}
    for queue in mine:
        gpu, ids = table(queue, "spec", "resources", "gpu"), {name(queue), *children[name(queue)]}
        of = [pod for pod in pods if pod.queue in ids]
        shown = name(queue).removeprefix(leaf_queue(team, "", on_host=True)) if on_host else name(queue)
        yield Queue(
            name=name(queue),
            shown=shown,
            team=team,
            parent=text(queue, "spec", "parentQueue"),
            quota=number(gpu.get("quota", 0)),
            limit=number(gpu.get("limit", 0)),
            weight=number(gpu.get("overQuotaWeight", 0)),
            priority=int(number(table(queue, "spec").get("priority", 0))),
            used=sum(pod.share for pod in of if pod.holds),
            waiting=sum(pod.share for pod in of if pod.waits and not pod.node),
            on_host=on_host,
        )


def _quota(host: Said, space: str) -> dict[str, tuple[float, float]]:
    found: dict[str, tuple[float, float]] = {}
    for quota in host.all("resourcequotas"):
        if namespace(quota) != space:
            continue
        used = table(quota, "status", "used")
        for key, hard in table(quota, "spec", "hard").items():
            entry = number(used.get(key)), number(hard)
            if key not in found or entry[1] - entry[0] < found[key][1] - found[key][0]:
                found[key] = entry
    return found


def _check(said: Said) -> Check | None:
    held = next((table(one, "data") for one in said.all("check")), {})
    report = parsed(text(held, "report.json"))
    verdict = text(held, "verdict") or text(report, "verdict")
    if not verdict:
        return None
    return Check(
        verdict=verdict,
        at=moment(report, "startedAt"),
        sentence=text(report, "sentence"),
        node=text(report, "node"),
        findings=tuple(
            Finding(
                severity=text(one, "severity"),
                message=text(one, "message"),
                advice=text(one, "advice"),
                gpu=text(one, "gpu"),
            )
            for one in rows(report, "findings")
        ),
    )


def _events(team: str, said: Said) -> Iterator[Event]:
    for kind in ("warnings", "evictions", "gangs"):
        for event in said.all(kind):
            about = table(event, "involvedObject")
            at = moment(event, "lastTimestamp") or moment(event, "eventTime")
            yield Event(
                team=team,
                reason=text(event, "reason"),
                message=text(event, "message")[:LONGEST_SAID],
                kind=text(about, "kind"),
                namespace=text(about, "namespace"),
                name=text(about, "name"),
                at=at or moment(event, "metadata", "creationTimestamp"),
                count=int(number(table(event).get("count") or table(event, "series").get("count"))) or 1,
            )


def gpu_bound(team: Team) -> tuple[float, float] | None:
    """GPUs used and allowed by the host's ResourceQuota; None where there is none."""
    found = [team.quota[key] for key in (f"requests.{r}" for r in GPU_RESOURCES) if key in team.quota]
    return team.quota.get(f"requests.{GPU}") or max(found, key=lambda pair: pair[1], default=None)
