"""CEL, the language of Kubernetes' admission rules, as text. Pure.

Owns: how a condition is written, and its message when it does not hold.
Leaves to others: which conditions there are (`pod_rules.py`, `object_rules.py`), the policy that carries them
(`admission.py`).

When a rule runs, an object is a map. So a rule can go through the *keys* that somebody wrote, and refuse each one that
it does not know. The variable `spec` is the object's spec as such a map: for the server's type checker a Pod's spec is
no map, and it would warn in the policy's status.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a rule is about, as `request.kind.kind` says it."""

    POD = "Pod"
    CLAIM = "PersistentVolumeClaim"
    SERVICE = "Service"
    BINDING = "Binding"
    RESOURCE_CLAIM = "ResourceClaim"
    RESOURCE_CLAIM_TEMPLATE = "ResourceClaimTemplate"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A condition that an object must fulfil, and the message when it does not.

    `expression` must be true. `offenders`, if given, is a CEL list of the texts that break the rule, for the message.
    `spec_only`: an update that leaves an existing pod's spec alone is not judged again. A rule that became stricter
    must not keep the syncer from writing a label.
    """

    name: str
    expression: str
    fix: str
    kinds: tuple[Kind, ...] = (Kind.POD,)
    offenders: str | None = None
    spec_only: bool = False

    def message(self, team: str) -> str:
        """The message to the user: the rule, the team, and what to do."""
        return f"gpu-tenancy rule {self.name}, team {team}: {self.fix}"

    def validation(self, team: str) -> dict[str, str]:
        """The rule as an item of a policy's `validations`."""
        about = f"request.kind.kind in {listed(self.kinds)}"
        judged = f"!({about}) || variables.sameSpec" if self.spec_only else f"!({about})"
        found = {
            "expression": f"{judged} || ({self.expression})",
            "message": self.message(team),
            "reason": "Forbidden",
        }
        if self.offenders is not None:
            # where this can't be evaluated, the server uses `message`
            found["messageExpression"] = f"{text(self.message(team))} + '; got ' + ({self.offenders}).join(', ')"
        return found


def without(offenders: str, *, name: str, fix: str) -> Rule:
    """A rule on a pod's spec that holds when the list `offenders` is empty. Otherwise the message lists them."""
    return Rule(name=name, expression=f"({offenders}).size() == 0", fix=fix, offenders=offenders, spec_only=True)


def text(value: str) -> str:
    """A CEL string. JSON's escapes are CEL's, too."""
    return json.dumps(value)


def listed(values: Iterable[str]) -> str:
    """A CEL list of strings."""
    return json.dumps(list(values))


def only(value: str, keys: Iterable[str]) -> str:
    """Whether the map `value` has only these keys."""
    return f"dyn({value}).all(k, k in {listed(keys)})"


def containers(broken: str) -> str:
    """The names of a pod's containers `c` for which `broken` is true, init and debug containers included."""
    return f"variables.containers.filter(c, {broken}).map(c, c.name)"
