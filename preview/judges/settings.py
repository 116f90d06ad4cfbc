"""Judges the settings of a team and of its cluster: mode, isolation, storage, access, and which cluster it is. Pure."""

from __future__ import annotations

from typing import Final

from capacity import parse_quantity
from preview.facts import CLUSTER_UID
from preview.judges.machines import HOST
from preview.judges.numbers import gpus, in_use, not_known
from preview.kinds import Edit, Effect, Kind


def mode(edit: Edit) -> Effect | None:
    """Another scheduler for a team: its queues are other objects under other names."""
    means = (
        f"scheduler mode {edit.before} → {edit.after}: its API server restarts, its scheduler and its queues are "
        "removed, running pods go on, pods that name them wait; its check follows"
    )
    used = in_use(edit.use)
    if edit.before == "default":
        means = f"scheduler mode default → {edit.after}: its API server restarts, running pods go on; its check follows"
        return Effect(kind=Kind.DISRUPTIVE, means=means, topic="scheduler")
    if used == 0:
        return Effect(kind=Kind.DISRUPTIVE, means=means, topic="scheduler")
    run = f"{gpus(used)} in use under them now" if used is not None else not_known(edit.use)
    return Effect(kind=Kind.LOSING, means=f"{means}, and {run}", allow="replace", topic="scheduler")


STATE: Final = "state"


def state(edit: Edit) -> Effect | None:
    """Paused: running pods are stopped. Resumed: nothing is lost."""
    if edit.after != "paused":
        return None
    means = (
        "paused: its pods are stopped and its GPUs given back; its objects, volumes and API server stay, and what has "
        "no controller does not come back"
    )
    return _unless_idle(edit, means, STATE)


def _unless_idle(edit: Edit, means: str, topic: str) -> Effect:
    """What ends the pods with GPUs: a loss, unless it is known that there are none."""
    used = in_use(edit.use)
    if used == 0:
        return Effect(kind=Kind.DISRUPTIVE, means=means, topic=topic)
    run = f"{gpus(used)} in use now" if used is not None else not_known(edit.use)
    return Effect(kind=Kind.LOSING, means=f"{means}; {run}", allow="lowerLimit", topic=topic)


def shared_owner(edit: Edit) -> Effect | None:
    """The host's KAI changes its owner. Where there is none before or after, its version's row covers it."""
    if edit.before is None or edit.after is None:
        return None
    means = "the shared scheduler changes its owner: running pods go on, new ones wait until the other is there"
    return Effect(kind=Kind.DISRUPTIVE, means=means, topic="shared scheduler")


def backing_store(edit: Edit) -> Effect | None:
    """Another store is an empty one."""
    means = (
        f"backing store {edit.before} → {edit.after}: its virtual cluster starts empty, or vCluster refuses to "
        "start; vCluster supports no move between the two"
    )
    return Effect(kind=Kind.LOSING, means=means, allow="replace", topic="cluster")


def persistence(edit: Edit) -> Effect | None:
    """From a volume into the pod or back: the other place is empty."""
    to = (
        "off: its virtual cluster moves into its pod"
        if edit.after is False
        else "on: its virtual cluster moves to a volume"
    )
    means = f"persistence {to} and starts empty, everything in it is lost"
    return Effect(kind=Kind.LOSING, means=means, allow="replace", topic="cluster")


def sharing(edit: Edit) -> Effect | None:
    """Fractions are switched off: new pods that ask for one are refused."""
    if edit.after is not False:
        return Effect(kind=Kind.DISRUPTIVE, means="its scheduler's pods restart", topic="scheduler")
    means = "GPU fractions are switched off: running pods go on, new ones that ask for a fraction are refused"
    return Effect(kind=Kind.DISRUPTIVE, means=means, topic="fractions")


def snapshots(edit: Edit) -> Effect | None:
    """The volume of a team's snapshots: it can grow but not shrink, and the snapshots are lost with it."""
    bucket, size = "vcluster.snapshots.s3.bucket", "vcluster.snapshots.size"
    before, after = (None if side.get(bucket) else side.get(size) for side in (edit.was, edit.now))
    if not isinstance(before, str) or before == after:
        return None
    if not isinstance(after, str):
        means = f"its snapshots on the volume of {before} are deleted with it"
        return Effect(kind=Kind.LOSING, means=means, allow="delete", topic="snapshots")
    if parse_quantity(after) < parse_quantity(before):
        means = f"the volume of its snapshots {before} → {after}: Kubernetes refuses one that shrinks"
        return Effect(kind=Kind.UNKNOWN, means=means, topic="snapshots")
    return None


