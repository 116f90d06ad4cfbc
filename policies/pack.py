"""The rules as policies of the real engine. The rules are in `policies/rules`, and `__main__.py` starts the pack.

The engine shows a resource policy the inputs of one resource, and a stack policy the outputs of all resources. At
preview the outputs are empty for objects behind a provider that is not configured yet. So the pack remembers each
resource's inputs, and stack rules judge those. Outputs are only used for resources that a resource policy never saw
(`pulumi policy analyze`).

An organisation may require the pack for every stack, also of other programs. Nothing is judged until a resource of ours
comes (`PolicyResource.ours`); then everything is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
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

from names import Object
from policies.config import LEVELS, Limits, PolicyConfig, alias, own_file, schema
from policies.inventory import Inventory, PolicyResource
from policies.plain import plain_properties
from policies.rule import Rule, Scene, Shared, Stage
from policies.rules import RULES
from tokens import OURS

NAME = "gpu-tenancy"
STACK_VARIABLE = "PULUMI_STACK"
"""The engine sets it where it starts a pack (pulumi_policy, `_configure_runtime_settings`)."""


class Seen:
    """The resources of one update, by URN, as they were registered last.

    The engine shows each resource to each policy; it is read only once for all of them.
    """

    def __init__(self) -> None:
        self.ours = False
        self._found: dict[str, PolicyResource] = {}
        self._judges: dict[str, set[str]] = {}
        self._components: dict[str, PolicyResource] = {}
        self.around = Inventory()
        """Our components seen so far. Parents register first, and no rule of the resource stage looks at more."""
        self._waiting: dict[str, list[PolicyResource]] = {}
        self._told: set[tuple[str, str]] = set()

    def look(self, rule: Rule, args: ResourceValidationArgs) -> PolicyResource:
        """Return a resource that the engine shows to a rule, with its inputs."""
        judges = self._judges.setdefault(args.urn, set())
        if rule.name in judges or args.urn not in self._found:
            # if a rule sees it again, it is another registration
            judges.clear()
            self._remember(resource_of(args))
        judges.add(rule.name)
        return self._found[args.urn]

    def _remember(self, found: PolicyResource) -> None:
        self._found[found.urn] = found
        self.ours = self.ours or found.ours
        if not found.type.startswith(OURS):
            return
        known = self._components.get(found.urn)
        self._components[found.urn] = found
        if known is None:
            self.around.add(found)
        elif known != found:
            self.around = Inventory(self._components.values())

    def turn(self, rule: Rule, shown: PolicyResource) -> list[PolicyResource]:
        """Return what the rule has to judge now: nothing in other programs' stacks. Once a resource of ours has come,
        also all resources before it.
        """
        waiting = self._waiting.setdefault(rule.name, [])
        if rule.subject(shown):
            waiting.append(shown)
        if not self.ours:
            return []
        self._waiting[rule.name] = []
        return waiting

    def stack(self, resources: list[EngineResource]) -> Inventory:
        """Return all resources of the stack, with inputs where these were seen, otherwise with outputs; none where
        nothing is ours.
        """
        found = [self._found.get(resource.urn) or _with_outputs(resource) for resource in resources]
        return Inventory(found if any(resource.ours for resource in found) else ())

    def news(self, rule: Rule, subject: PolicyResource, scene: Scene) -> Iterator[str]:
        """Yield the rule's findings about a resource. A finding that many resources share comes only once."""
        for finding in rule.judge(subject, scene):
            if not isinstance(finding, Shared):
                yield finding
            elif (key := (rule.name, finding.text)) not in self._told:
                self._told.add(key)
                yield f"{finding.text} ({finding.user})"


def resource_of(args: ResourceValidationArgs) -> PolicyResource:
    """Return a resource that is being registered, in the rules' form."""
    return PolicyResource(
        type=args.resource_type, name=args.name, urn=args.urn, properties=plain_properties(args.props)
    )


def _with_outputs(resource: EngineResource) -> PolicyResource:
    return PolicyResource(
        type=resource.resource_type,
        name=resource.name,
        urn=resource.urn,
        parent=resource.parent.urn if resource.parent else "",
        properties=plain_properties(resource.props),
    )


def build_policies(today: Callable[[], date] = date.today) -> list[Policy]:
    """Return the policies, without starting anything. `today` is the clock for support windows."""
    seen = Seen()
    return [_policy(rule, seen, today) for rule in RULES]


def initial_config(config: PolicyConfig) -> dict[str, EnforcementLevel | Object]:
    """Return a stack's levels and limits as the pack's defaults, for runs without `--policy-pack-config`."""
    found: dict[str, EnforcementLevel | Object] = {"all": EnforcementLevel(config.default.value)}
    limits = config.limits.model_dump(mode="json", by_alias=True)
    for rule in RULES:
        chosen = {alias(name): limits[alias(name)] for name in rule.limits}
        found[rule.name] = {"enforcementLevel": EnforcementLevel(config.level(rule.name).value), **chosen}
    return found


def _policy(rule: Rule, seen: Seen, today: Callable[[], date]) -> Policy:
    config_schema = PolicyConfigSchema(properties=schema(rule.limits)) if rule.limits else None

    def scene(inventory: Inventory, config: Mapping[str, object]) -> Scene:
        stack = os.environ.get(STACK_VARIABLE)
        return Scene(
            inventory=inventory,
            limits=Limits.model_validate(config),
            today=today(),
            levels=own_file(stack) if stack else LEVELS,
        )

    def resource(args: ResourceValidationArgs, report: ReportViolation) -> None:
        shown = seen.look(rule, args)
        for subject in seen.turn(rule, shown):
            for message in seen.news(rule, subject, scene(seen.around, args.get_config())):
                report(message, None if subject is shown else subject.urn)

    def stack(args: StackValidationArgs, report: ReportViolation) -> None:
        inventory = seen.stack(args.resources)
        for subject in inventory.of_type(*rule.types):
            if rule.subject(subject):
                for message in seen.news(rule, subject, scene(inventory, args.get_config())):
                    report(message, subject.urn)

    # levels come from the configuration file; without one, every violation blocks
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
