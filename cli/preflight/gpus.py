"""How many GPUs a node has, of which kind, and whether the stack file agrees.

Each node has one finding about its number of GPUs. Allocatable, capacity, MIG slices, left-over and renamed names and
feature discovery's label are judged together, because the fix of one could undo the fix of another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import releases
from cli.preflight.discovered import discovered
from cli.preflight.driver import driver_findings
from cli.preflight.facts import VENDOR, ClusterFacts, NodeFacts
from cli.preflight.findings import Finding, Level, error, note, warning
from cli.preflight.labels import labels_are_refused, plugin_is_ours
from cli.preflight.sharing import replicas_now
from names import GPU, GPU_COUNT, GPU_PRESENT, GPU_RESOURCES
from releases import KaiRelease
from settings.models import Platform, Pool, SchedulerMode, Team
from settings.rules.enforcement import enforces

MIG_SWITCH: Final = "node-role.kubernetes.io/mig-enabled"
"""Where a node has this label, KAI only uses it to decide whether the node has MIG
(KAI@v0.16.8:pkg/common/constants).
"""


@dataclass(frozen=True, kw_only=True)
class Users:
    """The KAI releases that place pods on a pool, and whether one of them allows parts of a GPU."""

    kais: Mapping[str, KaiRelease]
    fractions: bool
    driver: int
    """The oldest major version of the driver that one of them needs to limit pods to their part; 0: any."""

    @property
    def count_names_at_zero(self) -> list[str]:
        """Versions that take a node for a MIG node because of a name with amount 0."""
        return [version for version, kai in self.kais.items() if kai.mig_names_count_at_zero]


def users_of(platform: Platform, pool: str, tenants: Mapping[str, Team]) -> Users:
    """Return the KAI releases that place pods on a pool. The stack file's rules report unknown versions."""
    kais: dict[str, KaiRelease] = {}
    fractions, driver = False, 0
    for team in tenants.values():
        if team.pool != pool or team.resources.gpus.limit == 0:
            continue
        version = team.scheduler.version
        if team.scheduler.mode is SchedulerMode.HOST and platform.host.scheduler is not None:
            version = platform.host.scheduler.version
        kai = releases.KAI.get(version or "")
        if kai is not None:
            kais[kai.version] = kai
            fractions = fractions or team.scheduler.shares
            if enforces(team) and kai.enforcement is not None:
                driver = max(driver, kai.enforcement.driver or 0)
    return Users(kais=kais, fractions=fractions, driver=driver)


def node_gpus(
    platform: Platform, pool: Pool, users: Users, node: NodeFacts, facts: ClusterFacts, subject: str
) -> list[Finding]:
    """Return what is wrong with the number of a node's GPUs, with its explanation; None where nothing is."""
    found = list(_numbers(platform, pool, users, node, facts, subject))
    return [*found, *_unbounded_names(node, subject), *driver_findings(users.driver, node, subject)]


