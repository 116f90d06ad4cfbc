"""What a rule is. A rule judges one resource at a time, and may look at other resources."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import TypeAlias

from policies.config import LEVELS, Limits, alias
from policies.inventory import Inventory, PolicyResource
from policies.plain import Unreadable


class Group(StrEnum):
    QUOTA = "quota"
    PLACEMENT = "placement"
    ISOLATION = "isolation"
    SUPPLY = "supply"


class Stage(StrEnum):
    """When the engine can judge it.

    `resource`: as soon as the resource is registered. Such a rule needs only the resource and its ancestors, so a
    violation stops the resource before it is created. `stack`: when all resources are registered, because the rule
    needs others.
    """

    RESOURCE = "resource"
    STACK = "stack"


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """What a rule may look at besides the resource that it judges."""

    inventory: Inventory
    limits: Limits
    today: date
    levels: str = LEVELS
    """The file that holds this stack's levels and limits, for messages."""

    def option(self, rule: str, limit: str) -> str:
        """Return where a limit of a rule is set: `maxReplicas of replicas-maximum in policies/config/prod.json`."""
        return f"{alias(limit)} of {rule} in {self.levels}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Shared:
    """A finding that many resources share, like an image. It is reported once, with their names."""

    text: str
    user: str


Finding: TypeAlias = str | Shared


Check: TypeAlias = Callable[[PolicyResource, Scene], Iterable[Finding]]
"""The pure part of a rule: yields one message for each thing that is wrong. May raise `Unreadable`, which `Rule.judge`
turns into a violation.
"""


def always(_: PolicyResource) -> bool:
    """The `applies` of a rule that judges every resource of its types."""
    return True


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    name: str
    group: Group
    sentence: str
    """What must be true, for the reader of a violation."""
    types: tuple[str, ...]
    """Type tokens. A token that ends with a colon stands for all that begin with it."""
    check: Check
    stage: Stage = Stage.RESOURCE
    applies: Callable[[PolicyResource], bool] = always
    """Whether the rule judges a resource of these types. It judges the resource if this can't be read."""
    limits: tuple[str, ...] = ()
    """The fields of `Limits` that a stack may set for this rule."""

    def subject(self, resource: PolicyResource) -> bool:
        if not any(
            resource.type.startswith(wanted) if wanted.endswith(":") else resource.type == wanted
            for wanted in self.types
        ):
            return False
        try:
            return self.applies(resource)
        except Unreadable:
            return True

    def judge(self, resource: PolicyResource, scene: Scene) -> list[Finding]:
        """Return what is wrong with `resource`. A value that can't be read is wrong, too: rules fail closed."""
        messages: list[Finding] = []
        try:
            for message in self.check(resource, scene):
                messages.append(message)  # keeps the findings before an unreadable value
        except Unreadable as reason:
            messages.append(f"{describe(resource)}: {reason}")
        return messages


def describe(resource: PolicyResource) -> str:
    """Return a resource's name for people: `Team ml`."""
    kind = resource.type.rpartition(":")[2]
    return f"{kind} {resource.name}"


def rule(
    name: str,
    sentence: str,
    *types: str,
    group: Group,
    stage: Stage = Stage.RESOURCE,
    applies: Callable[[PolicyResource], bool] = always,
    limits: tuple[str, ...] = (),
) -> Callable[[Check], Rule]:
    """Make a rule of the check below it; for the words see `Rule`."""

    def made(check: Check) -> Rule:
        return Rule(
            name=name,
            group=group,
            sentence=sentence,
            types=types,
            check=check,
            stage=stage,
            applies=applies,
            limits=limits,
        )

    return made
