"""What a rule looks at: one resource, and the resources around it, indexed once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import tokens
from policies.plain import Unreadable, maybe_text


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyResource:
    """A resource in a form that every engine can give.

    `properties` are plain data (see `plain.plain_properties`): its inputs in camelCase, as the provider gets them.
    `urn` and `parent` are URNs, or other unique names; they may be empty.
    """

    type: str
    name: str
    properties: Mapping[str, object]
    urn: str = ""
    parent: str = ""

    @property
    def component(self) -> str:
        """The token of the component that it belongs to, by its parent; empty where it has none.

        A URN holds the tokens of all ancestors: `urn:pulumi:<stack>::<project>::<A>$<B>$<type>::<name>`.
        """
        if self.parent:
            return types_of(self.parent)[-1]
        above = types_of(self.urn)[:-1]
        return above[-1] if above else ""

    @property
    def ours(self) -> bool:
        """Whether it belongs to this program's project, or is below a component of ours in another project."""
        parts = self.urn.split("::")
        project = parts[1] if len(parts) > 2 else ""
        return project == tokens.PROJECT or any(
            token.startswith(tokens.OURS) for token in (self.type, *types_of(self.urn), *types_of(self.parent))
        )

    @property
    def namespace(self) -> str | None:
        """The Kubernetes namespace of the object, if it is known."""
        return _text(self, "metadata", "namespace")


def types_of(urn: str) -> list[str]:
    """Return the type tokens in a URN, from the outermost ancestor to the resource's own."""
    parts = urn.split("::")
    return (parts[2] if len(parts) > 3 else parts[0]).split("$")


class Inventory:
    """Resources with the look-ups that rules need. Lists are in the order of registration.

    The cost of adding one does not grow with their number, because an engine registers them one by one.
    """

    def __init__(self, resources: Iterable[PolicyResource] = ()) -> None:
        self._by_type: defaultdict[str, list[PolicyResource]] = defaultdict(list)
        self._by_place: defaultdict[tuple[str, str | None], list[PolicyResource]] = defaultdict(list)
        self._by_name: defaultdict[tuple[str, str | None], list[PolicyResource]] = defaultdict(list)
        self._by_team: defaultdict[tuple[str, str | None], list[PolicyResource]] = defaultdict(list)
        self._named: dict[str, dict[str, PolicyResource]] = {tokens.TEAM: {}, tokens.NODE_POOL: {}}
        self._pools: Mapping[str, list[PolicyResource]] | None = None
        for resource in resources:
            self.add(resource)

    def add(self, resource: PolicyResource) -> None:
        self._by_type[resource.type].append(resource)
        self._by_place[(resource.type, resource.namespace)].append(resource)
        self._by_name[(resource.type, _text(resource, "metadata", "name"))].append(resource)
        self._by_team[(resource.type, _text(resource, "team"))].append(resource)
        if resource.type in self._named:
            self._named[resource.type][_text(resource, "name") or resource.name] = resource
            self._pools = None

    @property
    def teams(self) -> Mapping[str, PolicyResource]:
        return self._named[tokens.TEAM]

    @property
    def pools(self) -> Mapping[str, PolicyResource]:
        return self._named[tokens.NODE_POOL]

    @property
    def teams_by_pool(self) -> Mapping[str, list[PolicyResource]]:
        """The tenants of each pool. A tenant whose pool can't be read is in every pool, because it may be anywhere."""
        if self._pools is None:
            self._pools = self._teams_by_pool()
        return self._pools

    def _teams_by_pool(self) -> Mapping[str, list[PolicyResource]]:
        index: dict[str, list[PolicyResource]] = {pool: [] for pool in self.pools}
        # sorted by name: engines register in no fixed order, and messages must not change from run to run
        for team in sorted(self.of_type(tokens.TEAM), key=lambda team: team.name):
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
        """Return the resources of these types. A type that ends with a colon stands for all that begin with it."""
        return [resource for wanted in types for found in self._types(wanted) for resource in self._by_type[found]]

    def _types(self, wanted: str) -> list[str]:
        if wanted.endswith(":"):
            return [found for found in self._by_type if found.startswith(wanted)]
        return [wanted] if wanted in self._by_type else []

    def in_namespace(self, type_: str, namespace: str) -> list[PolicyResource]:
        return self._by_place.get((type_, namespace), [])

    def of_name(self, type_: str, name: str) -> list[PolicyResource]:
        """Return the objects of one type with one name (`metadata.name`), of all namespaces."""
        return self._by_name.get((type_, name), [])

    def of_team(self, type_: str, team: str) -> list[PolicyResource]:
        """Return the components of one type that say they are this tenant's (`team`)."""
        return self._by_team.get((type_, team), [])


def _text(resource: PolicyResource, *path: str) -> str | None:
    try:
        return maybe_text(resource.properties, *path)
    except Unreadable:
        return None
