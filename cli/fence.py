"""`make fence` and `make unfence`: take a node out of service, in the cluster and in the sums.

A fence is written on the node (a label, the cordon, why and since when). `up` does not touch it, and every preview and
`up` reads it. It works for pools by name and by labels. It moves no pod.

Owns: the one patch, the pods that still run there, what to look at, the messages. Leaves to others: what no longer fits
(`preflight/fences.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import Final

from lightkube import Client
from lightkube.resources.core_v1 import ConfigMap, Node, Pod
from lightkube.types import PatchType

from capacity import listed
from cli.errors import InputError
from cli.live import node_facts, request
from cli.preflight import ClusterFacts, NodeFacts
from cli.preflight.facts import LONGEST_REASON
from cli.preflight.fences import fenced_nodes, not_there
from cli.preflight.nodes import pool_nodes
from lenient import parsed, text
from names import (
    CHECK_REPORT,
    ENDED,
    FENCED_CORDONED,
    FENCED_FOR,
    FENCED_SINCE,
    GPU,
    HOST_NAMESPACE,
    LABEL_FENCED,
    Object,
)
from seen.model import Team
from settings.models import Platform
from settings.problems import escaped

FIELD_MANAGER: Final = "gpu-tenancy-fence"
BAD: Final = ("fail", "could-not-tell")
"""Verdicts of a host check that are a reason to fence its node."""


def fence(client: Client, platform: Platform, name: str, reason: str, now: datetime) -> list[str]:
    """Take a node out of service. A second call changes the reason. Raises `InputError`; then nothing is done."""
    if not reason.strip() or reason != escaped(reason) or len(reason) > LONGEST_REASON:
        raise InputError(
            f"a reason must be one line of 1 to {LONGEST_REASON} printable characters.",
            f"`make fence NODE={name} REASON='Xid 79, ticket 4711'`",
        )
    facts = node_facts(client)
    pool, node = _known(platform, facts, name)
    before = node.fence.cordoned_before if node.fence else node.cordoned
    since = node.fence.since if node.fence and node.fence.since else now.strftime("%Y-%m-%dT%H:%M:%SZ")
    said = {FENCED_SINCE: since, FENCED_FOR: reason, FENCED_CORDONED: "true" if before else "false"}
    _patch(client, name, labels={LABEL_FENCED: "true"}, annotations=said, cordon=True)
    lines = [f"node {name} of pool {pool} is fenced: cordoned, and its GPUs no longer count ({reason})"]
    lines += _still_there(client, name)
    lines += _fit(platform, node_facts(client))
    lines.append(f"it stays so through every `up`, which warns of it; `make unfence NODE={name}` undoes it")
    return lines


def unfence(client: Client, platform: Platform, name: str) -> list[str]:
    """Put a node back into service. Raises `InputError` where it is not fenced; then nothing is done."""
    facts = node_facts(client)
    node = facts.get(name)
    if node is None or node.fence is None:
        fenced = [each for each, found in facts.items() if found.fence is not None]
        raise InputError(
            f"node {name!r} is not fenced." if name in facts else f"the cluster has no node {name!r}.",
            f"fenced are: {', '.join(fenced) or 'none'}"
            + (f"; it is cordoned by somebody else: `kubectl uncordon {name}`" if node and node.cordoned else ""),
        )
    before = node.fence.cordoned_before
    gone = dict.fromkeys((FENCED_SINCE, FENCED_FOR, FENCED_CORDONED))
    _patch(client, name, labels={LABEL_FENCED: None}, annotations=gone, cordon=before)
    lines = [f"node {name} is back: it was {node.fence}"]
    if before:
        lines.append(f"it was cordoned before it was fenced, and stays so: `kubectl uncordon {name}`")
    if fault := _fault(node):
        lines.append(f"look at it: it {fault}")
    return [*lines, *_fit(platform, node_facts(client))]


def _faults(facts: Mapping[str, NodeFacts], platform: Platform, checks: Mapping[str, str]) -> Iterator[str]:
    for name, node in sorted(_in_pools(platform, facts).items()):
        if node.fence is not None:
            open_ = "" if node.cordoned else ", and somebody has uncordoned it: new pods may go there"
            yield f"node {name} is {node.fence}{open_}; `make unfence NODE={name}` when it works again"
        elif fault := _fault(node) or checks.get(name, ""):
            yield f"node {name} {fault}; `make fence NODE={name} REASON=...` takes it out of service"


def out_of_order(client: Client, platform: Platform, teams: Iterable[Team] = ()) -> list[str]:
    """Return the nodes that differ from the stack file, one line each: fenced ones with what no longer fits, and those
    with a fault that is a reason to fence them. `teams`: teams whose own checks count, too.
    """
    facts = node_facts(client)
    lines = list(_faults(facts, platform, {**_bad_team_checks(teams), **_bad_checks(client)}))
    return lines + (_fit(platform, facts) if fenced_nodes(platform, _as_facts(facts)) else [])


# --- what is seen -----------------------------------------------------------------------------------------------------


def _in_pools(platform: Platform, facts: Mapping[str, NodeFacts]) -> dict[str, NodeFacts]:
    whole = _as_facts(facts)
    return {node.name: node for pool in platform.pools.values() for node in pool_nodes(pool, whole)}


def _as_facts(nodes: Mapping[str, NodeFacts]) -> ClusterFacts:
    """Only the nodes, in the form of preflight's rules."""
    return ClusterFacts(
        version="",
        nodes=nodes,
        runtime_classes=None,
        storage_classes=None,
        namespaces=None,
        node_ports=None,
        device_plugins=None,
        gpu_operators=None,
    )


