"""The rules as policies of the real engine. Thin: the rules are in `policies/rules`, and `__main__.py` starts the pack.

The engine shows a resource policy the inputs of one resource, and a stack policy the outputs of all: at preview those
are empty for objects behind a provider that is not configured yet. So each resource that passes by is remembered with
its inputs, and stack rules judge those; outputs serve only for what did not pass by (`pulumi policy analyze`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyConfigSchema,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy import PolicyResource as EngineResource

from policies.config import Limits, schema
from policies.inventory import Inventory, PolicyResource
from policies.plain import plain_properties
from policies.rule import Rule, Scene, Stage
from policies.rules import RULES

NAME = "gpu-tenancy"


class Seen:
    """The resources of one update, by URN, as they were registered."""

    def __init__(self) -> None:
        self._resources: dict[str, PolicyResource] = {}

    def add(self, args: ResourceValidationArgs) -> PolicyResource:
        """Remember a resource with its inputs."""
        resource = PolicyResource(
            type=args.resource_type, name=args.name, urn=args.urn, properties=plain_properties(args.props)
        )
        self._resources[args.urn] = resource
        return resource

    def so_far(self) -> Inventory:
        """Return what was registered until now: a resource's ancestors come before it."""
        return Inventory.of(tuple(self._resources.values()))

    def stack(self, resources: list[EngineResource]) -> Inventory:
        """Return all resources of the stack, with inputs where they were seen, else with outputs."""
        return Inventory.of(self._of(resource) for resource in resources)

    def _of(self, resource: EngineResource) -> PolicyResource:
        seen = self._resources.get(resource.urn)
        return PolicyResource(
            type=resource.resource_type,
            name=resource.name,
            urn=resource.urn,
            parent=resource.parent.urn if resource.parent else "",
            properties=seen.properties if seen else plain_properties(resource.props),
        )


def build_policies(today: Callable[[], date] = date.today) -> list[Policy]:
    """Return the policies, without starting anything. `today` is the clock for support windows."""
    seen = Seen()
    return [_policy(rule, seen, today) for rule in RULES]


def _policy(rule: Rule, seen: Seen, today: Callable[[], date]) -> Policy:
    config_schema = PolicyConfigSchema(properties=schema(rule.limits)) if rule.limits else None

    def scene(inventory: Inventory, config: Mapping[str, object]) -> Scene:
        return Scene(inventory=inventory, limits=Limits.model_validate(config), today=today())

    def resource(args: ResourceValidationArgs, report: ReportViolation) -> None:
        subject = seen.add(args)
        if rule.subject(subject):
            for message in rule.judge(subject, scene(seen.so_far(), args.get_config())):
                report(message, None)

    def stack(args: StackValidationArgs, report: ReportViolation) -> None:
        inventory = seen.stack(args.resources)
        for subject in inventory.of_type(*rule.types):
            if rule.subject(subject):
                for message in rule.judge(subject, scene(inventory, args.get_config())):
                    report(message, subject.urn)

    # levels come from the configuration file; without one, everything blocks
    if rule.stage is Stage.RESOURCE:
        return ResourceValidationPolicy(
            name=rule.name,
            description=rule.sentence,
            validate=resource,
            enforcement_level=EnforcementLevel.MANDATORY,
            config_schema=config_schema,
        )
    return StackValidationPolicy(
        name=rule.name,
        description=rule.sentence,
        validate=stack,
        enforcement_level=EnforcementLevel.MANDATORY,
        config_schema=config_schema,
    )
