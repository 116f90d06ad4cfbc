"""Judges a team's two virtual clusters: one is added, another one serves, one is removed. Pure."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Final

import releases
from capacity import parse_quantity
from preview.facts import BLUE_GREEN, CANARY_OF, Facts, Known
from preview.kinds import Edit, Effect, Kind
from preview.usage import Use
from preview.values import numbers_of
from settings.blue_green import SWITCH

TOPIC: Final = SWITCH
_STORAGE: Final = "requests.storage"
_GIB: Final = 2**30


def comes(new: Facts, name: str) -> str | None:
    """The effect of a new slot; None for any other tenant."""
    now = new.tenants[name]
    serves = now.get(CANARY_OF)
    if now.get(BLUE_GREEN) is None or not isinstance(serves, str):
        return None
    beside = new.tenants.get(serves, {})
    inside = "vcluster.kubernetesVersion"
    mine, its = (numbers_of(known.get(inside)) for known in (now, beside))
    older = "; its Kubernetes is a downgrade, in an empty virtual cluster" if mine and its and mine < its else ""
    return (
        f"blue-green: is created beside {serves} with {_versions(now)}{older}; {serves} ({_versions(beside)}) goes on "
        "serving, its pods and queues notice nothing"
    )


def serves_no_more(old: Facts, new: Facts, name: str) -> Effect | None:
    """The slot that served no longer serves: the team's virtual cluster is now the other one."""
    was, now = old.tenants[name], new.tenants[name]
    serves = now.get(CANARY_OF)
    if now.get(BLUE_GREEN) is None or was.get(CANARY_OF) is not None or not isinstance(serves, str):
        return None
    there = "" if serves in old.tenants else ", which is not there yet and has passed no check"
    means = (
        f"blue-green: {serves} ({_versions(new.tenants.get(serves, {}))}) serves from now on{there}; {name} "
        f"({_versions(now)}) stays beside it, and so does what is in it: its pods go on, its queues have less, nothing "
        "moves by itself. The team needs the other kubeconfig"
    )
    return Effect(kind=Kind.DISRUPTIVE, means=means, topic=TOPIC)


def never_in_place(edit: Edit, effect: Effect | None) -> Effect | None:
    """The same effect of another version. Refused if the team has `blueGreen`, which is for changes of versions."""
    serves = edit.now.get(CANARY_OF) is None and edit.was.get(CANARY_OF) is None
    if effect is None or not serves or None in (edit.was.get(BLUE_GREEN), edit.now.get(BLUE_GREEN)):
        return effect
    means = (
        f"{effect.means}. The team has blueGreen: write the version into the slot that does not serve, and let that "
        "one serve when its check has passed"
    )
    return replace(effect, kind=Kind.LOSING, means=means, allow="replace")


def comes_and_goes(known: Known, use: Use | None) -> bool:
    """Whether a tenant may be removed without an override: a canary in which no GPU is in use, or a slot that also has
    no volume. Neither is the one that serves.
    """
    return known.get(CANARY_OF) is not None and holds(known, use) is None


def holds(known: Known, use: Use | None) -> str | None:
    """What is lost with a canary or a slot, in words; None where nothing is."""
    if use is None or use.gpus is None:
        return "what it uses is not known"
    if use.gpus != 0:
        return f"{use.gpus:f} of its GPUs {'is' if use.gpus == 1 else 'are'} in use"
    if known.get(BLUE_GREEN) is None:
        return None
    stored, snapshots = use.bounds.get(_STORAGE), known.get("vcluster.snapshots.size")
    if stored is None:
        return "whether it has volumes is not known"
    own = (
        parse_quantity(releases.CONTROL_PLANE_STORAGE) if known.get("vcluster.persistence") is not False else Decimal(0)
    )
    own += parse_quantity(snapshots) if isinstance(snapshots, str) else Decimal(0)
    return f"it has volumes of {(stored - own) / _GIB:.3g} GiB" if stored > own else None


def goes(old: Known, name: str) -> str:
    """The effect of a tenant's removal."""
    words = "removed: its virtual cluster and its namespace, with everything in them"
    if old.get(BLUE_GREEN) is None or old.get(CANARY_OF) is None:
        return words
    return f"blue-green: {old[CANARY_OF]} serves alone, {name} ({_versions(old)}) is {words}, its volumes, too"


def _versions(known: Known) -> str:
    parts = {"KAI": "scheduler.version", "vCluster": "vcluster.version", "Kubernetes": "vcluster.kubernetesVersion"}
    return ", ".join(f"{what} {known[path]}" for what, path in parts.items() if known.get(path)) or "unknown versions"
