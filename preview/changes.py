"""What changes between two states of a stack, and what that does to each team. Pure.

Owns: finding the edits, asking the table about each, reporting each effect once.
Leaves to others: what a field's change does (`table`, `judges/`), what is refused (`gate.py`), how it looks
(`report/`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from capacity import amount_of
from preview.differences import differences
from preview.facts import CANARY_OF, CLUSTER_UID, DERIVED, HARD, MADE, Facts, Known, amounts
from preview.judges import numbers, slots, versions
from preview.kinds import OF_THE_STACK, Edit, Effect, Kind, Row
from preview.table import NOT_IN_TABLE, fits, row_of
from preview.usage import Usage, Use, use_in
from preview.values import UnreadableError, known
from settings.models import Platform
from settings.tenants import tenants

EVERYONE = ""
"""In place of a tenant's name, for what all of them notice."""

_SEVERITY = (Kind.LOSING, Kind.UNKNOWN, Kind.REPLACING, Kind.DISRUPTIVE, Kind.IN_PLACE)


@dataclass(frozen=True, kw_only=True)
class Change(Effect):
    """One effect of an edit. `path` is the stack file's; empty where no field changes (a tenant is removed)."""

    tenant: str
    path: str = ""
    before: JsonValue = None
    after: JsonValue = None


def changes(old: Facts, new: Facts, *, usage: Usage | None = None) -> tuple[Change, ...]:
    """Return what changes for each tenant, the most serious first. Of two effects on one topic of a tenant the more
    serious one counts.

    A fact that only one side has is unknown on the other, so it is not compared. `usage` says what runs now. Without
    it, everything that depends on it counts as a loss.
    """
    found = [
        *_of_the_stack(old, new, usage),
        *_of_pools(old, new, usage),
        *_of_tenants(old, new, usage),
        *_removed(old, new, usage),
        *_added(old, new),
    ]
    found.sort(key=lambda change: (_SEVERITY.index(change.kind), change.tenant, change.path))
    once: dict[tuple[str, str], Change] = {}
    for change in found:
        once.setdefault((change.tenant, change.topic or change.path), change)
    return tuple(once.values())


def snapshots_first(platform: Platform, old: Facts, new: Facts) -> dict[str, str]:
    """Return the teams that notice a change and ask for a snapshot before it, each with the change."""
    found: dict[str, str] = {}
    there = tenants(platform)
    for change in changes(old, new):
        team = there.get(change.tenant)
        kept = team.vcluster.snapshots if team is not None else None
        if change.kind is not Kind.IN_PLACE and change.tenant in old.tenants and kept and kept.before_changes:
            found.setdefault(change.tenant, change.means)
    return found


def _of_the_stack(old: Facts, new: Facts, usage: Usage | None) -> Iterator[Change]:
    uids = old.stack.get(CLUSTER_UID), new.stack.get(CLUSTER_UID)
    if None not in uids and uids[0] != uids[1]:
        # the same names, but another cluster
        yield from _for_all("host.name", *uids, old, new, usage, among=())
    if MADE in old.stack and MADE in new.stack and old.stack[MADE] != new.stack[MADE]:
        yield from _for_all(MADE, old.stack[MADE], new.stack[MADE], old, new, usage, among=())
    for path, before, after in _edits(old.stack, new.stack):
        yield from _for_all(path, before, after, old, new, usage, among=sorted(old.tenants))


def _of_pools(old: Facts, new: Facts, usage: Usage | None) -> Iterator[Change]:
    for name in sorted(old.pools.keys() & new.pools.keys()):
        on_it = [t for t in sorted(old.tenants) if name in (_pool(old, t), _pool(new, t))]
        for path, before, after in _edits(old.pools[name], new.pools[name], f"pools.{name}."):
            yield from _for_all(f"pools.{name}.{path}", before, after, old, new, usage, among=on_it)


def _pool(facts: Facts, tenant: str) -> JsonValue:
    return facts.tenants.get(tenant, {}).get("pool")


