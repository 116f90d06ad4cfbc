"""The pack's quota rules on what the stack file declares, at the stack's own levels.

Owns: the declared resources as the rules see them. Leaves to others: the rules and their messages (`policies/rules`),
the levels (`policies/config/<stack>.json`). So a quota is refused before anything is registered, with or without the
pack.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

import names
import tokens
from cli.guards.levels import levels_of
from cli.guards.refusal import Refusal, line_for
from components.check import gpu_check
from components.host import node_pool
from components.team import queues, team
from components.team.tenant import Tenant, facts, quota_hard, resolve
from policies.config import ConfigError, path_for
from policies.inventory import PolicyResource
from policies.plain import plain_properties
from policies.rule import Group
from policies.run import evaluate
from settings.models import Platform


def quota_refusals(platform: Platform, stack: str, today: date) -> list[Refusal]:
    """Return the refusals of the mandatory quota rules, each message once."""
    levels = _levels(stack)
    try:
        config = levels_of(platform, stack, today)
    except ConfigError as error:
        return [Refusal(cause=f"the levels of the policy rules can't be read: {error}", fix=f"correct {levels}")]
    found: dict[str, Refusal] = {}
    for result in evaluate(list(declared(platform)), config, today=today):
        if result.group is not Group.QUOTA or not result.blocks:
            continue
        line = line_for("quotaRules", [result.rule], today, "...")
        fix = f"do what it says; or set {result.rule} in {levels}; or for a while {line} below overrides"
        for violation in result.violations:
            cause = f"policy {result.rule}: {violation.message}"
            found.setdefault(violation.message, Refusal(cause=cause, fix=fix))
    return list(found.values())


def _levels(stack: str) -> str:
    """The file in which to change a rule's level: the stack's own, also where it does not exist yet."""
    own, holds = f"policies/config/{stack}.json", path_for(stack).name
    return own if own.endswith(f"/{holds}") else f"{own} (a copy of {holds}, which holds until it is there)"


def declared(platform: Platform) -> Iterator[PolicyResource]:
    """The resources that the quota rules judge, with the inputs that the program gives them."""
    for name, pool in platform.pools.items():
        yield _resource(tokens.NODE_POOL, name, node_pool.facts(name, pool))
    for name, tenant in resolve(platform).items():
        yield _resource(tokens.TEAM, name, facts(tenant))
        place = {"name": names.QUOTA_NAME, "namespace": tenant.namespace, "labels": names.labels(team=name)}
        hard = {"metadata": place, "spec": {"hard": quota_hard(tenant)}}
        yield _resource(tokens.RESOURCE_QUOTA, f"{name}-guardrails-quota", hard)
        yield from _queues(tenant)
        if tenant.is_checked:
            request = team.check_request(tenant, platform)
            yield _resource(tokens.GPU_CHECK, f"{name}-check", gpu_check.facts(request))


def _queues(tenant: Tenant) -> Iterator[PolicyResource]:
    if not tenant.team.queues:
        return
    specs = {"parent": queues.parent_spec(tenant)}
    specs |= {leaf: queues.leaf_spec(tenant, leaf) for leaf in tenant.team.queues}
    for leaf, spec in specs.items():
        metadata = {"labels": names.labels(team=tenant.name)}
        yield _resource(tokens.QUEUE, f"{tenant.name}-queues-{leaf}", {"metadata": metadata, "spec": spec})


def _resource(type_: str, name: str, properties: Mapping[str, object]) -> PolicyResource:
    return PolicyResource(type=type_, name=name, properties=plain_properties(properties))