def _numbers(
    platform: Platform, pool: Pool, users: Users, node: NodeFacts, facts: ClusterFacts, subject: str
) -> Iterator[Finding]:
    now = _now(platform, node, facts)
    # the plugin's present settings say what can be there; the file's changes come with `up`
    declared = pool.gpus_allocatable_per_node if now is None else pool.gpus_per_node * now
    anew = declared != pool.gpus_allocatable_per_node
    advertised = node.gpus or 0
    slices = {name: amount for name, amount in node.mig_slices.items() if amount}
    if declared == 0:
        if advertised or slices:
            what = ", ".join(([f"{advertised} {GPU}"] if advertised else []) + _amounts(slices))
            yield warning(
                "cpu-pool-with-gpus",
                subject,
                f"has {what}, the file says 0",
                f"set gpusPerNode: {advertised}, or leave it" if advertised else "take another node, or leave it",
            )
        return
    mig = _mig(pool, users, node, subject, slices)
    if mig is not None:
        yield mig
        return
    if advertised == declared:
        yield from _left_over_mig(users, node, subject)
        if (node.gpu_capacity or 0) > advertised:
            yield _held_back(pool, node, declared, subject)
        elif anew:
            yield _shared_anew(pool, advertised, subject)
        else:
            yield from _count_label(platform, pool, node, subject)
        return
    renamed = _amounts({name: amount for name, amount in node.resources.items() if name in _RENAMED and amount})
    if not advertised and renamed:
        yield error(
            "gpus-renamed",
            subject,
            f"advertises {', '.join(renamed)} and no {GPU}, the only name that KAI and our quotas count",
            "set renameByDefault: false in the device plugin's sharing config",
        )
    elif not advertised and _comes_with_up(platform, node, facts):
        yield _not_yet(platform, pool, node, subject)
    elif pool.sharing.mig and advertised == pool.gpus_per_node:
        yield error(
            "mig-off",
            subject,
            f"advertises {advertised} {GPU}, the file says {declared} slices of {pool.sharing.mig.profile}: its GPUs "
            "are not cut, or the plugin does not look for slices",
            "cut them (`nvidia-smi mig` on the node, or the GPU Operator's label nvidia.com/mig.config) while nobody "
            "uses them, and have the plugin's migStrategy at single; or remove sharing.mig",
        )
    elif pool.replicas > 1 and advertised == pool.gpus_per_node and plugin_is_ours(platform):
        yield _shared_anew(pool, advertised, subject)
    elif (node.gpu_capacity or 0) > advertised:
        yield _held_back(pool, node, declared, subject)
    elif not advertised:
        yield _none(platform, node, declared, subject)
    else:
        yield _differ(pool, node, declared, advertised, "advertises", subject)


# --- MIG --------------------------------------------------------------------------------------------------------------


def _mig(pool: Pool, users: Users, node: NodeFacts, subject: str, slices: Mapping[str, int]) -> Finding | None:
    """The finding that MIG slices by name explain; None where there are none, or where the numbers are right."""
    if not slices:
        return None
    advertised, strategy = node.gpus or 0, discovered(node.labels).strategy
    what = ", ".join(_amounts(slices))
    switched_off = node.labels.get(MIG_SWITCH, "").lower() in ("false", "f", "0")
    if users.kais and strategy == "mixed" and not switched_off:
        return error(
            "mig-slices",
            subject,
            f"has MIG slices by name ({what}) and strategy mixed: every KAI refuses whole-GPU pods and fractions there",
            "switch MIG off on that node, use strategy single, or take another node",
        )
    if advertised == pool.gpus_allocatable_per_node:
        return None
    return error(
        "mig-slices",
        subject,
        f"has {advertised} whole {GPU} and MIG slices by name ({what}); the file says {pool.gpus_allocatable_per_node} "
        "and no quota gives slices to a team",
        "switch MIG off on that node, or take another node",
    )


def _left_over_mig(users: Users, node: NodeFacts, subject: str) -> Iterator[Finding]:
    left = [name for name, amount in node.mig_slices.items() if amount == 0]
    strategy = discovered(node.labels).strategy
    # with strategy single these KAIs only refuse fractions
    matters = strategy == "mixed" or (strategy == "single" and users.fractions)
    old = users.count_names_at_zero
    if left and old and matters and MIG_SWITCH not in node.labels:
        newer = next(v for v, kai in releases.KAI.items() if kai.operator and not kai.mig_names_count_at_zero)
        yield warning(
            "mig-left-over",
            subject,
            f"{', '.join(left)} stays at 0: KAI {', '.join(old)} takes the node for one with MIG and refuses "
            f"{'whole-GPU pods' if strategy == 'mixed' else 'fractions'} there",
            f"remove the name from the node (restart its kubelet), or take KAI {newer} or newer",
        )


# --- numbers ----------------------------------------------------------------------------------------------------------

_RENAMED: Final = frozenset({f"{VENDOR}gpu.shared"})
"""The device plugin's name for replicas with `renameByDefault`."""