def _for_all(
    path: str,
    before: JsonValue,
    after: JsonValue,
    old: Facts,
    new: Facts,
    usage: Usage | None,
    *,
    among: Sequence[str],
) -> Iterator[Change]:
    """An edit of something that several tenants depend on. A possible loss is judged for each of them."""
    row = row_of(path)
    edit = Edit(path=path, before=before, after=after, old=old, new=new)
    if row is None or row.allow in OF_THE_STACK or (row.allow is None and row.judge is None):
        yield from _changed(row, edit)
        return
    told = False
    for tenant in among:
        if tenant in new.tenants:
            its_own = Edit(
                path=path, tenant=tenant, before=before, after=after, old=old, new=new, use=use_in(usage, tenant)
            )
            of_tenant = list(_changed(row, its_own))
            told = told or bool(of_tenant)
            yield from of_tenant
    if not told:
        yield Change(tenant=EVERYONE, kind=Kind.IN_PLACE, means="", path=path, before=before, after=after)


def _of_tenants(old: Facts, new: Facts, usage: Usage | None) -> Iterator[Change]:
    for name in sorted(old.tenants.keys() & new.tenants.keys()):
        was, now = old.tenants[name], new.tenants[name]
        found = list(_edits(was, now, f"teams.{name}."))
        edited = {path for path, _, _ in found}
        # its queues change with the mode, and a pause takes what its pods use: one message is enough
        told = _OF_PODS if "state" in edited else ("queues.",) if "scheduler.mode" in edited else ()
        found += _that_go(was, now)
        for path, before, after in found:
            if path.startswith(told):
                continue
            edit = Edit(
                path=f"teams.{name}.{path}",
                tenant=name,
                before=before,
                after=after,
                old=old,
                new=new,
                use=use_in(usage, name),
            )
            yield from _changed(row_of(edit.path), edit)
        if "state" not in edited:
            yield from _of_bounds(name, old, new, use_in(usage, name))
        if effect := slots.serves_no_more(old, new, name):
            yield _change(effect, _edit_of(name, "blueGreen.serves", old, new, None))


_OF_PODS: Final = ("queues.", "resources.gpus.", "resources.cpu", "resources.memory", "resources.pods")
"""Numbers that limit pods, not what a team keeps."""
_TELLS_THAT_IT_GOES: Final = (("queues.", ".gpu.limit"), ("workloads.", ".kind"))
"""Kinds of named entries, each with the field that shows the removal of one."""


def _that_go(was: Known, now: Known) -> list[tuple[str, JsonValue, JsonValue]]:
    """Queues and workloads that only the old side has, if the new side lists any."""
    return [
        (path, was[path], None)
        for start, end in _TELLS_THAT_IT_GOES
        if "pool" in now or any(path.startswith(start) for path in now)
        for path in was
        if path.startswith(start) and path.endswith(end) and path not in now
    ]


def _of_bounds(name: str, old: Facts, new: Facts, use: Use | None) -> Iterator[Change]:
    """A changed unit of the limit, and numbers of the ResourceQuota that no field of the settings shows."""
    was, now = old.tenants[name], new.tenants[name]
    edit = _edit_of(name, "resources.gpus.limit", old, new, use)
    try:
        if effect := numbers.unit(edit):
            yield _change(effect, edit)
        before, after = was.get(HARD), now.get(HARD)
        if not isinstance(before, dict) or not isinstance(after, dict):
            return
        for key in sorted(before):
            if key.startswith(_WAYS_IN) or _asked_as_before(key, was, now):
                continue
            if key == numbers.DISK and numbers.judged_by_pods(use):
                continue
            # the limit of a GPU part that the facts leave out is 0
            later = after.get(key, "0" if key.startswith("requests.nvidia.com/") else None)
            if effect := numbers.lowered(key, before[key], later, use):
                yield _change(effect, _edit_of(name, _FIELD_OF.get(key, f"resources ({key})"), old, new, use))
    except UnreadableError as error:
        yield _unreadable(edit, error)


