"""What one rule says about resources, and resources with one thing changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import date

from policies.config import Level, Limits, PolicyConfig
from policies.inventory import PolicyResource
from policies.rules import RULES
from policies.run import RuleResult, evaluate
from tests.policies.world import healthy

TODAY = date(2026, 1, 10)
ABSENT = object()


def put(properties: Mapping[str, object], path: str, value: object) -> dict[str, object]:
    """Return a copy of `properties` with the value at `path` (keys by `/`, indices as numbers) replaced or removed."""
    copy: dict[str, object] = deepcopy(dict(properties))
    *way, last = path.split("/")
    place: object = copy
    for key in way:
        if isinstance(place, list):
            place = place[int(key)]
        elif isinstance(place, dict):
            place = place.setdefault(key, {})
    if value is ABSENT:
        assert isinstance(place, dict)
        place.pop(last, None)
    elif isinstance(place, list):
        place[int(last)] = value
    else:
        assert isinstance(place, dict)
        place[last] = value
    return copy


def changed(subject: PolicyResource, path: str, value: object) -> PolicyResource:
    """Return `subject` with one property replaced (or removed, with `ABSENT`)."""
    return PolicyResource(
        type=subject.type,
        name=subject.name,
        urn=subject.urn,
        parent=subject.parent,
        properties=put(subject.properties, path, value),
    )


def result(rule: str, resources: Sequence[PolicyResource], **limits: object) -> RuleResult:
    """Return what one rule says about `resources`."""
    others = {other.name: Level.DISABLED for other in RULES if other.name != rule}
    config = PolicyConfig(limits=Limits.model_validate(limits), levels=others)
    return next(r for r in evaluate(resources, config, today=TODAY) if r.rule == rule)


def messages(rule: str, resources: Sequence[PolicyResource], **limits: object) -> list[str]:
    """Return the messages of one rule about `resources`."""
    return [violation.message for violation in result(rule, resources, **limits).violations]


def with_(replacement: PolicyResource, resources: Sequence[PolicyResource] | None = None) -> list[PolicyResource]:
    """Return the healthy platform with the resource of the same type and name replaced."""
    world = healthy() if resources is None else list(resources)
    kept = [r for r in world if (r.type, r.name) != (replacement.type, replacement.name)]
    return [*kept, replacement]


def without(*types: str) -> list[PolicyResource]:
    """Return the healthy platform without the resources of these types."""
    return [r for r in healthy() if r.type not in types]