def _amounts(found: Mapping[str, int]) -> list[str]:
    return [f"{amount} x {name}" for name, amount in found.items()]


def _comes_with_up(platform: Platform, node: NodeFacts, facts: ClusterFacts) -> bool:
    """Whether our plugin is not on the node yet, so that its GPUs are still to come. A name at 0 proves nothing,
    because the kubelet keeps it after the plugin is gone.
    """
    if not plugin_is_ours(platform):
        return False
    holders = [*(facts.device_plugins or ()), *(facts.gpu_operators or ())]
    if node.gpus is None or not any(holder.ours for holder in holders):
        return True
    # without our label the plugin has no pod there; `up` sets it
    return node.plugins is not None and not node.plugins and GPU_PRESENT not in node.ours


def _not_yet(platform: Platform, pool: Pool, node: NodeFacts, subject: str) -> Finding:
    counted = _counted(node)
    if counted is not None and counted != pool.gpus_per_node:
        return _differ(pool, node, pool.gpus_per_node, counted, "has", subject)
    left = "" if node.gpus is None else ", the 0 there is left over from an earlier one"
    return note("gpus-not-yet", subject, f"advertises no {GPU} yet: the {platform.gpu.stack} comes with `up`{left}")


def _now(platform: Platform, node: NodeFacts, facts: ClusterFacts) -> int | None:
    """How often our plugin advertises each GPU of the node now. None if that is unknown, or the plugin is not ours."""
    if not plugin_is_ours(platform) or facts.plugin_configs is None:
        return None
    return replicas_now(node.labels, facts.plugin_configs)


def _shared_anew(pool: Pool, advertised: int, subject: str) -> Finding:
    comes = f"its {pool.gpus_allocatable_per_node} {pool.unit}s come with `up`"
    if pool.sharing.mig:
        comes += (
            f", where `nvidia-smi mig` has cut each GPU into {pool.sharing.mig.slices} of {pool.sharing.mig.profile}"
        )
    return note("replicas-not-yet", subject, f"shows {advertised} {GPU}: {comes}")


def _held_back(pool: Pool, node: NodeFacts, declared: int, subject: str) -> Finding:
    """Capacity counts every device that the plugin lists, allocatable only the healthy ones."""
    capacity, advertised = node.gpu_capacity or 0, node.gpus or 0
    healthy = f"{advertised} {'is' if advertised == 1 else 'are'}" if advertised else "none is"
    held = f"has {capacity}, of which {healthy} allocatable: the device plugin holds {capacity - advertised} for "
    held += "unhealthy (Xid)" if advertised else "unhealthy (Xid), or its pod is gone"
    mend = f"read the plugin's log for the UUID, restart the plugin's pod, or `make fence NODE={node.name}`"
    if advertised and pool.replicas > 1 and not pool.sharing.mig:
        held += "; the Xid of a shared GPU takes one of its replicas, and pods still get the others"
        mend = f"`make fence NODE={node.name}`, then read the plugin's log for the UUID and restart the plugin's pod"
    if capacity == declared:
        return error("gpus-fewer", subject, held, f"{mend}; gpusPerNode stays {pool.gpus_per_node}")
    if advertised == declared:
        message = f"{held}; gpusPerNode: {pool.gpus_per_node} hides it"
        return warning("gpus-unhealthy", subject, message, f"{mend}, then count it in gpusPerNode again")
    each = declared // pool.gpus_per_node
    whole = "" if capacity % each else f"; gpusPerNode counts the unhealthy, too: {capacity // each}"
    return error("gpus-fewer", subject, f"{held}; the file says {declared}", f"{mend}{whole}")


def _none(platform: Platform, node: NodeFacts, declared: int, subject: str) -> Finding:
    if node.plugins == () and plugin_is_ours(platform):
        look = "no pod of the device plugin runs there: look at the node's taints, and at its DaemonSet's events"
    else:
        look = "look at the device plugin's pod on that node and at `nvidia-smi` there"
    return error("gpus-none", subject, f"advertises no {GPU}, the file says {declared}", look)