def _edit_of(name: str, path: str, old: Facts, new: Facts, use: Use | None) -> Edit:
    was, now = old.tenants[name].get(path), new.tenants[name].get(path)
    return Edit(path=f"teams.{name}.{path}", tenant=name, before=was, after=now, old=old, new=new, use=use)


_WAYS_IN: Final = "services."
"""Services from outside are the program's own, and `access` covers them."""
_FIELD_OF: Final = {
    "requests.cpu": "resources.cpu",
    "requests.memory": "resources.memory",
    "count/pods": "resources.pods",
    "pods": "resources.pods",
    numbers.DISK: "resources.pods",
    "requests.storage": "resources.storage",
}


def _asked_as_before(key: str, was: Known, now: Known) -> bool:
    """Whether the team's own number is unchanged. Then the limit only differs by what tenancy needs: another scheduler
    asks for less, and takes nothing from the team.
    """
    path = _FIELD_OF.get(key)
    return path is not None and path in was and path in now and was[path] == now[path]


def _removed(old: Facts, new: Facts, usage: Usage | None) -> Iterator[Change]:
    for name in sorted(old.tenants.keys() - new.tenants.keys()):
        use = use_in(usage, name)
        words = slots.goes(old.tenants[name], name)
        if versions.promoted(old, new, str(old.tenants[name].get(CANARY_OF))) == name:
            words = f"promoted, and so {words}"
        idle = slots.comes_and_goes(old.tenants[name], use)
        if old.tenants[name].get(CANARY_OF) is not None and (kept := slots.holds(old.tenants[name], use)):
            words = f"{words}; {kept}"
        yield Change(
            tenant=name,
            kind=Kind.DISRUPTIVE if idle else Kind.LOSING,
            means=words,
            allow=None if idle else "delete",
            topic="team",
        )


def _added(old: Facts, new: Facts) -> Iterator[Change]:
    for name in sorted(new.tenants.keys() - old.tenants.keys()):
        if old.tenants and (means := slots.comes(new, name)):
            yield Change(tenant=name, kind=Kind.IN_PLACE, means=means, topic=slots.TOPIC)


def _edits(was: Known, now: Known, at: str = "") -> Iterator[tuple[str, JsonValue, JsonValue]]:
    """The facts that both sides know and that differ. A queue that one side lacks is known to be absent there. `at`:
    what goes before these paths in the stack file."""
    for path in sorted(was.keys() | now.keys()):
        if path in DERIVED:
            continue
        if path in was and path in now:
            if differ(f"{at}{path}", was[path], now[path]):
                yield path, was[path], now[path]
        elif path not in was and path.startswith("queues.") and path.endswith(".gpu.limit"):
            yield path, None, now[path]


def differ(path: str, was: JsonValue, now: JsonValue) -> bool:
    """Whether two values of a field of the stack file differ: of a quantity by its amount."""
    if not any(True for _ in differences(was, now)):
        return False
    amount = amount_of(was)
    return amount is None or amount != amount_of(now) or not any(fits(field, path) for field in amounts())


def _changed(row: Row | None, edit: Edit) -> Iterator[Change]:
    if row is None:
        yield _change(Effect(kind=Kind.UNKNOWN, means=f"{edit.path}: {NOT_IN_TABLE}", allow="replace"), edit)
        return
    try:
        known(edit.before, edit.path)
        known(edit.after, edit.path)
        effect = row.effect(edit)
    except UnreadableError as error:
        yield _unreadable(edit, error)
        return
    if effect is not None:
        yield _change(effect, edit)
    elif edit.tenant or row.allow in OF_THE_STACK:
        yield _change(Effect(kind=Kind.IN_PLACE, means=""), edit)


def _unreadable(edit: Edit, error: UnreadableError) -> Change:
    return _change(Effect(kind=Kind.UNKNOWN, means=str(error), topic=f"unreadable {edit.path}"), edit)


def _change(effect: Effect, edit: Edit) -> Change:
    return Change(tenant=edit.tenant, path=edit.path, before=edit.before, after=edit.after, **vars(effect))
