"""Judges a team's workloads: one is removed, restarts, or loses its volume. Pure."""

from __future__ import annotations

from typing import Final

from preview.kinds import Edit, Effect, Kind
from preview.values import UnreadableError, quantity

_TWICE: Final = "remove the cache in one update, and add it in the next"


def _name(edit: Edit) -> str:
    return edit.path.split(".")[3]


def kind(edit: Edit) -> Effect | None:
    """A workload that is removed, or one of another kind with the same name: its objects are other ones."""
    name = _name(edit)
    if edit.after is None:
        means = f"workload {name} is removed: its pods end{_volume_goes(edit)}"
        return Effect(kind=Kind.LOSING, means=means, allow="lowerLimit", topic=f"workload {name}")
    # the engine makes what is new before it deletes what goes, and both have the same names in the cluster
    means = f"workload {name} becomes another kind ({edit.before} → {edit.after}), under names that are still taken; "
    means += "give it another name, or remove it in one update and add it in the next"
    return Effect(kind=Kind.LOSING, means=means, topic=f"workload {name}")


def _volume_goes(edit: Edit) -> str:
    sizes = [f"workloads.{_name(edit)}.{field}" for field in ("cache.size", "storage")]
    if any(edit.was.get(path) is not None for path in sizes):
        return ", and its own volume is deleted"
    # facts of a state say no sizes
    return "" if all(path in edit.was for path in sizes) else ", and its own volume, if it has one, is deleted"


def restarts(edit: Edit) -> Effect | None:
    """Its pods are made anew."""
    name = _name(edit)
    means = f"workload {name} restarts: it does not answer until its new pods are ready"
    return Effect(kind=Kind.DISRUPTIVE, means=means, topic=f"workload {name}")


def replicas(edit: Edit) -> Effect | None:
    """Fewer pods."""
    if edit.before is None or edit.after is None or quantity(edit.after, edit.path) >= quantity(edit.before, edit.path):
        return None
    name = _name(edit)
    means = f"workload {name} has fewer pods: {edit.before} → {edit.after}"
    return Effect(kind=Kind.DISRUPTIVE, means=means, topic=f"workload {name}")


def address(edit: Edit) -> Effect | None:
    """People reach it at another address, or other people do."""
    if edit.before is None:
        return None  # it was not reachable before
    name = _name(edit)
    means = f"workload {name} is reached at another address"
    return Effect(kind=Kind.DISRUPTIVE, means=means, topic=f"address of workload {name}")


def cache_size(edit: Edit) -> Effect | None:
    """A volume can grow where its class allows it; it never shrinks."""
    if edit.before is None:
        return restarts(edit)
    if edit.after is None:
        return _cache_lost(edit, "is removed")
    try:
        was, is_ = quantity(edit.before, edit.path), quantity(edit.after, edit.path)
        if was == is_:
            return None
        shrinks = is_ < was
    except UnreadableError:
        shrinks = True
    name = _name(edit)
    if not shrinks:
        return Effect(kind=Kind.IN_PLACE, means="the volume grows, if its class allows it", topic=f"cache of {name}")
    means = (
        f"cache of workload {name} {edit.before} → {edit.after}: a volume can't shrink, Kubernetes refuses it; {_TWICE}"
    )
    return Effect(kind=Kind.LOSING, means=means, topic=f"cache of {name}")


def controller_volume(edit: Edit) -> Effect | None:
    """SLURM's controller gets another volume, where the workload existed and stays."""
    if edit.before is None or edit.after is None:
        return None
    name = _name(edit)
    means = f"volume of workload {name}'s controller {edit.before} → {edit.after}: its jobs and their history are lost"
    return Effect(kind=Kind.LOSING, means=means, allow="replace", topic=f"volume of {name}")


def cache_class(edit: Edit) -> Effect | None:
    """A claim's class never changes, and a claim does not go while a pod uses it: the engine would wait in vain."""
    if edit.was.get(_size(edit)) is None or edit.now.get(_size(edit)) is None:
        return None  # the size shows that there is, or was, no volume
    means = f"cache of workload {_name(edit)} in another class: its pod keeps the old claim from going; {_TWICE}"
    return Effect(kind=Kind.LOSING, means=means, topic=f"cache of {_name(edit)}")


def _size(edit: Edit) -> str:
    return f"workloads.{_name(edit)}.cache.size"


def _cache_lost(edit: Edit, what: str) -> Effect:
    name = _name(edit)
    means = f"cache of workload {name} {what}: what is in it is lost, and loaded again if it can be"
    return Effect(kind=Kind.LOSING, means=means, allow="replace", topic=f"cache of {name}")
