"""What a rule looks at: one resource, and the resources around it, indexed once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from policies import names
from policies.plain import Unreadable, maybe_text


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyResource:
    """A resource as every engine can describe it.

    `properties` are plain data (see `plain.plain_properties`): its inputs, camelCase, as the provider gets them.
    `urn` and `parent` are URNs or whatever names a resource uniquely; they may be empty.
    """

    type: str
    name: str
    properties: Mapping[str, object]
    urn: str = ""
    parent: str = ""

    @property
    def namespace(self) -> str | None:
        """The Kubernetes namespace of the object, if it says one that is known."""
        try:
            return maybe_text(self.properties, "metadata", "namespace")
        except Unreadable:
            return None


@dataclass(frozen=True)
class Inventory:
    """Resources with the look-ups that rules need. Lists are in the order of registration."""

    resources: tuple[PolicyResource, ...] = field(default=())

    @classmethod
    def of(cls, resources: Iterable[PolicyResource]) -> Inventory:
        """Return the inventory of `resources`."""
        return cls(tuple(resources))

    @cached_property
    def _by_type(self) -> Mapping[str, list[PolicyResource]]:
        index: dict[str, list[PolicyResource]] = defaultdict(list)
        for resource in self.resources:
            index[resource.type].append(resource)
        return index

    @cached_property
    def _by_place(self) -> Mapping[tuple[str, str | None], list[PolicyResource]]:
        index: dict[tuple[str, str | None], list[PolicyResource]] = defaultdict(list)
        for resource in self.resources:
            index[(resource.type, resource.namespace)].append(resource)
        return index

    @cached_property
    def teams(self) -> Mapping[str, PolicyResource]:
        """The tenants by name."""
        return self._named(names.TEAM)

    @cached_property
    def pools(self) -> Mapping[str, PolicyResource]:
        """The node pools by name."""
        return self._named(names.NODE_POOL)

    @cached_property
    def teams_by_pool(self) -> Mapping[str, list[PolicyResource]]:
        """The tenants of each pool. One whose pool cannot be read is with every pool: it may be anywhere."""
        index: dict[str, list[PolicyResource]] = {pool: [] for pool in self.pools}
        # by name, because engines register in no fixed order, and messages must not change from run to run
        for team in sorted(self.of_type(names.TEAM), key=lambda team: team.name):
            try:
                pool = maybe_text(team.properties, "pool")
            except Unreadable:
                for members in index.values():
                    members.append(team)
                continue
            if pool in index:
                index[pool].append(team)
        return index

    def of_type(self, *types: str) -> list[PolicyResource]:
        """Return the resources of these types."""
        return [resource for wanted in types for resource in self._by_type.get(wanted, [])]

    def in_namespace(self, type_: str, namespace: str) -> list[PolicyResource]:
        """Return the objects of one type in one namespace."""
        return self._by_place.get((type_, namespace), [])

    def _named(self, type_: str) -> Mapping[str, PolicyResource]:
        index: dict[str, PolicyResource] = {}
        for resource in self.of_type(type_):
            try:
                name = maybe_text(resource.properties, "name")
            except Unreadable:
                name = None
            index[name or resource.name] = resource
        return index
