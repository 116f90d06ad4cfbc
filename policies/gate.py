"""Judges the steps of a preview: what no policy sees, because a pack never gets deletes or old values.

    python -m policies.gate --preview PREVIEW.json --stack-file Pulumi.prod.yaml [--usage USAGE.json]

PREVIEW.json is what `pulumi preview --json` prints, or the lab's preview in that shape. USAGE.json says how many GPUs
run now: `{"ml": 3}`, or what `kubectl get resourcequota -A -o json` prints; without it a lowered limit counts as below
what runs. Exit status: 0 nothing is refused, 1 something is, 2 the gate could not run.

A team that is deleted or replaced, and a limit below what runs now, need an override in the stack file that names the
team, the change, a date and a reason. A KAI scheduler that would be upgraded in place from one line to another is
refused whatever the overrides say, because Helm cannot do it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, TypeAlias

from components.team.protection import Change, override_for
from names import GPU, team_namespace
from policies import names
from policies.plain import Number, Unreadable, get, maybe_number, maybe_text, plain_properties, quantity, say
from releases import KAI
from settings.load import SettingsError, load_stack_file
from settings.models import Override

Step: TypeAlias = Mapping[str, object]
Usage: TypeAlias = Mapping[str, Number]

DELETES: Final = frozenset({"delete"})
REPLACES: Final = frozenset({"replace", "create-replacement", "delete-replaced"})
_TEAM_NAMESPACE: Final = team_namespace("")
_LIMIT_KEY: Final = f"requests.{GPU}"


@dataclass(frozen=True, kw_only=True, order=True)
class Refusal:
    """A change that must not go through, and what would let it."""

    team: str
    change: str
    """`delete`, `replace` or `lowerLimit`, as in an override; `upgrade` has none."""
    reason: str


class GateError(ValueError):
    """The gate could not run."""


def gate(
    steps: Iterable[Step], overrides: Sequence[Override], today: date, usage: Usage | None = None
) -> list[Refusal]:
    """Return what is refused, one for each team and change, by team.

    `usage` says how many GPUs (replicas) each team uses now. None, or a team that is not in it: not known, so every
    lower limit counts as below. A step that cannot be read is refused: the gate fails closed.
    """
    found: dict[tuple[str, str], Refusal] = {}
    for step in steps:
        for refusal in _of_step(step, overrides, today, usage):
            found.setdefault((refusal.team, refusal.change), refusal)
    # who is deleted is not also replaced, and loses no limit
    return sorted(
        refusal
        for refusal in found.values()
        if refusal.change in ("delete", "upgrade") or (refusal.team, "delete") not in found
    )


def _of_step(step: Step, overrides: Sequence[Override], today: date, usage: Usage | None) -> Iterator[Refusal]:
    op, urn = step.get("op"), step.get("urn")
    if not isinstance(op, str) or not isinstance(urn, str):
        message = f"the preview has a step without op or urn: {step!r:.120}"
        raise GateError(message)
    # urn:pulumi:STACK::PROJECT::PARENT'S TYPE$TYPE::NAME
    type_ = urn.rpartition("::")[0].rpartition("::")[2].rpartition("$")[2]
    old, new = _inputs(step, "oldState"), _inputs(step, "newState")
    try:
        team = _tenant(type_, old or new)
        if team is not None and op in DELETES | REPLACES:
            change: Change = "delete" if op in DELETES else "replace"
            what = f"{type_.rpartition(':')[2]} {urn.rpartition('::')[2]}"
            reason = f"{change}s {what}, and with it everything in the team's virtual cluster"
            yield from _unless_allowed(team, change, reason, overrides, today)
        if op == "update" or op in REPLACES:
            yield from _lowered(type_, old, new, overrides, today, usage)
        if op == "update":
            yield from _across_lines(type_, urn, old, new)
    except Unreadable as reason:
        yield Refusal(team=urn.rpartition("::")[2], change="unreadable", reason=f"{op} of {urn}: {reason}")


def _inputs(step: Step, key: str) -> Mapping[str, object]:
    state = step.get(key)
    inputs = state.get("inputs") if isinstance(state, Mapping) else None
    return plain_properties(inputs) if isinstance(inputs, Mapping) else {}


def _tenant(type_: str, inputs: Mapping[str, object]) -> str | None:
    """Return the team that stands and falls with a resource: its components, its namespace, its vCluster."""
    if type_ == names.TEAM:
        return maybe_text(inputs, "name") or "?"
    if type_ == names.VIRTUAL_CLUSTER:
        return maybe_text(inputs, "team") or "?"
    if type_ == names.NAMESPACE:
        return _team_of_namespace(maybe_text(inputs, "metadata", "name"))
    if type_ == names.RELEASE and "vcluster" in (maybe_text(inputs, "chart") or "").rpartition("/")[2]:
        return _team_of_namespace(maybe_text(inputs, "namespace"))
    return None


def _team_of_namespace(namespace: str | None) -> str | None:
    if namespace is None or not namespace.startswith(_TEAM_NAMESPACE):
        return None
    return namespace.removeprefix(_TEAM_NAMESPACE)


def _unless_allowed(
    team: str, change: Change, reason: str, overrides: Sequence[Override], today: date
) -> Iterator[Refusal]:
    if override_for(team, change, overrides, today) is not None:
        return
    ended = [o.until for o in overrides if o.team == team and change in o.allow]
    late = f" (its override ended on {max(ended)})" if ended else ""
    yield Refusal(
        team=team,
        change=change,
        reason=f"{reason}; if that is meant, add to overrides: {{team: {team}, allow: [{change}], until: DATE, "
        f"reason: ...}}{late}",
    )


def _lowered(
    type_: str,
    old: Mapping[str, object],
    new: Mapping[str, object],
    overrides: Sequence[Override],
    today: date,
    usage: Usage | None,
) -> Iterator[Refusal]:
    if type_ == names.TEAM:
        team = maybe_text(old, "name") or "?"
        before, after = maybe_number(old, "gpuLimit"), maybe_number(new, "gpuLimit")
    elif type_ == names.RESOURCE_QUOTA and _team_of_namespace(maybe_text(old, "metadata", "namespace")):
        team = _team_of_namespace(maybe_text(old, "metadata", "namespace")) or "?"
        before, after = _hard(old), _hard(new)
    else:
        return
    if before is None or after is None or after == -1 or (before != -1 and after >= before):
        return
    # who is not in it may run anything: the list may come from another cluster, or from an account that sees little
    runs = None if usage is None else usage.get(team)
    if runs is not None and after >= runs:
        return
    unknown = "pass --usage" if usage is None else "the usage does not name the team"
    now = f"what runs now is not known ({unknown})" if runs is None else f"{say(runs)} run now"
    was = "unlimited" if before == -1 else say(before)
    reason = f"lowers the GPU limit from {was} to {say(after)}, and {now}"
    yield from _unless_allowed(team, "lowerLimit", reason, overrides, today)


def _hard(inputs: Mapping[str, object]) -> Number | None:
    value = quantity(inputs, "spec", "hard", _LIMIT_KEY)
    return None if value is None else float(value)


def _across_lines(type_: str, urn: str, old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[Refusal]:
    if type_ != names.RELEASE or "kai-scheduler" not in (maybe_text(new, "chart") or ""):
        return
    before, after = (maybe_text(inputs, "version") for inputs in (old, new))
    if before == after:
        return
    lines = [KAI[version].line if version and version in KAI else None for version in (before, after)]
    if None in lines or lines[0] != lines[1]:
        yield Refusal(
            team=urn.rpartition("::")[2],
            change="upgrade",
            reason=f"updates KAI in place from {before} to {after}, which are not of one line; Helm cannot do that, so "
            "the release must be replaced",
        )


# --- files ----------------------------------------------------------------------------------------------------------


def steps_of(preview: object) -> list[Step]:
    """Return the steps of a preview. Raises `GateError` when it is none."""
    steps = preview.get("steps") if isinstance(preview, Mapping) else preview
    if not isinstance(steps, list) or any(not isinstance(step, Mapping) for step in steps):
        message = "has no list of steps; write it with: pulumi preview --json"
        raise GateError(message)
    return steps


def usage_of(content: object) -> Usage:
    """Return the GPUs in use by team, from a mapping or from a list of ResourceQuotas. Raises `GateError`."""
    if isinstance(content, Mapping) and isinstance(content.get("items"), list):
        found: dict[str, Number] = {}
        for item in content["items"]:
            team = _team_of_namespace(str(get(item, "metadata", "namespace")))
            used = quantity(item, "status", "used", _LIMIT_KEY)
            if team is not None and used is not None:
                found[team] = max(found.get(team, 0), float(used))
        return found
    if isinstance(content, Mapping) and all(type(value) in (int, float) for value in content.values()):
        return {str(team): value for team, value in content.items()}
    message = 'must be {"team": GPUs, ...} or a list of ResourceQuotas from kubectl'
    raise GateError(message)


def _json(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"{path}: cannot be read: {error.strerror}"
        raise GateError(message) from error
    except json.JSONDecodeError as error:
        message = f"{path}: is not JSON: {error}"
        raise GateError(message) from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge a preview and print what is refused; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m policies.gate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preview", type=Path, required=True)
    parser.add_argument("--stack-file", type=Path, required=True)
    parser.add_argument("--usage", type=Path)
    parser.add_argument("--today", type=date.fromisoformat, default=None, help="the clock for overrides")
    options = parser.parse_args(arguments)
    try:
        today = options.today or date.today()
        overrides = load_stack_file(options.stack_file, today=today).overrides
        steps = steps_of(_json(options.preview))
        usage = usage_of(_json(options.usage)) if options.usage else None
        refusals = gate(steps, overrides, today, usage)
    except (GateError, SettingsError) as error:
        print(f"gate: could not run: {error}", file=sys.stderr)
        return 2
    for refusal in refusals:
        print(f"gate: team {refusal.team}: {refusal.reason}")
    print(f"gate: {len(steps)} steps, {len(refusals)} refused")
    return 1 if refusals else 0


if __name__ == "__main__":
    sys.exit(main())