_STRICTNESS: Final = ("privileged", "baseline", "restricted")


def isolation(edit: Edit) -> Effect | None:
    """Stricter: running pods stay, what restarts may be refused."""
    levels = [_STRICTNESS.index(level) if level in _STRICTNESS else -1 for level in (edit.before, edit.after)]
    if levels[1] <= levels[0]:
        return None
    means = f"isolation {edit.before} → {edit.after}: running pods stay, new ones that do not comply are refused"
    return Effect(kind=Kind.DISRUPTIVE, means=means, topic="isolation")


def user_kubeconfig(edit: Edit) -> Effect | None:
    """Off: the account is deleted, and its kubeconfigs stop working."""
    if edit.after is not False:
        return None
    return Effect(kind=Kind.DISRUPTIVE, means="its kubeconfig without admin rights stops working", topic="user access")


def same_cluster(edit: Edit) -> Effect | None:
    """Another way to the host cluster: harmless as long as it is the same cluster."""
    if edit.old.stack.get("host.provider") == edit.new.stack.get("host.provider") == "lab":
        return None  # the lab finds its servers by itself
    before, after = edit.old.stack.get(CLUSTER_UID), edit.new.stack.get(CLUSTER_UID)
    if before is not None and before == after:
        return None
    if before is not None and after is not None:
        return another_cluster(edit)
    if not edit.old.tenants:
        return None  # nobody's
    means = (
        f"{edit.path} changes from {edit.before or 'none'} to {edit.after or 'none'}: if that is another cluster, "
        "everything of every team is lost to this stack, and a preview can't see whether it is"
    )
    return Effect(kind=Kind.UNKNOWN, means=means, allow="anotherCluster", topic=HOST)


def provider(edit: Edit) -> Effect | None:
    """Another kind of cluster is another cluster, unless it is known to be the same."""
    uids = {facts.stack.get(CLUSTER_UID) for facts in (edit.old, edit.new)}
    if len(uids) > 1 or None in uids:
        return another_cluster(edit)
    means = (
        f"the cluster is the same, and taken for {edit.after} instead of {edit.before}: its GPU software may restart"
    )
    return Effect(kind=Kind.DISRUPTIVE, means=means, topic=HOST)


def another_cluster(edit: Edit) -> Effect | None:
    """Another cluster under the same stack."""
    uids = [facts.stack.get(CLUSTER_UID) for facts in (edit.old, edit.new)]
    what = f"{edit.path} {edit.before} → {edit.after}" if None in uids else f"cluster {uids[0]} → {uids[1]}"
    if not edit.old.tenants:
        return None  # nobody's
    means = f"{what}: another cluster under this stack, everything of every team is lost"
    return Effect(kind=Kind.LOSING, means=means, allow="anotherCluster", topic=HOST)


def storage_class(edit: Edit) -> Effect | None:
    """A StatefulSet's claims can't be changed: Kubernetes refuses the update."""
    if edit.was.get("vcluster.persistence") is False:
        return None  # it has no volume
    means = (
        f"storage class {edit.before or 'default'} → {edit.after or 'default'}: the volume of a virtual cluster can't "
        "change, so Kubernetes refuses the update, and only a new virtual cluster gets it: an empty one"
    )
    return Effect(kind=Kind.LOSING, means=means, allow="replace", topic="cluster")


def gpu_driver(edit: Edit) -> Effect | None:
    """Whose driver the GPU nodes have. The operator evicts pods with GPUs before it changes or removes its driver."""
    topic = "gpu driver"
    if edit.before in (None, "host"):
        means = "GPU nodes without a driver get the GPU Operator's, those that have one keep it"
        return Effect(kind=Kind.DISRUPTIVE, means=means, topic=topic)
    means = "the GPU Operator's driver is removed from the nodes, and what runs on their GPUs ends"
    if edit.after not in (None, "host"):
        means = "the GPU Operator's driver is installed anew, node by node, and pods with GPUs are evicted there"
    return _unless_idle(edit, means, topic)