def _known(platform: Platform, facts: Mapping[str, NodeFacts], name: str) -> tuple[str, NodeFacts]:
    ours = _in_pools(platform, facts)
    if name not in ours:
        near = get_close_matches(name, ours, n=1, cutoff=0.5)
        there = "is in no pool of the stack file" if name in facts else "is not in the cluster"
        raise InputError(
            f"node {name!r} {there}; nothing was done.",
            f"write {near[0]}" if near else f"the pools' nodes are: {', '.join(sorted(ours)) or 'none'}",
        )
    whole = _as_facts(facts)
    pool = next(each for each, pool in platform.pools.items() if ours[name] in pool_nodes(pool, whole))
    return pool, ours[name]


def _fault(node: NodeFacts) -> str:
    """What kubelet and device plugin say is wrong with a node's GPUs; empty where nothing is."""
    if not node.ready:
        return "is not Ready"
    held = (node.gpu_capacity or 0) - (node.gpus or 0)
    if held > 0:
        return f"holds {held} of {node.gpu_capacity} {GPU} for unhealthy (Xid: see the device plugin's log)"
    return ""


def _bad_checks(client: Client) -> dict[str, str]:
    """The failed checks of the host, by the node in their report."""
    found = {}
    for each in client.list(ConfigMap, namespace=HOST_NAMESPACE):
        name = (each.metadata.name if each.metadata else None) or ""
        report = parsed((each.data or {}).get("report.json")) if name.startswith(CHECK_REPORT) else {}
        verdict, node = text(report, "verdict"), report.get("node")
        if verdict in BAD and isinstance(node, str):
            found[node] = f"has a check that says {verdict}: {escaped(str(report.get('sentence')))}"
    return found


def _bad_team_checks(teams: Iterable[Team]) -> dict[str, str]:
    """The failed checks of teams, by node. The report is in the team's own cluster, so the line names the team that may
    have written it.
    """
    return {
        team.check.node: f"has a check of team {team.name} that says fail: {escaped(team.check.sentence)}"
        for team in teams
        if team.check is not None and team.check.node and team.check.verdict == "fail"
    }


def _still_there(client: Client, node: str) -> Iterator[str]:
    """The pods with GPUs on the node. A fence moves none of them."""
    held = []
    for pod in client.list(Pod, namespace="*", fields={"spec.nodeName": node}):
        there = pod.spec is not None and pod.spec.nodeName == node
        if there and pod.spec and (pod.status is None or pod.status.phase not in ENDED) and request(pod.spec, GPU):
            held.append(f"{pod.metadata.namespace}/{pod.metadata.name}" if pod.metadata else "?")
    if held:
        yield (
            f"still there with GPUs: {listed(sorted(held), _SHOWN)}; "
            f"`kubectl drain {node} --ignore-daemonsets --delete-emptydir-data` ends them"
        )


_SHOWN: Final = 5
"""The most pods that are named; the rest is counted."""


def _fit(platform: Platform, nodes: Mapping[str, NodeFacts]) -> list[str]:
    """The promises of the stack file that can't be kept without the fenced nodes, one line each, or that all can."""
    found = not_there(platform, _as_facts(nodes))
    return [f"does not fit any more: {', '.join(one.about)}: {one.text}" for one in found] or [
        "every team's quota fits"
    ]


def _patch(
    client: Client, name: str, *, labels: Mapping[str, str | None], annotations: Mapping[str, str | None], cordon: bool
) -> None:
    """One request, so that nothing is half-done."""
    body: Object = {
        "metadata": {"labels": dict(labels), "annotations": dict(annotations)},
        "spec": {"unschedulable": True if cordon else None},
    }
    client.patch(Node, name, body, patch_type=PatchType.MERGE, field_manager=FIELD_MANAGER)
