"""What a rule is. A rule judges one resource at a time and may look at those around it."""

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
    """What a rule is about."""

    QUOTA = "quota"
    PLACEMENT = "placement"
    ISOLATION = "isolation"
    SUPPLY = "supply"


class Stage(StrEnum):
    """When the engine can judge it.

    `resource`: as soon as the resource is registered; needs nothing but the resource and its ancestors, so a violation
    stops it before it is created. `stack`: needs other resources, so it is judged when all are registered.
    """

    RESOURCE = "resource"
    STACK = "stack"


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """What a rule may look at besides its subject."""

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
    """Something wrong that many resources share, like an image: told once, with those who have it."""

    text: str
    user: str


Finding: TypeAlias = str | Shared


Check: TypeAlias = Callable[[PolicyResource, Scene], Iterable[Finding]]
"""The pure part of a rule: yields one message for each thing that is wrong, nothing when all is well. May raise
`Unreadable`; `Rule.judge` makes a violation of it."""


def always(_: PolicyResource) -> bool:
    """The `applies` of a rule that is about every resource of its types."""
    return True


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """A rule with everything that engines and reports say about it."""

    name: str
    group: Group
    sentence: str
    """What must be true, for the reader of a violation."""
    types: tuple[str, ...]
    """Tokens; one that ends with a colon stands for all that begin with it."""
    check: Check
    stage: Stage = Stage.RESOURCE
    applies: Callable[[PolicyResource], bool] = always
    """Whether a resource of these types is a subject. If it can't be read, it is."""
    limits: tuple[str, ...] = ()
    """The fields of `Limits` that a stack may set for this rule."""

    def subject(self, resource: PolicyResource) -> bool:
        """Say whether this rule judges `resource`."""
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
        """Return what is wrong with `resource`. What cannot be read is wrong: rules fail closed."""
        messages: list[Finding] = []
        try:
            for message in self.check(resource, scene):
                messages.append(message)  # keeps what was found before an unreadable value
        except Unreadable as reason:
            messages.append(f"{describe(resource)}: {reason}")
        return messages


def describe(resource: PolicyResource) -> str:
    """Return how people call a resource: `Team ml`."""
    kind = resource.type.rpartition(":")[2]
    return f"{kind} {resource.name}"
