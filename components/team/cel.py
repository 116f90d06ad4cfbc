"""CEL, the language of Kubernetes' admission rules, as text. Pure.

Owns: how a condition is written, and its message when it does not hold.
Leaves to others: which conditions there are (`pod_rules.py`, `object_rules.py`), the policy that carries them
(`admission.py`).

When a rule runs, an object is a map. So a rule can go through the *keys* that somebody wrote, and refuse each one that
it does not know. The variable `spec` is the object's spec as such a map: for the server's type checker a Pod's spec is
no map, and it would warn in the policy's status.

A policy says nothing twice: the state has it three times for each team, and each step of the engine writes the state
(ADR 9).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MOST_BYTES: Final = 5 * 1024
"""The API server takes no longer message from an expression (MaxEvaluatedMessageExpressionSizeBytes)."""


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

    `expression` must be true. `offenders`, if given, is a CEL list of the texts that break the rule: a variable of the
    policy, for expression and message. The server evaluates a variable when something first uses it, once for all
    expressions and once for all messages. Where it can't, the expression fails, and so the object is refused
    (Kubernetes@v1.34.4: apiserver/pkg/admission/plugin/cel/composition.go, apiserver/pkg/cel/lazy/lazy.go).
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
        settled = "variables.settled" if self.spec_only else f"!(request.kind.kind in {listed(self.kinds)})"
        found = {"expression": f"{settled} || ({self.expression})", "reason": "Forbidden"}
        said = self.message(team)
        if self.offenders is None:
            return found | {"message": said}
        # without a list that would make it too long; a `message` for that case would say the same once more
        got = f"['; got ' + variables.{variable(self.name)}.join(', ')].filter(g, g.size() <= {MOST_BYTES - len(said)})"
        return found | {"messageExpression": f"{text(said)} + {got}.join('')"}


def without(offenders: str, *, name: str, fix: str, spec_only: bool = True) -> Rule:
    """A rule on a pod that holds when the list `offenders` is empty. Otherwise the message lists them."""
    holds = f"variables.{variable(name)} == []"
    return Rule(name=name, expression=holds, fix=fix, offenders=offenders, spec_only=spec_only)


def variable(rule: str) -> str:
    """The name of the variable that lists what breaks a rule. CEL knows no dash in a name."""
    return rule.replace("-", "_")


def text(value: str) -> str:
    """A CEL string. Python's quotes and escapes are CEL's, too. Single quotes stay as they are in the state's JSON."""
    return repr(str(value))


def listed(values: Iterable[str]) -> str:
    """A CEL list of strings."""
    return f"[{','.join(text(value) for value in values)}]"


def only(value: str, keys: Iterable[str]) -> str:
    """Whether the map `value` has only these keys."""
    return f"{value}.all(k, k in {listed(keys)})"


def containers(broken: str) -> str:
    """The names of a pod's containers `c` for which `broken` is true, init and debug containers included."""
    return f"variables.containers.filter(c, {broken}).map(c, c.name)"


def pod_and_containers(broken: str) -> str:
    """The same, and `the pod` where `broken` is true of its spec: that has fields of a container, but no name."""
    return f"([variables.spec] + variables.containers).filter(c, {broken}).map(c, c.?name.orValue('the pod'))"
