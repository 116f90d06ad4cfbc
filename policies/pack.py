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
OURS = "gpu-tenancy:index:"


class Seen:
    """The resources of one update, by URN, as they were registered last.

    The engine shows each of them once a policy, so nothing is read here before a rule wants it.
    """

    def __init__(self) -> None:
        self._shown: dict[str, ResourceValidationArgs] = {}
        self._inputs: dict[str, dict[str, object]] = {}
        self._components: dict[str, PolicyResource] = {}
        self._around: Inventory | None = None

    def add(self, args: ResourceValidationArgs) -> None:
        """Remember a resource with its inputs."""
        self._shown[args.urn] = args
        self._inputs.pop(args.urn, None)
        if args.resource_type.startswith(OURS) and self._components.get(args.urn) != (found := resource_of(args)):
            self._components[args.urn] = found
            self._around = None

    def components(self) -> Inventory:
        """Return our components that were registered until now: those that a resource stands below came before it, and
        no rule of the resource stage looks at anything else."""
        if self._around is None:
            self._around = Inventory.of(self._components.values())
        return self._around

    def stack(self, resources: list[EngineResource]) -> Inventory:
        """Return all resources of the stack, with inputs where they were seen, else with outputs."""
        return Inventory.of(self._of(resource) for resource in resources)

    def _of(self, resource: EngineResource) -> PolicyResource:
        urn, shown = resource.urn, self._shown.get(resource.urn)
        if shown and urn not in self._inputs:
            self._inputs[urn] = plain_properties(shown.props)
        return PolicyResource(
            type=resource.resource_type,
            name=resource.name,
            urn=urn,
            parent=resource.parent.urn if resource.parent else "",
            properties=self._inputs[urn] if shown else plain_properties(resource.props),
        )


def resource_of(args: ResourceValidationArgs) -> PolicyResource:
    """Return a resource as it is being registered, in the rules' words."""
    return PolicyResource(
        type=args.resource_type, name=args.name, urn=args.urn, properties=plain_properties(args.props)
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
        seen.add(args)
        if args.resource_type in rule.types and rule.subject(subject := resource_of(args)):
            for message in rule.judge(subject, scene(seen.components(), args.get_config())):
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