def _counted(node: NodeFacts) -> int | None:
    """The number of physical GPUs in a label of somebody else."""
    return discovered(node.labels).count if GPU_COUNT not in node.ours else None


def _differ(pool: Pool, node: NodeFacts, declared: int, found: int, verb: str, subject: str) -> Finding:
    message = f"{verb} {found} {GPU}, the file says {declared}"
    each, rest = divmod(found, pool.gpus_per_node)
    if pool.replicas > 1 and each and not rest:
        if pool.sharing.mig:
            fix = f"set sharing.mig.slices to {each}, or cut the GPUs as the file says"
        else:
            ours = f"set sharing replicas to {each}" if each > 1 else "leave sharing out"
            fix = f"{ours}, or correct the device plugin's sharing config"
    elif _counted(node) == pool.gpus_counted_per_node and found < declared:
        # the label agrees with the file: another number in the file would only move the contradiction
        fix = f"find the GPUs that the node lost since label {GPU_COUNT} was written (`nvidia-smi -L` there)"
    else:
        fix = f"set gpusPerNode: {found // pool.replicas or found}, or find the GPUs that the node lacks"
    level = Level.WARNING if found > declared else Level.ERROR
    id_ = "gpus-more" if found > declared else "gpus-fewer"
    return Finding(id=id_, level=level, subject=subject, message=message, fix=fix)


def _count_label(platform: Platform, pool: Pool, node: NodeFacts, subject: str) -> Iterator[Finding]:
    """The number is right, but the label differs: the API refuses two owners of one label."""
    counted = _counted(node)
    if counted is None or counted == pool.gpus_counted_per_node or node.gpus is None:
        return
    shared = node.gpus // counted if counted and node.gpus % counted == 0 and pool.replicas == 1 else 1
    yield Finding(
        id="gpu-count-label",
        level=Level.ERROR if labels_are_refused(platform, pool) else Level.WARNING,
        subject=subject,
        message=f"label {GPU_COUNT} says {counted} physical GPUs, the file says {pool.gpus_counted_per_node}, and "
        f"{node.gpus} {GPU} are allocatable",
        fix=(f"if each GPU is shared, set gpusPerNode: {counted} and replicas: {shared}; else " if shared > 1 else "")
        + f"remove the label (`kubectl label node {node.name} {GPU_COUNT}-`)",
    )


def _unbounded_names(node: NodeFacts, subject: str) -> Iterator[Finding]:
    known = set(GPU_RESOURCES)
    free = {n: amount for n, amount in node.resources.items() if n.startswith(VENDOR) and n not in known and amount}
    if free:
        yield warning(
            "gpu-name-unknown",
            subject,
            f"advertises {', '.join(_amounts(free))}: no team's quota names that, and a missing name is unlimited",
            "make its plugin use NVIDIA's own names, or take another node",
        )


# --- in use ---------------------------------------------------------------------------------------------------------


def in_use(users: Users, nodes: Sequence[NodeFacts], pool: str) -> Iterator[Finding]:
    """Yield the GPUs that pods of others use. A virtual cluster's scheduler does not see these pods, and gives their
    GPUs to others; the second pod ends as OutOfnvidia.com/gpu.
    """
    if not users.kais:
        return
    for node in nodes:
        total = sum(node.used_gpus.values())
        if total:
            names = sorted(node.used_gpus)
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            yield warning(
                "gpus-in-use",
                f"pool {pool}, node {node.name}",
                f"other pods use {total} {GPU} ({', '.join(names[:_SHOWN])}{more}); a team's own KAI does "
                "not see them and gives the same GPUs away",
                "move them away, or give their GPUs no team: every user of a pool belongs into the stack file",
            )


_SHOWN: Final = 3
"""The most pods that are named; the rest is counted."""
