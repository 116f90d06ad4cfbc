"""Judges the machines: a host cluster that this program makes, and SLURM beside it. Pure."""

from __future__ import annotations

from typing import Final

from preview.facts import CLUSTER_UID, MADE
from preview.kinds import Edit, Effect, Kind
from preview.values import numbers_of, quantity

HOST: Final = "host cluster"
SLURM: Final = "slurm"


def made(edit: Edit) -> Effect | None:
    """A cluster that this program makes is added, removed or replaced. Only what the program made is deleted."""
    if edit.after is None:
        means = f"the cluster {edit.before} is taken down, unless it was there before: everything in it is lost"
        return Effect(kind=Kind.LOSING, means=means, allow="anotherCluster", topic=HOST)
    if edit.before is not None:
        means = f"{edit.before} becomes {edit.after}: another cluster, everything of every team is lost"
        return Effect(kind=Kind.LOSING, means=means, allow="anotherCluster", topic=HOST)
    if not edit.old.tenants or _is_the_same(edit):
        return None
    means = (
        f"this program makes the cluster from now on ({edit.after}): if the stack's own is another one, everything of "
        "every team is lost, and a preview can't see whether it is"
    )
    return Effect(kind=Kind.UNKNOWN, means=means, allow="anotherCluster", topic=HOST)


def machine(edit: Edit) -> Effect | None:
    """Another machine may answer than the one on which the cluster was made."""
    if edit.old.stack.get(MADE) is None or edit.new.stack.get(MADE) is None or _is_the_same(edit):
        return None  # `made` judges whether there is a cluster of ours at all
    means = (
        f"{edit.path} changes from {edit.before or 'none'} to {edit.after or 'none'}: if that is another machine, "
        "another cluster is made there, and everything of every team is lost to this stack"
    )
    return Effect(kind=Kind.UNKNOWN, means=means, allow="anotherCluster", topic=HOST)


def _is_the_same(edit: Edit) -> bool:
    uid = edit.old.stack.get(CLUSTER_UID)
    return uid is not None and uid == edit.new.stack.get(CLUSTER_UID)


def host_kubernetes(edit: Edit) -> Effect | None:
    """Another Kubernetes on the host itself. A newer one restarts the node; with an older one the stored data may not
    be readable.
    """
    if edit.before is None or edit.after is None:
        return None
    old, new = numbers_of(edit.before), numbers_of(edit.after)
    words = f"the host's Kubernetes {edit.before} → {edit.after}"
    if old is None or new is None:
        means = f"{words}: these can't be compared"
        return Effect(kind=Kind.UNKNOWN, means=means, allow="anotherCluster", topic=HOST)
    if new[:2] < old[:2]:
        means = f"{words} is a downgrade: what the newer one stored may not be readable, for every team"
        return Effect(kind=Kind.LOSING, means=means, allow="anotherCluster", topic=HOST)
    return Effect(kind=Kind.DISRUPTIVE, means=f"{words}: its API server restarts, and pods of the node may", topic=HOST)


def docker(edit: Edit) -> Effect | None:
    """The program may now change Docker's configuration, which restarts Docker. Switched off, the old configuration
    comes back only at destroy.
    """
    if edit.after is not True or edit.before is None:
        return None
    means = "Docker restarts on the host where its default runtime is another: all its containers stop, nodes too"
    return Effect(kind=Kind.DISRUPTIVE, means=means, topic="docker")


def nvidia_addon(edit: Edit) -> Effect | None:
    """The addon brings a GPU Operator. Switched off, the operator stays."""
    if edit.after is not True or edit.before is None:
        return None
    means = "microk8s' addon brings a GPU Operator: running pods keep their GPUs, new ones wait until it is there"
    return Effect(kind=Kind.DISRUPTIVE, means=means, topic="gpu software")


# --- SLURM ----------------------------------------------------------------------------------------------------------

_RESTARTS: Final = "SLURM's daemons restart with it; jobs that run go on"


def slurm_host(edit: Edit) -> Effect | None:
    """SLURM is added, removed, or made on another host."""
    if edit.before is None:
        return None
    if edit.after is None:
        return _slurm_lost(f"SLURM is removed from {edit.before}: jobs that run or wait there are lost")
    return _slurm_lost(
        f"SLURM moves from {edit.before} to {edit.after}: nothing takes it off {edit.before}, and its jobs are "
        "not moved"
    )


def slurm_machine(edit: Edit) -> Effect | None:
    """The machine behind the name changes. From or to this machine, the old machine's SLURM is removed."""
    if not _slurm_stays(edit):
        return None
    if edit.before is None or edit.after is None:
        place = "this machine" if edit.before is None else str(edit.before)
        return _slurm_lost(f"SLURM is removed from {place}: jobs that run or wait there are lost")
    means = (
        f"{edit.path} changes: if that is another machine, nothing takes SLURM off the old one, and its jobs are not "
        "moved"
    )
    return Effect(kind=Kind.UNKNOWN, means=means, allow="slurm", topic=SLURM)


def slurm_partition(edit: Edit) -> Effect | None:
    """When slurmctld starts, it fails jobs whose partition it no longer finds."""
    if not _slurm_stays(edit) or edit.before is None:
        return None
    return _slurm_lost(f"SLURM's partition {edit.before} is removed: jobs that run or wait in it fail")


def slurm_gpus(edit: Edit) -> Effect | None:
    """Fewer GPUs: jobs on the removed ones no longer count."""
    if not _slurm_stays(edit) or edit.before is None or edit.after is None:
        return None
    old, new = quantity(edit.before, edit.path), quantity(edit.after, edit.path)
    if new >= old:
        return Effect(kind=Kind.DISRUPTIVE, means=f"SLURM's GPUs {old} → {new}: {_RESTARTS}", topic=SLURM)
    return _slurm_lost(f"SLURM's GPUs {old} → {new}, and what runs on the removed ones is not known: jobs may fail")


def slurm_setting(edit: Edit) -> Effect | None:
    """A setting in SLURM's files."""
    if not _slurm_stays(edit):
        return None
    means = f"{edit.path} changes: {_RESTARTS}, jobs that name the old one wait"
    return Effect(kind=Kind.DISRUPTIVE, means=means, topic=SLURM)


def _slurm_stays(edit: Edit) -> bool:
    was, now = edit.old.stack.get("slurm.host"), edit.new.stack.get("slurm.host")
    return was is not None and was == now


def _slurm_lost(means: str) -> Effect:
    return Effect(kind=Kind.LOSING, means=means, allow="slurm", topic=SLURM)
